"""Blobs into packs, packs to the backend, and what is in them to the index.

The order holds at any moment of a crash: a pack is durable before an index names it, and
all indexes are before a snapshot needs them. Called by whoever saves blobs; runs of one
process share one, see `_sharing`. Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from kbackup._kits.workers import WorkerPool
from kbackup.errors import KBackupError
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
_LOOK_EVERY = 10.0  # seconds: what others saved since then may be saved once more


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


def _nothing() -> None: ...


class Packer:
    """Takes sealed blobs from many threads and runs; `flush` makes all of them durable.

    Where they are, others learn from the index files, and so does the next run here:
    what no file names counts as unused for everybody, and may be removed. Once something
    could not be saved, nobody's flush succeeds: whose blobs these were is not known.

    Args:
        documents: Where the index files go.
        key: The repository's own, which seals the headers.
        look: Called now and then by a thread that saves packs: to learn what others
            saved meanwhile.
    """

    def __init__(
        self,
        documents: Documents,
        key: SecretKey,
        *,
        look: Callable[[], object] = _nothing,
    ) -> None:
        self._documents, self._backend, self._key = documents, documents.backend, key
        self._look = look
        self._open: dict[BlobType, deque[_OpenPack]] = {t: deque() for t in BlobType}
        self._held: dict[BlobType, set[bytes]] = {t: set() for t in BlobType}
        self._savers = WorkerPool(_SAVERS, "kbackup-packs")
        self._saving: deque[Future[None]] = deque()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._gate = threading.Condition()
        self._borrowers = 0
        self._is_flushing = False
        self._saved: list[IndexedPack] = []  # durable, and in no index file yet
        self._indexing = threading.Lock()
        self._indexed_at = self._looked_at = time.monotonic()

    @property
    def has_failed(self) -> bool:
        """Whether something could not be saved."""
        return self._failure is not None

    def holds(self, kind: BlobType, blob_id: BlobID) -> bool:
        """Tell whether a blob was added: it is durable after the next flush."""
        return blob_id in self._held[kind]

    def add(
        self,
        kind: BlobType,
        blobs: Sequence[tuple[BlobID, SealedBlob]],
        *,
        confirm: Callable[[], None] = _nothing,
    ) -> None:
        """Put blobs into one pack. Raises what went wrong with an earlier pack.

        Args:
            kind: What they are.
            blobs: At least one; all of them no larger than the largest single one may
                be, as none is cut off.
            confirm: Raises where nothing may be written any more; called before it is.
        """
        self._require_sound()
        with self._borrowed(kind, confirm) as pack:
            pack.add(kind, blobs)
            self._held[kind].update(name for name, _ in blobs)

    def flush(self, *, confirm: Callable[[], None] = _nothing) -> None:
        """Make everything durable that was added so far: packs, then the index.

        Args:
            confirm: As `add` has it; also called before the index is written, as packs
                that it names may have been removed once a lock was lost.
        """
        with self._alone():
            for packs in self._open.values():
                while packs:
                    confirm()
                    self._begin_to_save(packs.popleft(), confirm)
        with self._lock:
            last = list(self._saving)
        for future in last:
            future.exception()  # waits; `_failure` says what it was
        self._require_sound()
        confirm()
        self._save_index()
        self._require_sound()

    def close(self) -> None:
        """Give up what is not durable."""
        for packs in self._open.values():
            while packs:
                packs.pop().drop()
        self._savers.close()

    # --- packs that are being filled ----------------------------------------------------

    @contextmanager
    def _borrowed(
        self, kind: BlobType, confirm: Callable[[], None]
    ) -> Iterator[_OpenPack]:
        """Give a pack to one thread: the one that was filled last, while it is free."""
        with self._gate:
            self._gate.wait_for(lambda: not self._is_flushing)
            self._borrowers += 1
        try:
            packs = self._open[kind]
            try:
                pack = packs.pop()
            except IndexError:
                pack = _OpenPack(self._backend.spool())
            try:
                yield pack
            except BaseException as exc:
                self._fail(exc)  # others may rely on what else is in it
                pack.drop()
                raise
            try:
                if pack.is_full:
                    confirm()
            except BaseException:
                packs.append(pack)  # for those who may still write
                raise
            if pack.is_full:
                self._begin_to_save(pack, confirm)
            else:
                packs.append(pack)
        finally:
            with self._gate:
                self._borrowers -= 1
                self._gate.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off those who add, and wait for those who do."""
        with self._gate:
            self._gate.wait_for(lambda: not self._is_flushing)
            self._is_flushing = True
            self._gate.wait_for(lambda: not self._borrowers)
        try:
            yield
        finally:
            with self._gate:
                self._is_flushing = False
                self._gate.notify_all()

    # --- packs on their way -------------------------------------------------------------

    def _begin_to_save(self, pack: _OpenPack, confirm: Callable[[], None]) -> None:
        self._await_savers(_SAVERS)
        future = self._savers.submit(self._save, pack, confirm)
        with self._lock:
            self._saving.append(future)

    def _await_savers(self, most: int) -> None:
        """Wait until at most so many packs are on their way."""
        while True:
            with self._lock:
                while self._saving and self._saving[0].done():
                    self._saving.popleft()
                if len(self._saving) <= most:
                    return
                first = self._saving[0]
            first.exception()

    def _save(self, pack: _OpenPack, confirm: Callable[[], None]) -> None:
        try:
            indexed = pack.save(self._backend, self._key)
            with self._lock:
                self._saved.append(indexed)
                waiting = sum(len(each.blobs) for each in self._saved)
            now = time.monotonic()
            if waiting >= MOST_BLOBS or now - self._indexed_at > _INDEX_EVERY:
                self._save_index_if(confirm)
            if now - self._looked_at > _LOOK_EVERY:
                self._looked_at = now
                with suppress(KBackupError):  # who sees less saves more, and no worse
                    self._look()
        except BaseException as exc:
            self._fail(exc)
            raise

    def _save_index_if(self, confirm: Callable[[], None]) -> None:
        """Write what is in no index yet, or leave that to those who may still write."""
        try:
            confirm()
        except KBackupError:
            return  # the run that this is of is told so when it goes on
        self._save_index()

    def _save_index(self) -> None:
        """Write what is in no index yet; whoever comes meanwhile waits for that."""
        with self._indexing:
            with self._lock:
                packs, self._saved = self._saved, []
                self._indexed_at = time.monotonic()
            try:
                save_index(self._documents, packs)
            except BaseException as exc:
                self._fail(exc)
                raise

    # --- what went wrong ----------------------------------------------------------------

    def _fail(self, exc: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or exc

    def _require_sound(self) -> None:
        if self._failure is not None:
            raise self._failure
