"""Mirrored directories: away, full, deleted meanwhile, and different."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from pathlib import Path

import pytest

from kbackup.errors import (
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.plugins import Digest
from kbackup.stores import MirroredStore, RepairableStore, layout
from kbackup_plugins_local import open_local_store

KEY = "backups/b/b.tar.gz"


@pytest.fixture
def a(tmp_path):
    """The first directory."""
    return tmp_path / "a"


@pytest.fixture
def b(tmp_path):
    """The second directory."""
    return tmp_path / "b"


def open_both(a, b, **config):
    """Open the location of both directories."""
    return open_local_store({"path": f"{a}#{b}", **config})


@pytest.fixture
def store(a, b):
    """A location of both directories, made as `location init` does."""
    store = open_both(a, b)
    store.initialise()
    return store


def unmount(directory: Path) -> None:
    """Leave an empty mount point where the directory was."""
    directory.rename(directory.with_suffix(".disk"))
    directory.mkdir()


def mount(directory: Path) -> None:
    """Put the directory back."""
    shutil.rmtree(directory)
    directory.with_suffix(".disk").rename(directory)


def read(store, key, **options):
    """Read an object's bytes."""
    target = io.BytesIO()
    store.get(key, target, **options)
    return target.getvalue()


def keys(store):
    """All keys but the store's own."""
    return [i.key for i in store.list("") if not i.key.startswith(layout.PRIVATE)]


def digest(data):
    """The digest of bytes."""
    return Digest(hashlib.sha256(data).hexdigest())


@pytest.fixture
def fill(monkeypatch):
    """Make every write below a directory end with a full disk."""
    full: list[Path] = []
    fsync = os.fsync

    def guarded(descriptor):
        inode = os.fstat(descriptor).st_ino
        for directory in full:
            files = (path for path in directory.rglob("*") if path.is_file())
            if any(path.stat().st_ino == inode for path in files):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", guarded)
    return full


# --- a directory is away -------------------------------------------------------------


def test_offers_what_the_catalog_asks(store):
    """A mirrored store counts copies, tells problems and can be repaired."""
    assert isinstance(store, MirroredStore)
    assert isinstance(store, RepairableStore)


def test_both_directories_get_the_same_identity(store, a, b):
    """After init both directories carry one uuid, and nothing is away."""
    files = [(path / layout.LOCATION).read_bytes() for path in (a, b)]

    assert files[0] == files[1]
    assert store.location_state().away == ()


def test_a_location_never_made_is_not_written(a, b):
    """Two new directories are not taken for a location: nothing is made in them."""
    b.mkdir()
    store = open_both(a, b)

    with pytest.raises(
        StoreUnavailableError, match="none of the location's 2"
    ) as caught:
        store.put(KEY, b"x")

    assert "location init" in caught.value.hint
    assert not a.exists()
    assert list(b.iterdir()) == []


def test_an_unmounted_directory_is_not_written(store, a, b):
    """With B unmounted a put goes to A alone, says so, and leaves B's mount point."""
    unmount(b)

    store.put(KEY, b"data", create=True)

    assert list(b.iterdir()) == []
    assert read(store, KEY) == b"data"
    assert str(store.copies(KEY)) == "1 of 2 copies"
    assert [state.path for state in store.location_state().away] == [str(b)]
    assert any(str(b) in problem and "away" in problem for problem in store.problems())


def test_what_lies_in_the_first_directory_only_is_repaired(store, a, b):
    """When B is back, a repair copies what it missed and nothing else."""
    store.put("backups/old/x", b"old")
    unmount(b)
    store.put(KEY, b"data")
    mount(b)
    fresh = open_both(a, b)
    assert str(fresh.copies(KEY)) == "1 of 2 copies"

    copied = fresh.repair()

    assert copied == (KEY,)
    assert str(fresh.copies(KEY)) == "2 of 2 copies"
    assert (b / KEY).read_bytes() == b"data"
    assert fresh.repair() == ()


def test_the_first_directory_may_be_away(store, a, b):
    """With A unmounted everything is read from B."""
    store.put(KEY, b"data")
    unmount(a)

    fresh = open_both(a, b)

    assert read(fresh, KEY) == b"data"
    assert keys(fresh) == [KEY]
    assert list(fresh.list_prefixes("backups/")) == ["backups/b/"]


