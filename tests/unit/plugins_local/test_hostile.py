"""What others leave in a directory: links, dead writers' files, what cannot be read."""

import errno
import os

import pytest

from kbackup.catalog import BackupStore, EntryState
from kbackup.errors import InvalidConfigError, ObjectExistsError, StoreAccessError
from kbackup_plugins_local import _directory, open_local_store
from kbackup_plugins_local._config import local_spec
from kbackup_plugins_local._directory import TEMPORARY, Directory
from kbackup_plugins_local._tombstones import Tombstone

KEY = "backups/b/b.tar.gz"


@pytest.fixture
def store(tmp_path):
    """A store with one object."""
    made = open_local_store({"path": str(tmp_path / "store")})
    made.put(KEY, b"1")
    return made


def test_linked_directory_is_not_followed(store, tmp_path):
    """What a link in the place of a directory leads to is refused, not passed over."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(b"2")
    (store.root / "backups/evil").symlink_to(elsewhere)

    with pytest.raises(StoreAccessError, match="symbolic link") as caught:
        list(store.list("backups/evil/"))
    assert "mount there" in caught.value.hint
    assert list(store.list_prefixes("backups/")) == ["backups/b/", "backups/evil/"]


def test_a_shortcut_beside_our_directories(store, tmp_path):
    """A link that is in nobody's way is none of ours."""
    (store.root / "shortcut").symlink_to(tmp_path)

    assert [info.key for info in store.list("")] == [KEY]
    assert list(store.list_prefixes("")) == ["backups/"]


def test_a_backup_that_was_moved_and_linked(store, tmp_path):
    """It is listed as what it is, whether the other disk is mounted or not."""
    store.put("backups/moved/velero-backup.json", b"{}")
    (store.root / "backups/moved").rename(tmp_path / "moved")
    (store.root / "backups/moved").symlink_to(tmp_path / "moved")
    (store.root / "backups/gone").symlink_to(tmp_path / "not mounted")

    found = {entry.name: entry for entry in BackupStore(store).list()}

    for name in ("moved", "gone"):
        assert found[name].state is EntryState.DAMAGED
        assert f"{store.root}/backups/{name} is a symbolic link" in found[name].reason


def test_unreadable_directory_is_still_there(store, monkeypatch):
    """A directory that cannot be read does not hide its neighbours."""
    store.put("backups/a/a.tar.gz", b"1")
    scandir = os.scandir

    def fail(path):
        """Fail for one directory, as a dying disk does."""
        if str(path).endswith("backups/a"):
            raise OSError(errno.EIO, "input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)

    assert list(store.list_prefixes("backups/")) == ["backups/a/", "backups/b/"]


def test_delete_takes_dead_writers_files_along(store):
    """With the last object goes what dead writers left, which may hold Secrets."""
    directory = store.root / "backups/b"
    dead, alive = directory / f"{TEMPORARY}dead", directory / f"{TEMPORARY}alive"
    for path in (dead, alive):
        path.write_bytes(b"secret")
    os.utime(dead, (1, 1))

    store.delete(KEY)

    assert list(directory.iterdir()) == [alive]
    alive.unlink()
    store.put(KEY, b"1")
    dead.write_bytes(b"secret")
    os.utime(dead, (1, 1))
    store.delete(KEY)
    assert not directory.exists()


def test_lost_answer_of_a_link(store, monkeypatch):
    """Over NFS a link may be there although its repetition says that it was."""
    link = os.link

    def twice(source, target):
        """Make the link, then fail as the repeated request does."""
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)

    assert store.put("new", b"2", create=True).size == 1
    with pytest.raises(ObjectExistsError):
        store.put("new", b"3", create=True)


def test_late_bytes_are_not_delivered(store, monkeypatch):
    """What a hanging disk gives after the time is over does not reach the target."""
    monkeypatch.setattr(_directory, "_BLOCK", 1)
    store.put(KEY, b"12")
    taken = []

    class Target:
        """Takes bytes, and ends the time with the first ones."""

        def write(self, data):
            """Take *data*."""
            taken.append(data)

    class Slow:
        """An event that is set while the second block is read."""

        asked = 0

        def is_set(self):
            """Count the questions: two for each block."""
            self.asked += 1
            return self.asked > 3

    Directory(store.root).read(KEY, Target(), start=0, length=None, stop=Slow())

    assert taken == [b"1"]


def test_password_in_the_address_is_not_repeated():
    """An address with a user and a password is refused without them."""
    with pytest.raises(InvalidConfigError) as caught:
        local_spec("file://user:secret@host/x")

    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"key": 5, "digest": "sha256:%s"}' % (b"0" * 64),
        b'{"key": "../x", "digest": "sha256:%s"}' % (b"0" * 64),
        b'{"key": "x", "digest": "sha256:1"}',
    ],
)
def test_crafted_tombstones_count_as_none(content):
    """A tombstone that names no object of the location is no tombstone."""
    assert Tombstone.decode(content) is None
