"""A file that is written privately is there whole, or as it was before."""

import errno
import os
import stat
import sys
from contextlib import nullcontext

import pytest

from kbackup._kits.private_file import private_file


@pytest.fixture(name="path")
def fixture_path(tmp_path):
    """Where the file goes."""
    return tmp_path / "plan.json"


def names(directory):
    """What lies in a directory."""
    return sorted(each.name for each in directory.iterdir())


def test_file_is_there_at_the_end_only(path):
    """Nobody meets a half-written file under its name, and nothing else is left."""
    with private_file(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()

    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["plan.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="it has other permissions")
@pytest.mark.parametrize("before", [None, 0o644])
def test_file_is_its_owners_alone(path, before):
    """Nobody else may read it, while it is written and after, whatever was there before."""
    if before is not None:
        path.touch()
        path.chmod(before)
    umask = os.umask(0)
    try:
        with private_file(path) as file:
            file.write(b"secret")
            (other,) = set(path.parent.iterdir()) - {path}
            assert stat.S_IMODE(other.stat().st_mode) == 0o600
    finally:
        os.umask(umask)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"older"])
def test_failure_leaves_what_was_there(path, error, before):
    """A write that fails or is interrupted leaves the older file, and no rubbish."""
    if before is not None:
        path.write_bytes(before)

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error), private_file(path) as file:
        fail(file)

    assert names(path.parent) == ([] if before is None else ["plan.json"])
    assert before is None or path.read_bytes() == before


def test_content_is_on_the_disk_before_its_name_and_the_name_at_the_end(
    path, monkeypatch
):
    """After a power failure the name never leads to an empty file, and it is not lost."""
    steps = []
    fsync, replace = os.fsync, type(path).replace

    def synced(descriptor):
        found = os.fstat(descriptor)
        is_directory = os.path.samestat(found, path.parent.stat())
        steps.append(("fsync", "directory" if is_directory else found.st_size))
        fsync(descriptor)

    def replaced(temporary, target):
        steps.append(("replace", temporary.stat().st_size))
        return replace(temporary, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(path), "replace", replaced)

    with private_file(path) as file:
        file.write(b"whole")

    names_too = [] if sys.platform == "win32" else [("fsync", "directory")]
    assert steps == [("fsync", 5), ("replace", 5), *names_too]


@pytest.mark.skipif(sys.platform == "win32", reason="directories are not synced there")
@pytest.mark.parametrize(
    ("call", "code", "is_told"),
    [
        ("fsync", errno.EINVAL, False),  # SMB
        ("open", errno.EACCES, False),  # it may be written and not be read
        ("fsync", errno.EIO, True),
    ],
)
def test_directory_that_cannot_be_synced(path, monkeypatch, call, code, is_told):
    """A directory that is never synced is no failure; a disk that fails is."""
    real = getattr(os, call)

    def fail(what, *arguments):
        if os.path.samestat(os.stat(what), path.parent.stat()):  # noqa: PTH116 - or a descriptor
            raise OSError(code, os.strerror(code))
        return real(what, *arguments)

    expected = pytest.raises(OSError, match="error") if is_told else nullcontext()
    with expected, private_file(path) as file:
        file.write(b"whole")
        monkeypatch.setattr(os, call, fail)
    monkeypatch.undo()

    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["plan.json"]


def test_full_disk_is_told_and_leaves_nothing(path, monkeypatch):
    """Where the disk takes no more the caller hears of it, and the older file stays."""
    path.write_bytes(b"older")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"), private_file(path) as file:
        file.write(b"newer")

    assert path.read_bytes() == b"older"
    assert names(path.parent) == ["plan.json"]


def test_directory_that_is_not_there(tmp_path):
    """A directory that is not there is an error, and is not made."""
    with (
        pytest.raises(FileNotFoundError),
        private_file(tmp_path / "none" / "plan.json"),
    ):
        pass

    assert names(tmp_path) == []
