"""A store that fails, is slow, or writes half: what is saved is whole, or it is said."""

import os
import random
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from kbackup.errors import (
    KBackupError,
    StoreAccessError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    FileType,
    ObjectStoreBackend,
    Repository,
    ScryptParameters,
)
from kbackup.testing import FailingStore, MemoryStore
from odd_tree import seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Locks settle at once, and nobody waits long before trying again."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    monkeypatch.setattr("kbackup.repository._object_store._FIRST_PAUSE", 0.001)


@pytest.fixture
def source(tmp_path):
    """A large file, of several packs, and small ones."""
    path = tmp_path / "source"
    (path / "below").mkdir(parents=True)
    (path / "large").write_bytes(os.urandom(20 << 20))
    for number in range(5):
        (path / "below" / f"{number}").write_bytes(os.urandom(1000))
    return path


@pytest.fixture
def store():
    """A store that works."""
    return MemoryStore()


def backend_on(store, patience=60):
    """A repository's place in a store."""
    return ObjectStoreBackend(
        store,
        prefix="shop",
        location="the store",
        patience=timedelta(seconds=patience),
    )


def made(store):
    """A new repository, on the store itself."""
    return Repository.init(backend_on(store), PASSWORD, key_parameters=CHEAP)


def based(source):
    """The directory, without the path to it."""
    return DirectorySource(source, base=source)


def require_whole(store, source, target, *, snapshots=1):
    """All of it is there: each snapshot once, no lock, and every byte right."""
    with Repository.open(backend_on(store), PASSWORD) as repository:
        assert repository.list_locks() == []
        assert len(repository.list()) == snapshots
        assert repository.check(read_data=True).errors == []
        assert repository.restore("latest", target).problems == []
    assert seen(target) == seen(source)


def kinds(store):
    """How many objects of each kind there are."""
    keys = [key.removeprefix("shop/") for key in store.objects]
    return {kind: sum(key.startswith(kind.value) for key in keys) for kind in FileType}


def require_nothing_twice(store):
    """One snapshot, one index, and each pack that is there named, each blob in one."""
    with Repository.open(backend_on(store), PASSWORD) as repository:
        repository._opened.refresh_index()
        packs = list(repository._opened.packs())
    names = [blob.id for pack in packs for blob in pack.blobs]
    assert len(names) == len(set(names))
    found = kinds(store)
    assert (found[FileType.SNAPSHOT], found[FileType.INDEX]) == (1, 1)
    assert found[FileType.PACK] == len(packs)


class Faults:
    """Fails some calls, each time it is tried again so that it comes through.

    Args:
        operations: Of which kinds, each as often as it is named.
    """

    def __init__(self, *operations):
        """Fail the first one of each kind, the third, the fifth."""
        self.left = list(operations)
        self._lock = threading.Lock()
        self._failed = set()

    def __call__(self, operation, key):
        """Say what is raised."""
        with self._lock:
            if operation in self._failed:
                self._failed.discard(operation)
            elif operation in self.left:
                self.left.remove(operation)
                self._failed.add(operation)
                return StoreUnavailableError(key, "told to fail")
        return None


@pytest.mark.parametrize("after", [False, True], ids=["not done", "answer lost"])
def test_transient_faults(store, source, tmp_path, after):
    """A backup that meets some is complete, and nothing of it is there twice."""
    made(store).close()
    faults = Faults("put", "put", "put", "list", "delete", "get")

    failing = FailingStore(store, faults, after=after)
    with Repository.open(backend_on(failing), PASSWORD) as repository:
        result = repository.back_up(based(source))

    assert faults.left == []
    assert result.unreadable == ()
    require_nothing_twice(store)
    require_whole(store, source, tmp_path / "target")


