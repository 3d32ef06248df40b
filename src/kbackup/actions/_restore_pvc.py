"""Restore claims that the target can bind, and the volume they were bound to."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject, without
from kbackup._kits.nested import mapping_at, text_at
from kbackup._kits.normalise import ARCHIVE_NOTES, BIND_ANNOTATIONS
from kbackup.actions._references import volume_of_claim
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

# Notes of the source's controllers about a binding and a node that are not the target's,
# and of Velero about its backup.
_NOTES_OF_THE_SOURCE = (*BIND_ANNOTATIONS, *ARCHIVE_NOTES)


class PVCAction:
    """Forget the source's binding and add the volume (``velero.io/pvc``).

    Whether the volume is restored, and what becomes of ``volumeName``, the plan decides
    for volume and claim together.
    """

    name = "velero.io/pvc"
    applies_to = ResourceSelector(included_resources=("persistentvolumeclaims",))

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything."""
        annotations = mapping_at(item, "metadata", "annotations")
        noted = not annotations.keys().isdisjoint(_NOTES_OF_THE_SOURCE)
        return noted or bool(text_at(item, "spec", "volumeName"))

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Drop the notes; ask for the volume that the claim had in the backup."""
        item = without(given.item, ("metadata", "annotations"), _NOTES_OF_THE_SOURCE)
        volume = volume_of_claim(given.item_from_backup)
        return RestoreOutput(item=item, additional_items=volume)
