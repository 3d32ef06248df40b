"""A directory copied with all that a volume holds, by reflinks where they are possible.

Kept are contents, holes, hard links, symbolic links, modes, times, owners, extended
attributes (and ACLs with them), pipes and devices; sockets are left out, as nobody
listens at a copy. ``shutil.copytree`` drops owners, hard links and holes and fails at
pipes; the ``cp`` of other systems than Linux has no reflinks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import attrs

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_BLOCK = 1 << 20
_NO_REFLINK = {
    errno.EXDEV,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOTTY,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EISDIR,
    errno.ETXTBSY,
}
_NO_HOLES = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # of a directory, as SMB
# Labels that the system puts on what is made, and lets nobody else put there.
_LABELS = ("security.selinux", "security.SMACK64", "security.ima", "security.evm")
_AS_SEEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@attrs.frozen
class _Facts:
    """What a copy gets besides its bytes: owner, mode, times, extended attributes."""

    found: os.stat_result
    attributes: Mapping[str, bytes] = attrs.field(factory=dict)


@attrs.frozen
class _Directory:
    """A directory that is to be read, or was; its inode says whether it still is that."""

    source: str
    target: str
    found: os.stat_result


class TreeCopy:
    """One copy of one directory; not shared between threads.

    What vanishes while it is copied is left out, as if it had been deleted before. Who
    can write to the volume can lead the copy nowhere else: what is opened is what was
    seen in a directory that was itself reached in this way.
    """

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], str] = {}  # inodes with several names
        self._pending: list[_Directory] = []

    def run(self, source: str, target: str) -> None:
        """Copy the directory *source* to *target*, which is made, and bring it to disk.

        Raises:
            OSError: *target* may be there in part.
        """
        os.mkdir(target, 0o700)
        self._pending.append(_Directory(source, target, os.stat(source)))
        made: list[tuple[str, _Facts]] = []
        while self._pending:
            directory = self._pending.pop()
            flags = os.O_RDONLY if directory.source == source else _AS_SEEN
            with _vanishing(), _opened(directory, flags) as descriptor:
                attributes = _attributes(descriptor)
                made.append((directory.target, _Facts(directory.found, attributes)))
                self._fill(descriptor, directory)
        if not made:
            raise FileNotFoundError(errno.ENOENT, "it was deleted", source)
        # Last, and the innermost first: the times of a directory change with its
        # entries, its mode may forbid making any, and an ACL would be inherited.
        for path, facts in reversed(made):
            _give(path, facts)
            sync_directory(path)

    def _fill(self, descriptor: int, directory: _Directory) -> None:
        """Copy what is in a directory, and put off the directories in it."""
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            target = f"{directory.target}{os.sep}{name}"
            with _vanishing():
                with _gone():
                    found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    os.mkdir(target, 0o700)
                    source = f"{directory.source}{os.sep}{name}"
                    self._pending.append(_Directory(source, target, found))
                else:
                    self._copy_one(descriptor, name, target, found)

    def _copy_one(
        self, descriptor: int, name: str, target: str, found: os.stat_result
    ) -> None:
        """Copy what is no directory, or link it to what is copied already."""
        inode = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and (first := self._links.get(inode)):
            os.link(first, target, follow_symlinks=False)
            return
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFSOCK:
            return
        if kind == stat.S_IFREG:
            _copy_file(descriptor, name, target, found)
        elif kind == stat.S_IFLNK:
            with _gone():
                leads_to = os.readlink(name, dir_fd=descriptor)
            os.symlink(leads_to, target)
            _give(target, _Facts(found))
        else:
            os.mknod(target, kind | 0o600, found.st_rdev)
            _give(target, _Facts(found))
        if found.st_nlink > 1:
            self._links[inode] = target


class _VanishedError(Exception):
    """What was seen is not there any more, or something else is in its place."""


@contextmanager
def _vanishing() -> Iterator[None]:
    """Leave out what was deleted between a look and the next."""
    with suppress(_VanishedError):
        yield


@contextmanager
def _gone() -> Iterator[None]:
    """Tell what is missing in the source from what is missing in the copy."""
    try:
        yield
    except FileNotFoundError as exc:
        raise _VanishedError from exc


@contextmanager
def _opened(directory: _Directory, flags: int) -> Iterator[int]:
    """Open a directory, if it is the one that was seen."""
    descriptor = _open(directory.source, directory.found, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(
    path: str, seen: os.stat_result, flags: int, dir_fd: int | None = None
) -> int:
    """Open what was seen; raises `_VanishedError` where it is something else by now."""
    try:
        descriptor = os.open(path, flags, dir_fd=dir_fd)
    except OSError as exc:
        if exc.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
            raise _VanishedError from exc
        raise
    now = os.fstat(descriptor)
    if (now.st_dev, now.st_ino) != (seen.st_dev, seen.st_ino):
        os.close(descriptor)
        raise _VanishedError
    return descriptor


def _copy_file(descriptor: int, name: str, target: str, found: os.stat_result) -> None:
    reading = _open(name, found, _AS_SEEN, descriptor)
    try:
        writing = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if not _reflink(reading, writing):
                _copy_data(reading, writing)
            _give(target, _Facts(found, _attributes(reading)))
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _reflink(reading: int, writing: int) -> bool:
    """Let both files share their blocks; False: this file system does not."""
    try:
        from fcntl import ioctl  # noqa: PLC0415 - not on Windows

        ioctl(writing, _FICLONE, reading)
    except ImportError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_REFLINK:
            raise
        return False
    return True


def _copy_data(reading: int, writing: int) -> None:
    """Copy the bytes of a file, and leave its holes out."""
    size = os.fstat(reading).st_size
    position = 0
    while position < size:
        start, end = _next_data(reading, position, size)
        os.lseek(reading, start, os.SEEK_SET)
        os.lseek(writing, start, os.SEEK_SET)
        while start < end and (block := os.read(reading, min(_BLOCK, end - start))):
            view = memoryview(block)
            while view:
                view = view[os.write(writing, view) :]
            start += len(block)
        position = end
    os.ftruncate(writing, size)


def _next_data(reading: int, position: int, size: int) -> tuple[int, int]:
    """Return where the next bytes begin and end; both are *size* behind the last."""
    if not hasattr(os, "SEEK_DATA"):
        return position, size
    try:
        start = os.lseek(reading, position, os.SEEK_DATA)
        return start, os.lseek(reading, start, os.SEEK_HOLE)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # only a hole is left
            return size, size
        if exc.errno in _NO_HOLES:
            return position, size
        raise


def _give(target: str, facts: _Facts) -> None:
    """Give a copy owner, attributes, mode and times, in this order.

    A new owner takes the set-user-ID bit and the capabilities of a file away.
    """
    found = facts.found
    made = os.stat(target, follow_symlinks=False)
    if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
        os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    for name, value in facts.attributes.items():
        with _labels_passed_over(name):
            os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(target, stat.S_IMODE(found.st_mode))
    times = (found.st_atime_ns, found.st_mtime_ns)
    os.utime(target, ns=times, follow_symlinks=False)


def _attributes(descriptor: int) -> dict[str, bytes]:
    """Return the extended attributes of what is open; ACLs are among them on Linux."""
    attributes: dict[str, bytes] = {}
    if hasattr(os, "listxattr"):
        with _passing_over(errno.ENOTSUP, errno.EOPNOTSUPP):
            for name in os.listxattr(descriptor):
                with _passing_over(errno.ENODATA), _labels_passed_over(name):
                    attributes[name] = os.getxattr(descriptor, name)
    return attributes


@contextmanager
def _labels_passed_over(name: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        if not name.startswith(_LABELS):
            raise


@contextmanager
def _passing_over(*numbers: int) -> Iterator[None]:
    """Pass over an `OSError` of one of these numbers."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in numbers:
            raise


def sync_directory(path: str) -> None:
    """Bring the names in a directory to the disk, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)
