"""Parts of large objects: order, bounds, failures, and nobody who waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from kbackup._kits.workers import WorkerPool
from kbackup.errors import StoreUnavailableError
from kbackup.stores import PartWorkers

PATIENCE = 30  # seconds until a test that hangs fails


class Counted:
    """Counts how many calls are on their way at once, and the most there were."""

    def __init__(self, gate=None):
        self.now = self.most = 0
        self.seen = []
        self._lock = threading.Lock()
        self._gate = gate

    def __call__(self, part):
        """Take a part, when the gate is open."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.seen.append(part)
        if self._gate is not None:
            self._gate.wait(PATIENCE)
        with self._lock:
            self.now -= 1
        return part * 10


@pytest.fixture
def workers():
    """Three threads at most."""
    with closing(PartWorkers(3)) as made:
        yield made


def test_what_was_sent_comes_in_order(workers):
    """The answers stand as the parts do, however many there are."""
    assert workers.send(range(50), Counted()) == [n * 10 for n in range(50)]
    assert workers.send([], Counted()) == []


def test_no_more_than_so_many_are_sent_at_once(workers):
    """Two callers share the threads."""
    send = Counted(threading.Barrier(3))  # none goes on without two others
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(workers.send, range(9), send) for _ in range(2)]

    assert [each.result() for each in sent] == [[n * 10 for n in range(9)]] * 2
    assert sorted(send.seen) == sorted([*range(9)] * 2)
    assert send.most == 3


def test_after_a_failure_no_part_is_begun(workers):
    """The failure is told when the parts on their way have ended."""
    ended = []
    failing = threading.Event()

    def send(part):
        """Fail with the first; the next two end a moment later."""
        if part == 0:
            failing.set()
            raise StoreUnavailableError("key", "cut")
        assert failing.wait(PATIENCE)
        ended.append(part)
        return part

    with pytest.raises(StoreUnavailableError, match="cut"):
        workers.send(range(100), send)

    told = list(ended)
    assert len(told) < 10
    assert workers.send([7], lambda part: part) == [7]
    assert ended == told


def test_pieces_come_in_order(workers):
    """A long read yields all pieces, and no more than there are places ahead."""
    read = Counted()

    assert list(workers.read(range(40), read)) == [n * 10 for n in range(40)]
    assert sorted(read.seen) == list(range(40))
    assert read.most <= 3


def test_no_more_than_the_places_is_read_ahead(workers):
    """What nobody has taken yet is held for as many pieces as there are places."""
    read = Counted()
    pieces = workers.read(range(40), read)

    assert next(pieces) == 0

    assert len(read.seen) <= 4  # three places, one of which has become free
    pieces.close()


def test_a_reader_that_stops_keeps_no_place(workers):
    """Places come back when a read is given up."""
    for _ in range(10):
        pieces = workers.read(range(40), Counted())
        next(pieces)
        pieces.close()

    gate = threading.Event()
    read = Counted(gate)
    pieces = workers.read(range(3), read)
    taking = threading.Thread(target=list, args=(pieces,))
    taking.start()
    deadline = threading.Event()
    while read.now < 3 and not deadline.wait(0.01) and taking.is_alive():
        continue
    assert read.now == 3
    gate.set()
    taking.join(PATIENCE)


def test_a_stopped_reader_holds_nobody_up(workers):
    """Whoever finds no place reads by himself."""
    slow = workers.read(range(40), Counted())
    next(slow)  # has every place, and takes nothing more

    assert list(workers.read(range(40), Counted())) == [n * 10 for n in range(40)]

    slow.close()


def test_a_read_waits_for_no_upload(workers):
    """With all threads sending, a reader reads by himself."""
    gate = threading.Event()
    sending = Counted(gate)
    upload = threading.Thread(target=workers.send, args=(range(3), sending))
    upload.start()
    while sending.now < 3 and upload.is_alive():
        gate.wait(0.01)

    assert list(workers.read(range(5), Counted())) == [0, 10, 20, 30, 40]

    gate.set()
    upload.join(PATIENCE)
    assert not upload.is_alive()


def test_a_failed_piece_comes_where_it_stands(workers):
    """Pieces before it are delivered; its error ends the read."""

    def read(part):
        """Fail in the middle."""
        if part == 5:
            raise StoreUnavailableError("key", "cut")
        return part

    pieces = workers.read(range(10), read)
    taken = [next(pieces) for _ in range(5)]
    with pytest.raises(StoreUnavailableError, match="cut"):
        next(pieces)

    assert taken == [0, 1, 2, 3, 4]


def test_closing_ends_the_threads():
    """Closing twice is fine; threads that never began are not made for it."""
    workers = PartWorkers(2)
    workers.close()
    assert workers.send(range(4), lambda part: part) == [0, 1, 2, 3]
    ours = [t for t in threading.enumerate() if t.name.startswith("kbackup-part")]

    workers.close()
    workers.close()

    for thread in ours[-2:]:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_closing_while_a_part_is_queued_leaves_no_part_behind(workers, monkeypatch):
    """A part is queued before the threads are told to end, or not at all."""
    submit = WorkerPool.submit

    def closing(pool, function, part):
        """Let somebody close the workers now, if nothing keeps them from it."""
        if not workers._lock.locked():
            workers.close()
        return submit(pool, function, part)

    monkeypatch.setattr(WorkerPool, "submit", closing)
    sent = []
    sending = threading.Thread(
        target=lambda: sent.extend(workers.send(range(5), Counted())), daemon=True
    )
    sending.start()
    sending.join(PATIENCE)

    assert sent == [0, 10, 20, 30, 40]


def test_who_is_busy_when_it_closes_makes_no_threads_again(monkeypatch):
    """What is still to be sent or read then is done by the caller, if it can be."""
    workers, made = PartWorkers(2), []
    init = WorkerPool.__init__
    monkeypatch.setattr(
        WorkerPool, "__init__", lambda *args: (made.append(args), init(*args))[1]
    )

    def parts():
        """Close the workers in the middle."""
        yield from range(3)
        workers.close()
        yield from range(3, 6)

    assert workers.send(parts(), Counted()) == [0, 10, 20, 30, 40, 50]
    assert list(workers.read(range(3), Counted())) == [0, 10, 20]
    assert len(made) == 1
