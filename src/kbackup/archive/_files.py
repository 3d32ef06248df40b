"""Reading at a position, from any thread, and temporary files that leave no name."""

from __future__ import annotations

import errno
import io
import os
import tempfile
import threading
import weakref
from pathlib import Path
from typing import BinaryIO, cast


class PositionedFile:
    """A file whose parts are read from any thread, without a shared position.

    Owns *file* and closes it, at the latest when nobody has this any more: who reads an
    archive in one ``for`` has no name for its reader.

    Attributes:
        closed: Whether it was.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        weakref.finalize(self, file.close)
        self._lock = threading.Lock()
        self.closed = False
        try:
            self._descriptor = file.fileno() if hasattr(os, "pread") else -1
        except (OSError, AttributeError):  # a stream in memory has none
            self._descriptor = -1

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to *size* bytes from *offset*; fewer only at the end.

        Raises:
            OSError: It failed, or was closed: its number may be another file's by now.
        """
        if self.closed:
            raise OSError(errno.EBADF, "the file was closed")
        if self._descriptor < 0:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(size)
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file; what was unlinked is gone then."""
        self.closed = True
        self._file.close()


class Cursor(io.RawIOBase):
    """A stream over a `PositionedFile` with a position of its own.

    Attributes:
        position: Where it reads on.
    """

    def __init__(self, file: PositionedFile) -> None:
        self._at = file
        self.position = 0

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # Buffer
        """Fill *buffer* as far as the file goes."""
        data = self._at.read_at(self.position, len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def temporary_file(directory: Path | None) -> BinaryIO:
    """Open an unlinked file that only this account can read.

    Args:
        directory: Where its blocks lie; None: the system's place for such files.
    """
    return cast("BinaryIO", tempfile.TemporaryFile(dir=directory))
