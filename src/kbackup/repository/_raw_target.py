"""A block device or an image of one that the one file of a snapshot is restored to.

What is right in it already is not written again, and what lies behind the file on a larger
device stays. Owner, mode and times are left as they are: a device is not the file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from kbackup.repository._ids import Bytes
from kbackup.repository._nodes import Node
from kbackup.repository._sparse import is_zeros, may_have_holes
from kbackup.repository._targets import Piece, has_piece, has_piece_sparsely

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o600


class RawTarget:
    """Restores one file onto a device or a file; keeps `Target`.

    Directories on the way to the file are passed over. Where a snapshot has more than one
    file nothing is written at all, as nobody knows which one is meant.

    Args:
        path: Of a block device, which must be large enough, and which nothing may have
            mounted; or of a file, which is made if it is missing, and has the size of
            what was restored afterwards. Links to it are followed.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = os.fsencode(Path(path).absolute())
        self._descriptor = -1
        self._files = 0  # that were begun
        self._is_device = self._is_new = False

    def enter(self, path: bytes, node: Node) -> None:
        """Pass over a directory; see `Target.enter`."""

    def leave(self, path: bytes, node: Node) -> None:
        """Pass over a directory; see `Target.leave`."""

    def make(self, path: bytes, node: Node) -> None:  # noqa: ARG002 - of others
        """Refuse whatever is no file; see `Target.make`."""
        raise OSError(errno.EINVAL, f"a {node.type} cannot be restored to a device")

    def link(self, path: bytes, other: bytes) -> None:  # noqa: ARG002 - of others
        """Refuse a second name; see `Target.link`."""
        raise OSError(errno.EINVAL, "a device has no second name")

    def begin(
        self,
        path: bytes,  # noqa: ARG002 - of others
        node: Node,
        pieces: Sequence[Piece],
    ) -> Sequence[Piece]:
        """Find out what it lacks; see `Target.begin`."""
        self._files += 1
        self._require_one()
        self._open()
        try:
            return self._lacking(node, pieces)
        except BaseException:
            self._close()
            raise

    def write(self, path: bytes, offset: int, plain: Bytes) -> None:  # noqa: ARG002
        """Write a piece; zeros of a new file are left out, so that it has holes."""
        self._require_one()
        if self._is_new and is_zeros(plain):
            return
        view = memoryview(plain)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def finish(self, path: bytes, node: Node) -> None:  # noqa: ARG002 - of others
        """Bring everything to the disk; see `Target.finish`."""
        self._require_one()
        try:
            if not self._is_device:
                os.ftruncate(self._descriptor, node.size)
            os.fsync(self._descriptor)
        finally:
            self._close()

    def drop(self, path: bytes) -> None:  # noqa: ARG002 - of others
        """Give up; a device keeps what was written. See `Target.drop`."""
        self._close()
        if self._is_new:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def others(self, path: bytes, names: Collection[bytes]) -> Sequence[bytes]:  # noqa: ARG002
        """Return nothing: there is no directory; see `Target.others`."""
        return ()

    def remove(self, path: bytes) -> None:  # noqa: ARG002 - of others
        """Refuse it; see `Target.remove`."""
        raise OSError(errno.EINVAL, "nothing can be removed from a device")

    # --- inside -------------------------------------------------------------------------

    def _require_one(self) -> None:
        if self._files > 1:
            raise OSError(errno.EINVAL, "the snapshot has more than one file")

    def _open(self) -> None:
        """Open it; the system refuses a device that is mounted."""
        try:
            mode = os.stat(self._path).st_mode
        except FileNotFoundError:
            flags = _OPEN | os.O_CREAT | os.O_EXCL
            self._descriptor = os.open(self._path, flags, _MODE)
            self._is_new = True
            return
        self._is_device = stat.S_ISBLK(mode)
        if not self._is_device and not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is neither a block device nor a file")
        flags = _OPEN | os.O_EXCL if self._is_device else _OPEN
        self._descriptor = os.open(self._path, flags)

    def _lacking(self, node: Node, pieces: Sequence[Piece]) -> Sequence[Piece]:
        if self._is_new:
            return pieces
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if self._is_device and size < node.size:
            reason = f"the device has {size} bytes, which is less than {node.size}"
            raise OSError(errno.ENOSPC, reason)
        is_sparse = may_have_holes(os.fstat(self._descriptor)) or size < node.size
        has = has_piece_sparsely if is_sparse and not self._is_device else has_piece
        return [piece for piece in pieces if not has(self._descriptor, piece)]

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
