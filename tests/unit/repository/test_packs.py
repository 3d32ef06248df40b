"""Headers of packs: what is in a pack is read from it alone."""

import os
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.errors import IntegrityError, PackCorruptError, SealBrokenError
from kbackup.repository._crypto import SEAL_OVERHEAD, SecretKey
from kbackup.repository._ids import BlobType
from kbackup.repository._packs import (
    PackedBlob,
    decode_header,
    encode_header,
    read_header,
    size_of_pack,
)

KEY = SecretKey.random()


def blobs_of(*sizes):
    """Entries of blobs of these lengths, every second one compressed."""
    at, found = 0, []
    for number, size in enumerate(sizes):
        plain = size * 3 if number % 2 else 0
        kind = BlobType(number % 3 // 2)
        found.append(PackedBlob(kind, os.urandom(32), at, size, plain))
        at += size
    return tuple(found)


def pack_of(blobs, key=KEY):
    """The bytes of a pack with these."""
    return bytes(sum(blob.length for blob in blobs)) + encode_header(key, blobs)


def read(pack, key=KEY, what="pack 12"):
    """What its header says."""
    return read_header(
        key, what, len(pack), lambda offset, size: pack[offset : offset + size]
    )


@given(st.lists(st.integers(SEAL_OVERHEAD, 1 << 12), min_size=1, max_size=300))
def test_a_header_comes_back(sizes):
    """Whatever was packed, in its order, with offsets that nobody wrote down."""
    blobs = blobs_of(*sizes)
    pack = pack_of(blobs)

    assert read(pack) == blobs
    assert len(pack) == size_of_pack(blobs)


def test_the_bytes_are_those_of_the_format():
    """Type, length, length before compression if compressed, name; little-endian."""
    blobs = (
        PackedBlob(BlobType.DATA, b"a" * 32, 0, 100, 0),
        PackedBlob(BlobType.TREE, b"b" * 32, 100, 200, 0),
        PackedBlob(BlobType.DATA, b"c" * 32, 300, 300, 1000),
        PackedBlob(BlobType.TREE, b"d" * 32, 600, 400, 2000),
    )
    encoded = encode_header(KEY, blobs)
    expected = (
        b"\0" + struct.pack("<I", 100) + b"a" * 32
        + b"\1" + struct.pack("<I", 200) + b"b" * 32
        + b"\2" + struct.pack("<II", 300, 1000) + b"c" * 32
        + b"\3" + struct.pack("<II", 400, 2000) + b"d" * 32
    )  # fmt: skip

    assert KEY.unseal(encoded[:-4], "header") == expected
    assert struct.unpack("<I", encoded[-4:]) == (len(encoded) - 4,)


def test_one_read_is_enough_for_a_small_pack():
    """Its end is read before it is known how long the header is."""
    pack, reads = pack_of(blobs_of(*[5000] * 20)), []

    def counted(offset, size):
        reads.append(size)
        return pack[offset : offset + size]

    read_header(KEY, "pack", len(pack), counted)

    assert len(reads) == 1


@pytest.mark.parametrize("size", [0, 4, 36, 72])
def test_what_is_too_short(size):
    """It is no pack."""
    with pytest.raises(PackCorruptError, match=f"pack 12: .* only {size} bytes"):
        read(bytes(size))


@pytest.mark.parametrize("length", [0, 32, (1 << 32) - 1, 201, (16 << 20) + 1])
def test_an_impossible_length(length):
    """It is refused before so much is read."""
    pack = bytes(200) + struct.pack("<I", length)

    with pytest.raises(PackCorruptError, match=f"cannot have {length} bytes"):
        read(pack)


def test_a_pack_that_lost_bytes():
    """Its header is whole, and tells of more than there is."""
    pack = pack_of(blobs_of(1000, 2000))

    with pytest.raises(PackCorruptError, match="another number of bytes"):
        read(pack[1:])


def test_every_flipped_bit_of_a_header_is_found():
    """Whether in the seal or in the length behind it."""
    blobs = blobs_of(100, 100)
    pack = pack_of(blobs)

    for position in range(200 * 8, len(pack) * 8):
        broken = bytearray(pack)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(IntegrityError):
            read(bytes(broken))


def test_another_key():
    """Packs of another repository are not read."""
    with pytest.raises(SealBrokenError, match="header of pack 12"):
        read(pack_of(blobs_of(100)), SecretKey.random())


@pytest.mark.parametrize(
    ("plain", "match"),
    [
        (b"", "names no blob"),
        (b"\4" + bytes(40), "cannot be read"),
        (b"\0" + bytes(10), "cannot be read"),
        (b"\0" + struct.pack("<I", 31) + bytes(32), "31 bytes has no seal"),
    ],
)
def test_entries_that_cannot_be(plain, match):
    """Sealed as it was, and yet nonsense."""
    with pytest.raises(PackCorruptError, match=match):
        decode_header(plain, "pack 12")


@given(st.binary(max_size=400))
def test_any_bytes_end_in_our_errors(data):
    """Whatever somebody sealed."""
    with suppress(PackCorruptError):
        assert decode_header(data, "pack")
