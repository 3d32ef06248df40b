"""Mirrored directories: away, full, deleted meanwhile, and different."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbackup.errors import (
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    ReadOnlyLocationError,
    StoreAccessError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.plugins import Digest
from kbackup.stores import (
    MirroredStore,
    RepairableStore,
    TidyStore,
    UnfinishedWrite,
    layout,
)
from kbackup_plugins_local import open_local_store
from kbackup_plugins_local._local import LocalStore

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


def repair(store):
    """Apply deletions, then copy whatever some directory lacks, as the catalog does."""
    store.apply_deletions()
    return tuple(
        key
        for key in keys(store)
        for each in store.directories()
        if store.make_copy(key, digest(read(store, key)), each.path)
    )


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
    assert isinstance(store, TidyStore)


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
    (away,) = store.location_state().away
    assert str(away).startswith(f"{b} is away: ")
    assert not away.marked
    assert any(str(b) in problem and "away" in problem for problem in store.problems())


def test_a_directory_unmounted_while_it_is_written(store, a, b, monkeypatch):
    """What went to the bare mount point is no copy, and the location says so."""
    put = LocalStore.put

    def unmounted(self, key, source, **options):
        if self.root == b and key == KEY:
            unmount(b)
        return put(self, key, source, **options)

    monkeypatch.setattr(LocalStore, "put", unmounted)

    store.put(KEY, b"data")

    assert any("unmounted while it was written" in each for each in store.problems())
    mount(b)
    assert store.copies(KEY).present == 1


def test_nothing_is_written_when_all_are_unmounted_meanwhile(store, a, b, monkeypatch):
    """A put that reached bare mount points only has failed."""
    put = LocalStore.put

    def unmounted(self, key, source, **options):
        if key == KEY:
            unmount(self.root)
        return put(self, key, source, **options)

    monkeypatch.setattr(LocalStore, "put", unmounted)

    with pytest.raises(StoreUnavailableError, match="unmounted"):
        store.put(KEY, b"data")


def test_what_lies_in_the_first_directory_only_is_repaired(store, a, b):
    """When B is back, a repair copies what it missed and nothing else."""
    store.put("backups/old/x", b"old")
    unmount(b)
    store.put(KEY, b"data")
    mount(b)
    fresh = open_both(a, b)
    assert str(fresh.copies(KEY)) == "1 of 2 copies"

    copied = repair(fresh)

    assert copied == (KEY,)
    assert str(fresh.copies(KEY)) == "2 of 2 copies"
    assert (b / KEY).read_bytes() == b"data"
    assert repair(fresh) == ()


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
    assert repair(store) == (KEY,)
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


@pytest.mark.parametrize("full", [0, 1])
def test_one_directory_full_and_the_other_failing(store, fill, monkeypatch, full):
    """Where no directory takes anything it is told that one is full: that can be mended."""
    mirrors = store._mirrors
    fill.append(Path(mirrors[full].path))

    def fail(key, *_, **__):
        raise StoreAccessError(key, "read-only file system")

    monkeypatch.setattr(mirrors[1 - full].store, "put", fail)

    with pytest.raises(StoreFullError):
        store.put(KEY, b"data")

    assert any("read-only file system" in problem for problem in store.problems())


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
    assert repair(fresh) == ()
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


def test_a_deletion_reaches_an_older_copy_of_a_directory(tmp_path, a, b):
    """A directory that comes back as it was before the deletion brings nothing back."""
    c = tmp_path / "c"
    store = open_local_store({"path": f"{a}#{b}#{c}"})
    store.initialise()
    store.put(KEY, b"data")
    older = tmp_path / "older"
    shutil.copytree(b, older)
    unmount(c)
    store.delete(KEY)
    store.put("backups/one/file", b"x")  # every directory that is there knows of it
    unmount(b)
    assert keys(store) == ["backups/one/file"]

    shutil.rmtree(b)
    older.rename(b)
    store.apply_deletions()
    mount(c)
    store.apply_deletions()
    repair(store)

    assert KEY not in keys(store)


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
    assert repair(fresh) == (KEY,)
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


def test_a_damaged_copy_is_replaced_by_the_right_one(differing, a, b):
    """A copy is made from whichever directory holds what it must be."""
    assert differing.make_copy(KEY, digest(b"right"), str(a))

    assert (a / KEY).read_bytes() == b"right"
    assert not differing.make_copy(KEY, digest(b"right"), str(a))


def test_no_copy_is_made_from_a_wrong_one(differing, a, b):
    """Where no directory holds what a copy must be nothing is written."""
    with pytest.raises(DigestMismatchError):
        differing.make_copy(KEY, digest(b"else"), str(b))

    assert (a / KEY).read_bytes() == b"wrong"
    assert (b / KEY).read_bytes() == b"right"


def test_no_copy_is_made_in_a_directory_that_is_away(store, a, b):
    """A mount point without its disk is given no copy."""
    store.put(KEY, b"data")
    unmount(b)

    with pytest.raises(StoreUnavailableError, match="away"):
        store.make_copy(KEY, digest(b"data"), str(b))

    assert list(b.iterdir()) == []


def test_no_copy_is_made_of_what_is_deleted_meanwhile(store, a, b, monkeypatch):
    """An object that is deleted while it is copied does not come back."""
    store.put(KEY, b"data")
    (b / KEY).unlink()
    target = store._mirrors[1].store
    real = target.put

    def overtaken(key, source, **options):
        """Write the copy after the object was deleted everywhere."""
        info = real(key, source, **options)
        (a / KEY).unlink()
        return info

    monkeypatch.setattr(target, "put", overtaken)

    assert not store.make_copy(KEY, digest(b"data"), str(b))
    assert not (b / KEY).exists()


def test_pending_deletions_are_told(store, a, b):
    """What a repair would remove is named with its directory, and only that."""
    store.put(KEY, b"data")
    unmount(b)
    store.delete(KEY)
    mount(b)
    fresh = open_both(a, b)

    (pending,) = fresh.pending_deletions()

    assert (pending.path, pending.key) == (str(b), KEY)
    fresh.apply_deletions()
    assert fresh.pending_deletions() == ()
    assert not (b / KEY).exists()


def test_directories_are_stores_of_their_own(store, a, b):
    """Each directory that is there shows what lies in it, and takes no writes."""
    store.put(KEY, b"data")
    (b / KEY).unlink()
    first, second = store.directories()

    assert (first.path, second.path) == (str(a), str(b))
    assert [keys(each.store) for each in (first, second)] == [[KEY], []]
    assert list(first.store.list_prefixes("backups/")) == ["backups/b/"]
    with pytest.raises(ReadOnlyLocationError):
        first.store.put(KEY, b"x")
    first.store.close()
    assert read(store, KEY) == b"data"


# --- unfinished writes ---------------------------------------------------------------


def test_temporary_files_are_found_in_every_directory(store, a, b):
    """What dead writers left is told with its directory, and removed with it."""
    for path in (a / "backups/dead", b / "backups/b"):
        path.mkdir(parents=True)
        (path / ".kbackup-tmp-1").write_bytes(b"half")
    store.put(KEY, b"data")

    found = list(store.unfinished("backups/"))
    for write in found:
        store.discard(write)

    assert {(write.path, write.key) for write in found} == {
        (str(a), "backups/dead/.kbackup-tmp-1"),
        (str(b), "backups/b/.kbackup-tmp-1"),
    }
    assert not (a / "backups/dead").exists()
    assert list(store.unfinished("")) == []
    assert str(store.copies(KEY)) == "2 of 2 copies"


def test_a_temporary_file_that_grows_is_kept(store, a):
    """A file that was written to since it was found belongs to a writer that lives."""
    path = a / "backups/b/.kbackup-tmp-1"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    os.utime(path, (0, 0))
    (write,) = store.unfinished("backups/")
    path.write_bytes(b"more")

    store.discard(write)

    assert path.read_bytes() == b"more"


def test_nothing_but_temporary_files_is_discarded(store, a):
    """A write that names another file, or leads through a link, removes nothing."""
    store.put(KEY, b"data")
    (a / "link").symlink_to(a / "backups")
    now = datetime.now(UTC) + timedelta(days=1)

    for key in (KEY, "link/.kbackup-tmp-1", "../.kbackup-tmp-1"):
        write = UnfinishedWrite(key=key, id="x", since=now, path=str(a))
        with pytest.raises(StoreAccessError):
            store.discard(write)

    assert (a / KEY).exists()


def test_one_directory_that_holds_rubbish_does_not_hide_the_other(store, a, b):
    """Where B has a directory instead of the file, A's copy is read."""
    store.put(KEY, b"data")
    (b / KEY).unlink()
    (b / KEY / "x").mkdir(parents=True)

    assert read(store, KEY) == b"data"
    assert str(store.copies(KEY)) == "1 of 2 copies"


def test_the_newest_problems_are_kept(store, monkeypatch):
    """A store that is open for long and has much to tell still tells what is new."""

    def fail(key, *_, **__):
        raise StoreFullError(key)

    monkeypatch.setattr(store._mirrors[1].store, "put", fail)
    for number in range(150):
        store.put(f"backups/b/{number}", b"x")

    problems = store.problems()

    assert len(problems) == 100
    assert "backups/b/149" in problems[-1]
