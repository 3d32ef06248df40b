"""Locks keep apart those who must not work at the same time."""

import json
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.errors import IntegrityError, RepositoryLockedError, StoreUnavailableError
from kbackup.repository._backend import File, FileType
from kbackup.repository._ids import hash_of
from kbackup.repository._locks import Lock, acquire, list_locks, unlock

NOW = datetime(2024, 5, 1, 2, tzinfo=UTC)


def files(backend):
    """The lock files that there are."""
    return [name for name, _ in backend.list(FileType.LOCK)]


def take(documents, *, sleep=lambda _: None, **options):
    """Take a lock without waiting."""
    return acquire(documents, sleep=sleep, **options)


def write(documents, **changes):
    """Write somebody else's lock."""
    lock = {
        "time": datetime.now(UTC).isoformat(),
        "exclusive": False,
        "hostname": "elsewhere",
        "username": "root",
        "pid": 12,
    }
    return documents.save(FileType.LOCK, json.dumps(lock | changes).encode())


def dead_process():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_lock_is_there_while_it_is_held(documents, backend, exclusive):
    """It says whose it is, and is gone afterwards."""
    with take(documents, exclusive=exclusive):
        (found,) = list_locks(documents)

    assert found.exclusive is exclusive
    assert (found.pid, found.hostname) == (os.getpid(), socket.gethostname())
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert files(backend) == []


def test_many_may_share(documents, backend):
    """Backups and restores work side by side."""
    with take(documents), take(documents), take(documents):
        assert len(files(backend)) == 3
    assert files(backend) == []


@pytest.mark.parametrize(
    ("first", "second"), [(True, False), (False, True), (True, True)]
)
def test_an_exclusive_one_stands_alone(documents, backend, first, second):
    """Whoever comes second is told who holds it, and leaves nothing behind."""
    with take(documents, exclusive=first):
        before = files(backend)
        with pytest.raises(RepositoryLockedError) as caught:
            take(documents, exclusive=second)
        assert files(backend) == before

    assert caught.value.exit_code == 11
    assert caught.value.retryable
    assert f"by process {os.getpid()} of " in str(caught.value)
    assert ("exclusively" in str(caught.value)) is first
    assert caught.value.hint == ""


def test_of_two_that_come_together_none_wins(documents, backend):
    """Each looks once more after it wrote its own: at most one of them goes on."""
    with pytest.raises(RepositoryLockedError):
        take(documents, sleep=lambda _: write(documents, exclusive=True))

    assert len(files(backend)) == 1


def test_waiting_for_somebody_else(documents):
    """With patience, a lock that is released meanwhile is no error."""
    other, slept = take(documents, exclusive=True), []

    def sleep(seconds):
        slept.append(seconds)
        other.release()

    with take(documents, patience=timedelta(minutes=1), sleep=sleep):
        assert slept[0] == 5


def test_patience_ends(documents):
    """After that long the error is the same."""
    moment = [NOW]

    def sleep(seconds):
        moment[0] += timedelta(seconds=seconds)

    write(documents, exclusive=True)
    with pytest.raises(RepositoryLockedError):
        acquire(
            documents,
            patience=timedelta(seconds=12),
            now=lambda: moment[0],
            sleep=sleep,
        )

    assert moment[0] - NOW == timedelta(seconds=12)


