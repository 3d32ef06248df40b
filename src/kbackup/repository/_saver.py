"""Saves blobs on two threads: hash, look whether it is known, compress, seal, verify, pack.

A thread takes a blob, or a batch of small ones, through all of it: a queue for each step
costs more than the steps of a small file. Called by the archiver and by `_copy`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from kbackup._kits.workers import WorkerPool
from kbackup.repository._ids import BlobID, BlobType, Bytes, hash_of
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer

_WORKERS = 2  # a third one only waits for the interpreter
_MOST_WAITING = 4  # batches: of up to 8 MiB each


class BlobSaver:
    """Saves each blob once, whoever gives it; used by one thread that reads.

    Args:
        repository: Where they go.
        packer: Of this run.
    """

    def __init__(self, repository: OpenedRepository, packer: Packer) -> None:
        self._codec, self._index = repository.codec, repository.index
        self._packer = packer
        self._pool = WorkerPool(_WORKERS, "kbackup-blobs")
        self._waiting: deque[Future[None]] = deque()
        self._claims: dict[tuple[BlobType, bytes], object] = {}

    def save(
        self,
        kind: BlobType,
        batch: Sequence[Bytes],
        done: Callable[[int, BlobID], None],
    ) -> None:
        """Save some blobs, soon; waits while others are on their way.

        Args:
            kind: What they are.
            batch: Their plain bytes, which must not change any more.
            done: Called for each on a thread of its own, with its place in the batch
                and its name, once it is in a pack or was known.
        """
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._save, kind, batch, done))

    def wait(self) -> None:
        """Return when all of them are saved; raise what went wrong."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """End the threads."""
        self._pool.close(wait=False)

    def save_now(self, kind: BlobType, plain: Bytes) -> BlobID:
        """Save one blob on this thread and return its name."""
        blob_id = BlobID(hash_of(plain))
        if self._claim(kind, blob_id):
            self._packer.add(kind, blob_id, self._codec.seal(kind, plain))
        return blob_id

    def _save(
        self,
        kind: BlobType,
        batch: Sequence[Bytes],
        done: Callable[[int, BlobID], None],
    ) -> None:
        for number, plain in enumerate(batch):
            done(number, self.save_now(kind, plain))

    def _claim(self, kind: BlobType, blob_id: BlobID) -> bool:
        """Whether nobody saved or saves it: whoever sets its token first does."""
        if self._index.has(kind, blob_id):
            return False
        token = threading.get_ident(), object()
        return self._claims.setdefault((kind, blob_id), token) is token
