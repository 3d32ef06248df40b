"""A restore over what is there: it writes to no file that may be another one, too."""

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from kbackup.repository import (
    DirectorySource,
    DirectoryTarget,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._directory_source import node_of
from kbackup.repository._targets import Piece

CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture
def repository(tmp_path):
    """One with a snapshot of two files of the same length."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("of a")
    (source / "b").write_text("of b")
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    repository.back_up(DirectorySource(source, base=source))
    return repository


@pytest.fixture
def target(tmp_path):
    """A directory that is there already."""
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.fixture
def begun(repository, target):
    """A target, and a new file that was begun in it."""
    node = next(entry.node for entry in repository.ls("latest"))
    found = DirectoryTarget(target)
    found.begin(b"a", node, [Piece(node.blobs[0], 0, 4)])
    return found, node


def test_a_name_of_a_file_elsewhere(repository, tmp_path, target):
    """That file stays as it is; the name stands for another one afterwards."""
    (tmp_path / "elsewhere").write_text("mine")
    os.link(tmp_path / "elsewhere", target / "a")

    restored = repository.restore("latest", target)

    assert restored.problems == []
    assert (target / "a").read_text() == "of a"
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_name_of_a_file_elsewhere_that_only_looks_the_same(
    repository, tmp_path, target
):
    """Its mode and time stay, too."""
    (tmp_path / "elsewhere").write_text("of a")
    (tmp_path / "elsewhere").chmod(0o600)
    os.utime(tmp_path / "elsewhere", (1, 1))
    os.link(tmp_path / "elsewhere", target / "a")

    repository.restore("latest", target)

    left = (tmp_path / "elsewhere").stat()
    assert (left.st_mtime, stat.S_IMODE(left.st_mode)) == (1, 0o600)
    assert (target / "a").stat().st_mtime > 1


@pytest.mark.parametrize("content", ["mine", "of a"])
def test_two_names_of_one_file_that_are_two_in_the_snapshot(
    repository, target, content
):
    """Each has its own content."""
    (target / "a").write_text(content)
    os.link(target / "a", target / "b")

    restored = repository.restore("latest", target)

    assert restored.problems == []
    assert (target / "a").read_text() == "of a"
    assert (target / "b").read_text() == "of b"


def test_links_that_are_right_stay(repository, tmp_path, target):
    """What was restored is not written once more."""
    source = tmp_path / "source"
    os.link(source / "a", source / "another")
    repository.back_up(DirectorySource(source, base=source))
    repository.restore("latest", target)
    before = (target / "a").stat().st_ino

    restored = repository.restore("latest", target)

    assert restored.written == 0
    assert (target / "a").stat().st_ino == before
    assert (target / "another").stat().st_ino == before


def test_a_file_that_comes_while_another_is_restored(begun, target):
    """It is neither written to nor removed: where names mean the same, it is another."""
    found, _ = begun
    (target / "a").write_text("mine")

    with pytest.raises(FileExistsError):
        found.write(b"a", 0, b"of a")
    found.drop(b"a")

    assert (target / "a").read_text() == "mine"


def test_a_file_that_goes_while_it_is_restored(begun, target):
    """None is made with a part of it."""
    found, node = begun
    found.write(b"a", 0, b"of a")
    found.finish(b"a", node)
    found.begin(b"a", node, [Piece(bytes(32), 0, 4)])
    (target / "a").unlink()

    with pytest.raises(FileNotFoundError):
        found.write(b"a", 2, b" a")

    assert list(target.iterdir()) == []


def restore_as_another(repository, target):
    """Restore once more as somebody who may only what modes say; return the problems."""
    for path in (target, *target.rglob("*")):
        os.chown(path, 65534, 65534)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in another process
        try:
            os.chdir(target)
            os.setgid(65534)
            os.setuid(65534)
            done = repository.restore("latest", DirectoryTarget("."))
            os.write(writing, repr(done.problems).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_files_that_are_closed_to_their_owner(tmp_path, target):
    """A restore goes on where it was, whatever modes it gave already."""
    source = tmp_path / "read only"
    (source / "d").mkdir(parents=True)
    for name in ("wrong", "right", "missing"):
        (source / f"d/{name}").write_text("as it was")
        (source / f"d/{name}").chmod(0o444)
    (source / "d").chmod(0o555)
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    repository.back_up(DirectorySource(source, base=source))
    repository.restore("latest", target)
    (target / "d/wrong").write_text("as it is!")
    (target / "d/missing").unlink()
    everybodys = Path(tempfile.gettempdir())
    for path in target.parents:  # those of the test itself
        if everybodys in path.parents:
            path.chmod(0o755)

    assert restore_as_another(repository, target) == "[]"

    for name in ("wrong", "right", "missing"):
        assert (target / f"d/{name}").read_text() == "as it was"
        assert stat.S_IMODE((target / f"d/{name}").stat().st_mode) == 0o444
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o555


def test_one_inode_of_two_contents(tmp_path, target, monkeypatch):
    """Some systems have such; each file comes back with its own."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("of a")
    (source / "b").write_text("of b")

    class Status:
        """What the system told, but for the inode and the number of names."""

        st_ino, st_nlink = 7, 2

        def __init__(self, status):
            self._status = status

        def __getattr__(self, name):
            return getattr(self._status, name)

    def with_one_inode(path, name, status):
        return node_of(path, name, Status(status))

    monkeypatch.setattr("kbackup.repository._directory_source.node_of", with_one_inode)
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    repository.back_up(DirectorySource(source, base=source))

    restored = repository.restore("latest", target)

    assert restored.problems == []
    assert (target / "a").read_text() == "of a"
    assert (target / "b").read_text() == "of b"


@pytest.fixture
def as_owner(monkeypatch):
    """What modes forbid to an owner is forbidden, also to root."""
    real = os.open

    def opened(path, flags, *mode, **how):
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        if writes and os.path.lexists(path) and not os.lstat(path).st_mode & 0o200:
            raise PermissionError(errno.EACCES, "closed")
        return real(path, flags, *mode, **how)

    def may(path, asked):
        return os.lstat(path).st_mode >> 6 & asked == asked

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "access", may)


