"""Directories as what is backed up: everything below them that has a name.

Nothing is followed out of them, and nothing is changed. Sockets are passed over: they are
nothing without the process that made them, and restic cannot restore them.
Source: restic ``doc/design.rst``, "Trees and Data".
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from kbackup._kits.words import first_few
from kbackup.errors import InvalidSpecError, SourceNotFoundError
from kbackup.repository._excludes import Excludes
from kbackup.repository._nodes import (
    ExtendedAttribute,
    Node,
    NodeType,
    link_target,
    quote,
    to_go_mode,
)
from kbackup.repository._sources import (
    Complete,
    Found,
    Item,
    OpenedFile,
    Unreadable,
)
from kbackup.repository._sparse import SparseFile, may_have_holes
from kbackup.repository._times import format_nanoseconds
from kbackup.repository._users import group_name, user_name

# NONBLOCK: what was a file a moment ago may be a FIFO that nobody writes.
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_UNTOUCHED = getattr(os, "O_NOATIME", 0)  # only of one's own files
_LARGE = 16 << 20  # bytes: in smaller files it is quicker to read the holes
_WITH_LINKS = {
    NodeType.FILE,
    NodeType.SYMLINK,
    NodeType.BLOCK_DEVICE,
    NodeType.CHARACTER_DEVICE,
}
_DEVICES = {NodeType.BLOCK_DEVICE, NodeType.CHARACTER_DEVICE}
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSYS}


class DirectorySource:
    """Files and directories, each under its whole path.

    Args:
        paths: What is backed up. Relative ones are taken from the current directory, and
            ``..`` is resolved by the names alone, as restic does.
        base: Names are those from this directory on: the snapshot has nothing of the
            path to it. Everything in *paths* must lie in it, or be it.
        one_file_system: Pass over what is mounted below *paths*.
        excludes: What is left out, also what lies in it.
        select: Asked for each path as the system has it, with the node: whether it is
            saved, and what lies below it. Without it everything is.

    Raises:
        InvalidSpecError: A path lies elsewhere, or there is none.
    """

    def __init__(
        self,
        *paths: Path | str,
        base: Path | str | None = None,
        one_file_system: bool = False,
        excludes: Excludes | None = None,
        select: Callable[[bytes, Node], bool] | None = None,
    ) -> None:
        if not paths:
            raise InvalidSpecError(["there is nothing to back up: no path is given"])
        roots = sorted(set(map(_clean, paths)))
        self.paths: Sequence[str] = tuple(str(root) for root in roots)
        self._base = Path("/") if base is None else _clean(base)
        self._roots = [root for root in roots if not _is_below_any(root, roots)]
        for root in self._roots:
            if not root.is_relative_to(self._base):
                raise InvalidSpecError([f"{root} does not lie in {self._base}"])
        self._one_file_system = one_file_system
        self.excludes: Sequence[str] = () if excludes is None else excludes.texts
        asked = (None if excludes is None else excludes.selects, select)
        self._selects = [each for each in asked if each is not None]

    def walk(self) -> Iterator[Found]:
        """Yield all there is; see `Source.walk`.

        Raises:
            SourceNotFoundError: None of the paths is there: an empty snapshot would in
                time take the place of those that have something.
        """
        if all(map(_is_gone, self._roots)):
            raise SourceNotFoundError(first_few(self._roots))
        told: set[Path] = set()
        for root in self._roots:
            try:
                for above in reversed(root.relative_to(self._base).parents):
                    if above != Path() and above not in told:
                        yield self._alone(above)
                        told.add(above)
            except OSError as exc:  # without it nothing below it has a place
                yield Unreadable(os.fsencode(root), _reason(exc))
            else:
                yield from self._root(root)

    def _alone(self, above: Path) -> Item:
        """The directory that a root lies in: itself, and nothing of what it holds."""
        path = os.fsencode(self._base / above)
        node = node_of(path, os.path.basename(path), os.stat(path))
        return Item(os.fsencode(above), node)

    def _root(self, root: Path) -> Iterator[Found]:
        path = os.fsencode(root)
        inside = os.fsencode(root.relative_to(self._base))
        try:
            status = os.lstat(path)
            if root == self._base:
                inside = b""
            else:
                node = node_of(path, os.path.basename(path), status)
                yield Item(inside, node, _opener(path, node), path)
        except OSError as exc:
            yield Unreadable(path, _reason(exc))
            return
        if stat.S_ISDIR(status.st_mode):
            device = status.st_dev if self._one_file_system else None
            yield from self._below(path, inside, device)

    def _below(self, top: bytes, inside: bytes, device: int | None) -> Iterator[Found]:
        """Yield what lies in a directory, and at its end that it is complete."""
        waiting = [(inside, _entries(top))]
        while waiting:
            inside, entries = waiting[-1]
            found = next(entries, None)
            if found is None:
                waiting.pop()
                yield Complete(inside)
            elif isinstance(found, Unreadable):
                yield found
            elif told := self._told(found, inside):
                yield told
                if isinstance(told, Item) and told.node.type == NodeType.DIRECTORY:
                    is_other = device is not None and told.node.device_id != device
                    below = iter(()) if is_other else _entries(found.path)
                    waiting.append((told.path, below))

    def _told(
        self, entry: os.DirEntry[bytes], inside: bytes
    ) -> Item | Unreadable | None:
        """What there is under a name; None: nothing that is saved."""
        path, name = entry.path, entry.name
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISSOCK(status.st_mode):
                return None
            node = node_of(path, name, status)
        except FileNotFoundError:
            return None  # removed since it was listed
        except OSError as exc:
            return Unreadable(path, _reason(exc))
        for selects in self._selects:
            if not selects(path, node):
                return None
        below = b"%b/%b" % (inside, name) if inside else name
        return Item(below, node, _opener(path, node), path)


def node_of(path: bytes, name: bytes, status: os.stat_result) -> Node:
    """Return what is recorded of a file; of its access time, that of its last change.

    As restic does: reading a file for a backup would otherwise change it for the next.

    Raises:
        OSError: It cannot be looked at any more.
    """
    kind, mode = to_go_mode(status.st_mode)
    changed = altered = format_nanoseconds(status.st_mtime_ns)
    if status.st_ctime_ns != status.st_mtime_ns:
        altered = format_nanoseconds(status.st_ctime_ns)
    uid, gid = status.st_uid, status.st_gid
    target, raw = (
        link_target(os.readlink(path)) if kind is NodeType.SYMLINK else ("", b"")
    )
    return Node(
        quoted_name=quote(name),
        type=kind,
        mode=mode,
        mtime=changed,
        atime=changed,
        ctime=altered,
        uid=uid,
        gid=gid,
        user=user_name(uid),
        group=group_name(gid),
        inode=status.st_ino,
        device_id=status.st_dev,
        size=status.st_size if kind is NodeType.FILE else 0,
        links=status.st_nlink if kind in _WITH_LINKS else 0,
        linktarget=target,
        linktarget_raw=raw,
        extended_attributes=_attributes(path),
        device=status.st_rdev if kind in _DEVICES else 0,
        content=[] if kind is NodeType.FILE else None,
    )


def _attributes(path: bytes) -> Sequence[ExtendedAttribute]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        if not names:  # nearly always; an empty list would be written
            return ()
        return [
            ExtendedAttribute(
                # What is no UTF-8 in it has no place in JSON; restic replaces it, too.
                os.fsencode(name).decode(errors="replace"),
                os.getxattr(path, name, follow_symlinks=False),
            )
            for name in names
        ]
    except OSError as exc:
        if exc.errno in _NO_ATTRIBUTES:
            return ()
        raise


def _entries(path: bytes) -> Iterator[os.DirEntry[bytes] | Unreadable]:
    """Yield what a directory holds by name, or why it cannot be listed."""
    try:
        with os.scandir(path) as entries:
            found = sorted(entries, key=_name_of)
    except OSError as exc:
        yield Unreadable(path, _reason(exc))
    else:
        yield from found


def _name_of(entry: os.DirEntry[bytes]) -> bytes:
    return entry.name


def _opener(path: bytes, node: Node) -> Callable[[], OpenedFile] | None:
    return partial(_open_file, path) if node.type == NodeType.FILE else None


def _open_file(path: bytes) -> OpenedFile:
    """Open a file; what is none any more is not opened.

    Raises:
        OSError: It is gone, something else, or closed to this user.
    """
    try:
        descriptor = os.open(path, _OPEN | _UNTOUCHED)
    except PermissionError:
        descriptor = os.open(path, _OPEN)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file any more")
    is_large = status.st_size >= _LARGE
    if is_large and may_have_holes(status):
        return SparseFile(descriptor)
    return _OpenedFile(descriptor)


class _OpenedFile:
    """A file while it is read.

    Not `io.FileIO`, which asks the system for twice as much: of small files that counts.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readinto(self, buffer: memoryview, /) -> int:
        """Read on; see `OpenedFile.readinto`."""
        return os.readv(self._descriptor, (buffer,))

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def _is_gone(root: Path) -> bool:
    try:
        os.lstat(root)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it is there, or nobody knows
    return False


def _clean(path: Path | str) -> Path:
    """Return a path whose every part may be the name of a node."""
    return Path(os.path.abspath(path))  # `Path.absolute` leaves the dots in it


def _is_below_any(root: Path, roots: Sequence[Path]) -> bool:
    return any(other in root.parents for other in roots)


def _reason(exc: OSError) -> str:
    return exc.strerror or type(exc).__name__
