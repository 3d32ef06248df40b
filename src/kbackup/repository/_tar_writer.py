"""What a snapshot holds as a tar stream, in POSIX's pax format; written once, forward only.

Names, owners, modes, links, devices, extended attributes, and times to the nanosecond.
Sockets are left out: an archive has no kind for them. Called by `_dump`.
Source: POSIX ``pax``, "pax Interchange Format"; the headers are `tarfile`'s, whose own
streams copy what is waiting at every block. ``SCHILY.xattr.`` is what star, GNU tar and
restic call extended attributes.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from kbackup.repository._acl import RECORDS, acl_text
from kbackup.repository._entries import Entry, require_size
from kbackup.repository._ids import Bytes
from kbackup.repository._nodes import ExtendedAttribute, Node, NodeType

XATTR = "SCHILY.xattr."

_SECOND = 1_000_000_000
_TYPES = {
    NodeType.FILE: tarfile.REGTYPE,
    NodeType.DIRECTORY: tarfile.DIRTYPE,
    NodeType.SYMLINK: tarfile.SYMTYPE,
    NodeType.BLOCK_DEVICE: tarfile.BLKTYPE,
    NodeType.CHARACTER_DEVICE: tarfile.CHRTYPE,
    NodeType.FIFO: tarfile.FIFOTYPE,
}


class TarWriter:
    """Writes one archive; `close` ends it.

    Args:
        stream: Where it goes; never sought in, and left open.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0
        self._first: dict[tuple[int, int], tuple[bytes, Sequence[str] | None]] = {}

    def add(self, entry: Entry, content: Iterator[Bytes]) -> None:
        """Write one entry with what is in it; a socket is passed over.

        The second name of a file in the archive becomes a link to the first; its content
        is not asked for.

        Raises:
            IntegrityError: The content has not as many bytes as the node says. What was
                written until then is no archive.
        """
        node = entry.node
        if node.type not in _TYPES:
            return
        info = _header(entry)
        first = self._first_name(entry)
        if first is not None:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, text_of(first), 0
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if node.type == NodeType.FILE and first is None:
            before = self._written
            for plain in content:
                self._write(plain)
            require_size(entry, self._written - before)
            self._pad(tarfile.BLOCKSIZE)

    def close(self) -> None:
        """Write the end mark."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._pad(tarfile.RECORDSIZE)

    def _first_name(self, entry: Entry) -> bytes | None:
        """The name in the archive that a file has already, if it is the same file still."""
        node = entry.node
        number = node.shared_inode if node.type == NodeType.FILE else None
        if number is None:
            return None
        name, content = self._first.setdefault(number, (entry.path, node.content))
        return name if name != entry.path and content == node.content else None

    def _write(self, data: Bytes) -> None:
        self._stream.write(data)
        self._written += len(data)

    def _pad(self, block: int) -> None:
        self._write(bytes(-self._written % block))


def text_of(name: bytes) -> str:
    """Return a name as `tarfile` has it: bytes that are no UTF-8 as surrogates."""
    return name.decode(errors="surrogateescape")


def _header(entry: Entry) -> tarfile.TarInfo:
    node = entry.node
    info = tarfile.TarInfo(text_of(entry.path))
    info.type = _TYPES[NodeType(node.type)]
    info.mode = node.posix_mode
    info.uid, info.gid = node.uid, node.gid
    info.uname, info.gname = node.user, node.group
    info.size = node.size if node.type == NodeType.FILE else 0
    info.mtime = node.mtime_ns // _SECOND
    if node.type == NodeType.SYMLINK:
        info.linkname = text_of(node.target)
    if node.device:
        info.devmajor, info.devminor = os.major(node.device), os.minor(node.device)
    info.pax_headers = _records(node)
    return info


def _attribute(attribute: ExtendedAttribute) -> tuple[str, str]:
    """Return how a tar has an attribute: an access control list as a text of its own."""
    value = attribute.value or b""
    if attribute.name in RECORDS:
        with suppress(ValueError):  # one that is damaged is an attribute as any other
            return RECORDS[attribute.name], acl_text(value)
    return XATTR + attribute.name, text_of(value)


def _records(node: Node) -> dict[str, str]:
    """What a header of old has no place for."""
    records = dict(_attribute(each) for each in node.extended_attributes)
    if node.mtime_ns % _SECOND:
        sign = "-" if node.mtime_ns < 0 else ""
        seconds, rest = divmod(abs(node.mtime_ns), _SECOND)
        records["mtime"] = f"{sign}{seconds}.{rest:09d}".rstrip("0")
    return records
