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

from kbackup.errors import (
    ObjectExistsError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectStore
from kbackup.stores import _layout as layout

_LOCKED_FOR = timedelta(minutes=5)  # clocks differ; a version stays that long, no more
_SIZE = 64
_TRIED = frozenset({Capability.ATOMIC_CREATE, Capability.RETENTION})


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


def unknown_lacks(document: object) -> frozenset[str]:
    """Return what else is lacking by a part of ``location.json``, as a newer kbackup says."""
    known = {each.value for each in Capability}
    told = _texts(document, "lacks") if isinstance(document, Mapping) else ()
    return frozenset(told) - known


def after_trial(
    before: StoreProfile, tried: StoreProfile, found: StoreProfile
) -> StoreProfile:
    """Return what to remember of a location; what was not tried stays as it was.

    Args:
        before: What was remembered.
        tried: All that would be lacking, had the trial gone badly.
        found: What it showed.
    """
    refused = set(before.refused_checksums) - set(tried.refused_checksums)
    return StoreProfile(
        lacks=before.lacks - tried.lacks | found.lacks,
        refused_checksums=tuple(sorted(refused | set(found.refused_checksums))),
    )


@runtime_checkable
class AdaptableStore(Protocol):
    """An `ObjectStore` of a server that may do less than the store declares."""

    def sent_checksum(self) -> str | None:
        """Return the algorithm of the checksum of uploads; empty: none is sent.

        None: the store has none to send.
        """
        ...

    def lost(self) -> frozenset[Capability]:
        """Return what the store declared when it was opened, and does not do now."""
        ...

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server lacks, from now on; nothing is ever added."""
        ...

    def is_adapted(self) -> bool:
        """Tell whether that was done since the store was opened."""
        ...


@runtime_checkable
class LockTellingStore(Protocol):
    """An `ObjectStore` with `Capability.RETENTION` whose server can be asked for locks."""

    def locked_until(self, key: str) -> datetime | None:
        """Return until when what is under *key* now is locked; None: it is not.

        Raises:
            UnsupportedCapabilityError: The server cannot be asked.
            StoreError: It does not answer.
        """
        ...


@runtime_checkable
class RetainingStore(Protocol):
    """An `ObjectStore` whose location says how long a backup is locked.

    Attributes:
        lock_for: From its writing on; None: it is not.
    """

    lock_for: timedelta | None


def checksum_mode(store: ObjectStore) -> str | None:
    """Return the checksum of uploads, see `AdaptableStore`; None: it has none."""
    return store.sent_checksum() if isinstance(store, AdaptableStore) else None


def lost_by(store: ObjectStore) -> frozenset[Capability]:
    """Return what a store declared and does not do, see `AdaptableStore`."""
    return store.lost() if isinstance(store, AdaptableStore) else frozenset()


def locked_until(store: ObjectStore, key: str) -> datetime | None:
    """Return until when an object is locked; see `LockTellingStore`.

    Raises:
        UnsupportedCapabilityError: The store cannot tell.
    """
    if not isinstance(store, LockTellingStore):
        raise UnsupportedCapabilityError(key, "it does not tell what is locked")
    return store.locked_until(key)


def adapt(store: ObjectStore, profile: StoreProfile) -> None:
    """Tell a store what its server lacks; one that is not adaptable is left as it is."""
    if isinstance(store, AdaptableStore):
        store.adapt(profile)


def is_adapted(store: ObjectStore) -> bool:
    """Tell whether a store was told what its server lacks, or found that by itself."""
    return isinstance(store, AdaptableStore) and (
        store.is_adapted() or bool(store.lost())
    )


def needs_probe(store: ObjectStore) -> bool:
    """Tell whether it is worth while to try a store out before it is written.

    It is not where nothing that the store does could be taken away.
    """
    if not isinstance(store, AdaptableStore) or store.is_adapted():
        return False
    return to_try(store) != StoreProfile() or bool(store.lost())


def to_try(store: ObjectStore) -> StoreProfile:
    """Return all that a probe of a store may find lacking."""
    checksum = checksum_mode(store)
    return StoreProfile(
        lacks=store.capabilities & _TRIED,
        refused_checksums=(checksum,) if checksum else (),
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

    An adaptable store is told what was found at once. What it has lost before is not
    tried, and counts as found.

    Raises:
        StoreError: It cannot even be written, read or deleted from.
    """
    key, data = layout.probe(), os.urandom(_SIZE)
    refused = _put(store, key, data)
    lacks, problems = set(lost_by(store)), []
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
    until = datetime.now(UTC) + _LOCKED_FOR
    try:
        store.put(key, data, retain_until=until)
    except StoreError as exc:
        if exc.retryable:
            raise
        return [f"{NO_RETENTION}: {exc.reason}"]
    is_locked = _is_locked(store, key)
    try:
        store.delete(key)
    except StoreError as exc:  # a lock that holds
        if exc.retryable:
            raise
        return []
    return [] if is_locked else [f"{NO_RETENTION}: it takes a lock and keeps none"]


def _is_locked(store: ObjectStore, key: str) -> bool:
    """Tell whether the server knows of the lock; who cannot ask has to believe."""
    try:
        return locked_until(store, key) is not None
    except StoreError as exc:
        if exc.retryable:
            raise
        return True


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = document.get(name)
    if not isinstance(found, Iterable) or isinstance(found, str):
        return ()
    return tuple(each for each in found if isinstance(each, str))
