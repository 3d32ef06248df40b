"""A repository in a directory, laid out as restic does it; stock restic may share it.

Whole files only: a file is written under a temporary name on the disk where it will
lie, brought to the disk, and then named in one step. What a killed process leaves has a
name that restic passes over, and `LocalBackend.sweep` removes it. Used by whoever opens
a repository by its path.
Source: restic ``doc/design.rst``, "Repository Layout"; modes as restic gives them.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Self, TypeVar

from kbackup.errors import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.repository._backend import CONFIG, File, FileType, Spool, file_of
from kbackup.repository._file_spool import FLAGS, MODE, FileSpool
from kbackup.repository._ids import Bytes

T = TypeVar("T")

TEMPORARY = ".kbackup-tmp-"

# Beside what they become, as any of these may be mounted or linked from another disk.
# Below data a directory of its own: restic opens whatever else lies there.
_WAITING = {FileType.CONFIG: "", FileType.PACK: "data/tmp"}
_DIRECTORIES = (
    *(kind.value for kind in FileType if kind is not FileType.CONFIG),
    _WAITING[FileType.PACK],
    *(f"data/{number:02x}" for number in range(256)),
)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}  # as exFAT
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # as SMB, or not to be read

_ERRORS: Mapping[int, type[StoreError]] = {
    errno.ENOENT: ObjectNotFoundError,
    errno.EEXIST: ObjectExistsError,
    errno.ENOSPC: StoreFullError,
    errno.EDQUOT: StoreFullError,
    errno.EFBIG: StoreFullError,
    errno.EROFS: StoreAccessError,
    errno.EACCES: StoreAccessError,
    errno.EPERM: StoreAccessError,
    errno.ELOOP: StoreAccessError,
    errno.ENOTDIR: StoreAccessError,
    errno.EISDIR: StoreAccessError,
    errno.EAGAIN: StoreUnavailableError,
    errno.EMFILE: StoreUnavailableError,
    errno.ENFILE: StoreUnavailableError,
    errno.ESTALE: StoreUnavailableError,  # an NFS server was restarted
    errno.ETIMEDOUT: StoreUnavailableError,
}


class LocalBackend:
    """Keeps the files of a repository in a directory. May be shared by processes.

    Nothing above the directory is made but by `create`: a disk that is not mounted is
    not taken for an empty one. Nothing is tried again: what a disk fails, it fails.

    Args:
        path: The directory; `create` makes it.
    """

    def __init__(self, path: Path) -> None:
        self._root = str(path.absolute())
        self.location = self._root

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root!r})"

    def load(self, file: File, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file; see `Backend.load`."""
        try:  # not _translated: it costs as much as all the rest
            descriptor = os.open(self._path(file), os.O_RDONLY)
            try:
                if length is None:
                    length = os.fstat(descriptor).st_size - offset
                content = _read(descriptor, offset, length)
            finally:
                os.close(descriptor)
        except OSError as exc:
            if exc.errno == errno.EIO:
                raise ObjectDamagedError(file.key, os.strerror(errno.EIO)) from exc
            raise _error_of(file.key, exc) from exc
        if content is None:
            end = offset + max(length, 0)
            raise ObjectDamagedError(file.key, f"it ends before byte {end}")
        return content

    def save(self, file: File, content: Bytes | Spool) -> None:
        """Write a file; see `Backend.save`. File and name are on the disk then.

        What has the name already stays if it is as long; else it is what a machine left
        that went down, and is replaced. Where the disk fails at the very end the file
        may be there although an error is raised.

        Raises:
            StoreFullError: The disk, or what the user may have of it, is full.
            StoreAccessError: The directory is not there, or does not take the file.
        """
        with closing(self._collected(file, content)) as spool:
            path = self._path(file)
            with _translated(file.key):
                if file == CONFIG:
                    self._finish(spool)
                    _link(spool, path)
                elif not _has_size(path, spool.size):
                    self._finish(spool)
                    self._name(file, spool, path)
                # Also for a name that is taken: its writer may be about to do it.
                _sync_directory(os.path.dirname(path))  # noqa: PTH120 - text

    def spool(self) -> FileSpool:
        """Return a file to collect a pack in; see `Backend.spool`.

        It lies on the disk of the packs; what is no pack may have to be on another.
        """
        return self._temporary(FileType.PACK, "data")

    def list(self, kind: FileType) -> Iterator[tuple[bytes, int]]:
        """List the files of a kind; see `Backend.list`.

        A directory that is missing holds nothing, as in a copy that left out the empty
        ones. Without the repository's own directory `ObjectNotFoundError` is raised.
        """
        if kind is FileType.CONFIG:
            with suppress(ObjectNotFoundError):
                yield b"", self.size(CONFIG)
            return
        directories = [kind.value]
        if kind is FileType.PACK:
            with _translated(kind.value):
                found = [each for each in self._entries(kind.value) if each.is_dir()]
            directories = [f"{kind.value}/{each.name}" for each in found]
        for directory in directories:
            yield from self._files(directory)

    def size(self, file: File) -> int:
        """Return how many bytes a file has; see `Backend.size`."""
        with _translated(file.key):
            return os.stat(self._path(file)).st_size  # noqa: PTH116 - text

    def exists(self, file: File) -> bool:
        """Tell whether there is such a file; what cannot be told is raised."""
        try:
            self.size(file)
        except ObjectNotFoundError:
            return False
        except StoreAccessError as exc:
            if isinstance(exc.__cause__, NotADirectoryError):
                return False
            raise
        return True

    def remove(self, file: File) -> None:
        """Remove a file; see `Backend.remove`. After a power cut it may be back."""
        with _translated(file.key), suppress(FileNotFoundError):
            os.unlink(self._path(file))  # noqa: PTH108 - text

    def create(self) -> None:
        """Make the directories that restic makes; those that are there stay.

        Raises:
            StoreAccessError: They cannot be made.
        """
        root, mode = Path(self._root), self._modes[0]
        with _translated(self._root):
            with suppress(FileExistsError):
                root.mkdir(mode, parents=True)
            for name in _DIRECTORIES:
                with suppress(FileExistsError):
                    os.mkdir(f"{self._root}/{name}", mode)  # noqa: PTH102 - text
            for path in (root / "data", root, root.parent):
                _sync_directory(str(path))

    def sweep(self, older_than: timedelta) -> int:
        """Remove temporary files; see `Backend.sweep`."""
        before = time.time() - older_than.total_seconds()
        removed = 0
        for place in {_WAITING.get(kind, kind.value) for kind in FileType}:
            for entry in self._entries(place):
                if not entry.name.startswith(TEMPORARY):
                    continue
                with _translated(place), suppress(FileNotFoundError):  # it was named
                    if entry.stat(follow_symlinks=False).st_mtime <= before:
                        os.unlink(entry.path)  # noqa: PTH108 - text
                        removed += 1
        return removed

    def close(self) -> None:
        """Do nothing: no file is held open between two calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------

    def _path(self, file: File) -> str:
        return f"{self._root}/{file.key}"

    @cached_property
    def _modes(self) -> tuple[int, int]:
        """Those of new directories and files: the group may what it may of the config."""
        shared = 0
        with suppress(OSError):
            shared = os.stat(self._path(CONFIG)).st_mode & stat.S_IRGRP  # noqa: PTH116
        return (0o770, 0o440) if shared else (0o700, 0o400)

    def _collected(self, file: File, content: Bytes | Spool) -> FileSpool:
        """Return *content* in a temporary file."""
        if isinstance(content, FileSpool):
            return content
        if not isinstance(content, bytes | bytearray | memoryview):
            raise TypeError(f"{type(content).__name__} is no spool of this backend")
        spool = self._temporary(file.type, file.key)
        spool.write(content)
        return spool

    def _temporary(self, kind: FileType, key: str) -> FileSpool:
        place = f"{self._root}/{_WAITING.get(kind, kind.value)}".rstrip("/")
        path = f"{place}/{TEMPORARY}{uuid.uuid4().hex}"
        with _translated(key):
            descriptor = self._within(key, place, partial(os.open, path, FLAGS, MODE))
        return FileSpool(path, descriptor, partial(_error_of, key))

    def _finish(self, spool: FileSpool) -> None:
        """Bring to the disk what was written; nobody is to change it from now on."""
        with suppress(OSError):  # a disk without modes
            os.fchmod(spool.descriptor, self._modes[1])
        _sync(spool.descriptor)

    def _name(self, file: File, spool: FileSpool, path: str) -> None:
        """Give the file its name, and the name its directory."""
        rename = partial(os.replace, spool.path, path)
        try:
            self._within(file.key, os.path.dirname(path), rename)  # noqa: PTH120 - text
        except FileNotFoundError as exc:
            reason = "somebody removed the temporary file before it had its name"
            raise StoreError(file.key, reason) from exc

    def _within(self, key: str, directory: str, action: Callable[[], T]) -> T:
        """Do something in a directory, which is made if it is missing."""
        try:
            return action()
        except FileNotFoundError:
            self._check_root(key, StoreAccessError)
        place = self._root
        for part in directory[len(self._root) + 1 :].split("/"):
            parent, place = place, f"{place}/{part}"
            with suppress(FileExistsError):
                os.mkdir(place, self._modes[0])  # noqa: PTH102 - text
                _sync_directory(parent)
        return action()

    def _check_root(self, key: str, error: type[StoreError]) -> None:
        if not os.path.isdir(self._root):  # noqa: PTH112 - text
            raise error(key, f"there is no directory {self._root}")

    def _entries(self, directory: str) -> Sequence[os.DirEntry[str]]:
        """Return what lies in a directory; in one that is missing nothing."""
        with _translated(directory):
            try:
                with os.scandir(f"{self._root}/{directory}") as entries:
                    return [*entries]
            except FileNotFoundError:
                self._check_root(directory, ObjectNotFoundError)
                return []

    def _files(self, directory: str) -> Sequence[tuple[bytes, int]]:
        """Return name and size of the files of the format in one directory."""
        found = []
        for entry in self._entries(directory):
            file = file_of(f"{directory}/{entry.name}")
            if file is None:
                continue
            with _translated(file.key), suppress(FileNotFoundError):  # removed just now
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    found.append((file.name, status.st_size))
        return found


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Raise the store's errors for those of the operating system."""
    try:
        yield
    except OSError as exc:
        raise _error_of(key, exc) from exc


