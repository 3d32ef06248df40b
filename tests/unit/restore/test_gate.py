"""As many writes at once as the server bears."""

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.restore._writes.gate import Gate
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


def _waits(gate, size):
    """Begin a write in a thread; return it, and what is set once it has a place."""
    has_place, is_done = threading.Event(), threading.Event()

    def write():
        with gate.writing(size):
            has_place.set()
            is_done.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    return writer, has_place, is_done


def test_large_writes_wait_for_each_other(clock):
    """Large objects under way make 8 MiB together; small ones go beside them."""
    gate = _gate(clock)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(gate.writing(3 << 19))
        writer, has_place, is_done = _waits(gate, 3 << 19)
        assert not has_place.wait(0.05)

        stack.enter_context(gate.writing(600))
        assert not has_place.is_set()
    assert has_place.wait(10)
    is_done.set()
    writer.join(10)


def test_an_immense_write_is_alone_among_large_ones(clock):
    """An object larger than 8 MiB waits until no other large one is under way, not for ever."""
    gate = _gate(clock)
    with gate.writing(600), ExitStack() as stack:
        stack.enter_context(gate.writing(1 << 20))
        writer, has_place, is_done = _waits(gate, 60 << 20)
        assert not has_place.wait(0.05)
        stack.close()
        assert has_place.wait(10)

        second, has_second, is_second_done = _waits(gate, 1 << 20)
        assert not has_second.wait(0.05)
        is_done.set()
        assert has_second.wait(10)
        is_second_done.set()
    for thread in (writer, second):
        thread.join(10)


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
