"""Back up the volume of a bound claim, and the claim fit to be provisioned anew."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject, without
from kbackup._kits.nested import mapping_at
from kbackup.actions._references import volume_of_claim
from kbackup.models import ResourceSelector, label_value, labels
from kbackup.plugins import BackupInput, BackupOutput

_OURS = "velero.io/"
_STALE = (labels.RESTORE_NAME, labels.VOLUME_SNAPSHOT_NAME)


class PVAction:
    """Add the PersistentVolume of a bound claim (``velero.io/pv``).

    Of a bound claim it also drops what only made the volume it has now: the data
    source, the selector, and the marks of earlier backups and restores.
    """

    name = "velero.io/pv"
    applies_to = ResourceSelector(included_resources=("persistentvolumeclaims",))

    def execute(self, given: BackupInput) -> BackupOutput:
        """Ask for the volume; a claim that is not bound is stored as it is."""
        volume = volume_of_claim(given.item)
        if not volume:
            return BackupOutput(item=given.item)
        item = without(given.item, ("spec",), ("dataSource", "dataSourceRef"))
        item = _without_selector(item)
        item = _without_stale_labels(item, given.backup.metadata.name)
        return BackupOutput(item=item, additional_items=volume)


def _without_selector(claim: JSONObject) -> JSONObject:
    """Drop a selector, which stands in the way of provisioning a volume.

    A claim with the empty storage class is never provisioned for: there the selector
    chooses the volume and stays, but for the labels of an earlier restore.
    """
    spec = mapping_at(claim, "spec")
    if spec.get("storageClassName") != "":
        return without(claim, ("spec",), ("selector",))
    path = ("spec", "selector", "matchLabels")
    ours = [key for key in mapping_at(claim, *path) if key.startswith(_OURS)]
    return without(claim, path, ours)


def _without_stale_labels(claim: JSONObject, backup_name: str) -> JSONObject:
    given = mapping_at(claim, "metadata", "labels")
    stale = set(_STALE)
    if given.get(labels.BACKUP_NAME) != label_value(backup_name):
        stale.add(labels.BACKUP_NAME)
    return without(claim, ("metadata", "labels"), stale)
