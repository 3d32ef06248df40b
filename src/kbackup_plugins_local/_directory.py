"""Objects as files of one directory: what is visible is whole, what is written stays.

Plain blocking I/O. An object is written to a temporary file beside its final place,
brought to the disk, and then given its name in one step; a crash leaves at most a
temporary file, which nobody sees. Called by `LocalStore` only.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs

from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import ObjectInfo
from kbackup.stores import (
    UnfinishedWrite,
    key_fault,
    steady_source,
    translate_store_errors,
    validate_key,
)

TEMPORARY = ".kbackup-tmp-"

Peeked = tuple[ObjectInfo, bytes | None]
"""An object, with its bytes where they are few."""

_BLOCK = 1 << 20
_FILE_MODE = 0o600  # a backup holds Secrets
_DIRECTORY_MODE = 0o700
_DEAD_AFTER = 3600.0  # seconds without a write
_RACES = 10  # how often a directory may vanish under a put before that is an error
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}  # as exFAT
_NO_LINK = "mount there what it leads to, or move that to its place"
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # of a directory, as SMB


@attrs.frozen
class Directory:
    """The files below one directory.

    Symbolic links below it are not followed: who can write there could otherwise show us
    any file of the machine. What lies behind one is refused, not passed over: a backup
    that somebody moved to another disk, and linked, must not look as if it were gone.
    """

    root: Path

    def put(self, key: str, source: Path | bytes, *, create: bool) -> ObjectInfo:
        """Write an object, the missing directories above it included.

        Raises:
            StoreError: Nothing of the object is visible then, unless the disk failed
                after it had its name.
        """
        with translate_store_errors(key):
            target = self.path_of(key)
            temporary = self._write_temporary(key, target.parent, source)
            try:
                info = _info(key, temporary.stat())
                if create:
                    _link(key, temporary, target)
                else:
                    os.replace(temporary, target)  # noqa: PTH105 - as os.link
                _sync_directory(target.parent)
                return info
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def read(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int,
        length: int | None,
        stop: threading.Event,
    ) -> ObjectInfo:
        """Copy an object, or a part of it, to *target* until *stop* is set."""
        with self._opened(key) as (file, info):
            end = info.size if length is None else min(info.size, start + length)
            with translate_store_errors(key):
                file.seek(min(start, info.size))
            left = max(end - start, 0)
            while left and not stop.is_set():
                with translate_store_errors(key):
                    block = file.read(min(_BLOCK, left))
                if stop.is_set():  # while the system was reading
                    break
                if not block:
                    raise StoreAccessError(key, "the file was cut while it was read")
                target.write(block)
                left -= len(block)
            return info

    def peek(self, key: str, most: int) -> Peeked:
        """Describe an object, and read it if it has *most* bytes or fewer."""
        with self._opened(key) as (file, info):
            if info.size > most:
                return info, None
            with translate_store_errors(key):
                content = file.read(most + 1)
        if len(content) != info.size:
            raise StoreAccessError(key, "the file was changed while it was read")
        return info, content

    def glance(
        self, identity: str, most: int, path: str, key: str
    ) -> tuple[bytes | None, list[str], Peeked | StoreError | None]:
        """Look at all that an operation wants to know of a directory, in one call.

        Returns:
            What the object *identity* begins with, the names of the files in *path*,
            and what `peek` returns or raises for *key*, if that is given.
        """
        names = [name for name, info in self.children(path) if info is not None]
        found: Peeked | StoreError | None = None
        if key:
            try:
                found = self.peek(key, most)
            except StoreError as exc:
                found = exc
        try:
            with self._opened(identity) as (file, _), translate_store_errors(identity):
                return file.read(most), names, found
        except ObjectNotFoundError:
            return None, names, found

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object."""
        with translate_store_errors(key):
            found = os.stat(self._place(key), follow_symlinks=False)  # noqa: PTH116
            return _info(key, _regular(key, found))

    def delete(self, key: str) -> None:
        """Remove an object and the directories that are empty then."""
        with translate_store_errors(key):
            place = self.path_of(key)
            try:
                if not stat.S_ISREG(place.lstat().st_mode):
                    return
                place.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            self._remove_empty(place)

    def children(self, path: str) -> list[tuple[str, ObjectInfo | None]]:
        """Return what lies in ``""`` or ``a/b/``; None is a directory, or a link to one.

        Raises:
            StoreAccessError: It is a link itself.
        """
        with translate_store_errors(path):
            try:
                with os.scandir(self._directory_of(path)) as entries:
                    return [
                        child
                        for entry in entries
                        if (child := _child(path, entry)) is not None
                    ]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def temporaries(self, path: str) -> tuple[list[UnfinishedWrite], list[str]]:
        """Return the temporary files in ``""`` or ``a/b/``, and what lies below it."""
        place = self.path_of(path.rstrip("/")) if path else self.root
        directories = [
            f"{path}{name}/"
            for name, info in self.children(path)
            if info is None and not (place / name).is_symlink()
        ]
        found: list[UnfinishedWrite] = []
        with translate_store_errors(path), suppress(FileNotFoundError):
            for file in sorted(place.glob(f"{TEMPORARY}*")):
                with suppress(FileNotFoundError):  # its writer has just ended
                    since = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
                    key = f"{path}{file.name}"
                    found.append(UnfinishedWrite(key=key, id=file.name, since=since))
        return found, directories

    def discard(self, write: UnfinishedWrite) -> None:
        """Remove a temporary file that was not written to since it was looked at."""
        parent, _, name = write.key.rpartition("/")
        with translate_store_errors(write.key):
            place = (self.path_of(parent) if parent else self.root) / name
            if not name.startswith(TEMPORARY) or place.parent.is_symlink():
                raise StoreAccessError(write.key, "it is no temporary file")
            with suppress(FileNotFoundError):
                modified = datetime.fromtimestamp(place.lstat().st_mtime, UTC)
                if modified <= write.since:
                    place.unlink()
                    self._remove_empty(place)

    def path_of(self, key: str) -> Path:
        """Return the file of a key; no part of the way to it may be a link.

        Raises:
            StoreAccessError: The key leads out of the directory.
        """
        return Path(self._place(key))

    # --- inside -----------------------------------------------------------------------

    def _place(self, key: str) -> str:
        """Return the file of a key as text: a `Path` for each part costs more."""
        validate_key(key)
        parts = key.split("/")
        if any(part.startswith(TEMPORARY) for part in parts):
            raise StoreAccessError(key, f"names with {TEMPORARY} are for our own use")
        if os.sep != "/" and any(mark in key for mark in (os.sep, ":")):
            raise StoreAccessError(key, "not the name of a file on this system")
        place = str(self.root)
        for part in parts[:-1]:
            place = f"{place}{os.sep}{part}"
            if os.path.islink(place):  # noqa: PTH114
                raise StoreAccessError(key, f"{place} is a symbolic link")
        return f"{place}{os.sep}{parts[-1]}"

    def _directory_of(self, path: str) -> str:
        """Return the directory that ``""`` or ``a/b/`` stands for; it is no link."""
        if not path:
            return str(self.root)
        place = self._place(path.rstrip("/"))
        if os.path.islink(place):  # noqa: PTH114
            raise StoreAccessError(
                path, f"{place} is a symbolic link, and none is followed", hint=_NO_LINK
            )
        return place

    def _remove_empty(self, gone: Path) -> None:
        """Remove the directories that a file which is gone has left empty."""
        _sync_directory(gone.parent)
        for parent in gone.parents:
            if parent == self.root:
                return
            try:
                _remove_leftovers(parent)
                parent.rmdir()
            except OSError:  # not empty, or gone
                return

    def _write_temporary(self, key: str, parent: Path, source: Path | bytes) -> Path:
        """Write *source* beside its final place and bring it to the disk."""
        temporary = parent / f"{TEMPORARY}{uuid.uuid4().hex}"
        for attempt in range(_RACES):
            try:
                self._make(parent)
                descriptor = os.open(
                    temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE
                )
                break
            except FileNotFoundError as exc:  # a delete has just removed the directory
                if attempt == _RACES - 1:  # or its file system has none made, as /proc
                    reason = f"no file can be made in {parent}"
                    raise StoreAccessError(key, reason) from exc
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                if isinstance(source, bytes):
                    file.write(source)
                else:
                    with steady_source(key, source), source.open("rb") as data:
                        shutil.copyfileobj(data, file, _BLOCK)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        return temporary

    def _make(self, directory: Path) -> None:
        """Make a directory and those above it, for nobody else to read."""
        missing = []
        while not directory.is_dir():
            missing.append(directory)
            if directory == directory.parent:
                break
            directory = directory.parent
        for path in reversed(missing):
            with suppress(FileExistsError):
                path.mkdir(_DIRECTORY_MODE)
            _sync_directory(path.parent)

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[BinaryIO, ObjectInfo]]:
        with translate_store_errors(key):
            # Without O_NONBLOCK the opening of a pipe that somebody put there hangs.
            flags = os.O_RDONLY
            for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
                flags |= getattr(os, name, 0)
            descriptor = os.open(self._place(key), flags)
            try:
                found = _regular(key, os.fstat(descriptor))
                file = open(descriptor, "rb", buffering=0)  # noqa: PTH123, SIM115 - below
            except BaseException:
                os.close(descriptor)
                raise
        with file:
            yield file, _info(key, found)


