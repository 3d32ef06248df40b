"""Brings blobs out of packs: each part of a pack is read once, and each blob checked.

Two threads read ahead. Large blobs they open and hand on themselves; of small ones only
what does without the interpreter's lock is theirs, whole ranges at a time: at every step
of every small blob they would stand in the way of the one that writes. Called by whoever
needs many blobs, wherever they lie.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import groupby
from typing import Any, TypeAlias

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.errors import IntegrityError, StoreError
from kbackup.repository._backend import File, FileType
from kbackup.repository._blobs import PackedBytes
from kbackup.repository._ids import BlobID, Bytes, PackID, short
from kbackup.repository._index import Place
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._ranges import MOST_PLAIN, SMALL, are_small, is_near

_WORKERS = 2
_MOST_WAITING = 4  # ranges of large blobs
_MOST_AHEAD = 2  # ranges of small ones
_RANGE = 4 << 20  # bytes of a pack that are asked for at once
_SMALL_RANGE = 1 << 20  # the same, of small blobs: several are in memory, plain as well


@attrs.define
class Need:
    """A blob that is needed.

    Attributes:
        id: Its name.
        place: Where it is.
        users: Who needs it, for whoever asked.
    """

    id: BlobID
    place: Place
    users: list[Any] = attrs.field(factory=list)


Sealed: TypeAlias = Bytes
"""A blob as it lies in its pack."""

_Range: TypeAlias = tuple[PackID, list[Need]]
_Unsealed: TypeAlias = list[tuple[Need, PackedBytes, Sealed]]
_Opened: TypeAlias = list[tuple[Need, Bytes | IntegrityError, Sealed]]


class Bringer:
    """Brings blobs; used once, by one thread.

    Args:
        repository: Where they are.
        deliver: Given each blob, plain and as it is sealed, on one of three threads.
        fail: Given each that cannot be brought, with the reason; on the same.
    """

    def __init__(
        self,
        repository: OpenedRepository,
        deliver: Callable[[Need, Bytes, Sealed], None],
        fail: Callable[[Need, str], None],
    ) -> None:
        self._repository = repository
        self._deliver, self._fail = deliver, fail
        self._large: deque[Future[None]] = deque()
        self._loading: deque[tuple[_Range, Future[memoryview | str]]] = deque()
        self._inflating: deque[Future[_Opened]] = deque()
        self._is_ended = False

    def run(self, needs: Iterable[Need]) -> None:
        """Bring all of them; once this ended, however it did, nothing is delivered.

        Raises:
            StoreError: The backend does not answer, for the moment.
            Cancelled: Somebody stopped it.
        """
        self._pool = WorkerPool(_WORKERS, "kbackup-packs")
        try:
            for part in _ranges(needs):
                self._repository.cancel.check()
                if are_small([need.place for need in part[1]]):
                    self._loading.append((part, self._pool.submit(self._load, part)))
                    self._bring_small(_MOST_AHEAD)
                else:
                    while len(self._large) >= _MOST_WAITING:
                        self._large.popleft().result()
                    self._large.append(self._pool.submit(self._bring_large, part))
            self._bring_small(0)
            while self._large:
                self._large.popleft().result()
        finally:
            self._is_ended = True
            self._pool.close()

    def _load(self, part: _Range) -> memoryview | str:
        """Read a range; what is wrong with its pack is returned as a text."""
        pack, needs = part
        first, last = needs[0].place, needs[-1].place
        length = last.offset + last.length - first.offset
        file = File(FileType.PACK, pack)
        try:
            content = self._repository.backend.load(file, first.offset, length)
        except StoreError as exc:
            if exc.retryable:
                raise
            return f"{file}: {exc}"
        return memoryview(content)

    def _sealed(
        self, part: _Range, content: memoryview | str
    ) -> Iterator[tuple[Need, memoryview]]:
        """Yield each blob with its bytes in a range; of a lost range, fail all."""
        _, needs = part
        begins = needs[0].place.offset
        for need in needs:
            if isinstance(content, str):
                self._fail(need, content)
                continue
            at = need.place.offset - begins
            yield need, content[at : at + need.place.length]

    # --- large blobs, on a thread each ----------------------------------------------------

    def _bring_large(self, part: _Range) -> None:
        codec = self._repository.codec
        for need, sealed in self._sealed(part, self._load(part)):
            if self._is_ended:
                return
            try:
                plain = codec.open(need.id, sealed, need.place.plain_size)
            except IntegrityError as exc:
                self._fail(need, str(exc))
            else:
                self._deliver(need, plain, sealed)

    # --- small blobs, many at a time ------------------------------------------------------

    def _bring_small(self, most: int) -> None:
        """Take on what is loaded, and what is inflated, but for so many ranges."""
        while len(self._loading) > most:
            part, loaded = self._loading.popleft()
            for unsealed in _inflated_together(self._unsealed(part, loaded.result())):
                self._inflating.append(self._pool.submit(self._inflated, unsealed))
                while len(self._inflating) > most:
                    self._hand_on(self._inflating.popleft().result())

    def _unsealed(self, part: _Range, content: memoryview | str) -> _Unsealed:
        found: _Unsealed = []
        for need, sealed in self._sealed(part, content):
            try:
                packed = self._repository.codec.unseal(need.id, sealed)
            except IntegrityError as exc:
                self._fail(need, str(exc))
            else:
                plain_size = need.place.plain_size
                found.append((need, PackedBytes(packed, plain_size), sealed))
        return found

    def _inflated(self, unsealed: _Unsealed) -> _Opened:
        named = [(f"blob {short(need.id)}", packed) for need, packed, _ in unsealed]
        plains = self._repository.codec.inflate_all(named)
        return [
            (need, plain, sealed)
            for (need, _, sealed), plain in zip(unsealed, plains, strict=True)
        ]

    def _hand_on(self, opened: _Opened) -> None:
        for need, plain, sealed in opened:
            try:
                if isinstance(plain, IntegrityError):
                    raise plain
                self._repository.codec.check(need.id, plain)
            except IntegrityError as exc:
                self._fail(need, str(exc))
            else:
                self._deliver(need, plain, sealed)


def _inflated_together(unsealed: _Unsealed) -> Iterator[_Unsealed]:
    """Yield a range in parts that fit into memory when they are plain.

    Of what shrinks to nearly nothing a thousand blobs lie in one range.
    """
    part: _Unsealed = []
    size = 0
    for each in unsealed:
        if part and size + each[0].place.size > MOST_PLAIN:
            yield part
            part, size = [], 0
        part.append(each)
        size += each[0].place.size
    yield part


def _ranges(needs: Iterable[Need]) -> Iterator[_Range]:
    """Yield the parts of packs that are read at once."""
    ordered = sorted(needs, key=lambda need: (need.place.pack, need.place.offset))
    for pack, lying in groupby(ordered, key=lambda need: need.place.pack):
        part: list[Need] = []
        for need in lying:
            if part and not _joins(part, need):
                yield pack, part
                part = []
            part.append(need)
        yield pack, part


def _joins(part: list[Need], need: Need) -> bool:
    """Whether a blob is read with those before it."""
    most = _RANGE if need.place.length >= SMALL else _SMALL_RANGE
    return is_near(need.place, part[0].place, part[-1].place, most=most)
