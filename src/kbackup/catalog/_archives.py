"""A backup's archive: brought here once, checked before anybody sees a byte of it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from kbackup._kits.private_file import private_file
from kbackup._kits.streams import NullWriter, Writable
from kbackup._kits.temporary import place_of
from kbackup._kits.workers import WorkerPool
from kbackup.archive import ArchiveContents, ArchiveReader, index_archive
from kbackup.catalog._arriving import ArrivingStream
from kbackup.catalog._manifest import Manifest, ManifestObject
from kbackup.catalog._reading import copy_checked
from kbackup.errors import (
    ArchiveError,
    BackupDamagedError,
    ObjectNotFoundError,
    SpoolError,
)
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import BackupFiles


class Archives:
    """Fetches archives; remembers the digests of those that have no manifest.

    Args:
        store: Where they are.
        spool_directory: Where they are kept while they are read; None: the system's
            place for such files.
    """

    def __init__(self, store: ObjectStore, spool_directory: Path | None) -> None:
        self._store = store
        self.spool_directory = spool_directory
        self._digests: dict[str, tuple[tuple[object, ...], str]] = {}
        self._lock = threading.Lock()

    def open(
        self, name: str, manifest: Manifest | None, *, salvage: bool = False
    ) -> ArchiveReader:
        """Return a reader over a private copy without a name.

        With *salvage* one that is not what the manifest says is read as well, where no
        other copy is right.

        Raises:
            BackupDamagedError: The archive is missing or not what the manifest says.
            SpoolError: There is no room for the copy.
        """
        spool = self._spool()
        kept = _Kept(spool, self._place)
        try:
            try:
                self._bring(name, kept, _expected(name, manifest))
            except BackupDamagedError:
                if not salvage or manifest is None:
                    raise
                with _kept(self._place):
                    spool.seek(0)
                    spool.truncate()
                self._bring(name, kept, None)
            with _kept(self._place):
                spool.flush()
                spool.seek(0)
        except BaseException:
            spool.close()
            raise
        return ArchiveReader(spool, salvage=salvage)

    def contents(
        self,
        name: str,
        manifest: Manifest | None,
        spool_directory: Path | None,
        *,
        every_version: bool = False,
    ) -> ArchiveContents:
        """Return the items by name: they are indexed while the archive comes.

        What came is checked before any of it is returned; it is kept nowhere.

        Args:
            name: The backup.
            manifest: Its own.
            spool_directory: Where the items' file lies; None: the system's place.
            every_version: Keep the copies in other versions, too.

        Raises:
            ArchiveError: The archive is damaged, though it is what the manifest says.
            BackupDamagedError: It is missing or not what the manifest says.
            SpoolError: There is no room for its items.
        """
        digests: set[str] = set()  # who has no manifest may find another one each time
        with WorkerPool(1, "kbackup-archive") as pool:
            opened = partial(self._arriving, pool, name, manifest, digests)
            return index_archive(
                opened,
                spool_directory,
                every_version=every_version,
                whole=manifest is None,
            )

    @contextmanager
    def _arriving(
        self,
        pool: WorkerPool,
        name: str,
        manifest: Manifest | None,
        digests: set[str],
    ) -> Iterator[ArrivingStream]:
        """Bring an archive while it is read; once this ends, all of it was checked."""
        expected = _expected(name, manifest)
        with ArrivingStream() as stream:
            coming = pool.submit(self._bring_all, name, stream, expected)
            try:
                yield stream
            except (
                ArchiveError
            ):  # any other one ends the bringing: its stream is closed
                stream.drop()
                coming.result()  # that what came is wrong says more than where
                raise
            stream.drop()
            digests.add(coming.result())
        if len(digests) > 1:
            raise BackupDamagedError(name, "its archive changed while it was read")

    def digest(self, name: str, manifest: Manifest | None) -> str:
        """Return the SHA-256 of an archive, 64 digits; read only where it must be.

        Raises:
            BackupDamagedError: The archive is missing.
        """
        if (expected := _expected(name, manifest)) is not None:
            return expected.sha256
        info = self._found(name)
        with self._lock:
            known = self._digests.get(name)
        if known is not None and known[0] == _version(info):
            return known[1]
        digest = copy_checked(self._store, name, info.key, NullWriter(), None)
        self._remember(name, info, digest)
        return digest

    def download(self, name: str, manifest: Manifest | None, target: Path) -> None:
        """Copy an archive to *target*, which appears whole or not at all, mode 0600.

        Raises:
            BackupDamagedError: The archive is missing or not what the manifest says.
            SpoolError: The directory of *target* does not take it.
        """
        key, expected = BackupFiles(name).archive, _expected(name, manifest)
        with _asked_for(target), private_file(target) as file:
            kept = _bounded(name, _Kept(file, target.parent), expected)
            copy_checked(self._store, name, key, kept, expected)

    def _bring_all(
        self, name: str, stream: ArrivingStream, expected: ManifestObject | None
    ) -> str:
        try:
            return self._bring(name, _Kept(stream, self._place), expected)
        finally:
            stream.end()

    def _bring(
        self, name: str, target: Writable, expected: ManifestObject | None
    ) -> str:
        """Copy an archive to *target*, and return its SHA-256."""
        key = BackupFiles(name).archive
        info = self._found(name) if expected is None else None
        bounded = _bounded(name, target, expected, info)
        digest = copy_checked(self._store, name, key, bounded, expected)
        if info is not None:
            self._remember(name, info, digest)
        return digest

    def _found(self, name: str) -> ObjectInfo:
        """Return what the store knows of an archive that no manifest speaks of."""
        try:
            return self._store.stat(BackupFiles(name).archive)
        except ObjectNotFoundError as exc:
            raise BackupDamagedError(name, "its archive is missing") from exc

    def _remember(self, name: str, info: ObjectInfo, digest: str) -> None:
        with self._lock:
            self._digests[name] = (_version(info), digest)

    @property
    def _place(self) -> Path:
        return place_of(self.spool_directory)

    def _spool(self) -> BinaryIO:
        with _kept(self._place):  # closed by the reader that gets it
            file = tempfile.TemporaryFile(dir=self.spool_directory)  # noqa: SIM115
        return cast("BinaryIO", file)


@contextmanager
def _kept(place: Path) -> Iterator[None]:
    """Make our error of what this machine's own disk does not take."""
    try:
        yield
    except OSError as exc:
        raise SpoolError(place, exc.strerror or str(exc)) from exc


