"""Restore the claims of a Pod together with it."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject
from kbackup._kits.nested import objects_at
from kbackup.actions._references import claims_of_pod
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput


class AddPVCFromPodAction:
    """Add the claims that a Pod mounts (``velero.io/add-pvc-from-pod``)."""

    name = "velero.io/add-pvc-from-pod"
    applies_to = ResourceSelector(included_resources=("pods",))

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything: many Pods mount no claim."""
        volumes = objects_at(item, "spec", "volumes")
        return any("persistentVolumeClaim" in volume for volume in volumes)

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Ask for the claims by their names in the backup."""
        claims = claims_of_pod(given.item_from_backup, given.identifier.namespace)
        return RestoreOutput(item=given.item, additional_items=claims)
