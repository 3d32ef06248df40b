"""Cuts of files: where they fall depends on the bytes around them, and on a secret.

The same bytes are cut the same way wherever they stand, so that what two files have in
common is stored once. The cuts are FastCDC's, not restic's own: readers need not care,
and a file that both tools save is stored by each in its own pieces.
Source: restic ``doc/design.rst``, "Backups and Deduplication"; W. Xia et al., "The Design
of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from pyfastcdc.cy import FastCDC  # its slow twin in Python cuts one file in minutes

from kbackup.repository._sparse import ZEROS

SMALLEST_CHUNK = 512 << 10
LARGEST_CHUNK = 8 << 20
# Its mean is this and the smallest together: the 1 MiB that restic's have.
_AVERAGE = 512 << 10
_SEED = (1 << 63) - 1  # all 64 bits overflow in pyfastcdc 0.3
_LARGE_HOLE = 2 * LARGEST_CHUNK  # bytes: smaller ones are cut as anything else


class Reader(Protocol):
    """What is cut: as `io.RawIOBase` reads, where fewer bytes are not yet the end."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill *buffer* from its beginning; return how far, 0 at the end."""
        ...


@runtime_checkable
class HoleyReader(Reader, Protocol):
    """A content that knows of zeros which need not be read; no read goes over an edge."""

    def hole(self) -> int:
        """How many zeros come next; 0: none, or nothing is known of any."""
        ...

    def skip_hole(self) -> int:
        """Pass over them; return how many that were."""
        ...


class Chunker:
    """Cuts one stream after the other; used by one thread.

    Args:
        polynomial: The repository's secret. The cuts depend on 63 bits of a hash of it,
            so that their lengths do not tell which well-known files are in there.
    """

    def __init__(self, polynomial: int) -> None:
        self._zeros: memoryview | None = None
        digest = hashlib.sha256(polynomial.to_bytes(8, "big")).digest()
        self._cutter = FastCDC(
            avg_size=_AVERAGE,
            min_size=SMALLEST_CHUNK,
            max_size=LARGEST_CHUNK,
            seed=int.from_bytes(digest[:8], "big") & _SEED,
        )

    def cut(self, source: Reader) -> Iterator[memoryview]:
        """Yield the chunks of a stream; each is good until the next is asked for.

        In a large hole nothing is read or cut: the chunks are views of `ZEROS`, and the
        same ones as if the zeros had been read.
        """
        if not isinstance(source, HoleyReader):
            yield from self._cut(source)
            return
        zeros = 0  # that stand before what is read next
        while True:
            if source.hole() >= _LARGE_HOLE:
                zeros += source.skip_hole()
            while zeros >= LARGEST_CHUNK:
                chunk = self._chunk_of_zeros()
                yield chunk
                zeros -= len(chunk)
            part = _UpToHole(source, zeros)
            at = 0
            for chunk in self._cut(part):
                yield chunk
                at += len(chunk)
                if at >= part.hole_at:
                    break
            else:
                return
            zeros = part.given - at

    def _cut(self, source: Reader) -> Iterator[memoryview]:
        for chunk in self._cutter.cut_stream(source):
            yield chunk.data

    def _chunk_of_zeros(self) -> memoryview:
        """The chunk that begins where nothing but zeros comes: it is always the same."""
        if self._zeros is None:
            size = next(iter(self._cutter.cut_buf(ZEROS))).length
            self._zeros = memoryview(ZEROS)[:size]
        return self._zeros


class _UpToHole:
    """A content from where a chunk begins up to some way into the next large hole.

    There it ends, as far behind the edge as a chunk may reach that begins before it: all
    chunks that begin before the edge are those of the whole content.

    Args:
        source: The content.
        zeros: How many come before it.

    Attributes:
        given: Bytes that were read of this.
        hole_at: Where in it the hole begins, once that is known.
    """

    def __init__(self, source: HoleyReader, zeros: int) -> None:
        self._source, self._zeros = source, zeros
        self.given = 0
        self.hole_at: float = math.inf

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read on; see `Reader.readinto`."""
        if self._zeros:
            size = min(len(buffer), self._zeros)
            buffer[:size] = memoryview(ZEROS)[:size]
            self._zeros -= size
        else:
            size = self._read(buffer)
        self.given += size
        return size

    def _read(self, buffer: memoryview) -> int:
        if self.hole_at is math.inf and self._source.hole() >= _LARGE_HOLE:
            self.hole_at = self.given
        if self.hole_at is not math.inf:
            buffer = buffer[: int(self.hole_at) + LARGEST_CHUNK - self.given]
        return self._source.readinto(buffer) or 0 if buffer else 0
