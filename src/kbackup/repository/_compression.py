"""zstd, as repositories of version 2 use it. Called by blobs and documents.

Source: restic ``doc/design.rst``, "Unpacked Data Format" and "Pack Format".
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Sequence

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
        return self._compressor().compress(plain)

    def compress_all(self, plains: list[Bytes]) -> Sequence[Bytes]:
        """Return a frame of each, every one inflated again and found right.

        Of many small ones that takes a fraction of the time, and hardly any of it with
        the interpreter's lock held.

        Raises:
            IntegrityError: One does not inflate as it was.
        """
        frames = self._compressor().multi_compress_to_buffer(plains)
        packed = [_view(frames[number]) for number in range(len(frames))]
        again = self._decompressor().multi_decompress_to_buffer(frames)
        for number, plain in enumerate(plains):
            # Not as views, which are compared byte by byte: a copy is ten times as fast.
            if again[number].tobytes() != plain:
                raise IntegrityError("blob", "what was compressed does not inflate")
        return packed

    def _compressor(self) -> zstandard.ZstdCompressor:
        local = self._local
        compressor: zstandard.ZstdCompressor | None
        compressor = getattr(local, "compressor", None)
        if compressor is None:
            compressor = zstandard.ZstdCompressor(level=self._level)
            local.compressor = compressor
        return compressor

    def inflate(self, packed: Bytes, limit: int, what: str) -> bytes:
        """Return what a frame holds.

        Args:
            packed: One whole frame.
            limit: Bytes; what holds more is not inflated.
            what: How messages name it.

        Raises:
            IntegrityError: It is no frame, or holds more.
        """
        try:
            # The size in the header counts for the library, whatever it is told.
            stated = zstandard.frame_content_size(packed)
            if stated > limit:
                raise IntegrityError(what, f"it inflates to more than {limit} bytes")
            if stated == 0:
                return b""
            plain = self._decompressor().decompress(packed, max_output_size=limit)
        except zstandard.ZstdError as exc:
            raise IntegrityError(what, "it cannot be inflated") from exc
        return plain

    def inflate_all(
        self, frames: Sequence[tuple[str, Bytes, int]]
    ) -> list[Bytes | IntegrityError]:
        """Inflate frames of known sizes; of one that has another, say so in its place.

        Args:
            frames: How messages name each, the frame, and how many bytes are in it.
        """
        try:
            if len(frames) > 1 and all(map(_states_its_size, frames)):
                many = [frame for _, frame, _ in frames]
                found = self._decompressor().multi_decompress_to_buffer(many)
                return [found[number].tobytes() for number in range(len(found))]
        except zstandard.ZstdError:
            pass  # one of them is damaged: which, is found below
        return [self._inflated(*each) for each in frames]

    def _inflated(self, what: str, frame: Bytes, size: int) -> Bytes | IntegrityError:
        try:
            plain = self.inflate(frame, size, what)
        except IntegrityError as exc:
            return exc
        if len(plain) != size:
            return IntegrityError(what, f"{len(plain)} bytes instead of {size}")
        return plain

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        local = self._local
        decompressor: zstandard.ZstdDecompressor | None
        decompressor = getattr(local, "decompressor", None)
        if decompressor is None:
            decompressor = local.decompressor = zstandard.ZstdDecompressor()
        return decompressor


def _states_its_size(named: tuple[str, Bytes, int]) -> bool:
    _, frame, size = named
    stated: int = zstandard.frame_content_size(frame)
    return stated == size


def _view(segment: object) -> memoryview:
    """The bytes of a part of a buffer, which its type does not say it has."""
    return memoryview(segment)  # type: ignore[arg-type] # it is C code
