"""Cuts of files: where they fall depends on the bytes around them, and on a secret.

The same bytes are cut the same way wherever they stand, so that what two files have in
common is stored once. The cuts are FastCDC's, not restic's own: readers need not care,
and a file that both tools save is stored by each in its own pieces.
Source: restic ``doc/design.rst``, "Backups and Deduplication"; W. Xia et al., "The Design
of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

from pyfastcdc.cy import FastCDC  # its slow twin in Python cuts one file in minutes

SMALLEST_CHUNK = 512 << 10
LARGEST_CHUNK = 8 << 20
# Its mean is this and the smallest together: the 1 MiB that restic's have.
_AVERAGE = 512 << 10
_SEED = (1 << 63) - 1  # all 64 bits overflow in pyfastcdc 0.3


class Reader(Protocol):
    """What is cut: as `io.RawIOBase` reads, where fewer bytes are not yet the end."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill *buffer* from its beginning; return how far, 0 at the end."""
        ...


class Chunker:
    """Cuts one stream after the other; used by one thread.

    Args:
        polynomial: The repository's secret. The cuts depend on 63 bits of a hash of it,
            so that their lengths do not tell which well-known files are in there.
    """

    def __init__(self, polynomial: int) -> None:
        digest = hashlib.sha256(polynomial.to_bytes(8, "big")).digest()
        self._cutter = FastCDC(
            avg_size=_AVERAGE,
            min_size=SMALLEST_CHUNK,
            max_size=LARGEST_CHUNK,
            seed=int.from_bytes(digest[:8], "big") & _SEED,
        )

    def cut(self, source: Reader) -> Iterator[memoryview]:
        """Yield the chunks of a stream; each is good until the next is asked for."""
        for chunk in self._cutter.cut_stream(source):
            yield chunk.data
