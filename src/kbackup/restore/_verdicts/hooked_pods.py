"""A Pod that lives already gets no hooks, whatever a new one in its place would get.

Asked by the item planner, and with a line of its plan by what writes it.
"""

from collections.abc import Callable

from msgspec.structs import replace

from kbackup.errors import ActionError
from kbackup.hooks import INIT_RESTORE_HOOK
from kbackup.restore._making.desired import Desired, DesiredMaker
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._verdicts.item_case import ItemCase

_MAKING = (PlanAction.CREATE, PlanAction.UNKNOWN)


def is_hooked(entry: PlanEntry) -> bool:
    """Whether a Pod of the plan gets its hooks: a live one has had them, or never does."""
    is_change = entry.action is PlanAction.UPDATE and not entry.only_second_writes
    return not is_change or INIT_RESTORE_HOOK in entry.changed_by


def made_despite(exc: ActionError, maker: DesiredMaker, case: ItemCase) -> Desired:
    """The item after all: a hook that cannot be added need not be to a live Pod.

    Raises:
        ActionError: What failed is no hook, or the Pod does not live.
    """
    if exc.plugin != INIT_RESTORE_HOOK or not case.lives:
        raise exc
    return unhooked(maker, case)


def with_hooks(
    case: ItemCase, entry: PlanEntry, desired: Desired, recorded: Callable[[], bool]
) -> PlanEntry:
    """The line with the commands that are run in its Pod.

    They are run in one that is created; in one that an earlier run of this restore
    created only what that run did not come to, as long as none has come to its end.
    """
    if not desired.commands:  # most items
        return entry
    is_new = entry.precondition is None and entry.action in _MAKING
    if is_new or entry.action is PlanAction.RECREATE or (case.ours and not recorded()):
        return replace(entry, hooks=desired.commands.lines())
    return entry


def unhooked(maker: DesiredMaker, case: ItemCase) -> Desired:
    """The item where its Pod lives already: nothing is added to that one."""
    return maker.make(
        case.item, case.item.content, case.line, target=case.target, hooked=False
    )
