"""Large objects in parts: several on their way at once, and few of them in memory.

Each part is signed, encrypted and checked by a thread of its store: one thread for all of
them, as an event loop is, stops at what one core does. The number of threads bounds what
is held in memory, however many callers there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

from kbackup._kits.workers import WorkerPool

S = TypeVar("S")
T = TypeVar("T")

_AT_ONCE = 8  # with parts of 8 MiB: 64 MiB in memory
_ENDING = 5.0  # seconds that parts on their way have to end after a failure


class PartWorkers:
    """Threads that move the parts of one store's objects; none before the first.

    Args:
        at_once: How many parts of all callers are on their way at once; of a read, the
            one that its caller waits for comes in addition.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._places = threading.Semaphore(at_once)  # for parts that are read ahead
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None
        self._closed = False

    def send(self, parts: Iterable[S], send: Callable[[S], T]) -> list[T]:
        """Send all parts and return what *send* says of each, in their order.

        After a failure no further part is begun, and those on their way have had a few
        seconds to end before it is raised.

        Args:
            parts: Taken as they are sent.
            send: Ends within a time of its own.
        """
        done: list[T] = []
        waiting: deque[Future[T]] = deque()
        try:
            for part in parts:
                if len(waiting) == self._at_once:  # so that callers share the threads
                    done.append(waiting.popleft().result())
                waiting.append(self._submit(send, part))
            while waiting:
                done.append(waiting.popleft().result())
        except Exception:
            wait([each for each in waiting if not each.cancel()], _ENDING)
            raise
        finally:
            for future in waiting:
                future.cancel()
        return done

    def read(self, parts: Iterable[S], read: Callable[[S], T]) -> Iterator[T]:
        """Yield what *read* makes of each part, in their order, some read ahead.

        The caller reads itself what no thread has begun: readers wait neither for each
        other, nor for what is sent, nor for somebody who stopped taking.
        """
        ahead: deque[tuple[S, Future[T]]] = deque()
        try:
            for part in parts:
                while not self._begin(ahead, part, read):
                    if not ahead:
                        yield read(part)
                        break
                    yield self._take(ahead, read)
            while ahead:
                yield self._take(ahead, read)
        finally:
            for _, future in ahead:
                future.cancel()
                self._places.release()

    def close(self) -> None:
        """Let the threads end when they have nothing to do; closing twice is fine.

        Whoever is sending or reading goes on without them.
        """
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(wait=False)

    # --- inside -----------------------------------------------------------------------

    def _begin(
        self, ahead: deque[tuple[S, Future[T]]], part: S, read: Callable[[S], T]
    ) -> bool:
        """Have a part read, if there is a place for it."""
        if self._closed or not self._places.acquire(blocking=False):
            return False
        ahead.append((part, self._submit(read, part)))
        return True

    def _take(self, ahead: deque[tuple[S, Future[T]]], read: Callable[[S], T]) -> T:
        """Return the next part, and free its place."""
        part, future = ahead.popleft()
        try:
            return read(part) if future.cancel() else future.result()
        finally:
            self._places.release()

    def _submit(self, function: Callable[[S], T], part: S) -> Future[T]:
        """Have a thread call *function*; once they are closed, call it here.

        Under the lock: what is queued behind the end of a pool is never done.
        """
        with self._lock:
            if not self._closed:
                if self._pool is None:
                    self._pool = WorkerPool(self._at_once, "kbackup-part")
                return self._pool.submit(function, part)
        future: Future[T] = Future()
        try:
            future.set_result(function(part))
        except Exception as exc:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(exc)
        return future