def _regular(key: str, found: os.stat_result) -> os.stat_result:
    """Return *found* if it describes a file; raises `ObjectNotFoundError`."""
    if not stat.S_ISREG(found.st_mode):
        raise ObjectNotFoundError(key, "what is there is no file")
    return found


def _link(key: str, temporary: Path, target: Path) -> None:
    """Give the file its name unless the name is taken, in one step."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        # Over NFS the answer may be lost and the request repeated: then it is ours.
        if temporary.stat().st_nlink != 2 or not target.samefile(temporary):  # noqa: PLR2004
            raise
    except OSError as exc:
        if exc.errno in _NO_LINKS and not target.exists():
            raise UnsupportedCapabilityError(
                key,
                "the file system of the directory has no hard links",
                hint="use a directory on another file system",
            ) from exc
        raise


def _remove_leftovers(directory: Path) -> None:
    """Remove what dead writers left, where a directory holds nothing else.

    A writer that lives has written to its file within the last hour.
    """
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith(TEMPORARY):
                return
            found.append(entry)
    for entry in found:
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _DEAD_AFTER:
            os.unlink(entry.path)  # noqa: PTH108 - as scandir gives it


def _sync_directory(path: Path) -> None:
    """Bring a directory's names to the disk, where the file system can."""
    if os.name == "nt":  # directories cannot be opened there
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except FileNotFoundError:  # a delete has just emptied and removed it
        return
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)


def _child(path: str, entry: os.DirEntry[str]) -> tuple[str, ObjectInfo | None] | None:
    """Describe one entry of a directory; None: it is none of ours."""
    key = f"{path}{entry.name}"
    if entry.name.startswith(TEMPORARY) or key_fault(key):
        return None
    if entry.is_dir(follow_symlinks=False) or (path and _hides_directory(entry)):
        return entry.name, None
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since the directory was read
        return None
    return (entry.name, _info(key, found)) if stat.S_ISREG(found.st_mode) else None


def _hides_directory(entry: os.DirEntry[str]) -> bool:
    """Tell whether a link leads to a directory, or to what is not mounted now.

    It counts as a directory, so that whoever looks into it is told; a link beside those
    that are ours may be somebody's shortcut.
    """
    return entry.is_symlink() and not entry.is_file()


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        etag=f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}",
    )
