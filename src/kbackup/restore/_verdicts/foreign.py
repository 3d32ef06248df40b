"""What plugins, hooks, transforms and modifiers change in what is written, and who did.

What kbackup does to an item is documented; what plugins and functions of the user do to
it is known only when it is done. So such an item is made a second time, without them,
and its line shows what they changed. Called by the planners; costs nothing where nobody
changed anything.
"""

import attrs
from msgspec.structs import replace

from kbackup._kits.differences import changes
from kbackup.models import Item
from kbackup.restore._making.desired import Desired, DesiredMaker
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.request import RestoreRequest


@attrs.frozen
class ForeignChanges:
    """Tells of the changes that are not kbackup's own.

    Args:
        plain: Makes items without actions of others, hooks, transforms, modifiers.
    """

    _request: RestoreRequest
    _plain: DesiredMaker

    def shown(
        self,
        entry: PlanEntry,
        item: Item,
        desired: Desired,
        line: ClaimLine | None = None,
    ) -> PlanEntry:
        """Return the line that says what was changed in an item, and by whom.

        The differences from a live object have the changes in them already.

        Args:
            entry: The line of the plan so far.
            item: As the backup has it.
            desired: As it would be written, changed by others.
            line: What the plan says about it, where it is a claim.
        """
        if not entry.action.writes:
            return entry
        plain = self._plain.make(item, item.content, line)
        hide = self._request.hides(item)
        found = tuple(changes(plain.content, desired.content, hide=hide))
        if not found:  # it was taken back, or comes to the same
            return entry
        by = f"changed by {', '.join(desired.changed_by)}"
        reason = f"{entry.reason}; {by}" if entry.reason else by
        if entry.differences or entry.action is PlanAction.UPDATE:
            return replace(entry, reason=reason, changed_by=desired.changed_by)
        return replace(
            entry, reason=reason, changes=found, changed_by=desired.changed_by
        )
