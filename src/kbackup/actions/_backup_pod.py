"""Back up what a Pod cannot start without."""

from __future__ import annotations

from kbackup.actions._references import claims_of_pod, priority_class_of_pod
from kbackup.models import ResourceSelector
from kbackup.plugins import BackupInput, BackupOutput


class PodAction:
    """Add the claims and the PriorityClass of a Pod (``velero.io/pod``)."""

    name = "velero.io/pod"
    applies_to = ResourceSelector(included_resources=("pods",))

    def execute(self, given: BackupInput) -> BackupOutput:
        """Ask for what the Pod refers to; the Pod is stored as it is."""
        claims = claims_of_pod(given.item, given.identifier.namespace)
        return BackupOutput(
            item=given.item,
            additional_items=claims + priority_class_of_pod(given.item),
        )
