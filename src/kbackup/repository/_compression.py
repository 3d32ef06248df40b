"""zstd, as repositories of version 2 use it. Called by blobs and documents.

Source: restic ``doc/design.rst``, "Unpacked Data Format" and "Pack Format".
"""

from __future__ import annotations

import enum
import threading

import zstandard

from kbackup.errors import IntegrityError
from kbackup.repository._ids import Bytes


class Compression(enum.StrEnum):
    """How hard blobs are compressed that are written now."""

    AUTO = "auto"
    OFF = "off"
    MAX = "max"


_LEVELS = {Compression.AUTO: 1, Compression.OFF: 1, Compression.MAX: 11}


class Zstd:
    """Compresses and inflates; may be used by many threads.

    Args:
        compression: How hard; `Compression.OFF` is for who asks first.
    """

    def __init__(self, compression: Compression = Compression.AUTO) -> None:
        self._level = _LEVELS[compression]
        self._local = threading.local()

    def compress(self, plain: Bytes) -> bytes:
        """Return one frame, which states the size of what is in it."""
        local = self._local
        compressor = getattr(local, "compressor", None)
        if compressor is None:
            compressor = zstandard.ZstdCompressor(level=self._level)
            local.compressor = compressor
        packed: bytes = compressor.compress(plain)
        return packed

    def inflate(self, packed: Bytes, limit: int, what: str) -> bytes:
        """Return what a frame holds.

        Args:
            packed: One whole frame.
            limit: Bytes; what holds more is not inflated.
            what: How messages name it.

        Raises:
            IntegrityError: It is no frame, or holds more.
        """
        local = self._local
        decompressor = getattr(local, "decompressor", None)
        if decompressor is None:
            decompressor = local.decompressor = zstandard.ZstdDecompressor()
        try:
            # The size in the header counts for the library, whatever it is told.
            stated = zstandard.frame_content_size(packed)
            if stated > limit:
                raise IntegrityError(what, f"it inflates to more than {limit} bytes")
            if stated == 0:
                return b""
            plain: bytes = decompressor.decompress(packed, max_output_size=limit)
        except zstandard.ZstdError as exc:
            raise IntegrityError(what, "it cannot be inflated") from exc
        return plain
