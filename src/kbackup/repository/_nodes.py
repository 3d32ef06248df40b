"""Nodes: what is recorded of a file, a directory or anything else that has a name.

A node is the very JSON that lies in a tree, so that encoding one is a single call: names
as Go quotes them, times as texts, IDs in hexadecimal; properties give the values. What
is not known here is passed over: nodes that others wrote are never written again, only
what their files hold. Called by `_trees` and by whoever reads or makes files.
Source: restic ``doc/design.rst``, "Trees and Data"; Go ``os.FileMode``, ``strconv.Quote``.
"""

from __future__ import annotations

import enum
import functools
import re
import stat
from collections.abc import Sequence
from typing import Any

import msgspec

from kbackup.repository._go_printable import is_printed
from kbackup.repository._ids import BlobID, parse_id
from kbackup.repository._times import parse_nanoseconds


class NodeType(enum.StrEnum):
    """What a node is."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    BLOCK_DEVICE = "dev"
    CHARACTER_DEVICE = "chardev"
    FIFO = "fifo"
    SOCKET = "socket"
    IRREGULAR = "irregular"


class ExtendedAttribute(msgspec.Struct, frozen=True):
    """One extended attribute; without a value, None."""

    name: str
    value: bytes | None


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is recorded of one name in a directory. The order of members is Go's.

    Attributes:
        quoted_name: The name as Go quotes it; `name` gives its bytes.
        type: One of `NodeType`, or what a newer program writes.
        mode: Bits of Go's ``os.FileMode``; `posix_mode` gives those of the system.
        mtime: RFC 3339 with nanoseconds; also `atime`, `ctime`.
        device_id: On which device it lay; hard links have it and the inode in common.
        links: How many names it had.
        linktarget: Of a symlink; where it is no UTF-8, `linktarget_raw` has its bytes.
        device: Which device it is.
        content: The data blobs of a file in hexadecimal, in their order.
        subtree: The tree of a directory in hexadecimal.
    """

    quoted_name: str = msgspec.field(name="name")
    type: str
    mode: int = 0
    mtime: str
    atime: str
    ctime: str
    uid: int
    gid: int
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: str = ""
    linktarget_raw: bytes = b""
    extended_attributes: Sequence[ExtendedAttribute] = ()
    generic_attributes: dict[str, Any] = {}
    device: int = 0
    content: Sequence[str] | None
    subtree: str = ""
    error: str = ""

    @property
    def name(self) -> bytes:
        """The name as the system has it."""
        return unquote(self.quoted_name)

    @property
    def target(self) -> bytes:
        """Where a symlink points."""
        return self.linktarget_raw or self.linktarget.encode()

    @property
    def mtime_ns(self) -> int:
        """When its content was changed: nanoseconds since 1970."""
        return parse_nanoseconds(self.mtime)

    @property
    def atime_ns(self) -> int:
        """When it was read, if that was recorded: nanoseconds since 1970."""
        return parse_nanoseconds(self.atime)

    @property
    def posix_mode(self) -> int:
        """Permissions with set-user-ID, set-group-ID and sticky, as `os.chmod` takes it."""
        return to_posix_mode(self.mode)

    @property
    def shared_inode(self) -> tuple[int, int] | None:
        """Device and inode of what has several names, and the same ones by each of them.

        None: it has one name, or nobody knows its inode, and so its other names.
        """
        return (self.device_id, self.inode) if self.links > 1 and self.inode else None

    @property
    def blobs(self) -> list[BlobID]:
        """The data blobs of a file, in their order."""
        return [BlobID(bytes.fromhex(each)) for each in self.content or ()]

    @property
    def tree(self) -> BlobID:
        """The tree of a directory."""
        return BlobID(parse_id(self.subtree))


def link_target(target: bytes) -> tuple[str, bytes]:
    """Return `Node.linktarget` and `Node.linktarget_raw` of a symlink."""
    try:
        return target.decode(), b""
    except UnicodeDecodeError:
        return target.decode(errors="replace"), target