@contextmanager
def _asked_for(target: Path) -> Iterator[None]:
    """Advise on the file that the caller named, whose place is no setting."""
    try:
        with _kept(target.parent):
            yield
    except SpoolError as exc:
        exc.hint = f"choose another place than that of {target.name}"
        raise


class _Kept:
    """A file that fails with our error, which a store passes on as it is."""

    def __init__(self, file: Writable, place: Path) -> None:
        self._file = file
        self._place = place

    def write(self, data: bytes, /) -> int:
        """Write *data*."""
        with _kept(self._place):
            self._file.write(data)
        return len(data)


class _Bounded:
    """Takes no more than was said that there is: neither disk nor time is without end.

    Args:
        target: What is passed on goes there.
        name: The backup.
        most: Bytes.
        fault: What it is, where there are more.
    """

    def __init__(self, target: Writable, name: str, most: int, fault: str) -> None:
        self._target = target
        self._name = name
        self._most = self._left = most
        self._fault = fault

    def write(self, data: bytes, /) -> int:
        """Pass on *data*."""
        self._left -= len(data)
        if self._left < 0:
            raise BackupDamagedError(
                self._name, f"{self._fault}: it has more than {self._most} bytes"
            )
        return self._target.write(data)


def _bounded(
    name: str,
    target: Writable,
    expected: ManifestObject | None,
    info: ObjectInfo | None = None,
) -> Writable:
    """Bound what *target* takes by what the manifest says, or else the store."""
    if expected is not None:
        fault = "its archive is not what its manifest says"
        return _Bounded(target, name, expected.size, fault)
    if info is not None:
        fault = "its archive is larger than its store says"
        return _Bounded(target, name, info.size, fault)
    return target


def _expected(name: str, manifest: Manifest | None) -> ManifestObject | None:
    """Return what the manifest says of the archive; raises where it names none."""
    if manifest is None:
        return None
    found = manifest.object(f"{name}.tar.gz")
    if found is None:
        raise BackupDamagedError(name, "its manifest names no archive")
    return found


def _version(info: ObjectInfo) -> tuple[object, ...]:
    return (info.size, info.modified, info.etag)
