"""Commands in restored Pods: each is run as soon as its container is up, and once.

`HookWaiter` is told of Pods as they are made, and runs their commands while the restore
goes on; `finish` waits for the rest. A command that is never run is an error by name.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from itertools import count, groupby

import attrs

from kbackup._kits.durations import format_duration
from kbackup._kits.words import first_few
from kbackup._kits.workers import Cancelled, ChildToken, WorkerPool
from kbackup.cluster import Cluster
from kbackup.errors import HookError, HookFailedError
from kbackup.hooks._commands import HookTally, failure_of
from kbackup.hooks._exec import RestoreCommand
from kbackup.hooks._pod_watch import GONE, PodState, PodWatch
from kbackup.models import HookErrorMode, HookStatus, ResourceIdentifier
from kbackup.plugins import Run, WaitingFor

_LOOK_EVERY = 0.2  # seconds: how late a cancel may be seen
_SECONDS_BETWEEN_EVENTS = 1.0
_SHOWN = 3


@attrs.frozen(kw_only=True)
class HookNote:
    """What is to be remembered, should this process be killed; names are `note_key`s.

    Attributes:
        begun: Whose commands may be run from now on.
        ended: Whose have ended, or never will be run, and how many of them failed.
        left: Whose were not begun after all.
    """

    begun: tuple[str, ...] = ()
    ended: tuple[tuple[str, int], ...] = ()
    left: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.left)


def note_key(pod: ResourceIdentifier, container: str) -> str:
    """Return the name by which the commands of one container are remembered."""
    return f"{pod.qualified_name} {container}"


@attrs.define(eq=False)
class _Pod:
    """A Pod whose commands are not all done.

    Attributes:
        left: Its commands, in order; those that are being run included.
        since: When it was made.
        until: When nothing more of it is begun; None: never.
        busy: The commands of one container are being run.
    """

    ref: ResourceIdentifier
    left: list[RestoreCommand]
    since: float
    until: float | None
    uid: str = ""
    busy: bool = False


@attrs.frozen
class _Unrun:
    """A command that is not run, and why."""

    pod: ResourceIdentifier
    command: RestoreCommand
    reason: str


class HookWaiter:
    """Waits for the containers of Pods and runs commands in them; for one restore.

    At most so many commands are run at once as the run has workers. `add` may be called
    from any thread; `finish` and `stop` by one, at the end.

    Args:
        run: The restore.
        cluster: Where the Pods are.
        selector: The label that all of them carry.
        pods: Those that may be added.
        note: Remembers what is begun, before it is; raises nothing.
    """

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        *,
        selector: str,
        pods: Collection[ResourceIdentifier],
        note: Callable[[HookNote], None],
    ) -> None:
        self._run = run
        self._note = note
        self._expected = frozenset(pods)
        self._stop = ChildToken(run.cancel)
        self._cluster = cluster.for_run(self._stop, count=run.count)
        self._watch = PodWatch(
            run,
            self._cluster,
            self._stop,
            selector=selector,
            namespaces=sorted({pod.namespace for pod in pods}),
            see=self._see,
            lose=self._lose,
        )
        self._workers = run.settings.workers
        self._tally = HookTally(run)
        self._changed = threading.Condition()
        # All below only while that is held.
        self._pods: dict[ResourceIdentifier, _Pod] = {}
        self._seen: dict[ResourceIdentifier, PodState] = {}
        self._lost: dict[str, str] = {}  # from namespace to why it cannot be watched
        self._touched: deque[ResourceIdentifier] = deque()
        self._ends: list[tuple[float, int, ResourceIdentifier]] = []
        self._number = count()
        self._up: deque[tuple[_Pod, tuple[RestoreCommand, ...]]] = deque()
        self._running = 0
        self._unrun: list[_Unrun] = []
        self._ended: list[tuple[str, int]] = []
        self._left: list[str] = []
        self._complete = False
        self._pool: WorkerPool | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def status(self) -> HookStatus:
        """How many hooks there were so far, and how many failed or were never run."""
        return self._tally.status

    def count(self, attempted: int, *, failed: int) -> None:
        """Count hooks that an earlier run of the restore ran."""
        self._tally.count(attempted, failed=failed)

    def refuse(
        self,
        pod: ResourceIdentifier,
        commands: Sequence[RestoreCommand],
        reason: str,
    ) -> None:
        """Tell of commands that are not run."""
        for command in commands:
            self._tell_unrun(_Unrun(pod, command, reason))

    def add(self, pod: ResourceIdentifier, commands: Sequence[RestoreCommand]) -> None:
        """Run these in a Pod that has just been made, or was by an earlier run."""
        waits = [each.wait_timeout for each in commands]
        now = self._run.clock.monotonic()
        longest = max((wait for wait in waits if wait), default=timedelta(0))
        until = None if None in waits else now + longest.total_seconds()
        with self._changed:
            if self._seen.get(pod) is GONE:  # one of that name before it
                del self._seen[pod]
            self._pods[pod] = _Pod(pod, list(commands), now, until)
            if until is not None:
                heapq.heappush(self._ends, (until, next(self._number), pod))
            self._touched.append(pod)
            self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._pool = WorkerPool(self._workers, f"kbackup-hooks-{self._run.uid[:8]}")
        self._thread = threading.Thread(
            target=self._coordinate, name="kbackup-hooks", daemon=True
        )
        self._thread.start()
        self._watch.start()

    def finish(self) -> None:
        """Wait until every command was run, or never will be.

        Raises:
            Cancelled: The run is to stop; what was not run is told.
        """
        with self._changed:
            self._complete = True
            self._changed.notify_all()
        self._await_end()
        if self._error is not None:
            raise self._error
        self._run.cancel.check()

    def stop(self, reason: str) -> None:
        """Begin nothing more, and tell what was not run."""
        self._stop.cancel(reason)
        with self._changed:
            self._complete = True
            self._changed.notify_all()
        self._await_end()

    def _await_end(self) -> None:
        thread, told = self._thread, 0.0
        while thread is not None and thread.is_alive():
            now = self._run.clock.monotonic()
            if now - told >= _SECONDS_BETWEEN_EVENTS:
                told = now
                self._tell_waiting(now)
            thread.join(_LOOK_EVERY)
        if self._pool is not None:
            self._pool.close(wait=False)  # of a command that hangs nothing is known
        self._stop.cancel("all hooks have ended")

    def _tell_waiting(self, now: float) -> None:
        with self._changed:
            pods = list(self._pods.values())
        if not pods:
            return
        named = first_few([pod.ref.qualified_name for pod in pods], _SHOWN)
        ends = [pod.until for pod in pods]
        left = max((end - now for end in ends if end is not None), default=0.0)
        seconds = None if None in ends else max(0.0, left)
        self._run.emit(WaitingFor(what=f"hooks of Pods {named}", seconds_left=seconds))

    # --- what is seen -----------------------------------------------------------------

    def _see(self, pod: ResourceIdentifier, state: PodState) -> None:
        if pod not in self._expected:
            return
        with self._changed:
            if self._seen.get(pod) != state:
                self._seen[pod] = state
                self._touched.append(pod)
                self._changed.notify_all()

    def _lose(self, namespaces: Collection[str], reason: str) -> None:
        with self._changed:
            self._lost.update(dict.fromkeys(namespaces, reason))
            self._touched.extend(self._pods)
            self._changed.notify_all()

    # --- what is done about it --------------------------------------------------------

    def _coordinate(self) -> None:
        try:
            while not self._step():
                continue
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
            self._error = exc

    def _step(self) -> bool:
        """Decide once, under the lock, and act on it outside; tell whether all is done."""
        with self._changed:
            if not self._touched and not self._may_begin():
                self._changed.wait(_LOOK_EVERY)
            if self._stop.cancelled:
                self._leave_all()
            else:
                self._expire()
                while self._touched:
                    self._look_at(self._touched.popleft())
            batch = self._take_batch()
            unrun, self._unrun = self._unrun, []
            done = self._complete and not (self._pods or self._running)
            note = self._take_note(batch) if batch or done else HookNote()
        for each in unrun:
            self._tell_unrun(each)
        if note:
            self._note(note)
        for pod, commands in batch:
            self._submit(pod, commands)
        return done

    def _look_at(self, ref: ResourceIdentifier) -> None:
        """Decide about a Pod of which something is new."""
        pod, state = self._pods.get(ref), self._seen.get(ref)
        if pod is None or pod.busy:
            return
        if reason := self._lost.get(ref.namespace):
            self._give_up(pod, reason, for_good=False)
        elif state is None:
            return
        elif state is GONE or state.uid != (pod.uid or state.uid):
            self._give_up(pod, "the Pod is gone")
        elif state.ended:
            self._give_up(pod, f"the Pod has ended ({state.ended})")
        else:
            pod.uid = state.uid
            for commands in _by_container(pod.left):
                if _is_up(state, commands):
                    pod.busy = True
                    self._up.append((pod, commands))
                    return

    def _expire(self) -> None:
        """Give up the Pods whose time is over."""
        now = self._run.clock.monotonic()
        while self._ends and self._ends[0][0] <= now:
            until, _, ref = heapq.heappop(self._ends)
            pod = self._pods.get(ref)
            if pod is not None and not pod.busy and pod.until == until:
                self._give_up(pod, _time_over(pod, self._seen.get(ref)))

    def _leave_all(self) -> None:
        """The run is to stop: nothing is begun any more."""
        reason = f"the run is over: {self._stop.reason}"
        self._touched.clear()
        for pod, _ in self._up:
            pod.busy = False
        self._up.clear()
        for pod in [pod for pod in self._pods.values() if not pod.busy]:
            self._give_up(pod, reason, for_good=False)

    def _give_up(self, pod: _Pod, reason: str, *, for_good: bool = True) -> None:
        """Run nothing more of a Pod.

        Args:
            pod: One that is not busy.
            reason: Why.
            for_good: Also if the restore is run again.
        """
        del self._pods[pod.ref]
        self._unrun += [_Unrun(pod.ref, each, reason) for each in pod.left]
        if for_good:
            for commands in _by_container(pod.left):
                key = note_key(pod.ref, commands[0].hook.container)
                self._ended.append((key, len(commands)))

    def _may_begin(self) -> bool:
        """Whether a batch is begun now: in batches, for each costs a note in the store."""
        return bool(self._up) and self._running <= self._workers

    def _take_batch(self) -> list[tuple[_Pod, tuple[RestoreCommand, ...]]]:
        if not self._may_begin() or self._stop.cancelled:
            return []
        room = 2 * self._workers - self._running
        batch = [self._up.popleft() for _ in range(min(room, len(self._up)))]
        self._running += len(batch)
        return batch

    def _take_note(
        self, batch: Sequence[tuple[_Pod, tuple[RestoreCommand, ...]]]
    ) -> HookNote:
        note = HookNote(
            begun=tuple(note_key(pod.ref, x[0].hook.container) for pod, x in batch),
            ended=tuple(self._ended),
            left=tuple(self._left),
        )
        self._ended, self._left = [], []
        return note

    def _submit(self, pod: _Pod, commands: tuple[RestoreCommand, ...]) -> None:
        if self._pool is not None:
            self._pool.submit(self._run_all, pod, commands)

    # --- commands ---------------------------------------------------------------------

    def _run_all(self, pod: _Pod, commands: tuple[RestoreCommand, ...]) -> None:
        """Run the commands of one container, on a worker."""
        key = note_key(pod.ref, commands[0].hook.container)
        failed, done, stopped_by = 0, 0, ""
        try:
            for command in commands:
                self._stop.check()
                done += 1
                if self._does(pod, command):
                    continue
                failed += 1
                if command.hook.on_error is HookErrorMode.FAIL:
                    stopped_by = f"{command.hook} failed, with onError Fail"
                    break
        except Cancelled:
            key = "" if done else key
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
            self._error = exc
        with self._changed:
            pod.busy = False
            self._running -= 1
            # Of these nothing more is to be told; the rest of a Pod may be given up.
            told = {id(each) for each in commands[:done]}
            pod.left = [each for each in pod.left if id(each) not in told]
            if done and key:
                self._ended.append((key, failed))
            elif key:
                self._left.append(key)
            if stopped_by:
                self._give_up(pod, stopped_by)
            elif not pod.left:
                del self._pods[pod.ref]
            else:
                self._expire_now(pod)
            self._changed.notify_all()

    def _expire_now(self, pod: _Pod) -> None:
        """Look at a Pod again that was busy, maybe while its time went by."""
        if pod.until is not None and pod.until <= self._run.clock.monotonic():
            self._give_up(pod, _time_over(pod, self._seen.get(pod.ref)))
        else:
            self._touched.append(pod.ref)

    def _does(self, pod: _Pod, command: RestoreCommand) -> bool:
        """Run one command; tell whether it did.

        Raises:
            Cancelled: It was left, and told of.
        """
        hook = command.hook
        waited = self._run.clock.monotonic() - pod.since
        limit = command.wait_timeout
        if limit is not None and waited > limit.total_seconds():
            reason = f"its waitTimeout of {format_duration(limit)} was over"
            self._tell_unrun(_Unrun(pod.ref, command, reason))
            return False
        self._tally.begin(hook, pod.ref)
        try:
            error = failure_of(hook, pod.ref, self._cluster, self._run)
        except Cancelled as exc:
            reason = f"it was left, and may go on: {exc.reason}"
            self._tell(
                HookFailedError(str(hook), pod.ref.qualified_name, reason),
                pod.ref,
                command,
            )
            raise
        if error is None:
            self._tally.end(hook, pod.ref, "")
            return True
        self._tell(error, pod.ref, command)
        return False

    def _tell_unrun(self, unrun: _Unrun) -> None:
        where, what = unrun.pod.qualified_name, str(unrun.command.hook)
        error = HookFailedError(what, where, f"it was not run: {unrun.reason}")
        self._tell(error, unrun.pod, unrun.command)

    def _tell(
        self, error: HookError, pod: ResourceIdentifier, command: RestoreCommand
    ) -> None:
        self._tally.end(command.hook, pod, str(error))
        advice = f" ({error.hint})" if error.hint else ""
        self._run.error(f"{error}{advice}", item=pod, cause=error)


def _by_container(
    commands: Sequence[RestoreCommand],
) -> Iterator[tuple[RestoreCommand, ...]]:
    for _, group in groupby(commands, key=lambda each: each.hook.container):
        yield tuple(group)


def _is_up(state: PodState, commands: Sequence[RestoreCommand]) -> bool:
    """Whether a container is as its commands want it: one that waits makes all wait."""
    ready = any(each.wait_for_ready for each in commands)
    return commands[0].hook.container in (state.ready if ready else state.running)


def _time_over(pod: _Pod, state: PodState | None) -> str:
    """Why a Pod is waited for no longer."""
    waited = timedelta(seconds=round((pod.until or pod.since) - pod.since, 3))
    if state is None:
        return f"within {format_duration(waited)} nothing was seen of the Pod"
    missing = [
        f"{commands[0].hook.container} was not "
        f"{'ready' if any(x.wait_for_ready for x in commands) else 'running'}"
        for commands in _by_container(pod.left)
    ]
    return f"within {format_duration(waited)} container {', '.join(missing)}"
