"""The object store of one directory: its I/O, within the times of the location."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

from kbackup.errors import (
    DigestMismatchError,
    ObjectNotFoundError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectInfo
from kbackup.stores import (
    Copies,
    DirectoryState,
    LocationRecord,
    LocationState,
    Timeouts,
    bounded,
    common_prefixes,
    layout,
    translate_store_errors,
    walk_in_key_order,
)
from kbackup_plugins_local._directory import Directory

_MOST_IDENTITY = 1 << 16  # bytes


class LocalStore:
    """Objects in one directory; shared freely between threads and processes.

    The directory is made by the first put. A directory that is not there is an empty
    store. Work that may hang in the operating system, as on a dead network mount, is
    done on a thread of its own and left behind when its time is over.

    Args:
        root: The directory, absolute; a location's bucket is part of it.
        prefix: The location's prefix, below which its identity lies.
        timeouts: Total times of the calls.
    """

    api_version: ClassVar[int] = 1

    def __init__(
        self, root: Path, *, prefix: str = "", timeouts: Timeouts | None = None
    ) -> None:
        self.capabilities = frozenset({Capability.ATOMIC_CREATE, Capability.RANGE})
        self.root = root
        self.location_key = f"{prefix}/{layout.LOCATION}" if prefix else layout.LOCATION
        self._directory = Directory(root)
        self._timeouts = timeouts or Timeouts()
        self._closed = False

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object; see `ObjectStore.put`."""
        self._check_open(key)
        if retain_until:
            raise UnsupportedCapabilityError(key, "a directory cannot lock files")
        with translate_store_errors(key):  # the source may be unreadable
            size = len(source) if isinstance(source, bytes) else source.stat().st_size
        seconds = self._timeouts.for_transfer(size)
        return bounded(key, seconds, self._directory.put, key, source, create=create)

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Read an object; see `ObjectStore.get`.

        *expect* is held against the bytes that are delivered. *target* is written from
        another thread, while this one waits.
        """
        self._check_open(key)
        size = self.stat(key).size
        hashing = _Hashing(target) if expect is not None else target
        stop = threading.Event()
        try:
            info = bounded(
                key,
                self._timeouts.for_transfer(size),
                self._directory.read,
                key,
                hashing,
                start=start,
                length=length,
                stop=stop,
            )
        finally:
            stop.set()  # a thread left behind must not write to the target later
        if isinstance(hashing, _Hashing) and expect is not None:
            hashing.check(key, expect)
        return info

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.stat`."""
        self._check_open(key)
        return bounded(key, self._timeouts.for_request(), self._directory.stat, key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        return walk_in_key_order(self._children, prefix, after)

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        if delimiter != "/":
            yield from common_prefixes(self.list(prefix), prefix, delimiter)
            return
        base = prefix[: prefix.rfind("/") + 1]
        names = (name for name, info in self._children(base) if info is None)
        for path in sorted(f"{base}{name}/" for name in names):
            if path.startswith(prefix) and self._holds_any(path):
                yield path

    def _holds_any(self, path: str) -> bool:
        try:
            return next(self.list(path), None) is not None
        except StoreError:  # it is there; who looks into it is told
            return True

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        self._check_open(key)
        bounded(key, self._timeouts.for_request(), self._directory.delete, key)

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Raise `UnsupportedCapabilityError`: nobody serves the directory."""
        del ttl
        raise UnsupportedCapabilityError(key, "a directory has no signed addresses")

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    # --- copies and identity ----------------------------------------------------------

    def copies(self, key: str) -> Copies:
        """Count the one copy; see `MirroredStore.copies`."""
        try:
            self.stat(key)
        except ObjectNotFoundError:
            return Copies(0, 1)
        return Copies(1, 1)

    def location_state(self) -> LocationState:
        """Describe the directory; one that is yet to be made is not away."""
        try:
            record = self.read_location()
        except StoreError as exc:
            state = DirectoryState(path=str(self.root), present=False, reason=str(exc))
        else:
            state = DirectoryState(
                path=str(self.root), present=True, uuid=record.uuid if record else ""
            )
        return LocationState(directories=(state,))

    def problems(self) -> tuple[str, ...]:
        """Return nothing: every failure of the one directory is raised."""
        return ()

    def initialise(self) -> str:
        """Make the directory with its identity, if it has none; return the uuid."""
        if record := self.read_location():
            return record.uuid
        return self.write_location(LocationRecord()).uuid

    def read_location(self) -> LocationRecord | None:
        """Return the identity that the directory carries, or None."""
        target = io.BytesIO()
        try:
            self.get(self.location_key, target, length=_MOST_IDENTITY)
        except ObjectNotFoundError:
            return None
        return LocationRecord.decode(target.getvalue())

    def write_location(self, record: LocationRecord) -> LocationRecord:
        """Give the directory its identity and return it."""
        self.put(self.location_key, record.encode(), create=True)
        return record

    def digest(self, key: str, *, start: int = 0, length: int | None = None) -> Digest:
        """Return the SHA-256 of an object, or of a part of it."""
        hashing = _Hashing(None)
        self.get(key, hashing, start=start, length=length)
        return hashing.digest

    def path_of(self, key: str) -> Path:
        """Return the file of an object, for copying it from one directory to another."""
        return self._directory.path_of(key)

    def _children(self, path: str) -> Sequence[tuple[str, ObjectInfo | None]]:
        self._check_open(path)
        return bounded(
            path, self._timeouts.for_request(), self._directory.children, path
        )

    def _check_open(self, key: str) -> None:
        if self._closed:
            raise StoreError(key, "the store was closed")


class _Hashing(io.BytesIO):
    """Hashes what is written to it and passes it on; keeps nothing."""

    def __init__(self, target: BinaryIO | None) -> None:
        super().__init__()
        self._target = target
        self._hash = hashlib.sha256()

    def write(self, data: bytes, /) -> int:  # type: ignore[override] # bytes are enough
        self._hash.update(data)
        if self._target is not None:
            self._target.write(data)
        return len(data)

    @property
    def digest(self) -> Digest:
        """The digest of what was written so far."""
        return Digest(self._hash.hexdigest())

    def check(self, key: str, expect: Digest) -> None:
        """Raise `DigestMismatchError` unless that is *expect*."""
        if self.digest != expect:
            raise DigestMismatchError(key, f"it is {self.digest}")
