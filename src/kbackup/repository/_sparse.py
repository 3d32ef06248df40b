"""Files with holes: where a file has nothing, nothing is read, and zeros are given.

Where the system does not tell of holes, all is taken for data. Called by sources, which
read such files, and by targets, which leave holes where zeros are.
Source: Linux ``lseek(2)``, "Seeking file data and holes".
"""

from __future__ import annotations

import errno
import functools
import os

from kbackup.repository._ids import Bytes, hash_of

ZEROS = bytes(8 << 20)
"""As many as the largest chunk has."""

_VIEW = memoryview(ZEROS)
_BLOCK = 512  # bytes, of ``st_blocks``
_UNTOLD = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def may_have_holes(status: os.stat_result) -> bool:
    """Whether a file has less on the disk than it has bytes; a compressed one has, too."""
    return status.st_blocks * _BLOCK < status.st_size


def is_zeros(plain: Bytes) -> bool:
    """Whether there is nothing in it; asked of every piece, nearly all of which have."""
    if not plain or plain[0] or plain[-1] or plain[len(plain) // 2]:
        return False
    if len(plain) > len(ZEROS):
        return not any(plain)
    return bytes(plain) == (ZEROS if len(plain) == len(ZEROS) else _VIEW[: len(plain)])


@functools.lru_cache(maxsize=1 << 8)
def hash_of_zeros(size: int) -> bytes | None:
    """Return the name of a blob of zeros; None: it would be larger than any chunk."""
    return hash_of(_VIEW[:size]) if size <= len(ZEROS) else None


def next_data(descriptor: int, offset: int) -> int | None:
    """Return where the next data begins, at *offset* or behind; None: nowhere.

    Changes the position in the file.
    """
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return None
        if exc.errno in _UNTOLD:
            return offset
        raise


class SparseFile:
    """A content that has holes, while it is read from its beginning; closes the file.

    It keeps `HoleyReader`: no read goes over the edge of a hole.

    Args:
        descriptor: The file, or a device.
        size: Bytes that are read at most; None: to the end, wherever that is by then.
    """

    def __init__(self, descriptor: int, size: int | None = None) -> None:
        self._descriptor, self._size = descriptor, size
        self._at = 0
        self._edge = 0  # up to where it is known whether this is a hole
        self._is_hole = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Read on, up to 8 MiB, or give zeros; see `Reader.readinto`."""
        self._look()
        view = buffer[: self._left(min(len(buffer), len(ZEROS)))]
        if self._is_hole:
            view[:] = _VIEW[: len(view)]
            done = len(view)
        else:
            done = os.preadv(self._descriptor, (view,), self._at)
        self._at += done
        return done

    def hole(self) -> int:
        """How many zeros come next that need not be read; see `HoleyReader.hole`."""
        self._look()
        return self._left(self._edge) if self._is_hole else 0

    def skip_hole(self) -> int:
        """Pass over them, and return how many; see `HoleyReader.skip_hole`."""
        size = self.hole()
        self._at += size
        return size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _left(self, most: int) -> int:
        """How many of so many bytes come before the edge, and before the end."""
        end = self._edge if self._size is None else min(self._edge, self._size)
        return max(0, min(most, end - self._at))

    def _look(self) -> None:
        """Find the edge of the data, or of the hole, in which the reading stands."""
        if self._at < self._edge:
            return
        data = next_data(self._descriptor, self._at)
        if data is None:  # to the end, which may be right here
            self._edge = os.fstat(self._descriptor).st_size
            self._is_hole = True
        elif data > self._at:
            self._edge, self._is_hole = data, True
        else:
            self._edge, self._is_hole = self._end_of_data(), False

    def _end_of_data(self) -> int:
        try:
            return os.lseek(self._descriptor, self._at, os.SEEK_HOLE)
        except OSError as exc:
            if exc.errno not in _UNTOLD:
                raise
            return os.lseek(self._descriptor, 0, os.SEEK_END)