def _error_of(key: str, exc: OSError) -> StoreError:
    kind = _ERRORS.get(exc.errno or 0, StoreError)
    return kind(key, exc.strerror or type(exc).__name__)


def _read(descriptor: int, offset: int, length: int) -> bytes | None:
    """Return exactly *length* bytes, or None if there are fewer."""
    if length < 0:
        return None
    content = os.pread(descriptor, length, offset)
    while len(content) < length:  # the end, or more than the system reads in one go
        more = os.pread(descriptor, length - len(content), offset + len(content))
        if not more:
            return None
        content += more
    return content


def _has_size(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size  # noqa: PTH116 - text
    except FileNotFoundError:
        return False


def _link(spool: FileSpool, path: str) -> None:
    """Give a file its name unless the name is taken.

    Raises:
        FileExistsError: It is taken.
    """
    try:
        os.link(spool.path, path)
    except FileExistsError:
        # Over NFS the answer may be lost and the request repeated: then it is ours.
        if not os.path.samestat(os.fstat(spool.descriptor), os.stat(path)):  # noqa: PTH116
            raise
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # For a moment an empty file is seen, but there is one winner all the same.
        os.close(os.open(path, FLAGS, MODE))
        os.replace(spool.path, path)  # noqa: PTH105 - text


def _sync_directory(path: str) -> None:
    """Bring a directory's names to the disk, where the file system can."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # it takes names, but tells none
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NO_FSYNC:
            raise
