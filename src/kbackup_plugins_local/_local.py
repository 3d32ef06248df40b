"""The object store of one directory: its I/O, within the times of the location."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

import attrs

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
    DirectoryStore,
    LocationRecord,
    LocationState,
    Place,
    Timeouts,
    UnfinishedWrite,
    bounded,
    layout,
    names_place,
    prefixes_in_key_order,
    translate_store_errors,
    walk_in_key_order,
)
from kbackup_plugins_local._directory import Directory, Peeked

# Bytes that are read together with what describes them, within the time of a request:
# records are smaller, and a disk that cannot do it in 30 s hangs.
_SMALL = 1 << 18


@attrs.frozen
class Glance:
    """What one directory of several looks like at one moment.

    Attributes:
        record: Its identity, or None.
        tombstones: Their names.
        peeked: The object that was asked for, or why it cannot be read.
    """

    record: LocationRecord | None
    tombstones: Sequence[str]
    peeked: Peeked | StoreError | None = None


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
        below = f"{prefix}/" if prefix else ""
        self.location_key = f"{below}{layout.LOCATION}"
        self.tombstones_path = f"{below}{layout.TOMBSTONES}"
        self._directory = Directory(root)
        self._timeouts = timeouts or Timeouts()
        self._closed = False
        self._identity: tuple[bytes, LocationRecord | None] = (b"", None)  # seen last

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    @property
    def place(self) -> Place:
        """The directory, for errors."""
        return Place(f"file://{self.root}")

    @names_place
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

    @names_place
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

        *expect* is held against the bytes that are delivered. *target* may be written
        from another thread, while this one waits.
        """
        found, content = self.peek(key)
        if content is not None:
            end = None if length is None else start + length
            deliver(key, content[start:end], target, expect)
            return found
        hashing = _Hashing(target) if expect is not None else target
        stop = threading.Event()
        try:
            info = bounded(
                key,
                self._timeouts.for_transfer(found.size),
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

    @names_place
    def peek(self, key: str) -> Peeked:
        """Describe an object, and return its bytes where they are few."""
        self._check_open(key)
        seconds = self._timeouts.for_request()
        return bounded(key, seconds, self._directory.peek, key, _SMALL)

    @names_place
    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.stat`."""
        self._check_open(key)
        return bounded(key, self._timeouts.for_request(), self._directory.stat, key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        return walk_in_key_order(self._children, prefix, after)

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        return prefixes_in_key_order(self._children, self.list, prefix, delimiter)

    @names_place
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
            state = DirectoryState(
                path=str(self.root), present=False, reason=exc.without_location
            )
        else:
            state = DirectoryState(
                path=str(self.root), present=True, uuid=record.uuid if record else ""
            )
        return LocationState(directories=(state,))

    def directories(self) -> tuple[DirectoryStore, ...]:
        """Return nothing: there is one directory, and it is the store."""
        return ()

    def problems(self) -> tuple[str, ...]:
        """Return nothing: every failure of the one directory is raised."""
        return ()

    def initialise(self) -> str:
        """Make the directory with its identity, if it has none; return the uuid."""
        if record := self.read_location():
            return record.uuid
        return self.write_location(LocationRecord()).uuid

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield the temporary files of writers; see `TidyStore.unfinished`."""
        waiting = [prefix[: prefix.rfind("/") + 1]]
        while waiting:
            path = waiting.pop()
            files, directories = bounded(
                path, self._timeouts.for_request(), self._directory.temporaries, path
            )
            waiting += [each for each in directories if _leads_to(each, prefix)]
            yield from (each for each in files if each.key.startswith(prefix))

    @names_place
    def discard(self, write: UnfinishedWrite) -> None:
        """Remove a temporary file; see `TidyStore.discard`."""
        self._check_open(write.key)
        bounded(write.key, self._timeouts.for_request(), self._directory.discard, write)

    def read_location(self) -> LocationRecord | None:
        """Return the identity that the directory carries, or None."""
        target = io.BytesIO()
        try:
            self.get(self.location_key, target, length=_SMALL)
        except ObjectNotFoundError:
            return None
        return LocationRecord.decode(target.getvalue())

    def glance(self, key: str = "") -> Glance:
        """Look at identity and tombstones, and at an object, in one call."""
        self._check_open(self.location_key)
        content, tombstones, peeked = bounded(
            self.location_key,
            self._timeouts.for_request(),
            self._directory.glance,
            self.location_key,
            _SMALL,
            self.tombstones_path,
            key,
        )
        if content is None:
            return Glance(None, tombstones, peeked)
        if content != self._identity[0]:
            self._identity = (content, LocationRecord.decode(content))
        return Glance(self._identity[1], tombstones, peeked)

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

    @names_place
    def _children(self, path: str) -> Sequence[tuple[str, ObjectInfo | None]]:
        self._check_open(path)
        return bounded(
            path, self._timeouts.for_request(), self._directory.children, path
        )

    def _check_open(self, key: str) -> None:
        if self._closed:
            raise StoreError(key, "the store was closed")


def deliver(key: str, content: bytes, target: BinaryIO, expect: Digest | None) -> None:
    """Write what was read to *target*, if it is what was expected.

    Raises:
        DigestMismatchError: It is not; nothing was written.
    """
    if expect is not None and (digest := digest_of(content)) != expect:
        raise DigestMismatchError(key, f"it is {digest}")
    target.write(content)


def digest_of(content: bytes) -> Digest:
    """Return the digest of bytes."""
    return Digest(hashlib.sha256(content).hexdigest())


def _leads_to(path: str, prefix: str) -> bool:
    return path.startswith(prefix) or prefix.startswith(path)


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
