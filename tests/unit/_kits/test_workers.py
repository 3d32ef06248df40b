"""Worker threads are bounded, keep the order, and can be cancelled."""

import os
import queue
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import (
    Cancelled,
    CancelToken,
    ChildToken,
    StuckCallError,
    WorkerPool,
    _Helpers,
    call_watched,
    call_with_timeout,
    map_ordered,
)


def test_results_come_in_the_order_of_the_items():
    """A slow first item does not let the others overtake it."""
    second_done = threading.Event()

    def work(item):
        if item == 0:
            second_done.wait(30)
        else:
            second_done.set()
        return item * 10

    assert list(map_ordered(work, range(4), workers=2, name="t")) == [0, 10, 20, 30]


def test_first_error_is_raised_in_its_place():
    """Results before the error arrive; the error comes where its result would."""
    seen = []

    with pytest.raises(ZeroDivisionError):
        seen.extend(map_ordered(lambda n: 1 // n, [1, 0, 1], workers=1, name="t"))

    assert seen in ([], [1])  # extend keeps what arrived before the error


def test_items_are_not_taken_far_ahead():
    """At most twice as many items as workers are taken before they are consumed."""
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    results = map_ordered(lambda n: n, items(), workers=2, name="t")
    next(results)

    assert len(taken) <= 5
    results.close()


def test_pool_hands_over_cancelled():
    """A cancel inside a worker reaches whoever waits for the result."""
    token = CancelToken()
    token.cancel("enough")

    with WorkerPool(1, "t") as pool, pytest.raises(Cancelled, match="enough"):
        pool.submit(token.check).result()


def test_token_keeps_its_first_reason():
    """A second cancel changes nothing."""
    token = CancelToken()

    token.cancel("first")
    token.cancel("second")

    assert token.cancelled
    assert token.reason == "first"


def test_token_with_a_deadline_cancels_itself():
    """A token that was given no time is cancelled at once and says why."""
    token = CancelToken().after(timedelta(0))

    with pytest.raises(Cancelled, match="time given"):
        token.check()


def test_wait_ends_when_cancelled():
    """A sleeping run wakes up when somebody cancels."""
    token = CancelToken()
    threading.Timer(0.05, token.cancel, ["stop"]).start()

    with pytest.raises(Cancelled, match="stop"):
        token.wait(60)


def test_a_signal_cancels_in_the_middle_of_a_wait():
    """A handler may cancel wherever the signal meets the thread that waits."""
    program = """
import signal, sys
from kbackup._kits.workers import Cancelled, CancelToken

def ends_before(line):
    token, seen = CancelToken(), 0
    signal.signal(signal.SIGTERM, lambda *_: token.cancel())

    def trace(frame, event, _):
        nonlocal seen
        seen += 1
        if seen == line:
            signal.raise_signal(signal.SIGTERM)
        return trace

    sys.settrace(trace)
    try:
        token.wait(0.001)
    except Cancelled:
        pass
    finally:
        sys.settrace(None)
    return seen < line

print(next(line for line in range(1, 1000) if ends_before(line)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 5  # as many lines were met


def test_cancel_passes_item_isolation():
    """The loops that catch every Exception of one item do not catch a cancel."""
    assert not issubclass(Cancelled, Exception)


def test_a_stuck_call_is_left_behind():
    """A call that does not come back ends in a TimeoutError."""
    release = threading.Event()

    with pytest.raises(StuckCallError):
        call_with_timeout(release.wait, 0.05)

    release.set()


def test_a_timeout_of_the_call_itself_is_no_stuck_call():
    """What the call raises arrives as it is, also where that is a TimeoutError."""

    def call():
        raise TimeoutError("of a socket")

    with pytest.raises(TimeoutError, match="of a socket") as caught:
        call_with_timeout(call, 30)

    assert not isinstance(caught.value, StuckCallError)


def test_a_watched_call_is_left_when_cancelled():
    """A cancel does not wait for foreign code that hangs."""
    token, release = CancelToken(), threading.Event()

    def call():
        token.cancel("enough")
        release.wait(30)

    with pytest.raises(Cancelled, match="enough"):
        call_watched(call, 30, token)

    release.set()


def test_a_watched_call_is_bounded():
    """A watched call that hangs is given up, and one that ends gives its outcome."""
    release = threading.Event()

    with pytest.raises(StuckCallError):
        call_watched(release.wait, 0.05, CancelToken())
    release.set()

    assert call_watched(lambda: "done", 5, CancelToken()) == "done"
    with pytest.raises(ZeroDivisionError):
        call_watched(lambda: 1 / 0, 5, CancelToken())


def test_a_child_token_is_cancelled_with_its_parent_and_alone():
    """Who holds a child stops with everybody, and can be stopped without the others."""
    parent = CancelToken()
    alone, other = ChildToken(parent), ChildToken(parent)

    alone.cancel("only this one")

    assert alone.cancelled
    assert not parent.cancelled
    assert not other.cancelled
    parent.cancel("all")
    with pytest.raises(Cancelled, match="all"):
        other.wait(30)


def test_a_child_token_with_grace_is_cancelled_later():
    """What must still be done when the rest is over has its time, and no more."""
    parent = CancelToken()
    patient = ChildToken(parent, grace=timedelta(hours=1))
    short = ChildToken(parent, grace=timedelta(0))

    assert not short.cancelled
    parent.cancel("all")

    assert short.cancelled
    patient.check()
    patient.cancel("this one too")
    assert patient.cancelled


def test_calls_one_after_the_other_start_one_thread():
    """Thousands of small calls do not start a thread each."""
    threads = {call_with_timeout(threading.get_ident, 30) for _ in range(50)}

    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_stuck_call_holds_up_no_other():
    """While one call hangs others are made, and its late result reaches nobody."""
    release = threading.Event()
    with pytest.raises(StuckCallError):
        call_with_timeout(lambda: release.wait(60), 0.01)

    assert call_with_timeout(lambda: "other", 30) == "other"

    release.set()
    assert call_with_timeout(lambda: "later", 30) == "later"


def test_a_thread_that_was_idle_for_long_is_replaced():
    """Idle threads end, and the next call is made all the same."""
    helpers = _Helpers(patience=0.01)
    answers = queue.SimpleQueue()

    def call():
        ident = threading.current_thread()
        return lambda: answers.put(ident)

    helpers.submit(call)
    first = answers.get(timeout=30)
    first.join(30)
    helpers.submit(call)

    assert not first.is_alive()
    assert answers.get(timeout=30) is not first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_makes_its_own_threads():
    """A process that was forked after a call does not wait for threads it has not."""
    code = (
        "import os\n"
        "from kbackup._kits.workers import call_with_timeout\n"
        "call_with_timeout(int, 30)\n"
        "if (child := os.fork()) == 0:\n"
        "    os._exit(call_with_timeout(lambda: 7, 30))\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], timeout=120, check=False
    )

    assert done.returncode == 7


def test_a_stuck_thread_does_not_keep_the_interpreter():
    """A program whose worker hangs still exits."""
    code = (
        "import threading\n"
        "from kbackup._kits.workers import WorkerPool\n"
        "WorkerPool(1, 't').submit(threading.Event().wait)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)

    assert done.returncode == 0
