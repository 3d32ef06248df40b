"""Restore Jobs so that the target's controller marks their Pods anew."""

from __future__ import annotations

from kbackup._kits.edit import without
from kbackup._kits.nested import mapping_at
from kbackup._kits.normalise import CONTROLLER_UID_LABELS
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput


class JobAction:
    """Drop the source Job's uid from selector and Pod template (``velero.io/job``)."""

    name = "velero.io/job"
    applies_to = ResourceSelector(included_resources=("jobs.batch",))

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Let the API server choose the selector, where it chose it before.

        With ``manualSelector`` the labels are the user's own, whatever their names; a
        selector emptied there would make the Job adopt every Pod without an owner.
        """
        item = given.item
        if mapping_at(item, "spec").get("manualSelector") is True:
            return RestoreOutput(item=item)
        item = without(item, ("spec", "selector", "matchLabels"), CONTROLLER_UID_LABELS)
        item = without(
            item, ("spec", "template", "metadata", "labels"), CONTROLLER_UID_LABELS
        )
        return RestoreOutput(item=item)
