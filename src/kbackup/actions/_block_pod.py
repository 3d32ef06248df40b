"""Keep a Pod and what it cannot start without in one block."""

from __future__ import annotations

from kbackup.actions._references import claims_of_pod, priority_class_of_pod
from kbackup.models import ResourceIdentifier, ResourceSelector
from kbackup.plugins import BackupInput


class PodBlockAction:
    """Relate the PriorityClass and the claims of a Pod (``velero.io/pod``)."""

    name = "velero.io/pod"
    applies_to = ResourceSelector(included_resources=("pods",))

    def related_items(self, given: BackupInput) -> tuple[ResourceIdentifier, ...]:
        """Name the PriorityClass, then the claims in the order of the volumes."""
        claims = claims_of_pod(given.item, given.identifier.namespace)
        return priority_class_of_pod(given.item) + claims
