"""Waiting until what an action asked for is ready, before the item itself is written.

As Velero's ``waitForAdditionalItems``: whoever waits too long, or whose action fails when
it is asked, is an error, and the item is written all the same. No thread waits: the item
goes to the writer's queue. Called by `_writes.object_writer`.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property

import attrs
from msgspec.structs import replace

from kbackup._kits.durations import format_duration
from kbackup._kits.words import first_few, plural
from kbackup.errors import ForbiddenError, PluginError
from kbackup.models import ItemOutcome, ResourceIdentifier
from kbackup.plugins import ClusterReader, RestoreInput, RestoreItemAction, Run
from kbackup.plugins.engine import are_ready
from kbackup.restore._attempt import FAILED
from kbackup.restore._plan_entry import PlanEntry

READY_TIMEOUT = timedelta(minutes=10)  # Velero's --resource-timeout

Targets = Callable[[ResourceIdentifier], ResourceIdentifier]
Given = Callable[[str], RestoreInput]


@attrs.frozen
class Awaited:
    """What one action waits for, for one item.

    Attributes:
        action: Who says when they are ready.
        items: What it asked for, in the backup.
        timeout: How long it may take; None: `READY_TIMEOUT`.
    """

    action: RestoreItemAction
    items: tuple[ResourceIdentifier, ...]
    timeout: timedelta | None = None

    @property
    def limit(self) -> timedelta:
        """How long is waited at most, the restore's own deadline apart."""
        return self.timeout or READY_TIMEOUT

    def __str__(self) -> str:
        number = plural(len(self.items), "additional item")
        limit = format_duration(self.limit)
        return (
            f"until {self.action.name} says that {number} can be used, {limit} at most"
        )


def as_waiting(entry: PlanEntry, awaits: Sequence[Awaited]) -> PlanEntry:
    """The line of an item that is written, with what is waited for before."""
    if not awaits or not entry.action.writes or entry.only_second_writes:
        return entry
    return replace(entry, waits=tuple(map(str, awaits)))


class Readiness:
    """Who still waits in one restore; asked by many threads, about one item by one.

    Args:
        run: Of the restore; its clock counts.
        reader: Reads the target anew each time.
        entries: Of the plan, which says where items go.
        outcomes: What was done so far: nobody waits for what has failed.
        target: Where an item goes that the plan does not name.
        patience: The restore's own deadline, after which nothing waits.
    """

    def __init__(
        self,
        run: Run,
        reader: ClusterReader,
        *,
        entries: Sequence[PlanEntry],
        outcomes: Sequence[ItemOutcome],
        target: Targets,
        patience: timedelta,
    ) -> None:
        self._run = run
        self._reader = reader
        self._entries = entries
        self._outcomes = outcomes
        self._target = target
        self._patience = patience
        self._since: dict[tuple[ResourceIdentifier, str], float] = {}
        self._settled: set[tuple[ResourceIdentifier, str]] = set()

    def is_open(self, entry: PlanEntry, awaits: Sequence[Awaited]) -> bool:
        """Whether any action is still to be asked about an item."""
        item = entry.identifier
        return any((item, each.action.name) not in self._settled for each in awaits)

    def reason_to_wait(
        self, entry: PlanEntry, awaits: Sequence[Awaited], given: Given, *, hide: bool
    ) -> str:
        """Ask the actions, one after the other; empty: the item may be written.

        Args:
            entry: Its line in the plan.
            awaits: What is waited for.
            given: Makes what an action of that name is given.
            hide: What actions say may quote what nobody may see.

        Raises:
            ClusterError: Nobody knows whether the items are there.
            Cancelled: The run is to stop.
        """
        for each in awaits:
            key = (entry.identifier, each.action.name)
            if key in self._settled:
                continue
            since = self._since.setdefault(key, self._run.clock.monotonic())
            try:
                reason = self._reason(each, given, hide=hide)
            except PluginError as exc:
                text = f"whether additional items are ready cannot be told: {exc}"
                self._tell(entry, each, text)
            else:
                waited = timedelta(seconds=self._run.clock.monotonic() - since)
                limit = min(each.limit, self._patience)
                if reason and waited < limit:
                    return reason
                if reason:
                    self._tell(entry, each, f"{reason}, {format_duration(limit)} long")
            self._settled.add(key)
        return ""

    def _tell(self, entry: PlanEntry, each: Awaited, text: str) -> None:
        message = f"{text}; it is written all the same"
        self._run.error(message, item=entry.target, plugin=each.action.name)

    def _reason(self, each: Awaited, given: Given, *, hide: bool) -> str:
        """Why items are not ready; what could not be restored is not asked about."""
        there, coming = [], []
        for item in each.items:
            target = self._targets.get(item) or self._target(item)
            if self._is_there(target):
                there.append(target)
            elif item in self._targets and not self._has_failed(target):
                coming.append(target)
        name = each.action.name
        if coming:
            return f"additional items are not there: {first_few(coming)} (for {name})"
        asked = attrs.evolve(given(name), cluster=self._reader)
        if not there or are_ready(self._run, each.action, asked, there, hide=hide):
            return ""
        return f"additional items are not ready: {first_few(there)} (says {name})"

    def _is_there(self, target: ResourceIdentifier) -> bool:
        try:
            return self._reader.get(target) is not None
        except ForbiddenError:
            return True  # the action may know more

    def _has_failed(self, target: ResourceIdentifier) -> bool:
        return any(
            each.identifier == target and each.action == FAILED
            for each in list(self._outcomes)
        )

    @cached_property
    def _targets(self) -> dict[ResourceIdentifier, ResourceIdentifier]:
        """Where what is written goes; made when somebody waits: few restores need it."""
        writing = (entry for entry in self._entries if entry.action.writes)
        return {entry.identifier: entry.target for entry in writing}
