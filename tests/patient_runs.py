"""Runs whose pauses take no time, against a server that refuses for as long as it likes."""

import threading
from datetime import UTC, datetime

from kbackup._kits.workers import CancelToken
from kbackup.testing import FrozenClock


def without_time(monkeypatch):
    """Let the pauses of every run pass at once; return the clock that sees them."""
    clock, moving = FrozenClock(datetime(2024, 5, 1, tzinfo=UTC)), threading.Lock()

    def wait(token, seconds):
        with moving:
            clock.sleep(seconds)
        token.check()

    monkeypatch.setattr(CancelToken, "wait", wait)
    monkeypatch.setattr("kbackup.cluster._transport.time", clock)
    monkeypatch.setattr("kbackup.cluster._transport._FIRST_DELAY", 4.0)
    monkeypatch.setattr("kbackup.cluster._transport._LONGEST_DELAY", 64.0)
    return clock
