"""The clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime

from kbackup.testing import FrozenClock


def test_whoever_sleeps_gets_on():
    """Also the least rest of a time passes; nothing passes where there is none."""
    clock = FrozenClock(datetime(2024, 5, 1, tzinfo=UTC))

    clock.sleep(0)
    assert clock.monotonic() == 0

    clock.sleep(4e-7)  # less than a datetime can tell
    assert clock.monotonic() == 1e-6
