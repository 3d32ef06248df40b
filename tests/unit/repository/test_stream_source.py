"""A stream is saved as one file, whatever comes out of it and however."""

import io
import os

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.repository import MemoryBackend, Repository, ScryptParameters, StreamSource

CHEAP = ScryptParameters(n=2, r=1, p=1)


class Dripping(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe does."""

    def __init__(self, content, most):
        self._content, self._most = io.BytesIO(content), most

    def readable(self):
        """It is."""
        return True

    def readinto(self, buffer):
        """Give a little at a time."""
        return self._content.readinto(memoryview(buffer)[: self._most])


@pytest.fixture
def repository():
    """An empty one in memory."""
    with Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP) as opened:
        yield opened


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("most", [1 << 16, 1 << 23], ids=["dripping", "at once"])
def test_what_is_in_it(repository, tmp_path, size, most):
    """Every byte comes back, and the snapshot tells how many there were."""
    content = os.urandom(size)

    result = repository.back_up(StreamSource(Dripping(content, most)))

    assert result.snapshot.paths == ("/stdin",)
    assert result.snapshot.summary.total_bytes_processed == size
    repository.restore("latest", tmp_path)
    assert (tmp_path / "stdin").read_bytes() == content
    assert (tmp_path / "stdin").stat().st_mode == 0o100644


def test_it_stays_open(repository):
    """Whoever gave it may go on with it."""
    stream = io.BytesIO(b"text")

    repository.back_up(StreamSource(stream))

    assert not stream.closed


def test_a_path(repository, tmp_path):
    """Directories above it are made."""
    source = StreamSource(io.BytesIO(b"text"), "/db/../db/all/dump.sql")

    repository.back_up(source)

    assert source.paths == ("/db/all/dump.sql",)
    repository.restore("latest", tmp_path)
    assert (tmp_path / "db/all/dump.sql").read_bytes() == b"text"
    assert (tmp_path / "db/all").stat().st_mode == 0o040755


def test_the_same_again(repository):
    """It is read, follows the one before, and what is the same is stored once."""
    first = repository.back_up(StreamSource(io.BytesIO(b"text" * 1000))).snapshot
    second = repository.back_up(StreamSource(io.BytesIO(b"text" * 1000))).snapshot

    assert second.parent == first.id
    assert second.summary.files_changed == 1
    assert second.summary.data_blobs == 0


def test_a_stream_that_fails(repository):
    """The file is told as unreadable, and is not there by half."""

    class Failing(io.RawIOBase):
        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    result = repository.back_up(StreamSource(Failing()))

    assert [each.reason for each in result.unreadable] == ["Input/output error"]
    assert result.snapshot.summary.total_files_processed == 0


@pytest.mark.parametrize("path", ["", "/", "..", "db/", "a\0b"])
def test_no_name(path):
    """A directory is no file."""
    with pytest.raises(InvalidSpecError, match="no name for a file"):
        StreamSource(io.BytesIO(), path)
