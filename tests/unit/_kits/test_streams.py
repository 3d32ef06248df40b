"""Streams count, hash, limit and compress what passes."""

import gzip
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.streams import (
    GZIP_ERRORS,
    HashingWriter,
    LimitedReader,
    compress,
    decompress,
    gzip_reader,
    gzip_writer,
    sha256_of,
)


@given(st.lists(st.binary(max_size=100)))
def test_hashing_writer(parts):
    """Size and digest are those of all bytes, which all arrive."""
    out = io.BytesIO()
    writer = HashingWriter(out)

    for part in parts:
        writer.write(part)

    whole = b"".join(parts)
    assert out.getvalue() == whole
    assert (writer.size, writer.sha256) == (
        len(whole),
        hashlib.sha256(whole).hexdigest(),
    )
    assert sha256_of(io.BytesIO(whole)) == writer.sha256


@given(st.binary(max_size=5000))
def test_gzip_is_read_by_the_standard_library(data):
    """What is compressed here, gzip decompresses, and the other way round."""
    assert gzip.decompress(compress(data)) == data
    assert gzip_reader(io.BytesIO(gzip.compress(data))).read() == data


def test_gzip_header_tells_nothing():
    """The header holds neither a name nor a time, so equal input gives equal bytes."""
    packed = compress(b"x")

    assert packed[3] == 0
    assert packed[4:8] == bytes(4)


@pytest.mark.parametrize("cut", [5, 15, -9, -1])
def test_truncated_gzip_is_an_error(cut):
    """A gzip that ends early raises one of the errors that readers catch."""
    packed = compress(bytes(range(256)) * 50)[:cut]

    with pytest.raises(GZIP_ERRORS):
        gzip_reader(io.BytesIO(packed)).read()


def test_flipped_gzip_is_an_error():
    """A gzip with one bit turned raises one of the errors that readers catch."""
    packed = bytearray(compress(bytes(range(256)) * 50))
    packed[-6] ^= 1  # in the checksum

    with pytest.raises(GZIP_ERRORS):
        gzip_reader(io.BytesIO(bytes(packed))).read()


def test_limited_reader():
    """Up to the limit everything is read; one byte more is the caller's error."""
    assert LimitedReader(io.BytesIO(b"12345"), 5, ValueError).readall() == b"12345"

    with pytest.raises(ValueError, match="4"):
        LimitedReader(io.BytesIO(b"12345"), 4, ValueError).readall()


def test_decompress_is_bounded():
    """A small gzip that would fill the memory is refused while it is read."""
    bomb = compress(bytes(1_000_000))

    with pytest.raises(OverflowError):
        decompress(bomb, limit=10_000, error=OverflowError)


def test_writer_streams():
    """Bytes written in pieces are one gzip."""
    out = io.BytesIO()

    with gzip_writer(out) as stream:
        stream.write(b"ab")
        stream.write(b"cd")

    assert gzip.decompress(out.getvalue()) == b"abcd"
