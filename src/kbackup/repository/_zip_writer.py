"""What a snapshot holds as a zip archive, for who has no tar; written once, forward only.

Files, directories and symlinks with their modes, and times to the second; a zip has no
place for the rest. Called by `_dump`.
Source: PKWARE ``APPNOTE.TXT``; Info-ZIP, "Extended Timestamp Extra Field", as restic.
"""

from __future__ import annotations

import stat
import struct
import time
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from kbackup.repository._entries import Entry, require_size
from kbackup.repository._ids import Bytes
from kbackup.repository._nodes import NodeType

_UNIX = 3
_SECOND = 1_000_000_000
_FIRST, _LAST = 315_619_200, 4_354_732_799  # the years 1980 to 2107, in seconds
_TIMESTAMP = 0x5455  # the tag of an extra field
_KINDS = {
    NodeType.FILE: stat.S_IFREG,
    NodeType.DIRECTORY: stat.S_IFDIR,
    NodeType.SYMLINK: stat.S_IFLNK,
}


class ZipWriter:
    """Writes one archive; `close` ends it.

    Args:
        stream: Where it goes; never sought in, and left open.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(cast("BinaryIO", _Forward(stream)), "w")

    def add(self, entry: Entry, content: Iterator[Bytes]) -> None:
        """Write one entry; what a zip has no kind for is passed over.

        Raises:
            IntegrityError: See `TarWriter.add`.
        """
        node = entry.node
        if node.type not in _KINDS:
            return
        info = _header(entry)
        if node.type != NodeType.FILE:
            target = node.target if node.type == NodeType.SYMLINK else b""
            self._zip.writestr(info, target)
            return
        size = 0
        with self._zip.open(info, "w") as file:
            for plain in content:
                size += file.write(plain)
        require_size(entry, size)

    def close(self) -> None:
        """Write the directory of it."""
        self._zip.close()


class _Forward:
    """A stream that is only written to: `zipfile` seeks wherever it may."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write, self.flush = stream.write, stream.flush


def _header(entry: Entry) -> zipfile.ZipInfo:
    node = entry.node
    name = entry.path.decode(errors="backslashreplace")  # a zip's names are texts
    is_directory = node.type == NodeType.DIRECTORY
    seconds = node.mtime_ns // _SECOND
    moment = time.localtime(min(max(seconds, _FIRST), _LAST))[:6]
    info = zipfile.ZipInfo(name + "/" if is_directory else name, moment)
    info.create_system = _UNIX
    info.external_attr = (_KINDS[NodeType(node.type)] | node.posix_mode) << 16
    if is_directory:
        info.external_attr |= 0x10  # what DOS calls a directory
    if node.type == NodeType.FILE:
        info.compress_type = zipfile.ZIP_DEFLATED
        info.file_size = node.size  # whether it needs the large kind of header
    info.extra = _timestamp(seconds)
    return info


def _timestamp(seconds: int) -> bytes:
    if not 0 <= seconds < 1 << 32:
        return b""
    return struct.pack("<HHBL", _TIMESTAMP, 5, 1, seconds)
