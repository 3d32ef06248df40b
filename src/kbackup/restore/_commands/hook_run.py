"""The commands of hooks while a plan is carried out: which Pods they are run in, and when.

Told of each Pod as it is written; what an earlier run of the restore made it asks the
journal about. `HookWaiter` waits for containers and runs the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from types import TracebackType
from typing import Self

from kbackup._kits.workers import Cancelled
from kbackup.cluster import Cluster
from kbackup.errors import KBackupError
from kbackup.hooks import (
    HookNote,
    HookWaiter,
    PodCommands,
    RestoreCommand,
    note_key,
)
from kbackup.models import HookStatus, labels
from kbackup.plugins import Run
from kbackup.plugins.engine import plugin_of
from kbackup.restore._attempt import CREATED, RECREATED, Attempt
from kbackup.restore._commands.hook_journal import Earlier, HookJournal
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._writes.creating import OURS_CHANGED
from kbackup.restore._writes.updating import DONE
from kbackup.restore._writes.writer import Write

_OTHERS = "its hooks are not those of the plan: none is run"
_AGAIN = (
    "an earlier run of this restore may have run it, and ended before it knew: it is not "
    "run a second time"
)
_UNTOLD = (
    "an earlier run of this restore made the Pod, and nothing tells whether it ran it: "
    "it is not run, lest it be for a second time"
)


class HookRun:
    """Runs the commands of one plan; a context manager around the writing.

    Where that ends early, what was not run is told.

    Args:
        run: The restore.
        cluster: The target.
        label: The value of the label of all that this restore makes.
        entries: Of the plan; those that have no hooks are passed over.
        commands_of: Makes the commands of a Pod again.
        open_journal: Asked if there are any.
    """

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        *,
        label: str,
        entries: Iterable[PlanEntry],
        commands_of: Callable[[PlanEntry], PodCommands],
        open_journal: Callable[[], HookJournal],
    ) -> None:
        self._run = run
        self._commands_of = commands_of
        self._entries = [entry for entry in entries if entry.hooks]
        if not self._entries:
            return
        self._journal = open_journal()
        self._waiter = HookWaiter(
            run,
            cluster,
            selector=f"{labels.RESTORE_NAME}={label}",
            pods=[entry.target for entry in self._entries],
            note=self._journal.note,
        )

    def __enter__(self) -> Self:
        """Take what is there already, of an earlier run of the restore."""
        for entry in self._entries:
            if not entry.action.writes:
                self._see(entry, Attempt(action=str(entry.action)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """Let nothing go on that a restore that ended early does not wait for."""
        if error is not None and self._entries:
            reason = "the restore failed"
            if isinstance(error, Cancelled):
                reason = error.reason
            self._waiter.stop(reason)

    @property
    def status(self) -> HookStatus | None:
        """How many hooks there were so far; None: the plan has none."""
        return self._waiter.status if self._entries else None

    def watching(self, write: Write) -> Write:
        """Return *write* so that it tells of each Pod with hooks that it wrote."""
        if not self._entries:
            return write

        def write_and_tell(entry: PlanEntry) -> Attempt:
            attempt = write(entry)
            if entry.hooks and attempt.is_over:
                self._see(entry, attempt)
            return attempt

        return write_and_tell

    def finish(self) -> None:
        """Wait for what is not done.

        Raises:
            Cancelled: The run is to stop; what was not run is told.
        """
        if self._entries:
            with self._run.phase("hooks", total=len(self._entries)):
                self._waiter.finish()

    # --- one Pod ----------------------------------------------------------------------

    def _see(self, entry: PlanEntry, attempt: Attempt) -> None:
        """Have the commands of a Pod run, if this restore made it."""
        is_new = attempt.action in (CREATED, RECREATED)
        if not is_new and not _is_of_earlier_run(entry, attempt):
            return
        try:
            found = self._commands_of(entry)
        except KBackupError as exc:
            told = f"its hooks are not run: {exc}"
            self._run.error(told, item=entry.target, plugin=plugin_of(exc))
            return
        if found.lines() != entry.hooks:
            self._run.error(_OTHERS, item=entry.target)
            return
        for fault in found.faults:
            self._run.warning(fault, item=entry.target)
        due = found.commands if is_new else tuple(self._due(entry, found))
        if due:
            self._waiter.add(entry.target, due)

    def _due(self, entry: PlanEntry, found: PodCommands) -> Iterator[RestoreCommand]:
        """Yield what no earlier run has begun, and tell of the rest."""
        pod = entry.target
        by_container = groupby(found.commands, key=lambda each: each.hook.container)
        for container, group in by_container:
            commands, key = list(group), note_key(pod, container)
            earlier = self._journal.earlier(key)
            if earlier is Earlier.NOTHING:
                yield from commands
            elif earlier is Earlier.ENDED:
                self._count_ended(entry, container, len(commands))
            elif earlier is Earlier.BEGUN:
                self._waiter.refuse(pod, commands, _AGAIN)
            elif earlier is Earlier.UNKNOWN:
                self._journal.note(HookNote(begun=(key,)))  # for the next run, too
                self._waiter.refuse(pod, commands, _UNTOLD)

    def _count_ended(self, entry: PlanEntry, container: str, attempted: int) -> None:
        failed = min(self._journal.failed(note_key(entry.target, container)), attempted)
        self._waiter.count(attempted, failed=failed)
        if failed:
            told = f"{failed} of {attempted} hooks in container {container} failed"
            self._run.error(
                f"{told}, or were not run, in an earlier run of this restore",
                item=entry.target,
            )


def _is_of_earlier_run(entry: PlanEntry, attempt: Attempt) -> bool:
    """Whether a Pod with hooks that was not created now is one that this restore made."""
    was_seen = (
        entry.precondition is not None and entry.action is not PlanAction.RECREATE
    )
    return was_seen or attempt.reason in (DONE, OURS_CHANGED)