def test_all_directories_away(store, a, b):
    """With both unmounted reading and writing fail; nothing looks empty."""
    unmount(a)
    unmount(b)

    with pytest.raises(StoreUnavailableError):
        list(store.list(""))
    with pytest.raises(StoreUnavailableError):
        store.put(KEY, b"x")


def test_directories_of_two_locations_are_refused(tmp_path, a, b):
    """Directories that belong to different locations are neither read nor written."""
    for path in (a, b):
        open_local_store({"path": str(path)}).initialise()
    store = open_both(a, b)

    for call in (store.initialise, lambda: store.put(KEY, b"x"), lambda: keys(store)):
        with pytest.raises(StoreAccessError, match="different locations"):
            call()

    assert not (a / KEY).exists()


def test_a_single_directory_becomes_one_of_two(a, b):
    """Init gives a second directory the identity of the first; a repair fills it."""
    single = open_local_store({"path": str(a)})
    uuid = single.initialise()
    single.put(KEY, b"data")
    store = open_both(a, b)

    assert store.initialise() == uuid
    assert store.repair() == (KEY,)
    assert (b / KEY).read_bytes() == b"data"


def test_bucket_and_prefix_are_where_the_identity_lies(a, b):
    """The identity lies below bucket and prefix, as in any other store."""
    store = open_both(a, b, bucket="bucket", prefix="some/prefix")

    store.initialise()

    assert (b / "bucket/some/prefix" / layout.LOCATION).is_file()
    assert store.location_state().away == ()


# --- a directory is full -------------------------------------------------------------


def test_a_full_second_directory_loses_nothing(store, a, b, fill):
    """With B full the object is in A, B shows nothing of it, and the lack is told."""
    fill.append(b)

    store.put(KEY, b"data", create=True)

    assert read(store, KEY) == b"data"
    assert str(store.copies(KEY)) == "1 of 2 copies"
    assert any("no space left" in problem for problem in store.problems())
    assert [p for p in b.rglob("*") if p.is_file()] == [b / layout.LOCATION]


def test_all_directories_full(store, a, b, fill):
    """With both full the put fails, and what was there stays as it was."""
    store.put(KEY, b"before")
    fill.append(a)
    fill.append(b)

    with pytest.raises(StoreFullError):
        store.put(KEY, b"after")
    with pytest.raises(StoreFullError):
        store.put("backups/c/x", b"new")

    assert read(store, KEY) == b"before"
    assert keys(store) == [KEY]


def test_create_is_decided_by_whoever_has_the_object(store, a, b, fill):
    """An object that only B has is not created again in A."""
    store.put(KEY, b"first")
    (a / KEY).unlink()

    with pytest.raises(ObjectExistsError):
        store.put(KEY, b"second", create=True)

    assert not (a / KEY).exists()
    assert read(store, KEY) == b"first"


def test_a_full_directory_does_not_keep_the_old_object(store, a, b, fill):
    """When B is too full to take the new object, its old copy does not count."""
    store.put(KEY, b"old")
    fill.append(b)

    store.put(KEY, b"new")

    assert read(store, KEY) == b"new"
    assert str(store.copies(KEY)) == "1 of 2 copies"


# --- deleted while a directory was away ----------------------------------------------


def test_a_deletion_reaches_a_directory_that_was_away(store, a, b):
    """What was deleted while B was away does not come back with B, nor by a repair."""
    store.put(KEY, b"data")
    store.put("backups/keep/x", b"keep")
    unmount(b)
    store.delete(KEY)
    mount(b)
    fresh = open_both(a, b)

    assert keys(fresh) == ["backups/keep/x"]
    assert list(fresh.list_prefixes("backups/")) == ["backups/keep/"]
    with pytest.raises(ObjectNotFoundError):
        fresh.stat(KEY)
    with pytest.raises(ObjectNotFoundError):
        read(fresh, KEY)
    assert fresh.repair() == ()
    assert not (b / KEY).exists()
    assert not (a / KEY).exists()


def test_tombstones_go_when_all_directories_have_them(store, a, b):
    """Once B was there, the next write removes the marks from both."""
    store.put(KEY, b"data")
    unmount(b)
    store.delete(KEY)
    assert len(list((a / layout.TOMBSTONES).iterdir())) == 1
    mount(b)

    store.put("backups/c/x", b"x")

    assert not (a / layout.TOMBSTONES).exists()
    assert not (b / layout.TOMBSTONES).exists()
    assert not (b / KEY).exists()


