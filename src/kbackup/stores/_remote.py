"""An `ObjectStore` that is asked by requests, which fail, hang and lose their answers.

What is the same for all of them: keys looked at, times kept, requests tried again,
objects read in pieces, and what a server turns out not to do done without. A provider
adds the requests. An fsspec filesystem is asked by `FsspecObjectStore`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
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
from kbackup.plugins import Capability, Digest, ObjectInfo
from kbackup.stores._keys import validate_key
from kbackup.stores._parts import PartWorkers
from kbackup.stores._places import Place, names_place, naming_place
from kbackup.stores._profile import StoreProfile
from kbackup.stores._sources import steady_source
from kbackup.stores._timeouts import RetryPolicy, Timeouts
from kbackup.stores._walk import common_prefixes

T = TypeVar("T")

PIECE = 16 << 20  # what one request reads, and so what a get holds in memory
PIECE_AHEAD = 4 << 20  # where several are read at once
# How a server says that it knows no condition: S3, Cloud Storage, HTTP, Azure.
_NO_CONDITIONS = (
    "(NotImplemented)",
    "(notImplemented)",
    "(501)",
    "(UnsupportedHeader)",
)
_FIRST = 1 << 20  # what may come with the description, within the time of a request

_log = logging.getLogger("kbackup.stores")


class RemoteObjectStore(ABC):
    """An object store whose provider brings the requests.

    Every method may be called from any thread, also from one with a running event loop.
    After a fork every call in the child is refused. A provider writes the methods of the
    part "What a provider brings" and overrides those of "What a provider may know
    better". It is also an `AdaptableStore`: what its server turns out not to do is done
    without.

    Args:
        root: The bucket, or another place below which keys lie.
        capabilities: What it can do; `Capability.ATOMIC_CREATE` says that a write with
            *create* has one winner.
        timeouts: Total times of the calls.
        retry: How to try again; nothing below should do so itself.
        workers: Read pieces of large objects ahead; None: one after the other.
    """

    api_version: ClassVar[int] = 1

    def __init__(
        self,
        root: str,
        *,
        capabilities: frozenset[Capability] = frozenset(),
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        workers: PartWorkers | None = None,
    ) -> None:
        self.capabilities = frozenset(capabilities)
        self._declared = self.capabilities
        self._adapted = False
        self._root = root.rstrip("/")
        self._timeouts = timeouts or Timeouts()
        self._retry = retry or RetryPolicy()
        self._workers = workers
        self._closed = False
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root!r})"

    @property
    def place(self) -> Place:
        """Which store it is, for its errors; a provider says it better."""
        return Place(self._root)

    # --- the Protocol -----------------------------------------------------------------

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
        validate_key(key)
        if retain_until and Capability.RETENTION not in self.capabilities:
            raise UnsupportedCapabilityError(key, "it cannot lock objects")
        tried = 0

        def attempt(left: float) -> None:
            nonlocal tried
            tried += 1
            self._check_open(key)
            try:
                if create:
                    self._create(key, source, left, retain_until=retain_until)
                else:
                    self._write(
                        key, source, left, create=False, retain_until=retain_until
                    )
            except ObjectExistsError:
                # An earlier attempt may have arrived although its answer was lost.
                if tried == 1 or not self._holds(key, source):
                    raise

        with steady_source(key, source) as size:
            self._retry.run(self._timeouts.for_transfer(size), attempt)
        return ObjectInfo(key=key, size=size)

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

        *expect* is held against the bytes that are delivered.
        """
        validate_key(key)
        most = min(PIECE, _FIRST) if length is None else min(length, PIECE, _FIRST)
        info, first = self._request(lambda left: self._begin(key, start, most, left))
        end = info.size if length is None else min(info.size, start + length)
        digest = hashlib.sha256()
        for piece in self._pieces(info, start, end, first):
            if expect is not None:
                digest.update(piece)
            target.write(piece)
            del piece  # not to be held while the next one is read
        if expect is not None and digest.hexdigest() != expect.hex:
            raise DigestMismatchError(key, f"it is sha256:{digest.hexdigest()}")
        return info

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.stat`."""
        validate_key(key)
        return self._request(lambda left: self._stat(key, left))

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        return naming_place(self.place, self._list(prefix, after))

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        return naming_place(self.place, self._list_prefixes(prefix, delimiter))

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        validate_key(key)
        with suppress(ObjectNotFoundError):
            self._request(lambda left: self._delete(key, left))

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Sign an address; see `ObjectStore.signed_url`."""
        validate_key(key)
        if Capability.SIGNED_URL not in self.capabilities:
            raise UnsupportedCapabilityError(key, "it has no signed addresses")
        return str(self._request(lambda left: self._sign(key, ttl, left)))

    def close(self) -> None:
        """Let go of what is held; closing twice is fine."""
        self._closed = True
        if self._workers is not None:
            self._workers.close()

    # --- What the server turned out to be ---------------------------------------------

    def sent_checksum(self) -> str | None:
        """Return what goes along with an upload; see `AdaptableStore`."""
        return None

    def lost(self) -> frozenset[Capability]:
        """Return what was declared and is not done; see `AdaptableStore`."""
        return self._declared - self.capabilities

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server does not do; see `AdaptableStore`."""
        self._adapted = True
        self.capabilities -= profile.lacks

    def is_adapted(self) -> bool:
        """Tell whether that was done; see `AdaptableStore`."""
        return self._adapted

    def locked_until(self, key: str) -> datetime | None:
        """Tell until when an object is locked; see `LockTellingStore`."""
        validate_key(key)
        return self._request(lambda left: self._lock_of(key, left))

    # --- What a provider brings -------------------------------------------------------

    @abstractmethod
    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Put the object in one go; *create* and *retain_until* only with the capability."""

    @abstractmethod
    def _read(self, info: ObjectInfo, start: int, end: int, seconds: float) -> bytes:
        """Return the bytes of an object from *start* to *end*, which is in it."""

    @abstractmethod
    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        """Describe an object."""

    @abstractmethod
    def _delete(self, key: str, seconds: float) -> None:
        """Remove an object; one that is gone may be told or not."""

    @abstractmethod
    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List objects; each request is made by `_request`."""

    # --- What a provider may know better ----------------------------------------------

    def _create(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        retain_until: datetime | None,
    ) -> None:
        """Put an object whose key is free: under the server's own condition.

        Where the server has none, there is a look before the write, and others may come
        between.
        """
        if Capability.ATOMIC_CREATE in self.capabilities:
            try:
                self._write(
                    key, source, seconds, create=True, retain_until=retain_until
                )
            except StoreError as exc:
                if not exc.reason.endswith(_NO_CONDITIONS):
                    raise
                # Nothing was written; where something else is not implemented, the
                # second try says so.
                self.capabilities -= {Capability.ATOMIC_CREATE}
                _log.warning("%s: the server refuses conditional puts", self._root)
            else:
                return
        self._refuse_existing(key, seconds)
        self._write(key, source, seconds, create=False, retain_until=retain_until)

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe an object, perhaps with bytes from *start* on, *most* at most."""
        del start, most
        return self._stat(key, seconds), b""

    def _list_prefixes(self, prefix: str, delimiter: str) -> Iterator[str]:
        yield from common_prefixes(self.list(prefix), prefix, delimiter)

    def _sign(self, key: str, ttl: timedelta, seconds: float) -> str:
        """Sign an address; only with the capability."""
        del ttl, seconds
        raise UnsupportedCapabilityError(key, "it signs no addresses")

    def _lock_of(self, key: str, seconds: float) -> datetime | None:
        """Ask until when an object is locked."""
        del seconds
        raise UnsupportedCapabilityError(key, "it does not tell what is locked")

    # --- inside -----------------------------------------------------------------------

    def _refuse_existing(self, key: str, seconds: float) -> None:
        """Raise `ObjectExistsError` for a key that is taken just now."""
        with suppress(ObjectNotFoundError):
            self._stat(key, seconds)
            raise ObjectExistsError(key)

    def _check_open(self, key: str) -> None:
        if self._closed:
            raise StoreError(key, "the store was closed")
        # Threads and connections stay with the parent: a call would hang.
        if os.getpid() != self._process:
            raise StoreError(
                key,
                "the store was opened before this process was forked",
                hint="open it in the process that uses it, or start that by spawn",
            )

    @names_place
    def _request(self, attempt: Callable[[float], T]) -> T:
        return self._retry.run(self._timeouts.for_request(), attempt)

    def _pieces(
        self, info: ObjectInfo, start: int, end: int, first: bytes = b""
    ) -> Iterator[bytes]:
        """Read piece by piece, all within one time, and all of the same object."""
        size = max(end - start, 0)
        deadline = time.monotonic() + self._timeouts.for_transfer(size)

        def read(span: tuple[int, int]) -> bytes:
            left = deadline - time.monotonic()
            if left <= 0:
                raise StoreUnavailableError(info.key, "it took too long to read")
            piece = self._retry.run(left, partial(self._read, info, *span))
            if len(piece) != span[1] - span[0]:
                raise StoreUnavailableError(info.key, "it ended before its size")
            return piece

        if first:
            yield first
        most = PIECE if self._workers is None else min(PIECE, PIECE_AHEAD)
        begins = range(start + len(first), end, most)
        spans = [(begin, min(begin + most, end)) for begin in begins]
        if self._workers is None or len(spans) == 1:
            yield from map(read, spans)
        else:
            yield from self._workers.read(spans, read)
        in_one_go = len(spans) + bool(first) <= 1
        if not in_one_go and not _is_same(info, self.stat(info.key)):
            raise StoreUnavailableError(info.key, "it was replaced while it was read")

    def _holds(self, key: str, source: Path | bytes) -> bool:
        """Tell whether the object under *key* is *source*, byte for byte."""
        if isinstance(source, bytes):
            wanted = hashlib.sha256(source).hexdigest()
        else:
            with source.open("rb") as file:
                wanted = hashlib.file_digest(file, "sha256").hexdigest()
        found = hashlib.sha256()
        info = self.stat(key)
        for piece in self._pieces(info, 0, info.size):
            found.update(piece)
        return found.hexdigest() == wanted


def _is_same(one: ObjectInfo, other: ObjectInfo) -> bool:
    # An etag says it alone: one answer has the time to the second, another more exactly.
    if one.etag and other.etag:
        return (one.size, one.etag) == (other.size, other.etag)
    return (one.size, one.modified) == (other.size, other.modified)
