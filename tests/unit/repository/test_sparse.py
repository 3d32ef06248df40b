"""A hole is neither read nor cut, and comes out as the zeros that it stands for."""

import errno
import io
import os
import random

import pytest
from pyfastcdc.cy import FastCDC
from pyfastcdc.py.constants import GEAR

from kbackup.repository import DirectorySource, MemoryBackend, Repository
from kbackup.repository._chunker import LARGEST_CHUNK, SMALLEST_CHUNK, Chunker
from kbackup.repository._crypto import ScryptParameters
from kbackup.repository._entries import find_node
from kbackup.repository._ids import hash_of
from kbackup.repository._sparse import (
    ZEROS,
    SparseFile,
    hash_of_zeros,
    is_zeros,
    may_have_holes,
    next_data,
)

CHEAP = ScryptParameters(n=2, r=1, p=1)
POLYNOMIAL = 0x3DA3358B4DC173
MIB = 1 << 20
# Where a file of so many MiB has data: offset and size.
LAYOUTS = {
    "a hole": (40, []),
    "data, hole": (60, [(0, 3_000_000)]),
    "hole, data": (60, [(50 * MIB, 3_000_000)]),
    "data at both ends": (60, [(0, 10), (59 * MIB, MIB)]),
    "two holes": (90, [(1000, 3_000_000), (45 * MIB + 77, 5_000_000)]),
    "a small hole": (20, [(0, MIB), (9 * MIB, 11 * MIB)]),
    "a hole and a small one": (60, [(30 * MIB, MIB), (40 * MIB, MIB)]),
    "a hole of just so many": (17, [(16 * MIB, MIB)]),
    "no whole number of chunks": (61, [(60 * MIB, 100)]),
}


@pytest.fixture(params=LAYOUTS)
def sparse(request, tmp_path):
    """A file with holes."""
    size, parts = LAYOUTS[request.param]
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size * MIB)
        for offset, length in parts:
            file.seek(offset)
            file.write(random.Random(offset).randbytes(length))  # noqa: S311 - no secret
    return path


def opened(path, **how):
    """The file, open for reading."""
    return SparseFile(os.open(path, os.O_RDONLY), **how)


def whole(reader, most):
    """All of it, so many bytes at a time."""
    parts, buffer = [], bytearray(most)
    while size := reader.readinto(memoryview(buffer)):
        parts.append(bytes(buffer[:size]))
    reader.close()
    return b"".join(parts)


@pytest.mark.parametrize("most", [100_003, 20 * MIB])
def test_it_reads_as_any_file(sparse, most):
    """Zeros where there is nothing."""
    assert may_have_holes(sparse.stat())
    assert whole(opened(sparse), most) == sparse.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 5 * MIB + 1, 1000 * MIB])
def test_only_so_many_bytes(sparse, size):
    """Or to the end, if that comes first."""
    assert whole(opened(sparse, size=size), MIB) == sparse.read_bytes()[:size]


def test_a_hole_is_passed_over(tmp_path):
    """Nothing is read of it, and no read goes over its edge."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"x" * 4096)
        file.seek(20 * MIB)
        file.write(b"y")
    reader = opened(path)
    buffer = memoryview(bytearray(MIB))

    assert (reader.hole(), reader.skip_hole()) == (0, 0)
    assert reader.readinto(buffer) == 4096
    assert reader.hole() == 20 * MIB - 4096
    assert reader.skip_hole() == 20 * MIB - 4096
    assert (reader.hole(), reader.readinto(buffer)) == (0, 1)
    assert buffer[0] == ord("y")
    assert (reader.hole(), reader.readinto(buffer)) == (0, 0)
    reader.close()


def test_a_file_that_grew_or_shrank(tmp_path):
    """It is read to where it ends by then."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(MIB)
        reader = opened(path)
        assert reader.skip_hole() == MIB
        file.seek(MIB)
        file.write(b"more")
        file.flush()
        buffer = memoryview(bytearray(MIB))
        assert reader.readinto(buffer) == 4
        file.truncate(10)
        assert reader.readinto(buffer) == 0
    reader.close()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_system_that_knows_no_holes(sparse, monkeypatch, number):
    """Then all of it is data, which is read."""
    real = os.lseek

    def seek(descriptor, offset, whence):
        if whence in {os.SEEK_DATA, os.SEEK_HOLE}:
            raise OSError(number, "not here")
        return real(descriptor, offset, whence)

    monkeypatch.setattr("kbackup.repository._sparse.os.lseek", seek)
    reader = opened(sparse)

    assert reader.hole() == 0
    assert whole(reader, MIB) == sparse.read_bytes()


def test_a_disk_that_fails(sparse, monkeypatch):
    """It is not taken for one without holes."""

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("kbackup.repository._sparse.os.lseek", fails)
    with pytest.raises(OSError, match="Input/output"):
        next_data(0, 0)
    with pytest.raises(OSError, match="Input/output"):
        opened(sparse)._end_of_data()


