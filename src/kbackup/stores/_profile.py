"""What a location turned out to do when it was first used, and how it is tried out.

Every server that speaks like S3 is different: some refuse checksums, some refuse a
conditional put, some overlook the condition. One small object below
``plugins/kbackup.io/probe/`` shows which. What was found only ever takes away from what
a store declares.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import attrs

from kbackup.errors import ObjectExistsError, StoreError
from kbackup.plugins import Capability, Digest, ObjectStore
from kbackup.stores import _layout as layout

_LOCKED_FOR = timedelta(minutes=5)  # clocks differ; a version stays that long, no more
_SIZE = 64


@attrs.frozen(kw_only=True)
class StoreProfile:
    """What a store declares and its server does not do.

    Attributes:
        lacks: Capabilities that were tried in vain.
        refused_checksums: Algorithms whose checksum made the server refuse an upload.
    """

    lacks: frozenset[Capability] = frozenset()
    refused_checksums: tuple[str, ...] = ()

    def encode(self) -> dict[str, list[str]]:
        """Return it as a part of ``location.json``."""
        return {
            "lacks": sorted(self.lacks),
            "refusedChecksums": list(self.refused_checksums),
        }

    @classmethod
    def decode(cls, document: object) -> StoreProfile | None:
        """Read it; None: there is none. What is not known is ignored."""
        if not isinstance(document, Mapping):
            return None
        lacks = set(_texts(document, "lacks")) & {each.value for each in Capability}
        return cls(
            lacks=frozenset(map(Capability, lacks)),
            refused_checksums=_texts(document, "refusedChecksums"),
        )


@runtime_checkable
class AdaptableStore(Protocol):
    """An `ObjectStore` of a server that may do less than the store declares."""

    def sent_checksum(self) -> str | None:
        """Return the algorithm of the checksum of uploads; empty: none is sent.

        None: the store below this one is not adaptable.
        """
        ...

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server lacks, from now on; nothing is ever added."""
        ...

    def is_adapted(self) -> bool:
        """Tell whether that was done since the store was opened."""
        ...


@runtime_checkable
class RetainingStore(Protocol):
    """An `ObjectStore` whose location says how long a backup is locked.

    Attributes:
        lock_for: From its writing on; None: it is not.
    """

    lock_for: timedelta | None


def checksum_mode(store: ObjectStore) -> str | None:
    """Return the checksum of uploads, see `AdaptableStore`; None: not adaptable."""
    return store.sent_checksum() if isinstance(store, AdaptableStore) else None


def adapt(store: ObjectStore, profile: StoreProfile) -> None:
    """Tell a store what its server lacks; one that is not adaptable is left as it is."""
    if isinstance(store, AdaptableStore):
        store.adapt(profile)


def needs_probe(store: ObjectStore) -> bool:
    """Tell whether it is worth while to try a store out before it is written."""
    return (
        isinstance(store, AdaptableStore)
        and store.sent_checksum() is not None
        and not store.is_adapted()
    )


def retention_of(store: ObjectStore) -> timedelta | None:
    """Return how long the objects of a backup are locked; None: they are not."""
    return store.lock_for if isinstance(store, RetainingStore) else None


@attrs.frozen(kw_only=True)
class Probe:
    """What trying out showed.

    Attributes:
        profile: What to do without.
        problems: What makes backups unsafe or impossible; sentences.
    """

    profile: StoreProfile
    problems: tuple[str, ...] = ()


NO_CREATE = "the store overwrites where it was told to create only"
NO_RETENTION = "the bucket locks no objects, although the location asks for it"
_NOT_LISTED = "the store does not list what was just written"
_LISTED_AFTER = "the store lists what is not past the key that a list begins after"


def probe_store(store: ObjectStore) -> Probe:
    """Write, read, list and delete a small object; nothing of it stays visible.

    An adaptable store is told what was found at once.

    Raises:
        StoreError: It cannot even be written, read or deleted from.
    """
    key, data = layout.probe(), os.urandom(_SIZE)
    refused = _put(store, key, data)
    lacks, problems = set(), []
    try:
        target = io.BytesIO()
        store.get(key, target, expect=Digest(hashlib.sha256(data).hexdigest()))
        problems += _listing_faults(store, key)
        if Capability.ATOMIC_CREATE in store.capabilities:
            fault = _create_fault(store, key, data)
            if fault or Capability.ATOMIC_CREATE not in store.capabilities:
                lacks.add(Capability.ATOMIC_CREATE)
            problems += fault
        if Capability.RETENTION in store.capabilities:
            fault = _lock_fault(store, layout.probe(), data)
            if fault:
                lacks.add(Capability.RETENTION)
            problems += fault
    finally:
        store.delete(key)
    profile = StoreProfile(lacks=frozenset(lacks), refused_checksums=refused)
    adapt(store, profile)
    return Probe(profile=profile, problems=tuple(problems))


def _put(store: ObjectStore, key: str, data: bytes) -> tuple[str, ...]:
    """Write; where that fails, once more without a checksum. Return what was refused."""
    try:
        store.put(key, data)
    except StoreError as exc:
        checksum = checksum_mode(store)
        if not checksum or exc.retryable:
            raise
        adapt(store, StoreProfile(refused_checksums=(checksum,)))
        store.put(key, data)
        return (checksum,)
    return ()


def _listing_faults(store: ObjectStore, key: str) -> list[str]:
    if key not in [info.key for info in store.list(key)]:
        return [_NOT_LISTED]
    if any(info.key <= key for info in store.list(key, after=key)):
        return [_LISTED_AFTER]
    return []


def _create_fault(store: ObjectStore, key: str, data: bytes) -> list[str]:
    """Say how a create over what is there fails to fail.

    A store may find out by itself, while it tries, that its server refuses conditions.
    """
    try:
        store.put(key, data, create=True)
    except ObjectExistsError:
        return []
    return [NO_CREATE]


def _lock_fault(store: ObjectStore, key: str, data: bytes) -> list[str]:
    """Say why no object can be locked; one that can is deleted if the store lets us."""
    try:
        store.put(key, data, retain_until=datetime.now(UTC) + _LOCKED_FOR)
    except StoreError as exc:
        if exc.retryable:
            raise
        return [f"{NO_RETENTION}: {exc.reason}"]
    try:
        store.delete(key)
    except StoreError as exc:  # a lock that holds
        if exc.retryable:
            raise
    return []


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = document.get(name)
    if not isinstance(found, Iterable) or isinstance(found, str):
        return ()
    return tuple(each for each in found if isinstance(each, str))
