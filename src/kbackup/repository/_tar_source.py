"""A tar stream as what is backed up: read once, forward only, as it comes.

The names in a tar stand in any order, some of them twice, and some of the directories that
they lie in nowhere: nothing is known to be complete before the end, so that all nodes are
in memory until then, about 1 kB for each name. Used where there is no file system to walk,
as behind a `tar` that runs in a container.
Source: POSIX ``pax``, "pax Interchange Format"; GNU tar manual, "Appendix D Tar Internals".
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import IO, BinaryIO, Self

from kbackup.errors import ArchiveCorruptError, InvalidSpecError
from kbackup.repository._acl import RECORDS, acl_value
from kbackup.repository._ids import hash_of
from kbackup.repository._nodes import (
    ExtendedAttribute,
    Node,
    NodeType,
    link_target,
    quote,
    to_go_mode,
)
from kbackup.repository._sources import (
    Dropped,
    Found,
    Item,
    Link,
    Unreadable,
)
from kbackup.repository._times import format_nanoseconds

_XATTR = "SCHILY.xattr."
_READ = 64 << 10  # bytes that are asked of the stream at once
_SECOND = 1_000_000_000
_MOST_NUMBER = (1 << 32) - 1  # of users, groups and devices: restic reads no larger one
_INODE = (1 << 63) - 1
_MADE = 0o755
_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_MOST_HEADER = 16 << 20  # bytes: all extended attributes of one file
_DAMAGED = (
    tarfile.TarError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    RecursionError,
)
_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.CONTTYPE: stat.S_IFREG,
    tarfile.GNUTYPE_SPARSE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


class TarSource:
    """What a tar stream holds, not compressed; keeps `Source`.

    - A directory that the stream does not name, or not yet, has mode 0755, and owner and
      time of the first entry that lies in it.
    - Of a name that comes twice the later one counts, as when a tar is extracted; a file
      does not take the place of a directory.
    - Hard links get an inode of their own, made of their names; other files have none,
      and are read whatever the parent has: nothing in a tar tells that one is unchanged.
    - The time of the last change of a node is that of its content.
    - An access control list that names somebody whom this system does not know is told
      as unreadable; the rest of what has it is saved.
    - A name that is absolute or leads out with ``..`` is not saved but told as unreadable.

    Args:
        stream: Read to the end mark, in parts of 64 KiB, and left open.
        paths: What the snapshot says was saved; by them the next one finds its parent.
    """

    def __init__(self, stream: BinaryIO, *, paths: Sequence[str]) -> None:
        self.paths: Sequence[str] = tuple(paths)
        self.excludes: Sequence[str] = ()
        self._stream: BinaryIO | None = stream
        self._directories = {b""}
        self._others: set[bytes] = set()
        self._first: dict[bytes, bytes] = {}  # by another name of a file its first one
        self._links: dict[bytes, list[bytes]] = {}  # the other way round

    def walk(self) -> Iterator[Found]:
        """Yield all there is; see `Source.walk`. Each content is read as it is yielded.

        Raises:
            InvalidSpecError: The stream was read already.
            ArchiveCorruptError: It ends early, is damaged, or cannot be read.
        """
        if self._stream is None:
            raise InvalidSpecError(["the tar stream was read already"])
        stream, self._stream = self._stream, None
        for archive, info in _members(stream):
            try:
                path = _path(info.name)
                if path:  # the root is no node
                    yield from self._told(archive, info, path)
            except ValueError as exc:
                yield Unreadable(_bytes(info.name), str(exc))
        for first in list(self._links):
            yield from self._links_of(first)

    def _told(
        self, archive: tarfile.TarFile, info: tarfile.TarInfo, path: bytes
    ) -> Iterator[Found]:
        """Yield what one member is; raise `ValueError` where it cannot be saved."""
        meant = self._other(info) if info.islnk() else _node(info, path)
        if meant == path:
            return  # its own name once more
        yield from self._make_above(info, path)
        is_directory = info.isdir()
        if path in self._directories and not is_directory:
            raise ValueError("a directory is in its place")
        if path in self._others:
            yield from self._forget(path)
        (self._directories if is_directory else self._others).add(path)
        if isinstance(meant, bytes):
            self._first[path] = meant
            self._links.setdefault(meant, []).append(path)
            return
        is_file = meant.type == NodeType.FILE
        opener = partial(_Member, archive, info) if is_file else None
        yield Item(path, meant, opener)
        for reason in _lost_lists(info):
            yield Unreadable(path, reason)

    def _make_above(self, info: tarfile.TarInfo, path: bytes) -> Iterator[Found]:
        """Yield the directories that something lies in and that did not come yet."""
        names = path.split(b"/")
        for depth in range(1, len(names)):
            above = b"/".join(names[:depth])
            if above in self._others:
                raise ValueError(f"{above.decode(errors='replace')} is no directory")
            if above not in self._directories:
                self._directories.add(above)
                made = tarfile.TarInfo()
                made.type, made.mode = tarfile.DIRTYPE, _MADE
                made.uid, made.gid = info.uid, info.gid
                made.uname, made.gname = info.uname, info.gname
                made.mtime = info.mtime
                if mtime := info.pax_headers.get("mtime"):
                    made.pax_headers = {"mtime": mtime}
                yield Item(above, _node(made, above))

    # --- hard links -----------------------------------------------------------------------

    def _other(self, info: tarfile.TarInfo) -> bytes:
        """The first name of what a hard link is to."""
        other = _path(info.linkname)
        other = self._first.get(other, other)
        if other not in self._others:
            shown = other.decode(errors="replace")
            raise ValueError(f"it is another name of {shown}, which is not there")
        return other

    def _links_of(self, first: bytes) -> Iterator[Found]:
        """Yield the other names of a file: no more will come."""
        names = self._links.pop(first, [])
        digest = hash_of(b"\0".join([first, *names]))
        inode = int.from_bytes(digest[:8], "big") & _INODE or 1
        for name in names:
            del self._first[name]
            yield Link(name, first, inode, 1 + len(names))

    def _forget(self, path: bytes) -> Iterator[Found]:
        """Make room for a name that comes once more; its other names stay what they are."""
        self._others.discard(path)
        first = self._first.pop(path, None)
        if first is not None:
            self._links[first].remove(path)
            if not self._links[first]:
                del self._links[first]
            return
        yield from self._links_of(path)
        yield Dropped(path)


class _Member:
    """The content of one file, which is what comes next in the stream."""

    def __init__(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._name = info.name
        self._file: IO[bytes] | None = archive.extractfile(info)

    def readinto(self, buffer: memoryview, /) -> int:
        """Read on; see `OpenedFile.readinto`. A stream that fails ends the whole walk."""
        try:
            return self._file.readinto(buffer) if self._file else 0  # type: ignore[attr-defined]
        except (tarfile.TarError, OSError) as exc:
            raise _corrupt(exc, self._name) from exc

    def close(self) -> None:
        """Let go of it; what was not read is passed over."""
        self._file = None


class _StrictInfo(tarfile.TarInfo):
    """A header; one that is damaged is not taken for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a block; what would be read into memory as a whole is bounded."""
        info = super().frombuf(buf, encoding, errors)
        most = _MOST_HEADER if info.type in _HEADERS else info.size
        if not 0 <= info.size <= most:
            raise tarfile.ReadError(f"a size of {info.size} bytes cannot be")
        return info

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next header."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as exc:
            raise tarfile.ReadError(f"no end mark: {exc}") from exc


def _members(
    stream: BinaryIO,
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each header, with the archive while it stands at the content."""
    name = ""
    try:
        with tarfile.open(
            fileobj=stream,
            mode="r|",
            bufsize=_READ,
            tarinfo=_StrictInfo,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # kept for nobody
                name = info.name
                yield archive, info
    except _DAMAGED as exc:
        raise _corrupt(exc, name) from exc


def _corrupt(exc: Exception, name: str) -> ArchiveCorruptError:
    shown = _bytes(name).decode(errors="backslashreplace")
    where = f"in or after {shown}" if shown else "at its beginning"
    return ArchiveCorruptError(f"the tar stream cannot be read {where}: {exc}")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _text(text: str) -> str:
    """Return a text without what is no UTF-8, which JSON has no place for."""
    return _bytes(text).decode(errors="replace")


def _path(name: str) -> bytes:
    """Return where a member lies; raise `ValueError` where that is outside."""
    raw = _bytes(name)
    if raw.startswith(b"/"):
        raise ValueError("its name is absolute")
    names = [each for each in raw.split(b"/") if each not in {b"", b"."}]
    if b".." in names:
        raise ValueError("its name leads out of the archive")
    if b"\0" in raw:
        raise ValueError("its name is none")
    return b"/".join(names)


def _node(info: tarfile.TarInfo, path: bytes) -> Node:
    """What is recorded of a member; raise `ValueError` where that cannot be."""
    if info.type not in _KINDS:
        raise ValueError(f"it is of the unknown type {info.type!r}")
    if not (0 <= info.uid <= _MOST_NUMBER and 0 <= info.gid <= _MOST_NUMBER):
        raise ValueError(f"its owner {info.uid}:{info.gid} is none")
    kind, mode = to_go_mode(_KINDS[info.type] | stat.S_IMODE(info.mode))
    changed = format_nanoseconds(_mtime(info))
    is_device = kind in {NodeType.BLOCK_DEVICE, NodeType.CHARACTER_DEVICE}
    is_link = kind is NodeType.SYMLINK
    target, raw = link_target(_bytes(info.linkname)) if is_link else ("", b"")
    has_links = kind is NodeType.FILE or is_link or is_device
    return Node(
        quoted_name=quote(path.rpartition(b"/")[2]),
        type=kind,
        mode=mode,
        mtime=changed,
        atime=changed,
        ctime=changed,
        uid=info.uid,
        gid=info.gid,
        user=_text(info.uname),
        group=_text(info.gname),
        size=info.size if kind is NodeType.FILE else 0,
        links=1 if has_links else 0,
        linktarget=target,
        linktarget_raw=raw,
        extended_attributes=_attributes(info),
        device=_device(info) if is_device else 0,
        content=[] if kind is NodeType.FILE else None,
    )


def _mtime(info: tarfile.TarInfo) -> int:
    """Return when it was changed: nanoseconds since 1970, which no float holds."""
    try:
        seconds = Decimal(info.pax_headers.get("mtime") or info.mtime)
        return int((seconds * _SECOND).to_integral_value())
    except (ArithmeticError, ValueError):
        return 0


def _device(info: tarfile.TarInfo) -> int:
    major, minor = info.devmajor, info.devminor
    if not (0 <= major <= _MOST_NUMBER and 0 <= minor <= _MOST_NUMBER):
        raise ValueError(f"its device {major}:{minor} is none")
    return os.makedev(major, minor)


def _attributes(info: tarfile.TarInfo) -> Sequence[ExtendedAttribute]:
    found = {
        _text(key.removeprefix(_XATTR)): _bytes(value)
        for key, value in info.pax_headers.items()
        if key.startswith(_XATTR)
    }
    for name, text in _lists(info).items():
        with suppress(ValueError):  # told apart
            found.setdefault(name, acl_value(text))
    return [ExtendedAttribute(name, value) for name, value in found.items()] or ()


def _lists(info: tarfile.TarInfo) -> Mapping[str, str]:
    """The access control lists of a member, by the name of the attribute."""
    records = info.pax_headers
    return {name: records[key] for name, key in RECORDS.items() if key in records}


def _lost_lists(info: tarfile.TarInfo) -> Iterator[str]:
    """Why an access control list is not in what was made of a member."""
    for name, text in _lists(info).items():
        if _XATTR + name in info.pax_headers:
            continue
        try:
            acl_value(text)
        except ValueError as exc:
            yield str(exc)