# --- zeros ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 1000, len(ZEROS), len(ZEROS) + 1])
def test_what_is_nothing_but_zeros(size):
    """Whatever kind of bytes they are; one other byte is enough."""
    for place in {0, size // 3, size - 1}:
        other = bytearray(size)
        other[place] = 1
        assert not is_zeros(bytes(other))
    assert is_zeros(bytes(size))
    assert is_zeros(memoryview(bytearray(size)))


def test_nothing_is_no_zeros():
    """An empty piece is no hole."""
    assert not is_zeros(b"")


def test_the_name_of_zeros():
    """Of as many as a chunk may have."""
    assert hash_of_zeros(1000) == hash_of(bytes(1000))
    assert hash_of_zeros(len(ZEROS) + 1) is None


# --- cuts -------------------------------------------------------------------------------


def cuts_at_zeros():
    """A cutter that finds a place to cut in zeros, as one in many thousands would."""
    return FastCDC(
        avg_size=512 << 10,
        min_size=SMALLEST_CHUNK,
        max_size=LARGEST_CHUNK,
        seed=GEAR[0] & ((1 << 63) - 1),
    )


@pytest.mark.parametrize("cutter", [None, cuts_at_zeros()], ids=["usual", "at zeros"])
def test_the_cuts_are_those_of_the_zeros(sparse, cutter):
    """Whether they were read or not: the same bytes, in the same chunks."""
    chunker = Chunker(POLYNOMIAL)
    if cutter is not None:
        chunker._cutter = cutter
    content = sparse.read_bytes()
    expected = [bytes(chunk) for chunk in chunker.cut(io.BytesIO(content))]

    reader = opened(sparse)
    found = [bytes(chunk) for chunk in chunker.cut(reader)]
    reader.close()

    assert b"".join(found) == content
    assert [len(chunk) for chunk in found] == [len(chunk) for chunk in expected]


def test_a_cutter_that_cuts_at_zeros():
    """The one that the test above needs is one."""
    chunks = [chunk.length for chunk in cuts_at_zeros().cut_buf(bytes(20 * MIB))]

    assert max(chunks) < MIB


# --- backups ----------------------------------------------------------------------------


@pytest.fixture
def repository():
    """A new one in memory."""
    return Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)


def content_of(repository, snapshot, name):
    """The blobs of a file in a snapshot."""
    repository._opened.refresh_index()
    return find_node(repository._opened, snapshot.tree, name).content


def test_a_hole_has_the_blobs_of_its_zeros(sparse, repository):
    """A file and a copy of it without holes are stored once."""
    dense = sparse.with_name("dense")
    dense.write_bytes(sparse.read_bytes())
    assert not may_have_holes(dense.stat())

    found = repository.back_up(DirectorySource(sparse.parent, base=sparse.parent))

    assert content_of(repository, found.snapshot, "sparse") == content_of(
        repository, found.snapshot, "dense"
    )


def test_a_large_hole_is_not_read(tmp_path, repository, monkeypatch):
    """Neither when it is saved nor when its restore is done once more."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with (source / "disk").open("wb") as file:
        file.truncate(100 << 30)
        file.seek(7 << 30)
        file.write(os.urandom(MIB))
    read = []

    def noted(real):
        def run(*given):
            done = real(*given)
            read.append(done if isinstance(done, int) else len(done))
            return done

        return run

    for name in ("readv", "preadv", "pread"):
        monkeypatch.setattr(os, name, noted(getattr(os, name)))

    saved = repository.back_up(DirectorySource(source, base=source))
    first = repository.restore("latest", target)
    again = repository.restore("latest", target)

    assert saved.snapshot.summary.total_bytes_processed == 100 << 30
    assert saved.snapshot.summary.data_blobs < 10
    assert (first.problems, again.problems, again.written) == ([], [], 0)
    assert sum(read) < 64 * MIB
    assert (target / "disk").stat().st_size == 100 << 30
    assert (target / "disk").stat().st_blocks * 512 < 32 * MIB


def test_data_in_the_place_of_a_hole_is_mended(tmp_path, repository):
    """A file that is there may have what the snapshot has not, and the other way round."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with (source / "disk").open("wb") as file:
        file.truncate(60 * MIB)
        file.seek(30 * MIB)
        file.write(b"data" * 1000)
    repository.back_up(DirectorySource(source, base=source))
    repository.restore("latest", target)
    with (target / "disk").open("r+b") as file:
        file.truncate(0)
        file.truncate(60 * MIB)
        file.seek(10 * MIB)
        file.write(b"other" * 1000)

    restored = repository.restore("latest", target)

    assert restored.problems == []
    assert 0 < restored.written < 40 * MIB
    assert (target / "disk").read_bytes() == (source / "disk").read_bytes()