def test_an_interrupt_leaves_no_lock(documents, backend):
    """Whoever is stopped while it looks once more removes its own."""

    def sleep(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(documents, sleep=sleep)

    assert files(backend) == []


def test_a_lock_of_a_dead_process(documents):
    """It is told that the process is gone, and what removes such a lock."""
    write(documents, exclusive=True, hostname=socket.gethostname(), pid=dead_process())

    with pytest.raises(RepositoryLockedError, match="that process is gone") as caught:
        take(documents)

    assert "`unlock` removes" in caught.value.hint


def test_a_lock_that_nobody_renews(documents):
    """The same, of another machine, by its age."""
    old = datetime.now(UTC) - timedelta(minutes=31)
    write(documents, exclusive=True, time=old.isoformat())

    with pytest.raises(RepositoryLockedError, match="not renewed for 30m0s") as caught:
        take(documents)

    assert "`unlock` removes" in caught.value.hint


def test_unlocking_removes_what_is_stale(documents, backend):
    """And leaves what somebody holds: this process, another machine, another user's."""
    old = datetime.now(UTC) - timedelta(minutes=31)
    stale = {
        write(documents, time=old.isoformat()),
        write(documents, hostname=socket.gethostname(), pid=dead_process()),
    }
    held = {
        write(documents),
        write(documents, hostname=socket.gethostname(), pid=1),
        write(documents, hostname=socket.gethostname(), pid=os.getpid()),
        write(documents, hostname=socket.gethostname(), pid=0),
        write(documents, hostname=socket.gethostname(), pid=1 << 62),
    }

    assert set(unlock(documents)) == stale
    assert set(files(backend)) == held


def test_unlocking_by_force(documents, backend):
    """Everything goes, also what cannot be read."""
    write(documents)
    broken = b"no seal at all, but long enough for one"
    backend.save(File(FileType.LOCK, hash_of(broken)), broken)

    assert unlock(documents) == []
    assert len(unlock(documents, remove_all=True)) == 2
    assert files(backend) == []


@pytest.mark.parametrize(
    "document", [b"{}", b'{"time": "yesterday", "exclusive": true}']
)
def test_a_damaged_lock_is_not_passed_over(documents, document):
    """Nobody knows whether somebody holds it."""
    documents.save(FileType.LOCK, document)

    with pytest.raises(IntegrityError, match=r"lock .*: damaged: it is no lock"):
        take(documents)


def test_an_empty_file_is_no_lock(documents, backend):
    """A write that was torn off leaves such: it locks nobody out for ever."""
    backend.save(File(FileType.LOCK, bytes(32)), b"")

    with take(documents, exclusive=True):
        assert list(list_locks(documents))


def test_renewing_writes_before_it_removes(documents, backend):
    """There is a lock at any moment, and its time moves."""
    moment = [NOW]
    lock = take(documents, now=lambda: moment[0])
    (old,) = files(backend)
    moment[0] += timedelta(minutes=5)

    lock.renew()

    (new,) = files(backend)
    assert new != old
    assert next(list_locks(documents)).time == moment[0]
    lock.release()
    lock.release()
    lock.renew()
    assert files(backend) == []


def test_a_lock_is_renewed_by_itself(documents, backend):
    """As long as it is held; nobody need think of it."""
    name = write(documents)
    renewed, save = threading.Event(), documents.save

    def saved(kind, document):
        renewed.set()
        return save(kind, document)

    documents.save = saved
    lock = Lock(
        documents,
        name,
        exclusive=False,
        now=lambda: datetime.now(UTC),
        renew_every=timedelta(milliseconds=1),
    )

    assert renewed.wait(30)
    lock.release()
    assert files(backend) == []


def test_a_lost_lock_stops_who_holds_it(documents, backend, monkeypatch):
    """Before others call it stale: what is written after that could be removed."""
    moment = [NOW]
    lock = take(documents, now=lambda: moment[0])

    def fails(*_):
        raise StoreUnavailableError("locks", "no network")

    monkeypatch.setattr(backend, "save", fails)
    moment[0] += timedelta(minutes=22)
    lock.check()
    moment[0] += timedelta(minutes=1)

    with pytest.raises(RepositoryLockedError, match="could not be renewed and is lost"):
        lock.check()
    lock.release()


def test_a_lock_that_somebody_removed(documents):
    """What it kept may be gone: renewing it does not make that good."""
    lock = take(documents)
    assert lock.is_held()

    unlock(documents, remove_all=True)
    for _ in range(2):  # the second time would find the file of the first
        lock.renew()
        assert not lock.is_held()

    with pytest.raises(RepositoryLockedError, match="somebody removed the own lock"):
        lock.check()
    lock.release()


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_process_that_slept_too_long(documents, is_removed):
    """It goes on only if nobody took its lock for stale meanwhile."""
    moment = [NOW]
    lock = take(documents, now=lambda: moment[0])
    moment[0] += timedelta(minutes=31)
    if is_removed:
        assert unlock(documents, now=moment[0])

    lock.renew()

    assert lock.is_held() is not is_removed
    lock.release()
    assert list(list_locks(documents)) == []


def test_a_lock_that_cannot_be_looked_for(documents, backend, monkeypatch):
    """It is no lock that one may count on; the old file stays until that is known."""
    lock = take(documents)
    before = files(backend)

    def fails(*_):
        raise StoreUnavailableError("locks", "no network")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "exists", fails)
        with pytest.raises(StoreUnavailableError):
            lock.renew()
        assert not lock.is_held()

    assert files(backend) == before
    assert lock.is_held()
    lock.release()


def test_a_lock_that_cannot_be_removed(documents, backend, monkeypatch, caplog):
    """What was done under it is done: that is no error, but told."""

    def fails(*_):
        raise StoreUnavailableError("locks", "no network")

    with take(documents):
        monkeypatch.setattr(backend, "remove", fails)

    assert "the lock could not be removed" in caplog.text


def test_a_lock_that_is_released_while_it_is_looked_for(documents, backend):
    """It stands in nobody's way, and the others are told."""
    with acquire(documents) as gone, acquire(documents):
        listed = [*backend.list(FileType.LOCK)]
        gone.release()
        backend.list = lambda _: iter(listed)

        (left,) = list_locks(documents)

    assert left.pid == os.getpid()