def test_reading_applies_nothing(store, a, b):
    """Reading hides what was deleted, but changes no directory."""
    store.put(KEY, b"data")
    unmount(b)
    store.delete(KEY)
    mount(b)

    assert keys(open_both(a, b)) == []

    assert (b / KEY).read_bytes() == b"data"


def test_a_new_object_under_a_deleted_key_stays(store, a, b):
    """A tombstone speaks of the deleted bytes, not of what is written there later."""
    store.put(KEY, b"first")
    unmount(b)
    store.delete(KEY)
    store.put(KEY, b"second", create=True)
    mount(b)
    fresh = open_both(a, b)

    assert read(fresh, KEY) == b"second"
    assert fresh.repair() == (KEY,)
    assert (b / KEY).read_bytes() == b"second"
    assert (a / KEY).read_bytes() == b"second"


def test_the_same_bytes_written_again_stay(store, a, b):
    """Deleting and writing the same bytes while B is away leaves them there."""
    store.put(KEY, b"same")
    unmount(b)
    store.delete(KEY)
    store.put(KEY, b"same", create=True)
    assert read(store, KEY) == b"same"
    mount(b)

    store.put("backups/c/x", b"x")

    assert read(store, KEY) == b"same"
    assert str(store.copies(KEY)) == "2 of 2 copies"


def test_an_overwritten_object_does_not_come_back(store, a, b):
    """A claim that was renewed while B was away is read in its new state."""
    store.put("plugins/kbackup.io/claims/b.json", b"heartbeat 1")
    unmount(b)
    for number in (2, 3):
        store.put("plugins/kbackup.io/claims/b.json", b"heartbeat %d" % number)
    mount(b)

    fresh = open_both(a, b)

    assert read(fresh, "plugins/kbackup.io/claims/b.json") == b"heartbeat 3"


def test_a_full_directory_can_still_be_cleared(store, a, b, fill, monkeypatch):
    """With A full and B away an object can be deleted, and does not come back."""
    store.put(KEY, b"data")
    unmount(b)
    fill.append(a)
    unlink = Path.unlink

    def unlink_and_make_room(path, **options):
        unlink(path, **options)
        if path == a / KEY:
            fill.clear()

    monkeypatch.setattr(Path, "unlink", unlink_and_make_room)
    store.delete(KEY)
    mount(b)

    assert keys(open_both(a, b)) == []


# --- copies that differ --------------------------------------------------------------


@pytest.fixture
def differing(store, a, b):
    """An object whose copy in A was damaged, size unchanged."""
    store.put(KEY, b"right")
    (a / KEY).write_bytes(b"wrong")
    return store


def test_differing_copies_are_decided_by_the_digest(differing):
    """Whoever knows the digest reads the right copy, and the wrong one is told."""
    assert read(differing, KEY, expect=digest(b"right")) == b"right"
    assert any("damaged" in problem for problem in differing.problems())


def test_differing_copies_are_never_chosen(differing, a, b):
    """Without a digest copies that differ are an error that names both."""
    with pytest.raises(DigestMismatchError) as caught:
        read(differing, KEY)

    assert str(a) in str(caught.value)
    assert str(b) in str(caught.value)


def test_no_copy_is_right(differing):
    """With a digest that no copy has nothing is read."""
    target = io.BytesIO()

    with pytest.raises(DigestMismatchError):
        differing.get(KEY, target, expect=digest(b"else"))

    assert target.getvalue() == b""


def test_differing_copies_are_not_repaired(differing, a, b, tmp_path):
    """A repair leaves copies that differ as they are and goes on with the others."""
    differing.put("backups/c/x", b"x")
    (b / "backups/c/x").unlink()

    assert differing.repair() == ("backups/c/x",)

    assert (a / KEY).read_bytes() == b"wrong"
    assert (b / KEY).read_bytes() == b"right"


def test_one_directory_that_holds_rubbish_does_not_hide_the_other(store, a, b):
    """Where B has a directory instead of the file, A's copy is read."""
    store.put(KEY, b"data")
    (b / KEY).unlink()
    (b / KEY / "x").mkdir(parents=True)

    assert read(store, KEY) == b"data"
    assert str(store.copies(KEY)) == "1 of 2 copies"
