"""A repository in a bucket outlasts a store that fails for a while, and says when not."""

import errno
import gc
import os
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import (
    ObjectDamagedError,
    ObjectExistsError,
    SpoolError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.repository import _object_store
from kbackup.repository._backend import CONFIG, File, FileType
from kbackup.repository._ids import hash_of
from kbackup.repository._object_store import ObjectStoreBackend
from kbackup.testing import FailingStore, MemoryStore

PACK = File(FileType.PACK, hash_of(b"content"))


class Waits(CancelToken):
    """A token on which time passes at once; it notes how much."""

    def __init__(self):
        super().__init__()
        self.pauses = []

    def wait(self, seconds):
        """Note the pause."""
        self.pauses.append(seconds)
        self.check()


@pytest.fixture(name="waits")
def fixture_waits(monkeypatch):
    """The pauses that were made, of a clock that only they move."""
    waits = Waits()
    monkeypatch.setattr(
        _object_store.time, "monotonic", lambda: 1000 + sum(waits.pauses)
    )
    return waits


class Fails:
    """Says to a `FailingStore` that the first so many calls fail."""

    def __init__(self, times, error=StoreUnavailableError):
        self.left, self.error = times, error

    def __call__(self, operation, key):
        """Return what to raise."""
        self.left -= 1
        return self.error(key, "told to") if self.left >= 0 else None


def backend_of(store, waits, **options):
    """A backend whose pauses are noted."""
    return ObjectStoreBackend(store, location="there", cancel=waits, **options)


def test_objects_have_the_keys_of_restic(waits, tmp_path):
    """Below the prefix the bucket looks as restic's own."""
    store = MemoryStore()
    with backend_of(store, waits, prefix="a/b", spool_directory=tmp_path) as backend:
        backend.save(CONFIG, b"config")
        spool = backend.spool()
        spool.write(b"content")
        backend.save(PACK, spool)

    name = PACK.name.hex()
    assert store.objects == {
        "a/b/config": b"config",
        f"a/b/data/{name[:2]}/{name}": b"content",
    }


@pytest.mark.parametrize(
    "work",
    [
        lambda backend: backend.load(PACK) == b"content",
        lambda backend: backend.size(PACK) == 7,
        lambda backend: backend.exists(PACK),
        lambda backend: backend.save(PACK, b"content") is None,
        lambda backend: backend.remove(PACK) is None,
        lambda backend: list(backend.list(FileType.PACK)) == [(PACK.name, 7)],
    ],
    ids=["load", "size", "exists", "save", "remove", "list"],
)
def test_what_passes_is_tried_again(waits, work):
    """A store that fails four times and then works has done what was asked."""
    store = FailingStore(MemoryStore())
    backend = backend_of(store, waits)
    backend.save(PACK, b"content")
    store.fail_on = Fails(4)

    assert work(backend)
    assert len(waits.pauses) == 4
    for pause, longest in zip(waits.pauses, (1, 2, 4, 8), strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("patience", [timedelta(minutes=5), timedelta(0)])
def test_a_store_that_never_answers_is_given_up(waits, patience):
    """After the time that was given, and no later, the store's own error is raised."""
    store = FailingStore(MemoryStore(), Fails(10**9))
    backend = backend_of(store, waits, patience=patience)

    with pytest.raises(StoreUnavailableError, match="told to"):
        backend.load(PACK)

    limit = patience.total_seconds()
    assert sum(waits.pauses) <= limit
    assert sum(waits.pauses) >= limit - 30
    assert all(pause <= 30 for pause in waits.pauses)
    assert len(store.calls) == len(waits.pauses) + 1


def test_what_does_not_pass_is_raised_at_once(waits):
    """Who is refused is refused again: nothing is repeated."""
    store = FailingStore(MemoryStore(), Fails(1, StoreAccessError))

    with pytest.raises(StoreAccessError):
        backend_of(store, waits).load(PACK)
    assert waits.pauses == []


def test_cancelling_ends_the_wait(waits):
    """Who cancels does not wait for the store, and no request follows."""
    store = FailingStore(MemoryStore(), Fails(10**9))
    backend = backend_of(store, waits)
    store.fail_on = lambda operation, key: (
        waits.cancel("enough") or StoreUnavailableError(key)
    )

    with pytest.raises(Cancelled, match="enough"):
        backend.load(PACK)
    with pytest.raises(Cancelled, match="enough"):
        backend.save(PACK, b"content")
    assert len(store.calls) == 1


class Stingy(MemoryStore):
    """Delivers fewer bytes than it was asked for, so many times."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def get(self, key, target, *, start=0, length=None, expect=None):
        """Deliver all, or one byte less."""
        info = super().get(key, target, start=start, length=length)
        self.left -= 1
        if self.left >= 0:
            target.seek(-1, os.SEEK_END)
            target.truncate()
        return info


@pytest.mark.parametrize("length", [None, 3])
def test_a_read_that_broke_off_is_repeated(waits, length):
    """Half an answer is no answer, and the next one is taken from its beginning."""
    backend = backend_of(Stingy(2), waits)
    backend.save(PACK, b"content")

    assert backend.load(PACK, 1, length) == b"content"[1:][:length]
    assert len(waits.pauses) == 2


def test_a_read_that_always_breaks_off_is_given_up(waits):
    """A store that never delivers all is told of in numbers."""
    backend = backend_of(Stingy(10**9), waits)
    backend.save(PACK, b"content")

    with pytest.raises(StoreUnavailableError, match="6 bytes arrived of 7"):
        backend.load(PACK)


class Endless(MemoryStore):
    """Delivers a gigabyte, whatever is asked for; notes how much was taken."""

    taken = 0

    def get(self, key, target, *, start=0, length=None, expect=None):
        """Deliver one piece after the other."""
        for _ in range(1 << 10):
            target.write(bytes(1 << 18))
            self.taken += 1 << 18
        return super().get(key, target, start=start, length=length)


def test_what_no_file_can_be_is_not_taken_into_memory(waits):
    """Not all that comes is taken before it is looked at."""
    store = Endless()

    with pytest.raises(ObjectDamagedError, match="bytes, and none of its kind has so"):
        backend_of(store, waits).load(CONFIG)
    assert store.taken <= 1 << 20
    assert waits.pauses == []


def test_an_object_that_is_too_short_is_not_read_again(waits):
    """No patience makes an object longer."""
    backend = backend_of(MemoryStore(), waits)
    backend.save(PACK, b"content")

    with pytest.raises(StoreError, match="it has only 7 bytes"):
        backend.load(PACK, 5, 5)
    assert waits.pauses == []


class TornList(MemoryStore):
    """A store whose lists break off after three objects."""

    def list(self, prefix, *, after=""):
        """Yield three objects, and fail if there are more."""
        for number, info in enumerate(super().list(prefix, after=after)):
            if number == 3:
                raise StoreUnavailableError(prefix, "the page did not come")
            yield info


def test_a_list_that_broke_off_goes_on(waits):
    """Each file is listed once, however often the store fails on the way."""
    names = [hash_of(b"%d" % number) for number in range(10)]
    backend = backend_of(TornList(), waits, prefix="below")
    for name in names:
        backend.save(File(FileType.INDEX, name), b"x")

    assert list(backend.list(FileType.INDEX)) == [(name, 1) for name in sorted(names)]
    assert len(waits.pauses) == 3
    assert all(pause <= 1 for pause in waits.pauses)  # each failure was the first


def test_a_config_whose_answer_was_lost_is_ones_own(waits):
    """That the first attempt had arrived is no reason to call the name taken."""
    store = FailingStore(MemoryStore(), after=True)
    backend = backend_of(store, waits)
    lost = Fails(1)
    store.fail_on = lambda operation, key: (
        lost(operation, key) if operation == "put" else None
    )

    backend.save(CONFIG, b"mine")

    assert backend.load(CONFIG) == b"mine"


def test_a_config_that_another_wrote_meanwhile_is_theirs(waits):
    """Who was overtaken between two attempts is told that there is a config."""
    store = FailingStore(MemoryStore())
    backend = backend_of(store, waits)

    def overtaken(operation, key):
        if operation != "put" or key in store.store.objects:
            return None
        store.store.put(key, b"theirs")
        return StoreUnavailableError(key)

    store.fail_on = overtaken
    with pytest.raises(ObjectExistsError):
        backend.save(CONFIG, b"mine")
    assert backend.load(CONFIG) == b"theirs"


def test_a_config_is_looked_for_before_it_is_written(waits):
    """A store that cannot write create-only does not lose an old config for it."""

    class Blind(MemoryStore):
        def put(self, key, source, *, create=False, retain_until=None):
            """Write over whatever is there."""
            return super().put(key, source)

    backend = backend_of(Blind(), waits)
    backend.save(CONFIG, b"old")

    with pytest.raises(ObjectExistsError):
        backend.save(CONFIG, b"new")
    assert backend.load(CONFIG) == b"old"


def test_spools_are_private_and_vanish(waits, tmp_path):
    """What is collected is for its owner alone, and nothing of it stays."""
    backend = backend_of(MemoryStore(), waits, spool_directory=tmp_path)
    saved, closed, forgotten, left = (backend.spool() for _ in range(4))
    files = [path for path in tmp_path.glob("*/*") if not path.name.startswith(".")]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 4
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o700]

    backend.save(PACK, saved)
    closed.close()
    del forgotten
    gc.collect()
    assert [path for path in files if path.exists()] == [
        files[0].parent / left_name(left)
    ]

    backend.close()
    assert list(tmp_path.iterdir()) == []
    left.close()
    backend.spool().close()  # a backend may be used again
    backend.close()
    assert list(tmp_path.iterdir()) == []


def left_name(spool):
    """The name of a spool's file."""
    return spool.path.rpartition("/")[2]


def test_no_place_for_spools_is_said(waits, tmp_path):
    """A directory that is not there is named, and what else could be done."""
    backend = backend_of(MemoryStore(), waits, spool_directory=tmp_path / "missing")

    with pytest.raises(SpoolError, match="missing: No such file or directory"):
        backend.spool()


def test_a_full_disk_of_this_machine_is_not_the_stores(waits, tmp_path, monkeypatch):
    """No room for a spool is told of this machine, and frees what it had taken."""

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with backend_of(MemoryStore(), waits, spool_directory=tmp_path) as backend:
        spool = backend.spool()
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(SpoolError, match="No space left"):
            spool.write(b"content")
        monkeypatch.undo()
        assert not os.path.exists(spool.path)  # noqa: PTH110 - text


def test_a_forked_process_leaves_a_spool_alone(waits, tmp_path, monkeypatch):
    """The copy of a spool in a forked process ends without its file."""
    with backend_of(MemoryStore(), waits, spool_directory=tmp_path) as backend:
        spool = backend.spool()
        monkeypatch.setattr(os, "getpid", lambda: -1)
        spool.close()
        monkeypatch.undo()
        assert os.path.exists(spool.path)  # noqa: PTH110 - text


def test_there_is_nothing_to_sweep(waits):
    """An object is there whole, or not at all; whatever else is there is not touched."""
    store = MemoryStore()
    backend = ObjectStoreBackend(store, location="the store")
    backend.save(PACK, b"content")
    store.put("data/.kbackup-tmp-1", b"half")
    before = dict(store.objects)

    assert backend.sweep(timedelta(0)) == 0
    assert store.objects == before
