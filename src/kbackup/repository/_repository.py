"""The facade: a repository made, opened, and what is done with it.

Each verb is a module of its own; here they get a lock, a loaded index and each other.
Order of a backup: packs, index, snapshot. Of reading: snapshots, then the index.
Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeAlias

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import (
    InvalidSpecError,
    ObjectNotFoundError,
    RepositoryExistsError,
    RepositoryNotFoundError,
    RunCancelledError,
)
from kbackup.repository._backend import CONFIG, Backend, FileType
from kbackup.repository._blobs import BlobCodec
from kbackup.repository._compression import Compression
from kbackup.repository._config import load_config, new_config, save_config
from kbackup.repository._crypto import ScryptParameters, SecretKey
from kbackup.repository._directory_source import DirectorySource
from kbackup.repository._directory_target import DirectoryTarget
from kbackup.repository._documents import Documents
from kbackup.repository._ids import KeyID
from kbackup.repository._keys import (
    KeyInfo,
    calibrated,
    find_key,
    list_keys,
    open_key,
    remove_key,
    save_key,
)
from kbackup.repository._local import LocalBackend
from kbackup.repository._locks import (
    Lock,
    LockInfo,
    acquire,
    list_locks,
    unlock,
)
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._progress import Told, untold
from kbackup.repository._restorer import Restored, Restorer
from kbackup.repository._retention import (
    ForgetPlan,
    RetentionPolicy,
    plan_forget,
)
from kbackup.repository._saving import BackUpRequest, BackUpResult, save_source
from kbackup.repository._selection import HOST_AND_PATHS, GroupBy, SnapshotFilter, find
from kbackup.repository._snapshots import (
    Snapshot,
    list_snapshots,
    remove_snapshot,
)
from kbackup.repository._sources import Source
from kbackup.repository._targets import Target

Place: TypeAlias = Path | str | Backend
"""A directory, or what keeps the files of a repository anywhere else."""

Snapshots: TypeAlias = list[Snapshot]


class Repository:
    """An opened repository; a context manager. May be shared by threads.

    Made by `init` or `open`.
    """

    def __init__(
        self, opened: OpenedRepository, key_id: KeyID, *, lock_patience: timedelta
    ) -> None:
        self._opened, self._key_id = opened, key_id
        self._patience = lock_patience

    @classmethod
    def init(
        cls,
        place: Place,
        password: str,
        *,
        version: int = 2,
        key_parameters: ScryptParameters | None = None,
        compression: Compression = Compression.AUTO,
    ) -> Self:
        """Make a repository and open it.

        Args:
            place: Where; a directory is made.
            password: Opens it from now on. Who loses it loses everything in there.
            version: 2, or 1 for programs that know no other: restic before 0.14.
            key_parameters: How dear it is to try a password; None: half a second here.
            compression: For what this object writes.

        Raises:
            RepositoryExistsError: There is one already, or what one is lost without; it
                was not changed.
            UnsupportedFormatError: There is no such version.
        """
        config = new_config(version)
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
        save_key(backend, key, password, key_parameters or calibrated())
        save_config(Documents(backend, key, version), config)
        return cls.open(backend, password, compression=compression)

    @classmethod
    def open(
        cls,
        place: Place,
        password: str,
        *,
        compression: Compression = Compression.AUTO,
        lock_patience: timedelta = timedelta(0),
        cancel: CancelToken | None = None,
    ) -> Self:
        """Open a repository.

        Args:
            place: Where it is.
            password: Of any of its keys.
            compression: For what this object writes, in a repository of version 2.
            lock_patience: For how long to wait while others hold a lock that excludes.
            cancel: Stops what takes long, which then raises `RunCancelledError`.

        Raises:
            RepositoryNotFoundError: There is none.
            WrongPasswordError: No key opens with it.
            UnsupportedFormatError: It is of a version that is not known here.
            IntegrityError: Its key or its config is damaged.
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
        return cls(opened, found.id, lock_patience=lock_patience)

    @property
    def id(self) -> str:
        """64 digits that are this repository's, wherever it is copied to."""
        return self._opened.config.id.hex()

    @property
    def version(self) -> int:
        """Of the format it is written in."""
        return self._opened.config.version

    @property
    def key_id(self) -> KeyID:
        """Which key file opened it."""
        return self._key_id

    def __repr__(self) -> str:
        return f"Repository({self._opened.backend.location!r}, id={self.id[:8]!r})"

    # --- verbs --------------------------------------------------------------------------

    def back_up(
        self,
        source: Source | Path | str,
        *,
        hostname: str = "",
        tags: tuple[str, ...] = (),
        time: datetime | None = None,
        parent: str | None = None,
        read_all: bool = False,
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
            parent: An ID; None: the newest of the same host and paths.
            read_all: Read every file, whatever the parent has.
            told: Told how far this is.

        Raises:
            InvalidSpecError: *time* has no zone.
            RepositoryLockedError: Somebody works in it alone, or the lock was lost.
            StoreError: The backend failed; there is no snapshot, and nothing is damaged.
        """
        if isinstance(source, Path | str):
            source = DirectorySource(source)
        asked = BackUpRequest(
            hostname=hostname, tags=tags, time=time, parent=parent, read_all=read_all
        )
        with self._locked() as lock:
            known = [] if read_all else self._snapshots()
            self._opened.refresh_index()
            return save_source(
                self._opened, source, asked, known=known, check=lock.check, told=told
            )

    def plan_forget(
        self,
        policy: RetentionPolicy,
        *,
        filter: SnapshotFilter | None = None,  # noqa: A002
        group_by: GroupBy = HOST_AND_PATHS,
        now: datetime | None = None,
    ) -> ForgetPlan:
        """Decide which snapshots a policy keeps, series by series; nothing is removed.

        Args:
            policy: What to keep of each series.
            filter: Which snapshots it is about; the others stay.
            group_by: What makes a series.
            now: Aware; None: this moment.

        Raises:
            InvalidSpecError: The policy keeps nothing at all.
        """
        chosen = filter or SnapshotFilter()
        found = [each for each in self.list() if chosen.matches(each)]
        moment = now or datetime.now(UTC)
        return plan_forget(found, policy, now=moment, group_by=group_by)

    def forget(
        self, what: ForgetPlan | Sequence[str], *, empty_series: bool = False
    ) -> Snapshots:
        """Remove snapshots; what only they need is unused from then on, and stays.

        Args:
            what: A plan, or IDs or beginnings of such.
            empty_series: Also where a plan keeps nothing of a series.

        Returns:
            Those that were removed, the oldest first.

        Raises:
            InvalidSpecError: The plan keeps nothing of a series; nothing was removed.
            SnapshotNotFoundError: One is not there; nothing was removed.
            RepositoryLockedError: Somebody else works in it.
        """
        if isinstance(what, ForgetPlan) and what.emptied and not empty_series:
            names = "; ".join(map(str, what.emptied))
            raise InvalidSpecError([f"nothing would be kept of {names}"])
        with self._locked(exclusive=True) as lock:
            known = self._snapshots()
            if isinstance(what, ForgetPlan):
                gone = {snapshot.id for snapshot in what.remove}
            else:
                gone = {find(known, text).id for text in what}
            removed = [snapshot for snapshot in known if snapshot.id in gone]
            for snapshot in removed:
                lock.check()
                remove_snapshot(self._opened.documents, snapshot)
        return removed

    def restore(
        self,
        snapshot: str | Snapshot,
        target: Target | Path | str,
        *,
        told: Told = untold,
    ) -> Restored:
        """Restore a snapshot.

        What is right in the target already is not written again; nothing is removed.

        Args:
            snapshot: One of `list`, an ID, the beginning of one, or ``latest``.
            target: A directory, which is made, or any `Target`.
            told: Told how far this is.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            IntegrityError: A tree is damaged.
            OSError: The directory cannot be made.
        """
        with self._locked():
            if isinstance(snapshot, str):
                snapshot = find(self._snapshots(), snapshot)
            self._opened.refresh_index()
            if isinstance(target, Path | str):
                target = DirectoryTarget(target)
                target.open_root()
            return Restorer(self._opened, target, told=told).run(snapshot.tree)

    def list(self) -> Snapshots:
        """Return the snapshots, the oldest first; raises `IntegrityError`."""
        with self._locked():
            return self._snapshots()

    # --- keys and locks -----------------------------------------------------------------

    def list_keys(self) -> Sequence[KeyInfo]:
        """Return what each key file tells, the oldest first."""
        return sorted(list_keys(self._opened.backend), key=attrgetter("created", "id"))

    def add_key(
        self,
        password: str,
        *,
        hostname: str = "",
        username: str = "",
        key_parameters: ScryptParameters | None = None,
    ) -> KeyID:
        """Let another password open the repository, too.

        Args:
            password: The other one.
            hostname: What the key file says of where it is from; empty: this host.
            username: Of whom it is; empty: this user.
            key_parameters: How dear it is to try it; None: half a second here.
        """
        with self._locked():
            return save_key(
                self._opened.backend,
                self._opened.key,
                password,
                key_parameters or calibrated(),
                hostname=hostname,
                username=username,
            )

    def remove_key(self, key: str) -> None:
        """Take a password its right to open the repository.

        Whoever knew it may have kept the repository's own key: what was saved with that
        stays open to them.

        Args:
            key: Its ID, or the beginning of one.

        Raises:
            KeyNotFoundError: There is none, or more than one begins so.
            RepositoryError: It is the one that opened this, so that one always stays.
        """
        with self._locked(exclusive=True):
            name = find_key(self._opened.backend, key)
            remove_key(self._opened.backend, name, current=self._key_id)

    def change_password(
        self, password: str, *, key_parameters: ScryptParameters | None = None
    ) -> KeyID:
        """Put another password in the place of the one that opened this.

        At any moment of a crash one of the two opens the repository.
        """
        with self._locked(exclusive=True):
            backend, old = self._opened.backend, self._key_id
            parameters = key_parameters or calibrated()
            new = save_key(backend, self._opened.key, password, parameters)
            self._key_id = open_key(backend, password, hint=new).id
            remove_key(backend, old, current=new)
        return new

    def list_locks(self) -> Sequence[LockInfo]:
        """Return who works in it."""
        return list(list_locks(self._opened.documents))

    def unlock(self, *, remove_all: bool = False) -> int:
        """Remove the locks that nobody holds any more; return how many.

        Args:
            remove_all: Those of living processes and damaged ones, too: whoever works
                there may lose what they write.
        """
        return len(unlock(self._opened.documents, remove_all=remove_all))

    def close(self) -> None:
        """Let go of the backend."""
        self._opened.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------

    @contextmanager
    def _locked(self, *, exclusive: bool = False) -> Iterator[Lock]:
        """Hold a lock; raise `RunCancelledError` where somebody cancelled meanwhile."""
        try:
            with acquire(
                self._opened.documents,
                exclusive=exclusive,
                patience=self._patience,
                sleep=self._opened.cancel.wait,
            ) as lock:
                yield lock
        except Cancelled as exc:
            raise RunCancelledError(exc.reason) from exc

    def _snapshots(self) -> Snapshots:
        found = list_snapshots(self._opened.documents)
        return sorted(found, key=attrgetter("time", "id"))


def _backend(place: Place) -> Backend:
    return LocalBackend(Path(place)) if isinstance(place, Path | str) else place
