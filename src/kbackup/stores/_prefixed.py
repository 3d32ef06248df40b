"""Stores around a store: one below a prefix, one that refuses to be written.

Both pass on what a store of several copies can tell and do, see `_mirrors`; for a store
without copies they give the plain answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

import attrs

from kbackup.errors import (
    ReadOnlyLocationError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectInfo, ObjectStore
from kbackup.stores._keys import validate_key
from kbackup.stores._location_file import ensure_location_record
from kbackup.stores._mirrors import (
    Copies,
    DirectoryStore,
    LocationState,
    PendingDeletion,
    PreparableStore,
    RepairableStore,
    copies_of,
    directories_of,
    problems_of,
    state_of,
)
from kbackup.stores._profile import (
    StoreProfile,
    adapt,
    checksum_mode,
    locked_until,
    lost_by,
    needs_probe,
    retention_of,
)
from kbackup.stores._unfinished import TidyStore, UnfinishedWrite, unfinished_writes


class PrefixedStore:
    """What lies below a prefix of another store; shared freely between threads.

    Args:
        store: The whole store; closed with this one.
        prefix: Without slashes at its ends; empty for all of it.
    """

    api_version: ClassVar[int] = 1

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        prefix = prefix.strip("/")
        self._prefix = f"{validate_key(prefix)}/" if prefix else ""
        self._store = store
        self.lock_for: timedelta | None = retention_of(store)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return those of the whole store, which may lose some while it is used."""
        return self._store.capabilities

    @capabilities.setter
    def capabilities(self, value: frozenset[Capability]) -> None:
        self._store.capabilities = value

    def __repr__(self) -> str:
        return f"PrefixedStore({self._store!r}, {self._prefix!r})"

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object; see `ObjectStore.put`."""
        with self._outer_errors(key):
            info = self._store.put(
                self._inner(key), source, create=create, retain_until=retain_until
            )
        return self._outer(info)

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Read an object; see `ObjectStore.get`."""
        with self._outer_errors(key):
            info = self._store.get(
                self._inner(key), target, start=start, length=length, expect=expect
            )
        return self._outer(info)

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.stat`."""
        with self._outer_errors(key):
            return self._outer(self._store.stat(self._inner(key)))

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        past = self._prefix + after if after else ""
        with self._outer_errors(prefix):
            for info in self._store.list(self._prefix + prefix, after=past):
                yield self._outer(info)

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        with self._outer_errors(prefix):
            for found in self._store.list_prefixes(self._prefix + prefix, delimiter):
                yield found[len(self._prefix) :]

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        with self._outer_errors(key):
            self._store.delete(self._inner(key))

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Sign an address; see `ObjectStore.signed_url`."""
        with self._outer_errors(key):
            return self._store.signed_url(self._inner(key), ttl)

    def close(self) -> None:
        """Close the whole store."""
        self._store.close()

    def copies(self, key: str) -> Copies:
        """Count the copies of an object; see `MirroredStore.copies`."""
        return copies_of(self._store, self._inner(key))

    def location_state(self) -> LocationState:
        """Describe the store's directories; see `MirroredStore.location_state`."""
        return state_of(self._store)

    def problems(self) -> tuple[str, ...]:
        """Tell what went wrong so far; see `MirroredStore.problems`."""
        return problems_of(self._store)

    def initialise(self) -> str:
        """Make the place; see `PreparableStore.initialise`."""
        if isinstance(self._store, PreparableStore):
            return self._store.initialise()
        return ensure_location_record(self).uuid

    # --- copies -----------------------------------------------------------------------

    def directories(self) -> tuple[DirectoryStore, ...]:
        """Return the store's directories; see `MirroredStore.directories`."""
        prefix = self._prefix.rstrip("/")
        return tuple(
            DirectoryStore(each.path, PrefixedStore(each.store, prefix))
            for each in directories_of(self._store)
        )

    def pending_deletions(self) -> tuple[PendingDeletion, ...]:
        """Return those below the prefix; see `RepairableStore.pending_deletions`."""
        if not isinstance(self._store, RepairableStore):
            return ()
        return tuple(
            PendingDeletion(each.path, each.key.removeprefix(self._prefix))
            for each in self._store.pending_deletions()
            if each.key.startswith(self._prefix)
        )

    def apply_deletions(self) -> None:
        """Apply them; see `RepairableStore.apply_deletions`."""
        if isinstance(self._store, RepairableStore):
            self._store.apply_deletions()

    def make_copy(self, key: str, digest: Digest, path: str) -> bool:
        """Make a copy again; see `RepairableStore.make_copy`."""
        if not isinstance(self._store, RepairableStore):
            raise UnsupportedCapabilityError(key, "it keeps one copy only")
        with self._outer_errors(key):
            return self._store.make_copy(self._inner(key), digest, path)

    # --- what the server turned out to be ---------------------------------------------

    def sent_checksum(self) -> str | None:
        """Return what goes along with an upload; see `AdaptableStore`."""
        return checksum_mode(self._store)

    def lost(self) -> frozenset[Capability]:
        """Return what was declared and is not done; see `AdaptableStore`."""
        return lost_by(self._store)

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server lacks; see `AdaptableStore`."""
        adapt(self._store, profile)

    def is_adapted(self) -> bool:
        """Tell whether that was done; see `AdaptableStore`."""
        return not needs_probe(self._store)

    def locked_until(self, key: str) -> datetime | None:
        """Tell until when an object is locked; see `LockTellingStore`."""
        with self._outer_errors(key):
            return locked_until(self._store, self._inner(key))

    # --- unfinished writes ------------------------------------------------------------

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield unfinished writes; see `TidyStore.unfinished`."""
        for each in unfinished_writes(self._store, self._prefix + prefix):
            yield attrs.evolve(each, key=each.key[len(self._prefix) :])

    def discard(self, write: UnfinishedWrite) -> None:
        """Remove what a write left; see `TidyStore.discard`."""
        if isinstance(self._store, TidyStore):
            with self._outer_errors(write.key):
                self._store.discard(attrs.evolve(write, key=self._inner(write.key)))

    # --- inside -----------------------------------------------------------------------

    def _inner(self, key: str) -> str:
        return self._prefix + validate_key(key)

    def _outer(self, info: ObjectInfo) -> ObjectInfo:
        if not self._prefix:
            return info
        return attrs.evolve(info, key=info.key[len(self._prefix) :])

    @contextmanager
    def _outer_errors(self, key: str) -> Iterator[None]:  # noqa: ARG002 - see heirs
        """Let an error name the key that the caller gave, not the one below."""
        try:
            yield
        except StoreError as exc:
            if not self._prefix or not exc.key.startswith(self._prefix):
                raise
            outer = exc.key[len(self._prefix) :]
            error = type(exc)(outer, exc.reason, hint=exc.hint)
            if exc.location:
                error.at(f"{exc.location}/{self._prefix.rstrip('/')}", exc.server)
            raise error from exc


class ReadOnlyStore(PrefixedStore):
    """A store of a location that is not to be written; shared by threads as that is."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, "")

    def put(
        self,
        key: str,
        source: Path | bytes,  # noqa: ARG002 - the Protocol's signature
        *,
        create: bool = False,  # noqa: ARG002
        retain_until: datetime | None = None,  # noqa: ARG002
    ) -> ObjectInfo:
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError(key)

    def delete(self, key: str) -> None:
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError(key)

    def initialise(self) -> str:
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError("")

    def apply_deletions(self) -> None:
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError("")

    def make_copy(self, key: str, digest: Digest, path: str) -> bool:  # noqa: ARG002
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError(key)

    def discard(self, write: UnfinishedWrite) -> None:
        """Refuse with `ReadOnlyLocationError`."""
        raise ReadOnlyLocationError(write.key)
