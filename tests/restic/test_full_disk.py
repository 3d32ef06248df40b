"""A disk that is full ends a backup, and harms nothing that was saved before.

On a file system of its own where this process may mount one; and with a limit for files,
which any process may have.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

from kbackup.errors import StoreFullError
from kbackup.repository import DirectorySource, Repository, ScryptParameters
from odd_tree import seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
LIMITED = """
import resource, sys
from kbackup.errors import StoreFullError
from kbackup.repository import DirectorySource, Repository
resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, resource.RLIM_INFINITY))
_, place, source = sys.argv
with Repository.open(place, "geheim") as repository:
    try:
        repository.back_up(DirectorySource(source, base=source))
    except StoreFullError as exc:
        print("full:", exc)
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 20 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not mount:
        pytest.skip("only root can mount a small file system, on Linux")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=20m", "kbackup-test", path],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture
def source(tmp_path):
    """Files that fit."""
    path = tmp_path / "source"
    path.mkdir()
    (path / "first").write_bytes(os.urandom(3 << 20))
    (path / "small").write_text("small")
    return path


@pytest.fixture
def check(need_tool):
    """Checks a repository with stock restic, every byte of it."""
    program = need_tool("restic")

    def checked(place):
        done = subprocess.run(
            [program, "--repo", place, "--no-cache", "check", "--read-data"],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "no errors were found" in done.stdout

    return checked


def files_below(place):
    """What lies in a repository."""
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size", [30 << 20, 17 << 20])
def test_a_disk_that_is_full(small_disk, source, check, tmp_path, size):
    """In the middle of packs, or only at their end; with room again all is saved."""
    place, expected = small_disk / "repository", seen(source)
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
        (source / "large").write_bytes(os.urandom(size))
        with pytest.raises(StoreFullError):
            repository.back_up(DirectorySource(source, base=source))
        assert not [name for name in files_below(place) if ".kbackup-tmp" in name]
        assert len(repository.list()) == 1
        assert repository.restore("latest", tmp_path / "target").problems == []
        assert repository.list_locks() == []
    assert seen(tmp_path / "target") == expected
    check(place)

    subprocess.run(
        ["mount", "-o", "remount,size=100m", small_disk], check=True, timeout=60
    )
    with Repository.open(place, PASSWORD) as repository:
        repository.back_up(DirectorySource(source, base=source))
        repository.restore("latest", tmp_path / "again")
    assert seen(tmp_path / "again") == seen(source)
    check(place)


def test_a_disk_that_is_full_to_the_last_byte(small_disk, source, tmp_path):
    """Then there is not even room for a lock: reading says so, too, and breaks nothing."""
    place = small_disk / "repository"
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
        filler = small_disk / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        assert shutil.disk_usage(small_disk).free == 0
        before = files_below(place)
        with pytest.raises(StoreFullError):
            repository.back_up(DirectorySource(source, base=source))
        with pytest.raises(StoreFullError):
            repository.list()
        assert files_below(place) == before
        filler.unlink()
        assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)


def test_a_limit_for_files(source, check, tmp_path):
    """It is the same error, and the same is left."""
    place, expected = tmp_path / "repository", seen(source)
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
    before = files_below(place)
    (source / "large").write_bytes(os.urandom(20 << 20))

    done = subprocess.run(
        [sys.executable, "-c", LIMITED, place, source],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("full: data")
    assert files_below(place) == before
    with Repository.open(place, PASSWORD) as repository:
        assert repository.restore("latest", tmp_path / "target").problems == []
        assert seen(tmp_path / "target") == expected
        repository.back_up(DirectorySource(source, base=source))
    check(place)
