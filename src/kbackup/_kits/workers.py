"""Bounded daemon threads and the token that stops them.

Threads that may block in foreign code must not keep the interpreter from exiting:
those of `concurrent.futures.ThreadPoolExecutor` are joined at exit, these are daemons.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

_LOOK_EVERY = 0.2  # seconds: how late somebody else's cancel may be seen


class Cancelled(BaseException):
    """Somebody cancelled the run.

    Not an `Exception`: the loops that turn one bad item into an entry of the result
    must let it pass. It never leaves the library; the engines turn it into
    `RunCancelledError`.

    Attributes:
        unanswered: A request was sent whose answer nobody waits for any more: what it
            asked for may be done.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unanswered = False


class StuckCallError(TimeoutError):
    """A call did not come back in time; never what the call itself raised."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no return within {seconds:g} s")


class _Flag:
    """Set once, waited for by many; `threading.Event`, but for signal handlers.

    A handler runs in the middle of whatever the main thread does. Setting an event there
    waits for its lock, which the main thread may hold itself: it would never wake again.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()  # put is reentrant

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._wakes.put(None)

    def wait(self, seconds: float) -> None:
        if self._is_set:
            return
        with suppress(queue.Empty):
            self._wakes.get(timeout=max(0.0, seconds))
            self._wakes.put(None)  # for the next one who waits


class CancelToken:
    """Asks a run to stop; shared freely between threads.

    The run asks the token between items and before every request, page, retry and
    sleep. A token cancelled once stays cancelled. A signal handler may cancel it.
    """

    def __init__(self) -> None:
        self._event = _Flag()
        self._reason = ""
        self._deadline: float | None = None

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask the run to stop; the first reason stays."""
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    def after(self, limit: timedelta) -> CancelToken:
        """Cancel by itself once *limit* has passed from now; return the token."""
        self._deadline = time.monotonic() + limit.total_seconds()
        return self

    @property
    def cancelled(self) -> bool:
        """Whether the run is to stop."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.cancel("the time given to the run is over")
        return self._event.is_set()

    @property
    def reason(self) -> str:
        """Why; empty while not cancelled."""
        return self._reason

    def check(self) -> None:
        """Raise `Cancelled` when the run is to stop."""
        if self.cancelled:
            raise Cancelled(self._reason)

    def wait(self, seconds: float) -> None:
        """Sleep *seconds*, or raise `Cancelled` as soon as the run is to stop."""
        if self._deadline is not None:
            seconds = min(seconds, max(0.0, self._deadline - time.monotonic()))
        self._event.wait(seconds)
        self.check()


class ChildToken(CancelToken):
    """A token that is cancelled with another one, and can be cancelled alone.

    Args:
        parent: The other one.
        grace: How much later than the other one, from the first look at it: for what
            must still be done when the rest is over. None: at once.
    """

    def __init__(self, parent: CancelToken, grace: timedelta | None = None) -> None:
        super().__init__()
        self._parent = parent
        self._grace = grace

    @property
    def cancelled(self) -> bool:
        """Whether this token or the other one was cancelled."""
        if self._parent.cancelled:
            if self._grace is None:
                self.cancel(self._parent.reason)
            elif self._deadline is None:
                self.after(self._grace)
        return super().cancelled

    def wait(self, seconds: float) -> None:
        """Sleep *seconds*, or raise `Cancelled` soon after either was cancelled."""
        until = time.monotonic() + seconds
        while not self.cancelled and (left := until - time.monotonic()) > 0:
            self._event.wait(min(left, _LOOK_EVERY))
        self.check()


class WorkerPool:
    """A fixed number of daemon threads that take calls from one queue."""

    def __init__(self, workers: int, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Queue a call; its outcome, `Cancelled` included, is the future's."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(exc)

        self._calls.put(call)
        return future

    def close(self, *, wait: bool = True) -> None:
        """End the threads after the calls queued so far."""
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(wait=kind is None)


def map_ordered(
    function: Callable[[S], T], items: Iterable[S], *, workers: int, name: str
) -> Iterator[T]:
    """Yield ``function(item)`` in the order of *items*, *workers* at a time.

    At most twice as many items as workers are taken ahead of the consumer. The first
    error is raised where its result would have been.
    """
    with WorkerPool(workers, name) as pool:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_Call = Callable[[], Callable[[], None]]  # does the work, returns what delivers it


class _Helpers:
    """Daemon threads that wait for a call each; one is made when none is idle.

    To start a thread for every call costs several times what handing over does. One
    that is stuck is simply not idle; one that is idle for a while ends.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience  # seconds
        self._idle: deque[queue.SimpleQueue[_Call]] = deque()

    def submit(self, call: _Call) -> None:
        """Have *call*, which raises nothing, done on another thread."""
        try:
            calls = self._idle.pop()
        except IndexError:
            calls = queue.SimpleQueue()
            threading.Thread(
                target=self._work, args=(calls,), name="kbackup-helper", daemon=True
            ).start()
        calls.put(call)

    def forget(self) -> None:
        """Forget the threads that a fork did not take along."""
        self._idle.clear()

    def _work(self, calls: queue.SimpleQueue[_Call]) -> None:
        while True:
            try:
                call = calls.get(timeout=self._patience)
            except queue.Empty:
                try:
                    self._idle.remove(calls)
                except ValueError:  # taken just now: its call is on its way
                    call = calls.get()
                else:
                    return
            deliver = call()
            self._idle.append(calls)  # ahead of the caller's next call
            deliver()
            del call, deliver  # what they hold must not live as long as this thread


_helpers = _Helpers(patience=5.0)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.forget)


def call_with_timeout(
    function: Callable[P, T], seconds: float, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call *function* on another thread and wait at most *seconds*.

    Raises:
        StuckCallError: It did not come back. The thread goes on, as Python cannot stop
            it; whatever it returns later is thrown away.
    """
    outcome = _call_apart(lambda: function(*args, **kwargs))
    try:
        outcome.exception(timeout=seconds)  # waits; what the call raised comes below
    except TimeoutError as exc:
        raise StuckCallError(seconds) from exc
    return outcome.result()


def call_watched(function: Callable[[], T], seconds: float, cancel: CancelToken) -> T:
    """Call *function* as `call_with_timeout` does, and leave it when cancelled.

    Raises:
        StuckCallError: It did not come back.
        Cancelled: Somebody cancelled meanwhile; the thread goes on all the same.
    """
    outcome = _call_apart(function)
    until = time.monotonic() + seconds
    while not outcome.done():
        left = until - time.monotonic()
        if left <= 0:
            raise StuckCallError(seconds)
        with suppress(TimeoutError):  # the call's own comes with its result
            outcome.exception(timeout=min(left, _LOOK_EVERY))
        if not outcome.done():
            cancel.check()
    return outcome.result()


def _call_apart(function: Callable[[], T]) -> Future[T]:
    """Start a call on a daemon thread; its outcome is the future's."""
    outcome: Future[T] = Future()

    def call() -> Callable[[], None]:
        try:
            return partial(outcome.set_result, function())
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
            return partial(outcome.set_exception, exc)

    _helpers.submit(call)
    return outcome
