"""A clock that tests move."""

from __future__ import annotations

from datetime import datetime, timedelta


class FrozenClock:
    """A clock that moves only when told, by `advance` or `sleep`; for one thread."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        """Return the frozen instant."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return (self._now - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Advance by *seconds* at once; by a microsecond at least if they are any.

        A `datetime` has nothing shorter, and who waits for the rest would wait for ever.
        """
        step = timedelta(seconds=seconds)
        self.advance(step if step or seconds <= 0 else timedelta.resolution)

    def advance(self, by: timedelta) -> None:
        """Move the clock."""
        self._now += by
