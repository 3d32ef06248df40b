"""Object stores for tests: one in memory, one that fails when it is told to."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar, TypeVar

from kbackup.errors import (
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectInfo, ObjectStore
from kbackup.stores import common_prefixes, validate_key

T = TypeVar("T")


class MemoryStore:
    """An object store in a dictionary; nobody else sees it.

    Held to the same contract as the real ones. Shared freely by threads.

    Attributes:
        objects: The bytes by key, for looking at and for damaging.
    """

    api_version: ClassVar[int] = 1

    def __init__(self) -> None:
        self.capabilities = frozenset({Capability.ATOMIC_CREATE, Capability.RANGE})
        self.objects: dict[str, bytes] = {}
        self._modified: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._closed = False

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object; see `ObjectStore.put`."""
        self._check(key)
        if retain_until:
            raise UnsupportedCapabilityError(key, "memory cannot lock objects")
        data = source if isinstance(source, bytes) else source.read_bytes()
        with self._lock:
            if create and key in self.objects:
                raise ObjectExistsError(key)
            self.objects[key] = data
            self._modified[key] = datetime.now(UTC)
        return self.stat(key)

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
        info = self.stat(key)
        end = None if length is None else start + length
        data = self.objects[key][start:end]
        target.write(data)
        digest = hashlib.sha256(data).hexdigest()
        if expect is not None and digest != expect.hex:
            raise DigestMismatchError(key, f"it is sha256:{digest}")
        return info

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.stat`."""
        self._check(key)
        data = self.objects.get(key)
        if data is None:
            raise ObjectNotFoundError(key)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()  # as S3's
        return ObjectInfo(
            key=key, size=len(data), modified=self._modified.get(key), etag=etag
        )

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > after:
                try:
                    yield self.stat(key)
                except ObjectNotFoundError:  # deleted since the list began
                    continue

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        yield from common_prefixes(self.list(prefix), prefix, delimiter)

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        self._check(key)
        with self._lock:
            self.objects.pop(key, None)

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Raise `UnsupportedCapabilityError`."""
        del ttl
        raise UnsupportedCapabilityError(key, "memory has no signed addresses")

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    def _check(self, key: str) -> None:
        validate_key(key)
        if self._closed:
            raise StoreError(key, "the store was closed")


FailOn = Callable[[str, str], Exception | None]
"""From operation (``put``, ``get``, ...) and key to what to raise, or None."""


class FailingStore:
    """Passes calls of any thread on, records them, and fails when told to.

    Args:
        store: The store that works.
        fail_on: Asked before each call; what it returns is raised.
        after: Do the work first, then raise: the answer was lost.

    Attributes:
        calls: Operation and key of every call so far, failed ones included.
    """

    api_version: ClassVar[int] = 1

    def __init__(
        self, store: ObjectStore, fail_on: FailOn | None = None, *, after: bool = False
    ) -> None:
        self.capabilities = store.capabilities
        self.store = store
        self.fail_on = fail_on
        self.after = after
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @classmethod
    def failing_write(
        cls,
        store: ObjectStore,
        number: int,
        error: Exception | None = None,
        *,
        after: bool = False,
    ) -> FailingStore:
        """Return a store whose put or delete number *number*, from 1, fails.

        All later ones fail as well: the store is gone.
        """
        lock, seen = threading.Lock(), 0

        def fail_on(operation: str, key: str) -> Exception | None:
            nonlocal seen
            if operation not in {"put", "delete"}:
                return None
            with lock:
                seen += 1
                count = seen
            if count < number:
                return None
            return error or StoreUnavailableError(key, "told to fail")

        return cls(store, fail_on, after=after)

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Pass on, or fail."""
        error = self._asked("put", key)
        info = self.store.put(key, source, create=create, retain_until=retain_until)
        return _unless(error, info)

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Pass on, or fail."""
        error = self._asked("get", key)
        info = self.store.get(key, target, start=start, length=length, expect=expect)
        return _unless(error, info)

    def stat(self, key: str) -> ObjectInfo:
        """Pass on, or fail."""
        error = self._asked("stat", key)
        return _unless(error, self.store.stat(key))

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Pass on, or fail when the first object is asked for."""
        error = self._asked("list", prefix)
        yield from self.store.list(prefix, after=after)
        _unless(error, None)

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """Pass on, or fail when the first one is asked for."""
        error = self._asked("list_prefixes", prefix)
        yield from self.store.list_prefixes(prefix, delimiter)
        _unless(error, None)

    def delete(self, key: str) -> None:
        """Pass on, or fail."""
        error = self._asked("delete", key)
        self.store.delete(key)
        _unless(error, None)

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Pass on, or fail."""
        error = self._asked("signed_url", key)
        return _unless(error, self.store.signed_url(key, ttl))

    def close(self) -> None:
        """Pass on."""
        self.store.close()

    def _asked(self, operation: str, key: str) -> Exception | None:
        """Record a call; raise now, or return what to raise when it is done."""
        with self._lock:
            self.calls.append((operation, key))
        error = self.fail_on(operation, key) if self.fail_on else None
        if error is not None and not self.after:
            raise error
        return error


def _unless(error: Exception | None, value: T) -> T:
    if error is not None:
        raise error
    return value
