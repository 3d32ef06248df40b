"""Which hooks of a restore do nothing, said in its plan: else one believes that they ran.

Pure. Asked by the `NoticeBook` about what is created, and what is left to a controller.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup._kits.words import plural
from kbackup.hooks import InitHooks, asks_for_command, init_oddities
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._plan import Notice
from kbackup.restore._plan_entry import PlanAction, PlanEntry

Content = Mapping[str, Any]

_LEFT = (
    "comes without the init containers of hooks, for its controller makes it anew "
    "(controlled='adopt' creates Pods with them, but for those of Jobs)"
)
_COMMANDS = (
    "with a command to be run after the restore "
    "(annotations post.hook.restore.velero.io/...), which this version does not do"
)
_NO_LIMIT = "a timeout has no effect: init containers have no time limit"


class HookNotices:
    """Collects them while a plan is made.

    Args:
        hooks: The init containers that are asked for; None: no hooks at all.
    """

    def __init__(self, hooks: InitHooks | None) -> None:
        self._hooks = hooks
        self._left: list[ResourceIdentifier] = []
        self._commands: list[ResourceIdentifier] = []
        self._odd: dict[str, list[ResourceIdentifier]] = {}

    def see(self, entry: PlanEntry, content: Content) -> None:
        """Look at an item that would be written; a Pod that exists gets no hooks."""
        target, is_change = entry.target, entry.action is PlanAction.UPDATE
        if target.group_resource == well_known.PODS and not is_change:
            self._look(target, content)

    def see_left(self, target: ResourceIdentifier, content: Content) -> None:
        """Look at a Pod that a controller makes anew."""
        if self._hooks is not None and self._hooks.concern(target, content):
            self._left.append(target)
        self._look(target, content)

    def _look(self, target: ResourceIdentifier, content: Content) -> None:
        if asks_for_command(content):
            self._commands.append(target)
        for sentence in init_oddities(content):
            self._odd.setdefault(sentence, []).append(target)

    def notices(self) -> Iterator[Notice]:
        """Yield everything that was found."""
        if self._left:
            yield Notice(what=_LEFT, items=tuple(self._left))
        if self._commands:
            what = f"{plural(len(self._commands), 'Pod')} {_COMMANDS}"
            yield Notice(what=what, items=tuple(self._commands))
        for sentence, targets in self._odd.items():
            yield Notice(what=sentence, items=tuple(targets))
        for name in self._hooks.timed if self._hooks is not None else ():
            yield Notice(what=f"hook {name}: {_NO_LIMIT}")
