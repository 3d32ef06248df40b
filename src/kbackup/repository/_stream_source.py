"""A stream as what is backed up: one file, such as what a database dumps into a pipe.

It is read once, to its end; how large it is shows only then.
Source: restic ``doc/040_backup.rst``, "Reading data from stdin".
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from kbackup.errors import InvalidSpecError
from kbackup.repository._chunker import Reader
from kbackup.repository._nodes import Node, NodeType, quote, to_go_mode
from kbackup.repository._sources import Found, Item
from kbackup.repository._times import format_nanoseconds
from kbackup.repository._users import group_name, user_name

_FILE, _DIRECTORY = 0o100644, 0o040755  # as restic has them
_UNKNOWN = 1 << 62  # larger than any that the parent has, so that it is read


class StreamSource:
    """One file with what a stream holds; owner and time are this process's and now.

    Args:
        stream: Reads bytes; it stays open.
        path: Where the file lies in the snapshot, from the root.

    Raises:
        InvalidSpecError: The path names no file.
    """

    def __init__(self, stream: Reader, path: str = "stdin") -> None:
        clean = os.path.normpath(f"/{path}").lstrip("/")
        if not clean or path.endswith("/") or "\0" in clean:
            raise InvalidSpecError([f"{path!r} is no name for a file"])
        self.paths: Sequence[str] = (f"/{clean}",)
        self.excludes: Sequence[str] = ()
        self._stream, self._path = stream, os.fsencode(clean)

    def walk(self) -> Iterator[Found]:
        """Yield the directories above the file, and the file; see `Source.walk`."""
        now = format_nanoseconds(time.time_ns())
        *above, _ = self._path.split(b"/")
        for depth in range(1, len(above) + 1):
            path = b"/".join(above[:depth])
            yield Item(path, _node(path, _DIRECTORY, now))
        yield Item(
            self._path, _node(self._path, _FILE, now), lambda: _Opened(self._stream)
        )


class _Opened:
    """The stream while it is read."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read on; see `OpenedFile.readinto`."""
        return self._stream.readinto(buffer)

    def close(self) -> None:
        """Leave it open: it is somebody else's."""


def _node(path: bytes, mode: int, now: str) -> Node:
    kind, bits = to_go_mode(mode)
    is_file = kind is NodeType.FILE
    uid, gid = os.getuid(), os.getgid()
    return Node(
        quoted_name=quote(path.rpartition(b"/")[2]),
        type=kind,
        mode=bits,
        mtime=now,
        atime=now,
        ctime=now,
        uid=uid,
        gid=gid,
        user=user_name(uid),
        group=group_name(gid),
        size=_UNKNOWN if is_file else 0,
        content=[] if is_file else None,
    )
