"""Temporary directories are private, and those of killed processes do not stay."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kbackup._kits import temporary
from kbackup._kits.temporary import private_directory

MAKE = """
import sys
from pathlib import Path
from kbackup._kits.temporary import private_directory
with private_directory(Path(sys.argv[1]), "kbackup-") as path:
    (path / "archive.tar.gz").write_bytes(b"secrets")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(name="other")
def fixture_other(tmp_path):
    """A process that has a directory, and the path of that."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_it_is_private_and_goes(tmp_path):
    """Only its owner may look into it, and at the end nothing is left."""
    with private_directory(tmp_path, "kbackup-") as path:
        (path / "a").mkdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700

    assert list(tmp_path.iterdir()) == []


FORK = """
import os, sys
from pathlib import Path
from kbackup._kits.temporary import private_directory
with private_directory(Path(sys.argv[1]), "kbackup-") as path:
    (path / "log").touch()
    child = os.fork()
    if not child:
        sys.exit()
    os.waitpid(child, 0)
    print((path / "log").exists())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_leaves_it_to_its_parent(tmp_path):
    """A child that unwinds what it inherited does not remove what its parent uses."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path, other):
    """The next one in the same place removes what a killed process left there."""
    process, left = other
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (left / "archive.tar.gz").exists()

    with private_directory(tmp_path, "kbackup-") as path:
        assert list(tmp_path.iterdir()) == [path]


def test_what_a_living_process_uses_stays(tmp_path, other):
    """Another process's directory is left to it while it lives, also one of our own."""
    _, used = other

    with (
        private_directory(tmp_path, "kbackup-") as first,
        private_directory(tmp_path, "kbackup-") as second,
    ):
        assert set(tmp_path.iterdir()) == {used, first, second}
        assert (used / "archive.tar.gz").exists()


@pytest.mark.parametrize("content", [None, b"another boot", b""])
def test_what_may_be_another_machines_stays(tmp_path, content):
    """A directory without a lock, or with one of another machine or boot, is left."""
    strange = tmp_path / "kbackup-demo"
    strange.mkdir()
    if content is not None:
        (strange / ".lock").write_bytes(content)
    link = tmp_path / "kbackup-link"
    link.symlink_to(strange)

    with private_directory(tmp_path, "kbackup-"):
        pass

    assert strange.is_dir()
    assert link.is_symlink()


def test_a_system_that_tells_no_boot(tmp_path, monkeypatch):
    """Where boots cannot be told apart directories are made, and none is removed."""
    monkeypatch.setattr(temporary, "_BOOT", tmp_path / "none")

    with private_directory(tmp_path, "kbackup-") as path:
        assert list(path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Where nothing can be locked directories are made all the same."""

    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(temporary.fcntl, "flock", refuse)

    with private_directory(tmp_path, "kbackup-") as path:
        assert not (path / ".lock").exists()


def test_a_place_that_is_not_there(tmp_path):
    """Where no directory can be made that is an error."""
    with (
        pytest.raises(FileNotFoundError),
        private_directory(tmp_path / "none", "kbackup-"),
    ):
        pass
