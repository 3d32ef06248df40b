"""Blobs come back as they were, or are named as damaged."""

import os

import pytest
import zstandard

from kbackup.errors import IntegrityError, SealBrokenError
from kbackup.repository._blobs import BlobCodec
from kbackup.repository._compression import Compression, Zstd
from kbackup.repository._ids import BlobType, hash_of

TEXT = b"some text that is said again and again; " * 500


@pytest.mark.parametrize("kind", BlobType)
@pytest.mark.parametrize(
    "plain",
    [b"", b"x", TEXT, os.urandom(5000)],
    ids=["nothing", "little", "text", "random"],
)
def test_a_blob_comes_back(key, version, kind, plain):
    """Whatever is in it."""
    codec = BlobCodec(key, version)
    blob = codec.seal(kind, plain)

    assert codec.open(hash_of(plain), blob.sealed, blob.plain_size) == plain


@pytest.mark.parametrize(
    ("compression", "kind", "compressed"),
    [
        (Compression.AUTO, BlobType.DATA, True),
        (Compression.MAX, BlobType.DATA, True),
        (Compression.OFF, BlobType.DATA, False),
        (Compression.OFF, BlobType.TREE, True),
    ],
)
def test_what_is_compressed(key, compression, kind, compressed):
    """Data as asked for; trees always, as restic has it."""
    blob = BlobCodec(key, 2, compression).seal(kind, TEXT)

    assert blob.plain_size == (len(TEXT) if compressed else 0)
    assert (len(blob.sealed) < len(TEXT)) is compressed


def test_the_first_version_compresses_nothing(key):
    """Its programs could not read it."""
    codec = BlobCodec(key, 1, Compression.MAX)

    assert {codec.seal(kind, TEXT).plain_size for kind in BlobType} == {0}


def test_what_gets_no_smaller_stays_plain(key):
    """Random bytes are not inflated for nothing each time they are read."""
    assert BlobCodec(key, 2).seal(BlobType.DATA, os.urandom(5000)).plain_size == 0


def test_another_blob_is_not_taken_for_it(key):
    """A blob that opens and is not the one asked for is damage."""
    codec = BlobCodec(key, 2)
    blob = codec.seal(BlobType.DATA, TEXT)

    with pytest.raises(IntegrityError, match="blob 00000000: damaged: its bytes"):
        codec.open(bytes(32), blob.sealed, blob.plain_size)


@pytest.mark.parametrize("size", [len(TEXT) - 1, len(TEXT) + 1])
def test_a_wrong_size_is_found(key, size):
    """What the index says and what is there must agree."""
    codec = BlobCodec(key, 2)
    blob = codec.seal(BlobType.DATA, TEXT)

    with pytest.raises(IntegrityError, match=r"instead of|more than"):
        codec.open(hash_of(TEXT), blob.sealed, size)


@pytest.mark.parametrize("step", ["inflate", "unseal"])
def test_a_machine_that_makes_mistakes_is_found(key, monkeypatch, step):
    """What was compressed and sealed is opened before anybody relies on it."""
    codec = BlobCodec(key, 2)
    if step == "unseal":
        monkeypatch.setattr(key, "unseal", lambda *_: TEXT)
    else:
        again = zstandard.ZstdDecompressor().multi_decompress_to_buffer
        wrong = again([zstandard.ZstdCompressor().compress(TEXT[::-1])])
        monkeypatch.setattr(codec._zstd, "_decompressor", lambda: Wrong(wrong))

    with pytest.raises(IntegrityError, match=r"does not (open as it was|inflate)"):
        codec.seal(BlobType.DATA, TEXT)


class Wrong:
    """Inflates everything to the same."""

    def __init__(self, plain):
        self.multi_decompress_to_buffer = lambda _: plain


def test_every_flipped_bit_is_found(key):
    """Nothing that was altered is ever given back."""
    codec = BlobCodec(key, 2)
    sealed, size = codec.seal(BlobType.DATA, b"x" * 100)

    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBrokenError):
            codec.open(hash_of(b"x" * 100), broken, size)


def test_a_frame_without_its_size_is_read():
    """Others write such."""
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)

    assert Zstd().inflate(packed, len(TEXT), "it") == TEXT


def test_a_bomb_is_not_inflated():
    """Whatever a frame says of itself, the limit holds."""
    packed = zstandard.ZstdCompressor().compress(bytes(1 << 24))

    with pytest.raises(IntegrityError, match="more than 1000 bytes"):
        Zstd().inflate(packed, 1000, "it")


def test_nothing_is_inflated_to_nothing():
    """A frame may hold nothing at all."""
    assert Zstd().inflate(zstandard.ZstdCompressor().compress(b""), 10, "it") == b""


def test_one_frame_of_many_that_is_damaged():
    """It is told which; the others are inflated."""
    plains = [TEXT, TEXT[::-1], TEXT * 2]
    frames = [Zstd().compress(plain) for plain in plains]
    frames[1] = frames[1][:-1]
    named = [
        (f"blob {number}", frame, len(plain))
        for number, (frame, plain) in enumerate(zip(frames, plains, strict=True))
    ]

    first, second, third = Zstd().inflate_all(named)

    assert (first, third) == (plains[0], plains[2])
    assert isinstance(second, IntegrityError)
    assert second.thing == "blob 1"
