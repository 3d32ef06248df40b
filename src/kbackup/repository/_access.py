"""What every verb begins with: a lock, the snapshots there are, and those that are meant.

The facade's chapters build on it: `_reading`, `_upkeep`, `_keyring`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from operator import attrgetter
from typing import TypeAlias

from kbackup._kits.workers import Cancelled
from kbackup.errors import (
    IntegrityError,
    InvalidSpecError,
    ObjectNotFoundError,
    RunCancelledError,
)
from kbackup.repository._backend import FileType
from kbackup.repository._ids import KeyID, SnapshotID
from kbackup.repository._locks import Lock, acquire, begin
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._selection import SnapshotFilter, find_snapshot
from kbackup.repository._sharing import SharedPacker
from kbackup.repository._snapshots import (
    Snapshot,
    list_snapshots,
    load_snapshot,
    require_several,
)

Snapshots: TypeAlias = list[Snapshot]  # in the facade `list` is a verb

_log = logging.getLogger("kbackup.repository")


class Access:
    """An opened repository, and what its verbs begin with.

    Args:
        opened: The repository.
        key_id: The key file that opened it.
        lock_patience: For how long to wait for those who hold a lock that excludes.
        no_lock: Whether it is only read, and without locks.
    """

    def __init__(
        self,
        opened: OpenedRepository,
        key_id: KeyID,
        *,
        lock_patience: timedelta,
        no_lock: bool,
    ) -> None:
        self._opened, self._key_id = opened, key_id
        self._patience, self._no_lock = lock_patience, no_lock
        self._packers = SharedPacker(opened)

    @contextmanager
    def _locked(self, *, exclusive: bool = False) -> Iterator[Lock]:
        """Hold a lock; raise `RunCancelledError` where somebody cancelled meanwhile."""
        self._require_locks()
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

    @contextmanager
    def _locking(self) -> Iterator[Lock]:
        """Hold a shared lock that is confirmed later, by whoever has read what it needs.

        Whoever waits for others has a confirmed one: it would read for nothing.
        """
        if self._patience:
            with self._locked() as lock:
                yield lock
            return
        self._require_locks()
        opened = self._opened
        try:
            with begin(opened.documents, sleep=opened.cancel.wait) as lock:
                yield lock
        except Cancelled as exc:
            raise RunCancelledError(exc.reason) from exc

    @contextmanager
    def _reading(self) -> Iterator[Callable[[], None]]:
        """Keep others from removing what is read; yield what confirms that they are kept.

        Without locks nobody is, and there is nothing to confirm.
        """
        if self._no_lock:
            yield lambda: None
            return
        with self._locking() as lock:
            yield lock.confirm

    def _require_locks(self) -> None:
        if self._no_lock:
            raise InvalidSpecError(["without locks a repository is only read"])

    def _snapshots(self) -> Snapshots:
        found = list_snapshots(self._opened.documents)
        return sorted(found, key=attrgetter("time", "id"))

    def _readable_snapshots(self) -> Snapshots:
        """Return those that are whole: one that is not is no reason not to save."""

        def warn(error: IntegrityError) -> None:
            _log.warning("%s; files are not compared to those that it has", error)

        return list(list_snapshots(self._opened.documents, warn))

    def _meant(
        self, wanted: Sequence[str | Snapshot], chosen: SnapshotFilter | None
    ) -> Snapshots:
        """Return the snapshots that are named; without a name, those that are chosen."""
        require_several(wanted)
        if wanted:
            return [
                each if isinstance(each, Snapshot) else self._named(each, chosen)
                for each in wanted
            ]
        known = self._snapshots()
        return [each for each in known if chosen is None or chosen.matches(each)]

    def _named(self, text: str, chosen: SnapshotFilter | None = None) -> Snapshot:
        """Return the snapshot that a text means; raises as `find_snapshot`.

        By its ID it is found also where another one is damaged.
        """
        documents, prefix = self._opened.documents, text.lower()
        found = [
            SnapshotID(name)
            for name, _ in documents.backend.list(FileType.SNAPSHOT)
            if prefix and name.hex().startswith(prefix)
        ]
        if len(found) == 1:
            with suppress(ObjectNotFoundError):  # removed just now
                return load_snapshot(documents, found[0])
        return find_snapshot(self._snapshots(), text, filter=chosen)
