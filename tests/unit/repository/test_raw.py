"""A device is one file of a snapshot, and is written back to where it was."""

import errno
import os
import random
import subprocess

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.repository import (
    DirectorySource,
    MemoryBackend,
    RawSource,
    RawTarget,
    Repository,
    ScryptParameters,
    Unreadable,
)
from kbackup.repository._entries import walk_tree

CHEAP = ScryptParameters(n=2, r=1, p=1)
MIB = 1 << 20
SIZE = 24 * MIB


@pytest.fixture
def repository():
    """A new one in memory."""
    return Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)


@pytest.fixture
def image(tmp_path):
    """What a disk might hold: data, and nothing for the most part."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset in (0, 19 * MIB + 5):
            file.seek(offset)
            file.write(random.Random(offset).randbytes(MIB))  # noqa: S311 - no secret
    return path


@pytest.fixture
def attach(need_tool):
    """Makes a block device of a file; returns the path of it."""
    program = need_tool("losetup")
    devices = []

    def run(path):
        done = subprocess.run(
            [program, "--find", "--show", path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no block device can be made: {done.stderr.strip()}")
        devices.append(done.stdout.strip())
        return devices[-1]

    yield run
    for device in devices:
        subprocess.run([program, "--detach", device], timeout=60, check=False)


def entries(repository, snapshot):
    """What is in a snapshot."""
    repository._opened.refresh_index()
    return list(walk_tree(repository._opened, snapshot.tree))


@pytest.fixture
def preads(monkeypatch):
    """How many bytes were read at places."""
    read = []
    for name in ("pread", "preadv"):
        real = getattr(os, name)

        def noted(*given, real=real):
            done = real(*given)
            read.append(done if isinstance(done, int) else len(done))
            return done

        monkeypatch.setattr(os, name, noted)
    return read


def test_an_image_is_one_file(image, repository, preads):
    """Of its name and size; holes are not read."""
    result = repository.back_up(RawSource(image))

    ((path, node),) = entries(repository, result.snapshot)
    assert (path, node.type, node.size) == (b"image", "file", SIZE)
    assert result.snapshot.paths == (str(image),)
    assert sum(preads) < 4 * MIB


def test_an_image_that_is_unchanged_is_not_read(image, repository):
    """As any file."""
    repository.back_up(RawSource(image))

    assert repository.back_up(RawSource(image)).snapshot.summary.files_unmodified == 1


def test_another_name_and_size(image, repository, tmp_path):
    """What the caller says."""
    repository.back_up(RawSource(image, name="disk", size=5 * MIB + 1))

    repository.restore("latest", tmp_path / "target")

    content = (tmp_path / "target/disk").read_bytes()
    assert content == image.read_bytes()[: 5 * MIB + 1]


def test_a_link_to_it_is_followed(image, repository, tmp_path):
    """Devices are named by links that tell which one it is."""
    (tmp_path / "by-id").symlink_to(image)

    result = repository.back_up(RawSource(tmp_path / "by-id"))

    ((path, node),) = entries(repository, result.snapshot)
    assert (path, node.size) == (b"by-id", SIZE)


@pytest.mark.parametrize("size", [0, 1000, 512 << 10])
def test_a_small_image(repository, tmp_path, size):
    """It is nothing special."""
    (tmp_path / "image").write_bytes(b"x" * size)
    repository.back_up(RawSource(tmp_path / "image"))

    assert repository.restore("latest", RawTarget(tmp_path / "new")).problems == []

    assert (tmp_path / "new").read_bytes() == b"x" * size


def test_what_is_no_device(repository, tmp_path):
    """It is named."""
    result = repository.back_up(RawSource(tmp_path))

    reason = "it is neither a block device nor a file"
    assert result.unreadable == (Unreadable(os.fsencode(tmp_path), reason),)


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "a\0b"])
def test_a_name_that_is_none(image, name):
    """It is refused."""
    with pytest.raises(InvalidSpecError, match="is no name of a file"):
        RawSource(image, name=name)


def test_a_root_has_no_name():
    """Then one must be given."""
    with pytest.raises(InvalidSpecError, match="'/' is no name"):
        RawSource("/")


def test_a_size_below_zero(image):
    """It is refused."""
    with pytest.raises(InvalidSpecError, match="-1 is below zero"):
        RawSource(image, size=-1)


# --- targets ----------------------------------------------------------------------------


def test_a_new_image_has_the_holes(image, repository, tmp_path):
    """What is nothing but zeros is not written."""
    repository.back_up(RawSource(image))

    restored = repository.restore("latest", RawTarget(tmp_path / "new"))

    assert (restored.problems, restored.files) == ([], 1)
    assert (tmp_path / "new").read_bytes() == image.read_bytes()
    assert (tmp_path / "new").stat().st_blocks * 512 < 20 * MIB


@pytest.mark.parametrize("size", [1000, SIZE, SIZE + 77 * MIB])
def test_an_image_that_is_there(image, repository, tmp_path, size):
    """It has the content and the size of what was restored, whatever it had before."""
    repository.back_up(RawSource(image))
    there = tmp_path / "there"
    with there.open("wb") as file:
        file.truncate(size)
        for offset in range(0, size, 7 * MIB):
            file.seek(offset)
            file.write(b"old" * 100)

    assert repository.restore("latest", RawTarget(there)).problems == []

    assert there.read_bytes() == image.read_bytes()


def test_what_is_right_is_not_written_again(image, repository, tmp_path):
    """A restore goes on where it was; holes are not even read."""
    repository.back_up(RawSource(image))
    there = tmp_path / "there"
    repository.restore("latest", RawTarget(there))
    with there.open("r+b") as file:
        file.seek(100)
        file.write(b"changed")

    restored = repository.restore("latest", RawTarget(there))

    assert 0 < restored.written <= 8 * MIB
    assert there.read_bytes() == image.read_bytes()
    assert repository.restore("latest", RawTarget(there)).written == 0


def test_a_snapshot_of_many_files(repository, tmp_path):
    """Nobody knows which one is meant: nothing is written at all."""
    source, there = tmp_path / "source", tmp_path / "there"
    source.mkdir()
    for name in ("a", "b"):
        (source / name).write_text(name)
    (source / "link").symlink_to("a")
    there.write_text("mine")
    repository.back_up(DirectorySource(source, base=source))

    problems = repository.restore("latest", RawTarget(there)).problems

    assert there.read_text() == "mine"
    assert {problem.path for problem in problems} == {b"a", b"b", b"link"}
    assert "more than one file" in problems[-1].reason


def test_a_file_below_directories(image, repository, tmp_path):
    """They are passed over."""
    repository.back_up(image)

    assert repository.restore("latest", RawTarget(tmp_path / "new")).problems == []

    assert (tmp_path / "new").read_bytes() == image.read_bytes()


def test_a_target_that_is_a_directory(image, repository, tmp_path):
    """It stays, and is named."""
    repository.back_up(RawSource(image))

    (problem,) = repository.restore("latest", RawTarget(tmp_path)).problems

    assert "neither a block device nor a file" in problem.reason


def test_a_full_disk(image, repository, tmp_path, monkeypatch):
    """No half image is left where there was none; one that was there stays."""
    repository.back_up(RawSource(image))
    (tmp_path / "there").write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kbackup.repository._raw_target.os.pwrite", full)
    for name in ("new", "there"):
        (problem,) = repository.restore("latest", RawTarget(tmp_path / name)).problems
        assert problem.reason == "No space left on device"

    assert not (tmp_path / "new").exists()
    assert (tmp_path / "there").exists()


# --- block devices ----------------------------------------------------------------------


def test_a_device(image, repository, attach, tmp_path):
    """It is read to its end, each time, and restored onto another one."""
    device = attach(image)
    first = repository.back_up(RawSource(device, name="disk"))
    with image.open("r+b") as file:
        file.seek(10 * MIB)
        file.write(b"changed")
    subprocess.run(["blockdev", "--flushbufs", device], timeout=60, check=True)
    second = repository.back_up(RawSource(device, name="disk"))
    blank = tmp_path / "blank"
    with blank.open("wb") as file:
        file.truncate(SIZE + MIB)
        file.seek(SIZE)
        file.write(b"behind")
    other = attach(blank)

    restored = repository.restore("latest", RawTarget(other))
    again = repository.restore("latest", RawTarget(other))

    ((path, node),) = entries(repository, first.snapshot)
    assert (path, node.type, node.size) == (b"disk", "file", SIZE)
    assert second.snapshot.summary.files_changed == 1
    assert (restored.problems, again.problems, again.written) == ([], [], 0)
    assert blank.read_bytes()[:SIZE] == image.read_bytes()
    assert blank.read_bytes()[SIZE:].rstrip(b"\0") == b"behind"


def test_a_device_that_is_too_small(image, repository, attach, tmp_path):
    """Nothing is written to it."""
    repository.back_up(RawSource(image))
    small = tmp_path / "small"
    small.write_bytes(b"mine".ljust(MIB))

    (problem,) = repository.restore("latest", RawTarget(attach(small))).problems

    assert problem.reason == f"the device has {MIB} bytes, which is less than {SIZE}"
    assert small.read_bytes().startswith(b"mine")


def test_a_device_has_one_file_and_no_names(tmp_path):
    """Nothing is linked, listed or removed, and what is there stays."""
    (tmp_path / "image").write_bytes(b"mine")
    target = RawTarget(tmp_path / "image")

    assert target.others(b"", ()) == ()
    for refused in (
        lambda: target.link(b"second", b"first"),
        lambda: target.remove(b"first"),
    ):
        with pytest.raises(OSError, match="device"):
            refused()
    assert (tmp_path / "image").read_bytes() == b"mine"


def test_what_was_given_up_is_given_up_again(tmp_path):
    """Without a file that was begun nothing is open, and nothing goes."""
    (tmp_path / "image").write_bytes(b"mine")

    RawTarget(tmp_path / "image").drop(b"first")

    assert (tmp_path / "image").read_bytes() == b"mine"
