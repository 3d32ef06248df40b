"""The facade: a repository made, opened, and what is done with it.

Each verb is a module of its own, loaded when it is called, mostly while a lock settles; the
facade gives it that lock and a loaded index. Its other chapters are `_reading`, `_upkeep`
and `_keyring`.
Order of a backup: packs, index, snapshot. Of reading: snapshots, then the index.
Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeAlias

from kbackup._kits.workers import CancelToken
from kbackup.errors import (
    InvalidConfigError,
    InvalidSpecError,
    ObjectExistsError,
    ObjectNotFoundError,
    RepositoryExistsError,
    RepositoryNotFoundError,
)
from kbackup.repository._back_up_request import BackUpRequest, BackUpResult
from kbackup.repository._backend import CONFIG, Backend, File, FileType
from kbackup.repository._blobs import BlobCodec
from kbackup.repository._compression import Compression
from kbackup.repository._config import load_config, new_config, save_config
from kbackup.repository._crypto import ScryptParameters, SecretKey
from kbackup.repository._directory_source import DirectorySource
from kbackup.repository._documents import Documents
from kbackup.repository._excludes import Excludes
from kbackup.repository._keyring import Keyring
from kbackup.repository._keys import calibrated, open_key, save_key
from kbackup.repository._local import LocalBackend
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._progress import Told, untold
from kbackup.repository._reading import Reading
from kbackup.repository._snapshots import Snapshot
from kbackup.repository._sources import Source
from kbackup.repository._upkeep import Upkeep

Place: TypeAlias = Path | str | Backend
"""A directory, or what keeps the files of a repository anywhere else; no address."""


class Repository(Reading, Upkeep, Keyring):
    """An opened repository; a context manager. May be shared by threads.

    Made by `init` or `open`. All verbs but `list_keys`, `list_locks` and `unlock` take a
    lock, and raise beside what they say themselves `RepositoryLockedError` where another
    one excludes it, `StoreError` where the backend fails, and `RunCancelledError`. Opened
    with `no_lock` it is only read: verbs that write raise `InvalidSpecError`.
    """

    @classmethod
    def init(
        cls,
        place: Place,
        password: str,
        *,
        version: int = 2,
        key_parameters: ScryptParameters | None = None,
        compression: Compression = Compression.AUTO,
        cuts_of: Repository | None = None,
    ) -> Self:
        """Make a repository and open it.

        Args:
            place: Where; a directory is made.
            password: Opens it from now on. Who loses it loses everything in there.
            version: 2, or 1 for programs that know no other: restic before 0.14.
            key_parameters: How dear it is to try a password; None: half a second here.
            compression: For what this object writes.
            cuts_of: Another one, whose secret this one shares: files are cut alike in
                both, so that what is copied between them is not saved again.

        Raises:
            RepositoryExistsError: There is one already, or what one is lost without; it
                was not changed.
            UnsupportedFormatError: There is no such version.
            InvalidConfigError: *place* is an address.
        """
        secret = None if cuts_of is None else cuts_of._opened.config.polynomial  # noqa: SLF001
        config = new_config(version, secret)
        backend = _backend(place)
        if backend.exists(CONFIG):
            raise RepositoryExistsError(backend.location)
        backend.create()
        if any(True for _ in backend.list(FileType.KEY)):
            raise RepositoryExistsError(
                backend.location,
                "it has keys, though no config",
                hint="if making one was broken off here, remove what is in `keys`; if "
                "the config was lost, bring it back: without it nothing opens",
            )
        key = SecretKey.random()
        name = save_key(backend, key, password, key_parameters or calibrated())
        try:
            save_config(Documents(backend, key, version), config)
        except ObjectExistsError as exc:
            # Somebody was a moment earlier; by this key their config does not open.
            backend.remove(File(FileType.KEY, name))
            raise RepositoryExistsError(backend.location) from exc
        return cls.open(backend, password, compression=compression)

    @classmethod
    def open(
        cls,
        place: Place,
        password: str,
        *,
        compression: Compression = Compression.AUTO,
        lock_patience: timedelta = timedelta(0),
        no_lock: bool = False,
        cancel: CancelToken | None = None,
    ) -> Self:
        """Open a repository.

        Args:
            place: Where it is.
            password: Of any of its keys.
            compression: For what this object writes, in a repository of version 2.
            lock_patience: For how long to wait while others hold a lock that excludes.
            no_lock: Only read, and take no lock: for who may not write there. Where
                somebody prunes meanwhile, what is read may be missing.
            cancel: Stops what takes long, which then raises `RunCancelledError`.

        Raises:
            RepositoryNotFoundError: There is none.
            WrongPasswordError: No key opens with it.
            UnsupportedFormatError: It is of a version that is not known here.
            IntegrityError: Its key or its config is damaged.
            InvalidConfigError: *place* is an address.
        """
        backend = _backend(place)
        if not backend.exists(CONFIG):
            raise RepositoryNotFoundError(backend.location)
        found = open_key(backend, password)
        key = found.master
        try:
            config = load_config(Documents(backend, key, 1))
        except ObjectNotFoundError as exc:
            raise RepositoryNotFoundError(backend.location) from exc
        opened = OpenedRepository(
            backend=backend,
            config=config,
            key=key,
            documents=Documents(backend, key, config.version),
            codec=BlobCodec(key, config.version, compression),
            cancel=cancel or CancelToken(),
        )
        return cls(opened, found.id, lock_patience=lock_patience, no_lock=no_lock)

    @property
    def id(self) -> str:
        """64 digits that are this repository's, wherever it is copied to."""
        return self._opened.config.id.hex()

    @property
    def version(self) -> int:
        """Of the format it is written in."""
        return self._opened.config.version

    def __repr__(self) -> str:
        return f"Repository({self._opened.backend.location!r}, id={self.id[:8]!r})"

    # --- verbs --------------------------------------------------------------------------

    def back_up(
        self,
        source: Source | Path | str,
        *,
        hostname: str = "",
        tags: Sequence[str] = (),
        time: datetime | None = None,
        parent: str | Snapshot | None = None,
        read_all: bool = False,
        excludes: Excludes | None = None,
        told: Told = untold,
    ) -> BackUpResult:
        """Save all there is in a source, and make a snapshot of it.

        Files that are as the parent has them are not read again.

        Args:
            source: A directory or file, or any `Source`.
            hostname: Instead of this host's name; snapshots of one host and the same
                paths follow each other.
            tags: Words to find it by.
            time: When it is to have been, aware; None: now.
            parent: One of `list`, an ID, the beginning of one, or ``latest``; None: the
                newest of the same host and paths.
            read_all: Read every file, whatever the parent has.
            excludes: What is left out, where *source* is a path; a `DirectorySource`
                takes it itself.
            told: Told how far this is.

        Raises:
            InvalidSpecError: *time* has no zone, *tags* is one text, or *excludes* has
                nobody to ask it.
            SnapshotNotFoundError: There is no such parent.
            SourceNotFoundError: None of the paths is there; there is no snapshot.
            RepositoryLockedError: Somebody works in it alone, or the lock was lost.
            StoreError: The backend failed; there is no snapshot, and nothing is damaged.
        """
        asked = BackUpRequest(
            hostname=hostname, tags=tags, time=time, parent=parent, read_all=read_all
        )
        return self._back_up(_source(source, excludes), asked, told)

    def _back_up(
        self, source: Source, asked: BackUpRequest, told: Told
    ) -> BackUpResult:
        with self._locking() as lock:
            from kbackup.repository._back_up import save_source

            known = [] if asked.read_all else self._readable_snapshots()
            self._opened.refresh_index()
            loaded = self._opened.loaded
            lock.look_when_confirmed(lambda: self._opened.require_loaded(loaded))
            return save_source(
                self._opened,
                source,
                asked,
                packers=self._packers,
                known=known,
                lock=lock,
                told=told,
            )

    def close(self) -> None:
        """Let go of the backend."""
        self._opened.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _backend(place: Place) -> Backend:
    if isinstance(place, str) and "://" in place:
        # Else a directory of that name would be made, and taken for the bucket.
        raise InvalidConfigError(
            "an address is no directory",
            hint="open its store, kbackup.stores.open_object_store(location), and give "
            "ObjectStoreBackend(store)",
        )
    return LocalBackend(Path(place)) if isinstance(place, Path | str) else place


def _source(source: Source | Path | str, excludes: Excludes | None) -> Source:
    if isinstance(source, Path | str):
        return DirectorySource(source, excludes=excludes)
    if excludes is not None:
        raise InvalidSpecError(["a source that is no path leaves out by itself"])
    return source
