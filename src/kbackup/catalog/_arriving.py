"""A temporary file that one thread reads while another one still writes it."""

from __future__ import annotations

import errno
import io
import threading
from typing import BinaryIO


class ArrivingFile(io.RawIOBase):
    """What is written here is read from the beginning, by a thread that waits for it.

    Seeking moves the reader only; the end is where it is once `end` was called. Closed by
    any thread it ends the waiting of the others, which fail as those do that come later.

    Args:
        file: Empty, and unbuffered: bytes that arrived are read at once. It is closed
            with this one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read_from = self._arrived = 0
        self._ended = False
        # Entered without the condition, whose own way in is Python: an interrupt there,
        # once it has the lock, keeps it for ever.
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override] # bytes are enough
        """Append all of *data*; raises `OSError` where this was closed."""
        with self._lock:
            self._require_open()
            self._file.seek(self._arrived)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._arrived += len(data)
            self._moved.notify_all()
        return len(data)

    def end(self) -> None:
        """Say that no more will come, for whatever reason."""
        with self._lock:
            self._ended = True
            self._moved.notify_all()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Read from *offset* on, which is counted from the beginning."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("the end is not known yet")
        self._read_from = offset
        return offset

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # Buffer
        """Fill *buffer*, waiting for what it takes; less of it only at the end.

        Raises:
            OSError: It failed, or this was closed.
        """
        with self._lock:
            until = self._read_from + len(buffer)
            self._moved.wait_for(lambda: self._ended or self._arrived >= until)
            self._require_open()
            self._file.seek(self._read_from)
            data = self._file.read(min(len(buffer), self._arrived - self._read_from))
        buffer[: len(data)] = data
        self._read_from += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file below, but not under a thread that reads or writes it."""
        with self._lock:
            self._ended = True
            super().close()
            self._moved.notify_all()
            self._file.close()

    def _require_open(self) -> None:
        """Refuse the file below: its number may be another file's by now."""
        if self.closed:
            raise OSError(errno.EBADF, "the file was closed")
