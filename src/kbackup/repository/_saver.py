"""Saves blobs on two threads: hash, look whether it is known, compress, seal, verify, pack.

A thread takes a large blob through all of it. Of small ones only what does without the
interpreter's lock goes to the threads, for a whole batch at a time: they would stand in
each other's way at every step of every blob, and be slower than one alone. Called by the
archiver.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeAlias

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.repository._blobs import PackedBytes, SealedBlob
from kbackup.repository._ids import BlobID, BlobType, Bytes, hash_of
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer

_WORKERS = 2  # a third one only waits for the interpreter
_MOST_WAITING = 4  # jobs: of up to 8 MiB each
_MOST_SMALL = 2  # batches that are being compressed

_Small: TypeAlias = tuple[BlobType, list[BlobID], Future[list[PackedBytes]]]


@attrs.define
class Added:
    """What a run saved that was new.

    Attributes:
        blobs: How many, by type.
        plain: Bytes of them, before compression.
        packed: Bytes in packs.
    """

    blobs: dict[BlobType, int] = attrs.field(factory=lambda: dict.fromkeys(BlobType, 0))
    plain: int = 0
    packed: int = 0


class BlobSaver:
    """Saves each blob once, whoever gives it.

    One thread submits jobs; these, on threads of this, save what they have.

    Args:
        repository: Where they go.
        packer: Of this run, and perhaps of others that save at the same time.
        confirm: Raises where nothing may be written any more; called before it is.
    """

    def __init__(
        self,
        repository: OpenedRepository,
        packer: Packer,
        *,
        confirm: Callable[[], None] = lambda: None,
    ) -> None:
        self._codec, self._index = repository.codec, repository.index
        self._packer, self._confirm = packer, confirm
        self._adding = threading.Lock()
        self.added = Added()
        self._pool = WorkerPool(_WORKERS, "kbackup-blobs")
        self._waiting: deque[Future[None]] = deque()
        self._small: deque[_Small] = deque()
        self._is_closed = False
        self._claims: dict[tuple[BlobType, bytes], object] = {}

    def submit(self, job: Callable[[], None]) -> None:
        """Have something done on one of the threads; waits while others are waiting."""
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._do, job))

    def _do(self, job: Callable[[], None]) -> None:
        if not self._is_closed:
            job()

    def wait(self) -> None:
        """Return when all of it is done; raise what went wrong."""
        self._seal_small(most=0)
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """End the threads; jobs that did not begin are not done any more.

        Nothing is written after that: whoever called this may release their lock.
        """
        self._is_closed = True
        self._pool.close()

    def save(self, kind: BlobType, plain: Bytes) -> BlobID:
        """Save one blob on the calling thread, if it is new; return its name."""
        blob_id = BlobID(hash_of(plain))
        if self._claim(kind, blob_id):
            self._add(kind, [(blob_id, self._codec.seal(kind, plain))])
        return blob_id

    def save_small(self, kind: BlobType, batch: Sequence[Bytes]) -> list[BlobID]:
        """Save many small blobs, soon; called by the thread that submits.

        Returns:
            Their names. They are in packs once `wait` returned.
        """
        names = [BlobID(hash_of(plain)) for plain in batch]
        new = [
            (name, plain)
            for name, plain in zip(names, batch, strict=True)
            if self._claim(kind, name)
        ]
        if new:
            plains = [plain for _, plain in new]
            packed = self._pool.submit(self._codec.compress_all, kind, plains)
            self._small.append((kind, [name for name, _ in new], packed))
        self._seal_small(most=_MOST_SMALL)
        return names

    def _seal_small(self, most: int) -> None:
        """Seal the batches that are compressed, waiting where there are too many."""
        while self._small:
            kind, names, packed = self._small[0]
            if len(self._small) <= most and not packed.done():
                return
            self._small.popleft()
            sealed = map(self._codec.seal_packed, packed.result())
            blobs = list(zip(names, sealed, strict=True))
            self.submit(partial(self._add, kind, blobs))

    def _add(self, kind: BlobType, blobs: Sequence[tuple[BlobID, SealedBlob]]) -> None:
        self._packer.add(kind, blobs, confirm=self._confirm)
        with self._adding:
            self.added.blobs[kind] += len(blobs)
            for name, (sealed, plain_size) in blobs:
                self.added.packed += len(sealed)
                self.added.plain += plain_size or len(sealed)
                del self._claims[kind, name]  # the packer has it

    def _claim(self, kind: BlobType, blob_id: BlobID) -> bool:
        """Whether nobody saved or saves it: whoever sets its token first does."""
        if self._index.has(kind, blob_id) or self._packer.holds(kind, blob_id):
            return False
        token, key = object(), (kind, blob_id)
        if self._claims.setdefault(key, token) is not token:
            return False
        if self._packer.holds(kind, blob_id):  # since the first look
            del self._claims[key]
            return False
        return True
