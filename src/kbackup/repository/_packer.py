"""Blobs into packs, packs to the backend, and what is in them to the index.

The order holds at any moment of a crash: a pack is durable before an index names it, and
all indexes are before a snapshot needs them. Called by whoever saves blobs; one for each
run. Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.repository._backend import Backend, File, FileType, Spool
from kbackup.repository._blobs import SealedBlob
from kbackup.repository._crypto import SecretKey
from kbackup.repository._documents import Documents
from kbackup.repository._ids import BlobID, BlobType, PackID
from kbackup.repository._index import MOST_BLOBS, IndexedPack, save_index
from kbackup.repository._packs import (
    MOST_ENTRIES,
    PACK_SIZE,
    PackedBlob,
    encode_header,
)

_SAVERS = 2  # threads that wait for the disk; they do nothing else
_INDEX_EVERY = 30.0  # seconds: what is in no index is saved once more after a crash


class _OpenPack:
    """A pack that is being filled, by one thread at a time."""

    def __init__(self, spool: Spool) -> None:
        self.blobs: list[PackedBlob] = []
        self.size = 0
        self._spool = spool
        self._digest = hashlib.sha256()

    def add(self, kind: BlobType, blobs: Sequence[tuple[BlobID, SealedBlob]]) -> None:
        """Append blobs, in one write."""
        for blob_id, (sealed, plain_size) in blobs:
            length = len(sealed)
            packed = PackedBlob(kind, blob_id, self.size, length, plain_size)
            self.blobs.append(packed)
            self.size += length
        whole = blobs[0][1].sealed
        if len(blobs) > 1:
            whole = b"".join(blob.sealed for _, blob in blobs)
        self._append(whole)

    @property
    def is_full(self) -> bool:
        """Whether it is closed now."""
        return self.size >= PACK_SIZE or len(self.blobs) >= MOST_ENTRIES

    def save(self, backend: Backend, key: SecretKey) -> IndexedPack:
        """Close it with its header and make it durable."""
        self._append(encode_header(key, self.blobs))
        name = PackID(self._digest.digest())
        backend.save(File(FileType.PACK, name), self._spool)
        return IndexedPack(name, tuple(self.blobs))

    def drop(self) -> None:
        """Give it up."""
        self._spool.close()

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._spool.write(data)
        self._digest.update(data)


@attrs.define
class Added:
    """What a packer was given.

    Attributes:
        blobs: How many, by type.
        plain: Bytes of them, before compression.
        packed: Bytes in packs.
    """

    blobs: dict[BlobType, int] = attrs.field(factory=lambda: dict.fromkeys(BlobType, 0))
    plain: int = 0
    packed: int = 0


class Packer:
    """Takes sealed blobs from many threads; `flush` makes all of them durable.

    Where they are, others learn from the index files, and so does the next run here:
    what no file names counts as unused for everybody, and may be removed.

    Args:
        documents: Where the index files go.
        key: The repository's own, which seals the headers.
    """

    def __init__(self, documents: Documents, key: SecretKey) -> None:
        self._documents, self._backend, self._key = documents, documents.backend, key
        self._open: dict[BlobType, deque[_OpenPack]] = {t: deque() for t in BlobType}
        self._savers = WorkerPool(_SAVERS, "kbackup-packs")
        self._saving: deque[Future[None]] = deque()
        self._lock = threading.Lock()
        self._saved: list[IndexedPack] = []  # durable, and in no index file yet
        self._indexed_at = time.monotonic()
        self.added = Added()

    def add(self, kind: BlobType, blobs: Sequence[tuple[BlobID, SealedBlob]]) -> None:
        """Put blobs into one pack. Raises what went wrong with an earlier pack.

        Args:
            kind: What they are.
            blobs: At least one; all of them no larger than the largest single one may
                be, as none is cut off.
        """
        with self._borrowed(kind) as pack:
            pack.add(kind, blobs)
        sizes = [(len(blob.sealed), blob.plain_size) for _, blob in blobs]
        with self._lock:
            self.added.blobs[kind] += len(blobs)
            self.added.plain += sum(plain or packed for packed, plain in sizes)
            self.added.packed += sum(packed for packed, _ in sizes)

    def flush(self) -> None:
        """Make everything durable that was added: packs, then the index."""
        for packs in self._open.values():
            while packs:
                self._begin_to_save(packs.popleft())
        self._await_savers(0)
        self._save_index()

    def close(self) -> None:
        """Give up what is not durable."""
        for packs in self._open.values():
            while packs:
                packs.pop().drop()
        self._savers.close()

    @contextmanager
    def _borrowed(self, kind: BlobType) -> Iterator[_OpenPack]:
        """Give a pack to one thread: the one that was filled last, while it is free."""
        packs = self._open[kind]
        try:
            pack = packs.pop()
        except IndexError:
            pack = _OpenPack(self._backend.spool())
        try:
            yield pack
        except BaseException:
            pack.drop()
            raise
        if pack.is_full:
            self._begin_to_save(pack)
        else:
            packs.append(pack)

    def _begin_to_save(self, pack: _OpenPack) -> None:
        self._await_savers(_SAVERS)
        future = self._savers.submit(self._save, pack)
        with self._lock:
            self._saving.append(future)

    def _await_savers(self, most: int) -> None:
        """Wait until at most so many packs are on their way; raise what went wrong."""
        while True:
            with self._lock:
                if len(self._saving) <= most:
                    return
                first = self._saving.popleft()
            first.result()

    def _save(self, pack: _OpenPack) -> None:
        indexed = pack.save(self._backend, self._key)
        with self._lock:
            self._saved.append(indexed)
            waiting = sum(len(each.blobs) for each in self._saved)
            is_late = time.monotonic() - self._indexed_at > _INDEX_EVERY
        if waiting >= MOST_BLOBS or is_late:
            self._save_index()

    def _save_index(self) -> None:
        with self._lock:
            packs, self._saved = self._saved, []
            self._indexed_at = time.monotonic()
        save_index(self._documents, packs)
