"""Streams that count, hash, limit and compress what passes through them."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast


def _optional(module: str) -> Any:
    """Import *module*, or return None where it is not installed."""
    try:
        return import_module(module)
    except ImportError:  # pragma: no cover - depends on the platform
        return None


# A C library without wheels for a few platforms; zlib does the same, slower.
_igzip = _optional("isal.igzip")
_igzip_lib = _optional("isal.igzip_lib")
_inflate = _optional("isal.isal_zlib") or zlib

_BLOCK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header and check


class Readable(Protocol):
    """The one method of an input that is read from its beginning to its end."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes, and none at the end only."""
        ...


class Writable(Protocol):
    """The one method of an output that these writers need."""

    def write(self, data: bytes, /) -> int:
        """Take all of *data*."""
        ...


class NullWriter:
    """Takes bytes and keeps none: for what only reads, hashes or counts."""

    def write(self, data: bytes, /) -> int:
        """Take *data*."""
        return len(data)


class HashingWriter(io.RawIOBase):
    """Pass bytes on and know their number and SHA-256.

    Attributes:
        size: Bytes passed so far.
    """

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override] # bytes are enough
        """Hash, count and pass on *data*."""
        self._hash.update(data)
        self.size += len(data)
        self._out.write(data)
        return len(data)

    @property
    def sha256(self) -> str:
        """The digest of what has passed, 64 hexadecimal digits."""
        return self._hash.hexdigest()


class LimitedReader(io.RawIOBase):
    """Read at most a number of bytes from a source; one more is an error.

    Args:
        source: Where the bytes come from.
        limit: Bytes that may be read in all.
        error: Makes the exception raised when the source holds more.
    """

    def __init__(
        self, source: BinaryIO, limit: int, error: Callable[[int], Exception]
    ) -> None:
        self._source = source
        self._limit = limit
        self._left = limit
        self._error = error

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # Buffer
        """Fill *buffer* as far as the source goes."""
        data = self._source.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise self._error(self._limit)
        buffer[: len(data)] = data
        return len(data)


def sha256_of(source: BinaryIO) -> str:
    """Return the SHA-256 of the rest of *source*, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def gzip_writer(out: Writable, *, level: int | None = None) -> BinaryIO:
    """Return a stream that writes gzip to *out*, without name and time in its header.

    Level 2 of isal and level 6 of zlib give about the same size; isal took a third of
    the time on archives of Secrets.
    """
    make, usual = (gzip.GzipFile, 6) if _igzip is None else (_igzip.IGzipFile, 2)
    stream = make(
        filename="",
        mode="wb",
        compresslevel=usual if level is None else level,
        fileobj=cast("BinaryIO", out),
        mtime=0,
    )
    return cast("BinaryIO", stream)


def gzip_reader(source: BinaryIO) -> BinaryIO:
    """Return a stream of the plain bytes of the gzip in *source*.

    Reading raises `OSError`, `EOFError` or `zlib.error` where the gzip is damaged; see
    `GZIP_ERRORS`.
    """
    module = _igzip if _igzip is not None else gzip
    opener = module.IGzipFile if _igzip is not None else gzip.GzipFile
    return cast("BinaryIO", opener(fileobj=source, mode="rb"))


def inflater() -> Any:
    """Return what inflates one gzip member, as `zlib.decompressobj` does."""
    return _inflate.decompressobj(wbits=_GZIP)


GZIP_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    *([_igzip_lib.IsalError] if _igzip_lib is not None else []),
)
"""What a damaged gzip raises while it is read."""


def compress(*data: bytes, level: int | None = None) -> bytes:
    """Return *data*, one after the other, as one gzip member."""
    out = io.BytesIO()
    with gzip_writer(out, level=level) as stream:
        for part in data:
            stream.write(part)
    return out.getvalue()


def decompress(data: bytes, *, limit: int, error: Callable[[int], Exception]) -> bytes:
    """Return the plain bytes of a gzip; more than *limit* of them is *error*."""
    stream = LimitedReader(gzip_reader(io.BytesIO(data)), limit, error)
    return stream.readall() or b""
