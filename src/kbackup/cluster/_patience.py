"""How long a server is asked again that refuses for want of room (HTTP 429).

All requests of a run share one budget while it lets none of them pass: each of a hundred
types would wait ten minutes in its turn otherwise. Called by the transport.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from kbackup._kits.durations import format_duration
from kbackup.errors import ClusterError

# Shorter refusals are how servers slow down whoever is quick: nobody need be told.
_TOLD_AFTER = 5.0  # seconds
_WAITED_FOR = "the API server, which refuses every request for now (HTTP 429)"
_HINT = (
    "the server may be overloaded, or its API Priority and Fairness leave this account no "
    "room; try again later, or raise `retry_budget`"
)


def _untold(_: str, __: float) -> None:
    """Tell nobody: there is no run."""


class Patience:
    """What one run knows of a server that refuses; shared by its threads.

    Args:
        tell: Called before a pause with what is waited for and the seconds that are left.
    """

    def __init__(self, tell: Callable[[str, float], None] = _untold) -> None:
        self._tell = tell
        self._refused: tuple[float, float] | None = None  # the first and the last time

    def passed(self) -> None:
        """Note that the server let a request pass."""
        self._refused = None

    def refused(self, now: float, budget: float) -> float:
        """Note that it refused one; return for how long it lets none pass.

        Args:
            now: Monotonic seconds.
            budget: Seconds; nobody asked for so long: it begins anew.
        """
        first, last = self._refused or (now, now)
        if now - last > budget:
            first = now
        self._refused = first, now
        return now - first

    def tell(self, spent: float, left: float) -> None:
        """Tell the run that it waits, once that is worth a word."""
        if spent >= _TOLD_AFTER:
            self._tell(_WAITED_FOR, left)


def at_its_end(error: ClusterError, spent: float, budget: float) -> ClusterError:
    """Return the error of a request that is not sent again, with how long it was refused."""
    more = f", asks for {_span(error.retry_after)} more" if error.retry_after else ""
    reason = (
        f"{error.reason}; the server has refused for {_span(spent)}{more}, and requests "
        f"are repeated for {_span(budget)}"
    )
    return type(error)(
        error.verb,
        error.resource,
        error.item,
        reason,
        status=error.status,
        body=error.body,
        retry_after=error.retry_after,
        hint=_HINT,
    )


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))
