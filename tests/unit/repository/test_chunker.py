"""Files are cut where their bytes say, today as ever."""

import hashlib
import io
import json
import random
from pathlib import Path

import pytest

from kbackup.repository._chunker import LARGEST_CHUNK, SMALLEST_CHUNK, Chunker
from kbackup.repository._polynomials import random_irreducible

POLYNOMIAL = 0x3DA3358B4DC173
GOLDEN = Path(__file__).parents[2] / "formats" / "restic" / "cuts.json"


def some_bytes(size, seed=1):
    """Bytes that look random and are always the same."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


class Slow:
    """Gives fewer bytes at a time than it is asked for."""

    def __init__(self, data, most):
        self._data, self._most = io.BytesIO(data), most

    def readinto(self, buffer):
        """As a pipe does."""
        return self._data.readinto(buffer[: self._most])


def cut(data, polynomial=POLYNOMIAL, source=io.BytesIO):
    """The lengths of the chunks, which together are the data."""
    chunks = [bytes(chunk) for chunk in Chunker(polynomial).cut(source(data))]
    assert b"".join(chunks) == data
    return [len(chunk) for chunk in chunks]


def test_the_cuts_are_those_of_old():
    """What is in repositories is found again only while files are cut as before."""
    golden = json.loads(GOLDEN.read_text())
    data = some_bytes(golden["size"])

    assert hashlib.sha256(data).hexdigest() == golden["sha256"]
    assert cut(data, int(golden["polynomial"], 16)) == golden["lengths"]


def test_chunks_have_the_sizes_of_restic():
    """Half a MiB to 8 MiB, about 1 MiB in the mean; the last may be shorter."""
    lengths = cut(some_bytes(40 << 20))

    assert min(lengths[:-1]) >= SMALLEST_CHUNK
    assert max(lengths) <= LARGEST_CHUNK
    assert 0.7 < sum(lengths) / len(lengths) / (1 << 20) < 1.4


@pytest.mark.parametrize("most", [100_003, 1 << 16])
def test_how_it_is_read_does_not_matter(most):
    """A slow pipe is cut as a file is."""
    data = some_bytes(4 << 20)

    assert cut(data, source=lambda data: Slow(data, most)) == cut(data)


def test_what_was_inserted_moves_the_cuts_with_it():
    """Behind it the chunks are the old ones: they are not stored again."""
    data = some_bytes(20 << 20)
    changed = data[:1000] + b"inserted" + data[1000:]

    def names(content):
        return {
            hashlib.sha256(chunk).digest()
            for chunk in Chunker(POLYNOMIAL).cut(io.BytesIO(content))
        }

    assert len(names(changed) - names(data)) <= 2


def test_another_repository_cuts_otherwise():
    """The lengths of its blobs give no well-known file away."""
    data = some_bytes(8 << 20)

    assert cut(data) != cut(data, 0x25B468838DCB75)


@pytest.mark.parametrize("size", [0, 1, SMALLEST_CHUNK])
def test_small_files_are_whole(size):
    """They are one chunk, or none where there is nothing."""
    assert cut(some_bytes(size)) == [size] * bool(size)


def test_a_hole_is_cut_into_the_largest():
    """In zeros there is nothing to cut at."""
    assert set(cut(bytes(32 << 20))) == {LARGEST_CHUNK}


def test_every_secret_gives_a_cutter():
    """Whatever the hash of a polynomial begins with."""
    for _ in range(200):
        assert cut(b"x", random_irreducible()) == [1]
