"""A directory that a snapshot is restored to.

A file that is there is read first: what is right in it is not written again, so that a
restore which was killed goes on where it was. A file has its times only once all of it
is there; whoever sees them sees a whole file. Nothing is followed out of the directory,
and nothing is written to a file that has other names: those may lie anywhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kbackup.repository._ids import Bytes
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._sparse import is_zeros, may_have_holes
from kbackup.repository._targets import Piece, has_piece, has_piece_sparsely

_WRITE = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAKE = _WRITE | os.O_CREAT | os.O_EXCL
_MOST_OPEN = 64  # files
_LEVELS = 200  # of directories that are removed at once
_PRIVATE = 0o600  # until owner and mode are restored
_PRIVATE_DIRECTORY = 0o700
_ALL_OF_IT = os.R_OK | os.W_OK | os.X_OK
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSYS}

# What the library raises where a number is too large, or a name has a zero in it.
_IMPOSSIBLE = (OverflowError, ValueError)


class DirectoryTarget:
    """Restores to a directory.

    Args:
        root: It is made if it is missing.
        owners: Restore owners; None: where this process is root, as only that one may.
    """

    def __init__(self, root: Path | str, *, owners: bool | None = None) -> None:
        self._root = os.fsencode(Path(root).absolute())
        self._owners = os.geteuid() == 0 if owners is None else owners
        self._fresh: set[bytes] = set()  # directories that were made here: all is new
        self._new: dict[
            bytes, bool
        ] = {}  # files that were not there: whether they are now
        self._holes: set[bytes] = set()  # those of them that zeros were left out of
        self._kept: set[tuple[int, int]] = set()  # inodes of files with several names
        self._open: dict[bytes, int] = {}
        self._zeros: Bytes = b""  # the last piece of nothing else: it may come often
        self._opening = threading.Lock()

    def enter(self, path: bytes, node: Node) -> None:  # noqa: ARG002 - of others
        """Make a directory; see `Target.enter`."""
        where = self._path(path)
        try:
            os.mkdir(where, _PRIVATE_DIRECTORY)
        except FileExistsError:
            _require(where, stat.S_ISDIR)
            if not os.access(where, _ALL_OF_IT):
                # `leave` takes it again what it has not in the snapshot either.
                with suppress(PermissionError):
                    os.chmod(
                        where, os.lstat(where).st_mode & 0o7777 | _PRIVATE_DIRECTORY
                    )
        else:
            self._fresh.add(path)

    def open_root(self) -> None:
        """Make the directory itself.

        Raises:
            OSError: It cannot be made, or something else is there.
        """
        try:
            os.makedirs(self._root, _PRIVATE_DIRECTORY)
            self._fresh.add(b"")
        except FileExistsError:
            if not os.path.isdir(self._root):
                raise

    def make(self, path: bytes, node: Node) -> None:
        """Make a symlink, a device or a FIFO; see `Target.make`."""
        where = self._path(path)
        try:
            if node.type == NodeType.SYMLINK:
                os.symlink(node.target, where)
            elif node.type == NodeType.FIFO:
                os.mkfifo(where, _PRIVATE)
            elif node.type == NodeType.BLOCK_DEVICE:
                os.mknod(where, stat.S_IFBLK | _PRIVATE, node.device)
            elif node.type == NodeType.CHARACTER_DEVICE:
                os.mknod(where, stat.S_IFCHR | _PRIVATE, node.device)
            else:
                return  # a socket, say: nothing without who made it
        except FileExistsError:
            self._replace(where, path, node)
            return
        except _IMPOSSIBLE as exc:
            raise OSError(errno.EINVAL, f"no system has that: {exc}") from exc
        self._restore_metadata(where, node)

    def link(self, path: bytes, other: bytes) -> None:
        """Give a file a second name; see `Target.link`."""
        where, first = self._path(path), self._path(other)
        try:
            os.link(first, where, follow_symlinks=False)
        except FileExistsError:
            if os.path.samestat(os.lstat(where), os.lstat(first)):
                return
            _require(where, stat.S_ISREG)
            os.unlink(where)
            os.link(first, where, follow_symlinks=False)

    def begin(
        self, path: bytes, node: Node, pieces: Sequence[Piece]
    ) -> Sequence[Piece]:
        """Find out what the file that is there lacks; see `Target.begin`."""
        above = path.rpartition(b"/")[0]
        if above not in self._fresh:
            with suppress(FileNotFoundError):
                lacking = self._lacking(path, node, pieces)
                if lacking is not None:
                    return lacking
                os.unlink(self._path(path))
        self._new[path] = False
        return pieces

    def write(self, path: bytes, offset: int, plain: Bytes) -> None:
        """Write a piece; zeros of a new file are left out, so that it has holes."""
        if path in self._new and self._is_zeros(plain):
            self._holes.add(path)
            return
        descriptor = self._take(path)
        try:
            view = memoryview(plain)
            while view:
                written = os.pwrite(descriptor, view, offset)
                view, offset = view[written:], offset + written
        finally:
            self._keep(path, descriptor)

    def _is_zeros(self, plain: Bytes) -> bool:
        if plain is self._zeros:
            return True
        found = is_zeros(plain)
        if found:
            self._zeros = plain
        return found

    def finish(self, path: bytes, node: Node) -> None:
        """Restore what a file has beside its content; see `Target.finish`."""
        descriptor = self._take(path)
        try:
            if path in self._holes:
                os.truncate(descriptor, node.size)
            self._restore_metadata(descriptor, node)
        finally:
            os.close(descriptor)
        self._holes.discard(path)
        self._new.pop(path, None)

    def drop(self, path: bytes) -> None:
        """Give up a file; see `Target.drop`."""
        self._close(path)
        self._holes.discard(path)
        if self._new.pop(path, False):
            with suppress(FileNotFoundError):
                os.unlink(self._path(path))

    def leave(self, path: bytes, node: Node) -> None:
        """Restore what a directory has beside its content; see `Target.leave`."""
        self._restore_metadata(self._path(path), node)

    def others(self, path: bytes, names: Collection[bytes]) -> Sequence[bytes]:
        """Return what a directory has beside these; see `Target.others`."""
        if path in self._fresh:
            return ()
        where = self._path(path)
        if path:  # the root itself may be a link
            _require(where, stat.S_ISDIR)
            if not names and _device(where) != _device(os.path.dirname(where)):
                return ()  # the snapshot has but the place where this is mounted
        found = sorted(set(os.listdir(where)).difference(names))
        meant = {_folded(name): name for name in names} if found else {}
        return [each for each in found if not _is_one_file(where, each, meant)]

    def remove(self, path: bytes) -> None:
        """Remove something; see `Target.remove`. Nothing is followed out of it.

        Raises:
            OSError: Something is mounted in it, so that nothing was removed; or another.
        """
        where = self._path(path)
        if stat.S_ISDIR(os.lstat(where).st_mode):
            # From below, in parts: the library goes down by calling itself.
            for directory in reversed(_require_unmounted(where)):
                shutil.rmtree(directory)
        else:
            os.unlink(where)

    # --- inside -------------------------------------------------------------------------

    def _lacking(
        self, path: bytes, node: Node, pieces: Sequence[Piece]
    ) -> Sequence[Piece] | None:
        """Return what a file lacks; None: another one must take its place."""
        descriptor = _open_there(self._path(path))
        if descriptor is None:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileExistsError(errno.EEXIST, "something else is in its place")
            is_shared = status.st_nlink > 1
            if is_shared and not self._may_keep(status, node):
                return None
            os.truncate(descriptor, node.size)
            is_sparse = may_have_holes(os.fstat(descriptor))
            has = has_piece_sparsely if is_sparse else has_piece
            lacking = [piece for piece in pieces if not has(descriptor, piece)]
            return None if is_shared and lacking else lacking
        finally:
            os.close(descriptor)

    def _may_keep(self, status: os.stat_result, node: Node) -> bool:
        """Whether a file with several names is, but for its content, as it is to be.

        It may have two names that are those of two files in the snapshot.
        """
        inode = status.st_dev, status.st_ino
        is_first = inode not in self._kept
        self._kept.add(inode)
        owners = (
            (status.st_uid, status.st_gid) if self._owners else (node.uid, node.gid)
        )
        return is_first and (
            (status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode), owners)
            == (node.size, node.mtime_ns, node.posix_mode, (node.uid, node.gid))
        )

    def _take(self, path: bytes) -> int:
        """Return the file opened, for whoever calls this alone: `_keep` puts it back.

        Each piece of a file may come from another thread: while one is about to use it,
        it is not among those that may be closed. A new one is made by whoever comes first,
        unless a file came meanwhile: in some directories ``A`` is ``a``.
        """
        with self._opening:
            descriptor = self._open.pop(path, None)
            if descriptor is None and self._new.get(path) is False:
                descriptor = os.open(self._path(path), _MAKE, _PRIVATE)
                self._new[path] = True
        if descriptor is None:
            descriptor = os.open(self._path(path), _WRITE)
        return descriptor

    def _keep(self, path: bytes, descriptor: int) -> None:
        """Leave a file open for those who come soon after."""
        with self._opening:
            dropped = self._open.pop(path, None)
            self._open[path] = descriptor
            if dropped is None and len(self._open) > _MOST_OPEN:
                dropped = self._open.pop(next(iter(self._open)))
        if dropped is not None:
            os.close(dropped)

    def _close(self, path: bytes) -> None:
        with self._opening:
            descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)

    def _path(self, path: bytes) -> bytes:
        return b"%b/%b" % (self._root, path) if path else self._root

    def _replace(self, where: bytes, path: bytes, node: Node) -> None:
        """Put something in the place of what is of the same kind."""
        found = os.lstat(where)
        kinds = {
            NodeType.SYMLINK: stat.S_ISLNK,
            NodeType.FIFO: stat.S_ISFIFO,
            NodeType.BLOCK_DEVICE: stat.S_ISBLK,
            NodeType.CHARACTER_DEVICE: stat.S_ISCHR,
        }
        if not kinds[NodeType(node.type)](found.st_mode):
            raise FileExistsError(errno.EEXIST, "something else is in its place")
        os.unlink(where)
        self.make(path, node)

    def _restore_metadata(self, where: bytes | int, node: Node) -> None:
        """Restore what is kept beside a content.

        Raises:
            OSError: The system does not take it, or has no such owner, name or time.
        """
        try:
            self._put_metadata(where, node)
        except _IMPOSSIBLE as exc:
            raise OSError(errno.EINVAL, f"no system has that: {exc}") from exc

    def _put_metadata(self, where: bytes | int, node: Node) -> None:
        """Restore owner, attributes, mode and times, in an order that keeps each."""
        follow = isinstance(where, int)
        if self._owners:
            os.chown(where, node.uid, node.gid, follow_symlinks=follow)
        for attribute in node.extended_attributes:
            try:
                value = attribute.value or b""
                os.setxattr(where, attribute.name, value, follow_symlinks=follow)
            except OSError as exc:
                if exc.errno not in _NO_ATTRIBUTES:
                    raise
        if node.type != NodeType.SYMLINK:
            os.chmod(where, node.posix_mode)  # after the owner, which takes bits away
        read = changed = node.mtime_ns
        if node.atime != node.mtime:
            read = node.atime_ns
        os.utime(where, ns=(read, changed), follow_symlinks=follow)


def _open_there(where: bytes) -> int | None:
    """Open a file that is there; None: it is closed to its owner and has other names."""
    try:
        return os.open(where, _WRITE)
    except PermissionError:
        status = os.lstat(where)
        if not stat.S_ISREG(status.st_mode):
            raise
    if status.st_nlink > 1:
        return None
    os.chmod(where, stat.S_IMODE(status.st_mode) | _PRIVATE)
    return os.open(where, _WRITE)


def _folded(name: bytes) -> str:
    """Return what two names have in common that mean one file on some systems."""
    return unicodedata.normalize("NFC", os.fsdecode(name)).casefold()


def _is_one_file(where: bytes, name: bytes, meant: Mapping[str, bytes]) -> bool:
    """Whether a directory gives a name back otherwise than it takes it.

    Args:
        where: The directory.
        name: As the directory has it.
        meant: Names that are to be there, by what is left of them when they are folded.
    """
    other = meant.get(_folded(name))
    if other is None:
        return False
    with suppress(FileNotFoundError):
        paths = (b"%b/%b" % (where, each) for each in (name, other))
        return os.path.samestat(*map(os.lstat, paths))
    return False


def _device(where: bytes) -> int:
    return os.lstat(where).st_dev


def _require_unmounted(where: bytes) -> list[bytes]:
    """Raise where a directory is, or has below it, another file system.

    Returns:
        It, and those below it that are so many levels apart.
    """
    device, parts = _device(os.path.dirname(where)), []
    waiting = [(where, 0)]
    while waiting:
        directory, depth = waiting.pop()
        if _device(directory) != device:
            raise OSError(errno.EBUSY, "something is mounted in it")
        if depth % _LEVELS == 0:
            parts.append(directory)
        with suppress(OSError), os.scandir(directory) as entries:
            below = [
                each.path for each in entries if each.is_dir(follow_symlinks=False)
            ]
            waiting += [(path, depth + 1) for path in below]
    return parts


def _require(where: bytes, is_kind: Callable[[int], bool]) -> None:
    """Raise where something else is in the place of what is restored."""
    if not is_kind(os.lstat(where).st_mode):
        raise FileExistsError(errno.EEXIST, "something else is in its place")
