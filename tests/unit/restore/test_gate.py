"""As many writes at once as the server bears."""

from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.restore._gate import Gate
from kbackup.testing import FrozenClock


def _gate(clock, most=32, **more):
    """A gate with a clock of its own."""
    return Gate(most, clock=clock, cancel=CancelToken(), **more)


def _write(gate, clock, times, milliseconds):
    """Make writes that each take the same time."""
    for _ in range(times):
        with gate.writing():
            clock.advance(timedelta(milliseconds=milliseconds))


@pytest.fixture
def clock():
    """A clock that only the test moves."""
    return FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_it_starts_low_and_grows_while_answers_are_quick(clock):
    """Eight at first, more after many quick answers, never more than allowed."""
    gate = _gate(clock)
    assert gate.limit == 8

    _write(gate, clock, 2000, 5)

    assert gate.limit == 32


def test_few_workers_are_enough_for_a_small_limit(clock):
    """The limit is never above what the user allowed."""
    gate = _gate(clock, most=2)

    _write(gate, clock, 500, 5)

    assert gate.limit == 2


def test_few_large_writes_at_once(clock):
    """Of objects of a megabyte eight are under way, of small ones after them all again."""
    gate = _gate(clock)
    _write(gate, clock, 2000, 5)

    for _ in range(50):
        gate.weigh(1 << 20)
    assert gate.limit == 8
    for _ in range(50):
        gate.weigh(1 << 30)
    assert gate.limit == 1
    for _ in range(200):
        gate.weigh(600)
    assert gate.limit == 32


def test_it_halves_when_the_server_pushes_back(clock):
    """A burst of refusals halves once, the next round halves again."""
    gate = _gate(clock)
    _write(gate, clock, 2000, 5)

    for _ in range(5):
        gate.push_back()
    assert gate.limit == 16

    _write(gate, clock, 32, 5)
    gate.push_back()
    assert gate.limit < 16


def test_it_gives_way_when_answers_become_slow(clock):
    """Answers that take many times as long as at first shrink it."""
    gate = _gate(clock)
    _write(gate, clock, 2000, 5)

    _write(gate, clock, 300, 200)

    assert gate.limit < 32
    assert gate.limit >= 1


def test_a_rate_is_kept(clock):
    """With a given number of writes a second they are spread over time."""
    waits = []

    class Token(CancelToken):
        """Notes what it is asked to wait."""

        def wait(self, seconds):
            """Note it."""
            waits.append(seconds)

    gate = Gate(8, clock=clock, cancel=Token(), per_second=10)

    for _ in range(3):
        with gate.writing():
            pass

    assert waits == pytest.approx([0.1, 0.2])


def test_waiting_for_a_place_ends_with_the_run(clock):
    """Who waits for a place notices that the run was cancelled."""
    token = CancelToken()
    gate = Gate(1, clock=clock, cancel=token)

    with gate.writing():
        token.cancel("enough")
        with pytest.raises(Cancelled), gate.writing():
            pass
