"""What an update undoes that somebody in the target relies on, beside its own object.

A copy must not take anything from its original. Called by the item planner with every
update; says what it finds in the notices of the plan.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.normalise import differences
from kbackup.models import Item
from kbackup.restore._existing import ExistingRules
from kbackup.restore._merging import goal_of
from kbackup.restore._notices import NoticeBook
from kbackup.restore._plan import PlanAction, PlanEntry
from kbackup.restore._request import RestoreRequest
from kbackup.restore._seen import cleaned

Content = Mapping[str, Any]


class Undone:
    """Looks at the updates of one restore."""

    def __init__(self, request: RestoreRequest, book: NoticeBook) -> None:
        self._request = request
        self._book = book

    def see(
        self, entry: PlanEntry, item: Item, desired: Content, live: Content
    ) -> None:
        """Look at an item that is written where there is one.

        Args:
            entry: The line of the plan.
            item: As the backup has it.
            desired: As it would be written.
            live: As the target has it, reset as the desired one was.
        """
        if entry.action is not PlanAction.UPDATE:
            return
        rules = self._request.rules
        if entry.cluster_wide and rules.is_copy:
            stored = cleaned(item.content)
            if is_changed_for_copy(stored, desired, live, rules):
                self._book.see_taken(entry.target)


def is_changed_for_copy(
    stored: Content, desired: Content, live: Content, rules: ExistingRules
) -> bool:
    """Whether an update changes what the live object has just as the backup does.

    Then it is not the backup that says so, but the other names of the namespaces.
    """
    of_backup = {change.path for change in differences(live, stored)}
    goal = goal_of(desired, live, add_subjects=rules.is_copy)
    return any(
        change.op != "add" and change.path not in of_backup
        for change in differences(live, goal)
    )
