"""Back up a CRD in the version through which it was made."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject
from kbackup._kits.nested import mapping_at, objects_at
from kbackup.errors import ClusterError
from kbackup.models import ResourceSelector
from kbackup.plugins import BackupInput, BackupOutput

_V1 = "apiextensions.k8s.io/v1"
_BETA = "v1beta1"


class CRDRemapVersionAction:
    """Store a CRD that was made through v1beta1 as such (``velero.io/crd-remap-version``).

    The v1 API shows such a definition and would not take it back: it may have no schema,
    or none that is structural. While the cluster serves v1beta1, the item becomes what
    that shows. Its path in the archive stays that of v1.

    Velero always does this. Here it is done when it is asked for: on a server without
    v1beta1, which is every one since 1.22, what comes of it has to be converted, while the
    v1 item is restored there by ``velero.io/crd-preserve-fields``.
    """

    name = "velero.io/crd-remap-version"
    asked_for_only = True
    applies_to = ResourceSelector(
        included_resources=("customresourcedefinitions.apiextensions.k8s.io",)
    )

    def execute(self, given: BackupInput) -> BackupOutput:
        """Return what v1beta1 shows, where v1 would not take the item back."""
        item = given.item
        if item.get("apiVersion") != _V1 or not _is_of_beta(item):
            return BackupOutput(item=item)
        try:
            found = given.cluster.get(given.identifier, version=_BETA)
        except ClusterError as exc:
            if given.run is not None:
                told = f"stored as it is in v1, it cannot be read in {_BETA}: {exc}"
                given.run.warning(told, item=given.identifier, plugin=self.name)
            return BackupOutput(item=item)
        return BackupOutput(item=found or item)


def _is_of_beta(definition: JSONObject) -> bool:
    """Whether it looks like one that was made through v1beta1; as Velero tells it."""
    first = next(iter(objects_at(definition, "spec", "versions")), {})
    return (
        not mapping_at(first, "schema", "openAPIV3Schema")
        or mapping_at(definition, "spec").get("preserveUnknownFields") is True
        or any(map(_is_not_structural, objects_at(definition, "status", "conditions")))
    )


def _is_not_structural(condition: JSONObject) -> bool:
    return (condition.get("type"), condition.get("status")) == (
        "NonStructuralSchema",
        "True",
    )