# --- modes ----------------------------------------------------------------------------

_GO_TYPES = {
    stat.S_IFREG: (NodeType.FILE, 0),
    stat.S_IFDIR: (NodeType.DIRECTORY, 1 << 31),
    stat.S_IFLNK: (NodeType.SYMLINK, 1 << 27),
    stat.S_IFBLK: (NodeType.BLOCK_DEVICE, 1 << 26),
    stat.S_IFCHR: (NodeType.CHARACTER_DEVICE, 1 << 26 | 1 << 21),
    stat.S_IFIFO: (NodeType.FIFO, 1 << 25),
    stat.S_IFSOCK: (NodeType.SOCKET, 1 << 24),
}
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))
_PERMISSIONS = 0o777
_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@functools.lru_cache(maxsize=1 << 12)  # there are few, and many files of each
def to_go_mode(mode: int) -> tuple[NodeType, int]:
    """Return type and bits of ``st_mode`` as Go has them."""
    kind, bits = _GO_TYPES.get(stat.S_IFMT(mode), (NodeType.IRREGULAR, 1 << 19))
    bits |= mode & _PERMISSIONS
    if mode & _SPECIAL:
        for posix, go in _GO_BITS:
            bits |= go if mode & posix else 0
    return kind, bits


def to_posix_mode(mode: int) -> int:
    """Return permissions and special bits of Go's mode, as the system has them."""
    bits = mode & _PERMISSIONS
    for posix, go in _GO_BITS:
        bits |= posix if mode & go else 0
    return bits


# --- names ----------------------------------------------------------------------------

_PLAIN = re.compile(rb"[ !#-\[\]-~]*")  # what nothing in it is escaped of
_LETTERS = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
_LETTERS |= {ord('"'): '\\"', ord("\\"): "\\\\"}
_BACK = {text[1]: bytes((number,)) for number, text in _LETTERS.items()}
_ESCAPE = re.compile(
    r"\\(?:(?P<letter>[abtnvfr\"\\])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"
    r"|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8}))"
)
_LAST_BYTE, _LAST_SHORT = 0x7F, 0xFFFF


def quote(name: bytes) -> str:
    r"""Return a name as Go quotes it, without the quotes: bytes that are no UTF-8 ``\xff``.

    A name with a sign that is newer than `is_printed` knows is written in another way than
    a newer Go has it, and read back all the same.
    """
    if _PLAIN.fullmatch(name):
        return name.decode()
    return "".join(map(_quoted, name.decode(errors="surrogateescape")))


def _quoted(sign: str) -> str:
    number = ord(sign)
    if letter := _LETTERS.get(number):
        return letter
    if "\udc80" <= sign <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{number & 0xFF:02x}"
    if is_printed(sign):
        return sign
    if number <= _LAST_BYTE:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _LAST_SHORT else f"\\U{number:08x}"


def unquote(text: str) -> bytes:
    """Return the bytes of a name that Go quoted.

    Raises:
        ValueError: It is none.
    """
    if "\\" not in text:
        return text.encode()
    parts: list[bytes] = []
    at = 0
    while (found := text.find("\\", at)) >= 0:
        parts.append(text[at:found].encode())
        match = _ESCAPE.match(text, found)
        if match is None:
            raise ValueError(f"{text[found : found + 10]!r} is no escape of Go's")
        parts.append(_unescaped(match))
        at = match.end()
    parts.append(text[at:].encode())
    return b"".join(parts)


def _unescaped(match: re.Match[str]) -> bytes:
    if letter := match["letter"]:
        return _BACK[letter]
    if match["byte"]:
        return bytes.fromhex(match["byte"])
    if match["octal"]:
        return bytes((int(match["octal"], 8),))
    return chr(int(match["four"] or match["eight"], 16)).encode()
