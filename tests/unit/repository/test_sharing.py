"""What one writer has saved, no other one saves again: of this process, or of another."""

import os
import threading
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from kbackup.errors import RepositoryLockedError, StoreUnavailableError
from kbackup.repository import (
    DirectorySource,
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
    _packer,
)
from kbackup.repository._opened import OpenedRepository

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture
def backend():
    """Where the repository is."""
    return MemoryBackend()


@pytest.fixture
def repository(backend, monkeypatch):
    """A new repository, whose locks settle at once."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        yield repository


class Slow:
    """A source that stops after its first files until it is told to go on."""

    excludes = ()

    def __init__(self, first, second):
        self.paths = (str(first),)
        self._first, self._second = first, second
        self.stands, self.may_go_on = threading.Event(), threading.Event()
        self.fails = None

    def walk(self):
        """Give the first files, wait, and give the second ones."""
        yield from below(self._first)
        self.stands.set()
        assert self.may_go_on.wait(60)
        if self.fails:
            raise self.fails
        yield from below(self._second)


def below(path):
    """What is in a directory, which is never said to be complete."""
    for found in DirectorySource(path, base=path).walk():
        if found.path:
            yield found


@pytest.fixture
def same(tmp_path):
    """What everybody saves: one large file, several small ones."""
    path = tmp_path / "same"
    path.mkdir()
    (path / "large").write_bytes(os.urandom(3 << 20))
    for number in range(300):
        (path / f"{number}").write_bytes(os.urandom(5000))
    return path


@pytest.fixture
def other(tmp_path):
    """What only one of them saves."""
    path = tmp_path / "other"
    path.mkdir()
    (path / "another").write_bytes(os.urandom(1 << 20))
    return path


class Run:
    """A backup on a thread of its own."""

    def __init__(self, repository, source):
        self.source, self.result, self.error = source, None, None
        self._thread = threading.Thread(
            target=self._run, args=(repository,), daemon=True
        )
        self._thread.start()
        assert source.stands.wait(60)

    def _run(self, repository):
        try:
            self.result = repository.back_up(self.source)
        except Exception as exc:  # noqa: BLE001 - looked at by the test
            self.error = exc

    def end(self):
        """Let it go on to its end."""
        self.source.may_go_on.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def require_whole(backend):
    """Nothing is missing; return how many snapshots there are."""
    with Repository.open(backend, PASSWORD) as looking:
        assert looking.check(read_data=True).errors == []
        return len(looking.list())


def test_two_runs_of_a_process_save_it_once(repository, backend, same, other):
    """The second one ends while the first one still runs, and has all it needs."""
    first = Run(repository, Slow(same, other))

    second = repository.back_up(DirectorySource(same, base=same))

    # Small files wait for company: those were not saved yet, and are saved twice.
    assert second.snapshot.summary.data_added < 2 << 20
    assert require_whole(backend) == 1
    first.end()
    assert first.error is None
    assert require_whole(backend) == 2
    total = sum(size for _, size in backend.list(FileType.PACK))
    assert total < (3 << 20) + (1 << 20) + 2 * (2 << 20)


def test_a_run_that_fails_takes_nothing_from_others(repository, backend, same, other):
    """What it saved stays for those who count on it."""
    first = Run(repository, Slow(same, other))
    second = Run(repository, Slow(same, other))
    first.source.fails = RepositoryLockedError("here", "somebody came")

    first.end()
    assert first.error is first.source.fails
    second.end()

    assert second.error is None
    assert require_whole(backend) == 1
    with Repository.open(backend, PASSWORD) as looking:
        assert looking.stats().files == 302


def test_a_pack_that_is_not_saved_fails_all_who_may_need_it(
    repository, backend, same, other, monkeypatch
):
    """There is no snapshot; and the next run saves everything."""
    first, second = (Run(repository, Slow(same, other)) for _ in range(2))
    save = backend.save

    def fails(file, content):
        if file.type is FileType.PACK:
            raise StoreUnavailableError("a pack", "for the moment")
        save(file, content)

    monkeypatch.setattr(backend, "save", fails)
    first.end()
    second.end()
    monkeypatch.undo()

    assert isinstance(first.error, StoreUnavailableError)
    assert isinstance(second.error, StoreUnavailableError)
    assert require_whole(backend) == 0
    repository.back_up(DirectorySource(same, base=same))
    assert require_whole(backend) == 1


def test_what_another_process_saved_meanwhile_is_found(  # noqa: PLR0917 - fixtures
    repository, backend, same, other, tmp_path, monkeypatch
):
    """Its index files are looked for now and then."""
    monkeypatch.setattr(_packer, "_LOOK_EVERY", 0.0)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "fills a pack").write_bytes(os.urandom(24 << 20))
    rest = tmp_path / "rest"
    rest.mkdir()
    (rest / "fills more").write_bytes(os.urandom(80 << 20))
    (rest / "large").write_bytes((same / "large").read_bytes())
    with Repository.open(backend, PASSWORD) as elsewhere:
        first = Run(repository, Slow(begun, rest))
        elsewhere.back_up(DirectorySource(same, base=same))
        first.end()

    assert first.error is None
    assert first.result.snapshot.summary.data_added < (24 + 80 + 1) << 20
    assert require_whole(backend) == 2


def test_nothing_is_left_behind(repository, same, other):
    """Neither threads nor locks nor a packer."""
    before = set(threading.enumerate())
    first, second = (Run(repository, Slow(same, other)) for _ in range(2))
    first.end()
    second.end()

    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # those that renew a lock end by themselves
        assert not thread.is_alive(), thread
    assert repository.list_locks() == []
    assert repository._packers._current is None
    assert not repository._packers._runs


def test_a_run_whose_lock_was_removed(repository, backend, same, other, monkeypatch):
    """What it saved may be gone by then: who comes after that saves it once more."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 1 << 20)
    first = Run(repository, Slow(same, other))
    until = time.monotonic() + 60  # packs are saved by other threads
    while not [*backend.list(FileType.PACK)] and time.monotonic() < until:
        time.sleep(0.01)
    with Repository.open(backend, PASSWORD) as elsewhere:
        elsewhere.unlock(remove_all=True)
        assert elsewhere.prune(remove_all=True).removed.packs > 0

    repository.back_up(DirectorySource(same, base=same))

    first.end()
    assert isinstance(first.error, RepositoryLockedError)
    assert require_whole(backend) == 1


