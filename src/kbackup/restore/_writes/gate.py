"""How many writes are under way at once: as many as the server takes well.

Starts low, grows while answers stay as quick as in the beginning, halves when the
server pushes back. Of large objects only a few. Shared by the writer's threads.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kbackup._kits.clock import Clock
from kbackup._kits.workers import CancelToken

_START = 8
_LEAST = 1
_MEASURED = 20  # answers that make the first impression of the server
_HOLD, _SHRINK = 3.0, 6.0  # times the first latency: stop growing, give way
_MEMORY = 0.1  # weight of the newest answer in the running mean
# Of objects of 1 MiB a server of two cores took 8 at once a sixth sooner than 32.
_BYTES = 1 << 23
_SMALL = 1 << 16  # bytes; so many small ones as there are workers do not matter
_FLOOR_SECONDS = 0.004  # quicker first answers say nothing about a loaded server


class Gate:
    """Lets through at most as many writers as the server seems to bear."""

    def __init__(
        self,
        most: int,
        *,
        clock: Clock,
        cancel: CancelToken,
        per_second: float | None = None,
    ) -> None:
        self._most = most
        self._clock = clock
        self._cancel = cancel
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._limit = float(min(_START, most))
        self._inside = 0
        self._answers = 0
        self._first = 0.0
        self._mean = 0.0
        self._since_cut = 0
        self._bytes = 0
        self._free = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may write at this moment."""
        return int(self._limit)

    @contextmanager
    def writing(self, size: int = 0) -> Iterator[None]:
        """Wait for a place, hold it for one write.

        Args:
            size: Bytes of the object. Large ones make 8 MiB together, or are alone.
        """
        size = size if size > _SMALL else 0
        self._enter(size)
        started = self._clock.monotonic()
        try:
            yield
        finally:
            self._leave(size, self._clock.monotonic() - started)

    def push_back(self) -> None:
        """The server was overloaded: halve, at most once for each round of writes."""
        with self._free:
            if self._since_cut >= self._limit:
                self._cut(0.5)

    def _enter(self, size: int) -> None:
        with self._free:
            while self._inside >= int(self._limit) or not self._bears(size):
                self._free.wait(1)
                self._cancel.check()
            self._inside += 1
            self._bytes += size
            pause = self._pause() if self._interval else 0.0
        if pause > 0:
            self._cancel.wait(pause)

    def _bears(self, size: int) -> bool:
        """Whether there is room for a large object; one alone may be as large as it is."""
        return not size or not self._bytes or self._bytes + size <= _BYTES

    def _pause(self) -> float:
        now = self._clock.monotonic()
        self._next = max(self._next, now) + self._interval
        return self._next - self._interval - now

    def _leave(self, size: int, seconds: float) -> None:
        with self._free:
            self._inside -= 1
            self._bytes -= size
            self._answers += 1
            self._since_cut += 1
            self._learn(seconds)
            self._free.notify_all()  # whoever is woken first may be too large

    def _learn(self, seconds: float) -> None:
        if self._answers <= _MEASURED:
            self._first += (seconds - self._first) / self._answers
            self._mean = self._first
            return
        self._mean += _MEMORY * (seconds - self._mean)
        usual = max(self._first, _FLOOR_SECONDS)
        if self._mean < _HOLD * usual:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._free.notify()
        elif self._mean > _SHRINK * usual and self._since_cut >= self._limit:
            self._cut(0.75)

    def _cut(self, share: float) -> None:
        self._limit = max(float(_LEAST), self._limit * share)
        self._since_cut = 0