@pytest.mark.parametrize("after", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("number", range(1, 4))
def test_transient_faults_of_making(store, source, tmp_path, number, after):
    """One repository is made, not two and not half of one: it has one key, one config."""
    seen_puts = []

    def fail_on(operation, key):
        if operation == "put":
            seen_puts.append(key)
            if len(seen_puts) == number:
                return StoreUnavailableError(key, "told to fail")
        return None

    with made(FailingStore(store, fail_on, after=after)) as repository:
        repository.back_up(based(source))

    assert (kinds(store)[FileType.KEY], kinds(store)[FileType.CONFIG]) == (1, 1)
    require_whole(store, source, tmp_path / "target")


def test_transient_faults_of_a_restore(store, source, tmp_path):
    """Nothing is missing after them."""
    with made(store) as repository:
        repository.back_up(based(source))
    faults = Faults(*["get"] * 6, "list", "put")

    with Repository.open(
        backend_on(FailingStore(store, faults)), PASSWORD
    ) as repository:
        restored = repository.restore("latest", tmp_path / "target")

    assert faults.left == []
    assert restored.problems == []
    assert seen(tmp_path / "target") == seen(source)


class HalfStore(MemoryStore):
    """Writes half of an object before it fails, as stores do that are no object stores.

    Attributes:
        fails: How many puts do so.
        error: What they raise.
    """

    def __init__(self, fails, error=StoreUnavailableError):
        """Fail nothing yet."""
        super().__init__()
        self.fails, self.error, self.is_on = fails, error, False
        self._counting = threading.Lock()

    def put(self, key, source, **how):
        """Write half, and fail; or pass on."""
        with self._counting:
            is_half = self.is_on and self.fails > 0
            self.fails -= is_half
        if not is_half:
            return super().put(key, source, **how)
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        super().put(key, content[: len(content) // 2])
        raise self.error(key, "told to write half")


def test_half_objects_are_written_again(source, tmp_path):
    """Under the same name: what is half is nowhere left."""
    store = HalfStore(5)
    made(store).close()
    store.is_on = True

    with Repository.open(backend_on(store), PASSWORD) as repository:
        repository.back_up(based(source))

    assert store.fails == 0
    require_whole(store, source, tmp_path / "target")


def test_half_a_pack_at_the_end(source, tmp_path):
    """A store that is full ends the backup; what is half is named by nothing."""
    store = HalfStore(10**6, StoreFullError)
    with made(store) as repository:
        repository.back_up(based(source))
    expected = seen(source)
    (source / "new").write_bytes(os.urandom(20 << 20))
    put = store.put

    def fails_packs(key, content, **how):
        store.is_on = "/data/" in key
        return put(key, content, **how)

    store.put = fails_packs
    with (
        Repository.open(backend_on(store), PASSWORD) as repository,
        pytest.raises(StoreFullError),
    ):
        repository.back_up(based(source))
    del store.put
    store.is_on = False

    with Repository.open(backend_on(store), PASSWORD) as repository:
        assert repository.list_locks() == []
        assert repository.check(read_data=True).errors == []
        assert repository.restore("latest", tmp_path / "target").problems == []
        assert seen(tmp_path / "target") == expected
        repository.back_up(based(source))
    require_whole(store, source, tmp_path / "again", snapshots=2)


@pytest.mark.parametrize("error", [StoreAccessError, StoreUnavailableError])
@pytest.mark.parametrize("after", [False, True], ids=["not done", "answer lost"])
def test_a_store_that_is_gone(store, tmp_path, error, after):
    """From any write on: the error is ours, and what was there is whole."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "first").write_bytes(os.urandom(100_000))
    with made(store) as repository:
        repository.back_up(based(source))
    expected, intact = seen(source), dict(store.objects)
    (source / "new").write_bytes(os.urandom(18 << 20))
    number, raised = 0, []
    while len(raised) == number:
        number += 1
        store.objects = dict(intact)
        failing = FailingStore.failing_write(
            store, number, error("", "gone for good"), after=after
        )
        with Repository.open(backend_on(failing, patience=0), PASSWORD) as repository:
            try:
                repository.back_up(based(source))
            except KBackupError as exc:
                raised.append(exc)
        with Repository.open(backend_on(store), PASSWORD) as repository:
            repository.unlock(remove_all=True)  # nobody could remove it
            assert repository.check(read_data=True).errors == []
            first = repository.list()[0]
            target = tmp_path / f"target {number}"
            assert repository.restore(first, target).problems == []
            assert seen(target) == expected
    assert all(isinstance(each, error) for each in raised)
    # A lock, two packs and the tree's, an index, the snapshot.
    assert number > 5


class SlowStore(MemoryStore):
    """Takes another time for each call, so that answers come in another order."""

    def __init__(self):
        """Draw the same times in each run."""
        super().__init__()
        self._chance = random.Random("slow")  # noqa: S311 - nothing is secret

    def put(self, key, source, **how):
        """Wait, write, and wait for the answer."""
        time.sleep(self._chance.random() / 20)
        info = super().put(key, source, **how)
        time.sleep(self._chance.random() / 20)
        return info


def test_a_slow_store(source, tmp_path):
    """Whatever comes first, an index names only what is there."""
    store = SlowStore()
    with made(store) as repository:
        repository.back_up(based(source))

    require_whole(store, source, tmp_path / "target")
