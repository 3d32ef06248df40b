"""A block device or an image of one as what is backed up: one file, as large as it is.

All of a device is read, as nothing tells what changed in it; of an image as of any file,
and what is a hole in it is not read. Whoever calls this sees to it that nothing writes
meanwhile: a snapshot of the volume, say.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from kbackup.errors import InvalidSpecError, SourceNotFoundError
from kbackup.repository._nodes import Node, NodeType, quote, to_go_mode
from kbackup.repository._sources import Found, Item, OpenedFile, Unreadable
from kbackup.repository._sparse import SparseFile
from kbackup.repository._times import format_nanoseconds
from kbackup.repository._trees import is_name
from kbackup.repository._users import group_name, user_name

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class RawSource:
    """One block device, or one file that holds what a device would; keeps `Source`.

    Args:
        path: Of it; links to it are followed, as devices are mostly named by some.
        name: Of the file in the snapshot; None: the last part of *path*.
        size: How many bytes are saved; None: all that there are.

    Raises:
        InvalidSpecError: The name is none, or the size is below zero.
    """

    def __init__(
        self, path: Path | str, *, name: str | None = None, size: int | None = None
    ) -> None:
        where = Path(path).absolute()
        self.paths: Sequence[str] = (str(where),)
        self.excludes: Sequence[str] = ()
        self._path = os.fsencode(where)
        self._name = os.fsencode(where.name if name is None else name)
        self._size = size
        if not is_name(self._name):
            raise InvalidSpecError([f"{name or str(where)!r} is no name of a file"])
        if size is not None and size < 0:
            raise InvalidSpecError([f"the size {size} is below zero"])

    def walk(self) -> Iterator[Found]:
        """Yield the one file; see `Source.walk`.

        Raises:
            SourceNotFoundError: There is none: an empty snapshot would in time take the
                place of those that have it.
        """
        try:
            node = self._node()
        except FileNotFoundError as exc:
            raise SourceNotFoundError(os.fsdecode(self._path)) from exc
        except OSError as exc:
            yield Unreadable(self._path, exc.strerror or type(exc).__name__)
        else:
            opener = partial(_open, self._path, node.size)
            yield Item(self._name, node, opener, self._path)

    def _node(self) -> Node:
        """What is recorded of it: of a device no inode, so that it is read each time."""
        status = os.stat(self._path)
        is_device = stat.S_ISBLK(status.st_mode)
        if not is_device and not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is neither a block device nor a file")
        size = _size(self._path) if is_device else status.st_size
        _, mode = to_go_mode(stat.S_IFREG | stat.S_IMODE(status.st_mode))
        now = format_nanoseconds(time.time_ns())
        changed = now if is_device else format_nanoseconds(status.st_mtime_ns)
        node = Node(
            quoted_name=quote(self._name),
            type=NodeType.FILE,
            mode=mode,
            mtime=changed,
            atime=changed,
            ctime=now if is_device else format_nanoseconds(status.st_ctime_ns),
            uid=status.st_uid,
            gid=status.st_gid,
            user=user_name(status.st_uid),
            group=group_name(status.st_gid),
            size=size if self._size is None else min(size, self._size),
            links=1,
            content=[],
        )
        if is_device:
            return node
        return replace(node, inode=status.st_ino, device_id=status.st_dev)


def _open(path: bytes, size: int) -> OpenedFile:
    return SparseFile(os.open(path, _OPEN), size)


def _size(path: bytes) -> int:
    """How many bytes a device has, which only its end tells."""
    descriptor = os.open(path, _OPEN)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
