"""Carries out a plan: one write for each entry, wave by wave, workers in parallel.

Nothing is written that the plan does not name, with another body, or over an object
that moved since. What may pass later waits in a queue; a lost answer is settled by
looking. Called by `_pipeline`; `object_writer` does the single writes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter

from kbackup._kits.words import and_more
from kbackup._kits.workers import WorkerPool
from kbackup.catalog.engine import SNAPSHOTS_ROW
from kbackup.models import GroupResource, ItemOutcome, ResourceIdentifier, well_known
from kbackup.plugins import ItemRestored, ItemsProgressed, Run, WaitingFor
from kbackup.restore._attempt import FAILED, SKIPPED, UNCHANGED, UNKNOWN, Attempt
from kbackup.restore._plan_entry import PlanAction, PlanEntry

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_SECONDS_BETWEEN_EVENTS = 0.2
_SECONDS_TO_BE_SEEN = 1.0  # watches lag by some milliseconds, more under load

Write = Callable[[PlanEntry], Attempt]
Takes = Callable[[PlanEntry], bool]
Await = Callable[[Sequence[PlanEntry], float], Iterable[tuple[PlanEntry, str]]]


def _never(_: PlanEntry) -> bool:
    return False


def _nothing(_: PlanEntry) -> str:
    return ""


class Writer:
    """Writes the entries of one plan; used once.

    Args:
        run: Of the restore.
        write: Tries to write one entry; called from many threads.
        await_types: Waits until new types are served; yields those that are not.
        takes: Whether the type of an entry is served, though its CRD was not written.
        what_holds: Says what keeps a namespace of this name that is going; or nothing.
        workers: Threads.
        room: How many of them may write at this moment.
        untold: Says what nobody knows, or is left to do, of an entry that was begun.
        outcomes: Takes what was done, item by item: who ends the run has it as well.
    """

    def __init__(
        self,
        run: Run,
        *,
        write: Write,
        await_types: Await,
        takes: Takes = _never,
        what_holds: Callable[[str], str],
        workers: int,
        room: Callable[[], int],
        untold: Callable[[PlanEntry], str] = _nothing,
        outcomes: list[ItemOutcome] | None = None,
    ) -> None:
        self._run = run
        self._write = write
        self._await_types = await_types
        self._takes = takes
        self._what_holds = what_holds
        self._workers = workers
        self._room = room
        self._untold = untold
        self._outcomes = [] if outcomes is None else outcomes
        self._later: list[tuple[PlanEntry, str]] = []
        self._noting = threading.Lock()
        self._lost_namespaces: set[str] = set()
        self._lost_types: set[GroupResource] = set()
        self._total = 0
        self._told = 0.0

    def write(
        self, entries: Sequence[PlanEntry], patience: timedelta
    ) -> list[ItemOutcome]:
        """Carry out all *entries*, which are in the order of their waves.

        Args:
            entries: Of the plan.
            patience: How long what is refused may wait once everything else that can
                be written is; afterwards it is an error.
        """
        self._total = len(entries)
        for entry in entries:
            if not entry.action.writes:
                self._note_unwritten(entry)
        told = self._log("not to be written", 0)
        writing = [entry for entry in entries if entry.action.writes]
        try:
            self._write_waves(writing, patience, told)
        except BaseException:
            self._note_untold(writing)
            raise
        return self._outcomes

    def _write_waves(
        self, writing: Sequence[PlanEntry], patience: timedelta, told: int
    ) -> None:
        with WorkerPool(self._workers, "kbackup-restore") as pool:
            for number, wave in groupby(writing, key=attrgetter("wave")):
                members = list(wave)
                self._write_all(pool, members)
                self._settle_ground(pool, members, patience)
                self._let_pods_be_seen(members)
                told = self._log(f"wave {number}", told)
            self._drain(pool, self._run.deadline(patience))
            self._log("after waiting", told)

    # --- one wave ---------------------------------------------------------------------

    def _write_all(self, pool: WorkerPool, entries: Sequence[PlanEntry]) -> None:
        """Try each entry once; those that may pass later end in the queue."""
        crew = _Crew(entries, self._room)
        # Before the first call, which may append to it while it is being submitted.
        futures: list[Future[None]] = []

        def work() -> None:
            try:
                while (entry := crew.take()) is not None:
                    if crew.may_grow():
                        futures.append(pool.submit(work))
                    self._run.cancel.check()
                    self._try(entry)
            except BaseException:
                crew.dismiss()
                raise

        futures.append(pool.submit(work))
        try:
            errors = _errors_of(futures)
        except BaseException:  # of this thread: an interrupt, in a notebook
            crew.dismiss()
            _errors_of(futures)  # the name is held until the last answer has come
            raise
        if errors:
            raise errors[0]

    def _try(self, entry: PlanEntry) -> None:
        lost = self._lost_ground(entry)
        attempt = Attempt(action=FAILED, reason=lost) if lost else self._write(entry)
        if not attempt.is_over:
            with self._noting:
                self._later.append((entry, attempt.reason))
            return
        if attempt.action == FAILED:
            self._fail(entry, attempt.reason, plugin=attempt.plugin)
            return
        if attempt.moved:
            self._run.warning(f"not written: {attempt.reason}", item=entry.target)
        self._note(
            entry.target, attempt.action, attempt.reason, left_alone=attempt.moved
        )

    def _settle_ground(
        self, pool: WorkerPool, wave: Sequence[PlanEntry], patience: timedelta
    ) -> None:
        """Nothing else can be written before namespaces and types are there."""
        ground = [
            e
            for e in wave
            if e.target.group_resource in (well_known.NAMESPACES, well_known.CRDS)
        ]
        if not ground:
            return
        deadline = self._run.deadline(patience)
        self._drain(pool, deadline)
        types = [entry for entry in ground if self._brings_a_type(entry)]
        for entry, reason in self._await_types(types, deadline) if types else ():
            self._lost_types.add(GroupResource.parse(entry.target.name))
            self._run.error(reason, item=entry.target)

    def _let_pods_be_seen(self, wave: Sequence[PlanEntry]) -> None:
        """Wait until controllers will know the Pods that their workloads are to adopt.

        They learn of Pods and of workloads by watches of their own: one that hears of the
        workload first makes Pods beside those that are there, and ends some of them.
        """
        is_pod = well_known.PODS
        if any(x.adopter and x.target.group_resource == is_pod for x in wave):
            self._run.cancel.wait(_SECONDS_TO_BE_SEEN)

    def _brings_a_type(self, entry: PlanEntry) -> bool:
        """Whether an entry is a CRD; one that could not be written brings nothing."""
        is_crd = entry.target.group_resource == well_known.CRDS
        return is_crd and GroupResource.parse(entry.target.name) not in self._lost_types

    def _lost_ground(self, entry: PlanEntry) -> str:
        target = entry.target
        if target.namespace in self._lost_namespaces:
            return f"namespace {target.namespace} could not be made"
        if target.group_resource in self._lost_types and not self._takes(entry):
            return f"the CRD of {target.group_resource} could not be made"
        return ""

    # --- the queue --------------------------------------------------------------------

    def _drain(self, pool: WorkerPool, deadline: float) -> None:
        """Try what waits again, in rounds, until nothing does or time is over."""
        clock, pause = self._run.clock, _FIRST_PAUSE
        while self._later:
            left = deadline - clock.monotonic()
            if left <= 0:
                self._give_up()
                return
            what = _waiting_text(self._later)
            self._run.emit(WaitingFor(what=what, seconds_left=left))
            self._run.cancel.check()
            self._run.cancel.wait(min(pause, left))
            waiting, self._later = self._later, []
            before = len(waiting)
            self._write_all(pool, [entry for entry, _ in waiting])
            helped = len(self._later) < before
            pause = _FIRST_PAUSE if helped else min(pause * 2, _LONGEST_PAUSE)

    def _give_up(self) -> None:
        waiting, self._later = self._later, []
        what_holds = cache(self._what_holds)
        for entry, reason in waiting:
            held = what_holds(_namespace_of(entry.target))
            last = "; ".join(filter(None, (reason, held)))
            self._fail(entry, f"not done in time; the last answer was: {last}")

    # --- the books --------------------------------------------------------------------

    def _note_unwritten(self, entry: PlanEntry) -> None:
        if entry.action is PlanAction.CONFLICT:
            self._fail(entry, entry.reason, plugin=entry.failed_by)
            return
        unchanged = entry.action is PlanAction.UNCHANGED
        is_lost = entry.differences or entry.reason == SNAPSHOTS_ROW.reason
        if entry.action is PlanAction.SKIP and is_lost:
            self._run.warning(f"not restored: {entry.reason}", item=entry.target)
        self._note(entry.target, UNCHANGED if unchanged else SKIPPED, entry.reason)

    def _note_untold(self, writing: Sequence[PlanEntry]) -> None:
        """Name what was begun and not done, or not answered, when the run ended."""
        settled = {outcome.identifier for outcome in self._outcomes}
        for entry in writing:
            if entry.target not in settled and (untold := self._untold(entry)):
                self._note(entry.target, UNKNOWN, untold)

    def _fail(self, entry: PlanEntry, reason: str, *, plugin: str = "") -> None:
        if entry.target.group_resource == well_known.NAMESPACES:
            if entry.action is not PlanAction.UNKNOWN:  # which may be there, unseen
                self._lost_namespaces.add(entry.target.name)
        elif entry.target.group_resource == well_known.CRDS:
            self._lost_types.add(GroupResource.parse(entry.target.name))
        told = f"not restored: {reason}"
        self._run.error(told, item=entry.target, plugin=plugin)
        self._note(entry.target, FAILED, reason)

    def _log(self, when: str, told: int) -> int:
        """Write a line for each type: lines for each item would cost too much.

        Args:
            when: What the lines begin with.
            told: How many outcomes have their line already.

        Returns:
            How many have it now.
        """
        counts = Counter(
            (outcome.identifier.group_resource, outcome.action)
            for outcome in self._outcomes[told:]
        )
        for resource, of_type in groupby(
            sorted(counts.items()), lambda pair: pair[0][0]
        ):
            done = ", ".join(f"{number} {action}" for (_, action), number in of_type)
            self._run.logger.info("%s: %s: %s", when, resource, done)
        if self._later:
            self._run.logger.info("%s: %d to be tried again", when, len(self._later))
        return len(self._outcomes)

    def _note(
        self,
        target: ResourceIdentifier,
        action: str,
        reason: str,
        *,
        left_alone: bool = False,
    ) -> None:
        outcome = ItemOutcome(
            identifier=target, action=action, reason=reason, left_alone=left_alone
        )
        with self._noting:
            self._outcomes.append(outcome)
            done = len(self._outcomes)
        if not self._run.observed:
            return
        self._run.emit(ItemRestored(identifier=target, action=action))
        now = self._run.clock.monotonic()
        if now - self._told > _SECONDS_BETWEEN_EVENTS or done == self._total:
            self._told = now
            current = target.group_resource
            self._run.emit(
                ItemsProgressed(done=done, total=self._total, current=current)
            )


class _Crew:
    """The workers of one wave: as many as there is room for, and none that waits.

    A thread that waits for room is woken for nothing at every write: 30 us each.
    """

    def __init__(self, entries: Iterable[PlanEntry], room: Callable[[], int]) -> None:
        self._waiting = iter(entries)
        self._room = room
        self._members = 1
        self._dismissed = False
        self._changing = threading.Lock()

    def take(self) -> PlanEntry | None:
        """Return what to write next; None: the worker that asks is to go."""
        with self._changing:
            if not self._dismissed and self._members <= max(1, self._room()):
                entry = next(self._waiting, None)
                if entry is not None:
                    return entry
            self._members -= 1
            return None

    def may_grow(self) -> bool:
        """Whether there is room for one worker more; then it is counted."""
        with self._changing:
            grows = not self._dismissed and self._members < self._room()
            self._members += grows
            return grows

    def dismiss(self) -> None:
        """Let nobody begin anything more: an error ended one of the workers."""
        with self._changing:
            self._dismissed = True


def _namespace_of(target: ResourceIdentifier) -> str:
    if target.group_resource == well_known.NAMESPACES:
        return target.name
    return target.namespace


def _errors_of(futures: Sequence[Future[None]]) -> list[BaseException]:
    """Wait for all; they become more meanwhile: a worker is called before its caller ends."""
    return [error for future in futures if (error := future.exception())]


def _waiting_text(waiting: Sequence[tuple[PlanEntry, str]]) -> str:
    # The queue has no order: without one of its own the text would change every round.
    entry, reason = min(waiting, key=lambda pair: str(pair[0].target))
    more = and_more(waiting, 1)
    return f"{entry.target}{f' {more}' if more else ''}: {reason}"