def test_a_file_and_a_directory_that_are_closed_to_root(
    as_owner, repository, tmp_path, target
):
    """They are opened for as long as it takes, and have the snapshot's modes then."""
    source = tmp_path / "source"
    (source / "d").mkdir()
    (source / "d/file").write_text("as it was")
    (source / "d/file").chmod(0o444)
    (source / "d").chmod(0o555)
    repository.back_up(DirectorySource(source, base=source))
    shutil.copytree(source, target, dirs_exist_ok=True)
    (target / "d/file").chmod(0o644)
    (target / "d/file").write_text("as it is!")
    (target / "d/file").chmod(0o400)
    modes = []

    class Watched(DirectoryTarget):
        def begin(self, path, node, pieces):
            modes.append(stat.S_IMODE((target / "d").stat().st_mode))
            return super().begin(path, node, pieces)

    restored = repository.restore("latest", Watched(target))

    assert restored.problems == []
    assert modes[-1] == 0o755
    assert (target / "d/file").read_text() == "as it was"
    assert stat.S_IMODE((target / "d/file").stat().st_mode) == 0o444
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o555


def test_a_closed_file_with_another_name(as_owner, repository, tmp_path, target):
    """The other one stays as it is, and closed."""
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "elsewhere").chmod(0o400)
    os.link(tmp_path / "elsewhere", target / "a")

    restored = repository.restore("latest", target)

    assert restored.problems == []
    assert (target / "a").read_text() == "of a"
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o400


def test_something_closed_that_is_no_file(as_owner, repository, target):
    """It is not opened, and stays."""
    os.mkfifo(target / "a", 0o400)

    restored = repository.restore("latest", target)

    assert [(each.path, each.reason) for each in restored.problems] == [
        (b"a", "closed")
    ]
    assert stat.filemode((target / "a").lstat().st_mode) == "pr--------"
