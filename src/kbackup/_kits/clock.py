"""Time as a dependency: whoever needs it is handed a clock.

All instants are aware datetimes in UTC.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What an engine asks for the time."""

    def now(self) -> datetime:
        """Return the current instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, from an arbitrary start."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the interpreter's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        time.sleep(seconds)


class FrozenClock:
    """A clock that moves only when told: by `advance` or by somebody's `sleep`."""

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
        """Advance by *seconds* at once."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Move the clock."""
        self._now += by