def test_pruning_that_ends_while_a_backup_begins(
    repository, backend, same, monkeypatch
):
    """The index that the backup read tells of what is gone: it makes no snapshot."""
    repository.back_up(DirectorySource(same, base=same))
    refresh = OpenedRepository.refresh_index

    def refresh_and_prune(opened):
        count = refresh(opened)
        for file in list(backend.files):
            if file.type in {FileType.SNAPSHOT, FileType.INDEX, FileType.PACK}:
                backend.remove(file)
        return count

    monkeypatch.setattr(OpenedRepository, "refresh_index", refresh_and_prune)
    with pytest.raises(RepositoryLockedError, match="while its index was read"):
        repository.back_up(DirectorySource(same, base=same), read_all=True)
    monkeypatch.undo()

    assert repository.list() == []
    repository.back_up(DirectorySource(same, base=same))
    assert require_whole(backend) == 1


class Held:
    """A lock that is held, or is not any more."""

    def __init__(self, *, held=True):
        self._held = held

    def is_held(self):
        """Say so."""
        return self._held


def test_a_packer_that_failed_is_not_given_to_who_comes_later(repository):
    """It ends while others share the new one, which stays theirs."""
    packers = repository._packers
    with packers.packer(Held()) as second, ExitStack() as first:
        broken = first.enter_context(packers.packer(Held()))
        assert broken is second
        broken._fail(StoreUnavailableError("a pack", "for the moment"))
        with packers.packer(Held()) as fresh:
            assert fresh is not broken
            first.close()
            with packers.packer(Held()) as later:
                assert later is fresh


def test_the_end_of_a_packer_that_failed_is_not_that_of_the_new_one(repository):
    """Whoever comes next still shares with those who run."""
    packers = repository._packers
    with ExitStack() as old:
        broken = old.enter_context(packers.packer(Held()))
        broken._fail(StoreUnavailableError("a pack", "for the moment"))
        with packers.packer(Held()) as fresh:
            old.close()  # nobody else had it
            with packers.packer(Held()) as later:
                assert later is fresh


def test_while_one_lock_holds_what_was_saved_is_there(repository):
    """Nobody could prune: only a packer all of whose runs lost theirs is given up."""
    packers = repository._packers
    with packers.packer(Held(held=False)) as lost, packers.packer(Held()) as other:
        assert other is not lost
        with packers.packer(Held(held=False)) as shared:
            assert shared is other
            with packers.packer(Held()) as later:
                assert later is other
