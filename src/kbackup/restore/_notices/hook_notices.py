"""What to know of the hooks of a restore, said in its plan: whom they are for, and not.

Pure. Asked by the `NoticeBook` about what is created, what is left to a controller, and
in the end about the lines of the plan.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kbackup.hooks import ExecHooks, InitHooks, exec_oddities, init_oddities
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._plan.plan import Notice
from kbackup.restore._plan_entry import PlanAction, PlanEntry

Content = Mapping[str, Any]

_ANEW = (
    "for its controller makes it anew (controlled='adopt' creates Pods with them, but for "
    "those of Jobs)"
)
_LEFT = f"comes without the init containers of hooks, {_ANEW}"
_LEFT_COMMANDS = f"comes without the commands of hooks, {_ANEW}"
_RUN = "has commands of hooks run in it; the restore waits for its containers"
_AGAIN = (
    "an earlier run of this restore made it: commands of hooks that were not begun then "
    "are run now"
)
_UNMET = "is for none of the Pods that this restore creates: nothing of it is run"
_NO_LIMIT = "a timeout has no effect: init containers have no time limit"


class HookNotices:
    """Collects them while a plan is made.

    Args:
        hooks: The init containers that are asked for; None: no hooks at all.
        commands: The commands that are asked for.
    """

    def __init__(self, hooks: InitHooks | None, commands: ExecHooks | None) -> None:
        self._hooks = hooks
        self._commands = commands
        self._rules = tuple(
            rules for rules in (hooks, commands) if rules and rules.names
        )
        self._found: dict[str, list[ResourceIdentifier]] = {}
        self._odd: dict[str, list[ResourceIdentifier]] = {}
        self._met: set[str] = set()

    def see(self, entry: PlanEntry, content: Content) -> None:
        """Look at an item that would be written; a Pod that exists gets no hooks."""
        target, is_change = entry.target, entry.action is PlanAction.UPDATE
        if target.group_resource == well_known.PODS and not is_change:
            self._look(target, content)

    def see_left(self, target: ResourceIdentifier, content: Content) -> None:
        """Look at a Pod that a controller makes anew."""
        if self._hooks is not None and self._hooks.concern(target, content):
            self._note(_LEFT, target)
        if self._commands is not None and self._commands.of(target, content):
            self._note(_LEFT_COMMANDS, target)
        self._look(target, content)

    def see_planned(self, entries: Iterable[PlanEntry]) -> None:
        """Look at the lines of the plan."""
        for entry in entries:
            is_there = entry.precondition is not None
            if is_there and entry.target.group_resource == well_known.PODS:
                self._met.update(self._names())  # it may be meant
            if entry.hooks:
                is_old = is_there and entry.action is not PlanAction.RECREATE
                self._note(_AGAIN if is_old else _RUN, entry.target)

    def _look(self, target: ResourceIdentifier, content: Content) -> None:
        if content["metadata"].get("annotations"):  # or nothing can be odd in them
            for sentence in (*init_oddities(content), *exec_oddities(content)):
                self._odd.setdefault(sentence, []).append(target)
        for rules in self._rules:
            self._met.update(rules.names_for(target, content))

    def _names(self) -> Iterable[str]:
        """The names of all hooks, each once."""
        return dict.fromkeys(name for rules in self._rules for name in rules.names)

    def _note(self, what: str, target: ResourceIdentifier) -> None:
        self._found.setdefault(what, []).append(target)

    def notices(self) -> Iterator[Notice]:
        """Yield everything that was found."""
        for what in (_RUN, _AGAIN, _LEFT, _LEFT_COMMANDS):
            if what in self._found:
                yield Notice(what=what, items=tuple(self._found[what]))
        for sentence, targets in self._odd.items():
            yield Notice(what=sentence, items=tuple(targets))
        for name in self._names():
            if name not in self._met:
                yield Notice(what=f"hook {name} {_UNMET}")
        for name in self._hooks.timed if self._hooks is not None else ():
            yield Notice(what=f"hook {name}: {_NO_LIMIT}")
