"""What is in files, in the order of their bytes: loaded ahead on two threads, and checked.

For who needs a stream; a restore, which writes wherever it likes, goes through `_bringing`
in the order of the packs. Neighbours in a pack are read with one request, a blob that
follows itself once, and what is in memory is bounded by bytes before and after compression.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from itertools import groupby
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from kbackup._kits.workers import WorkerPool
from kbackup.errors import BlobMissingError, IntegrityError, ObjectNotFoundError
from kbackup.repository._backend import File, FileType
from kbackup.repository._blobs import PackedBytes
from kbackup.repository._ids import BlobID, BlobType, Bytes, hash_of, short
from kbackup.repository._index import Place
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._ranges import MOST_PLAIN, are_small, is_near

T = TypeVar("T")

_WORKERS = 2
_MOST_AHEAD = 3  # parts
_PART = 4 << 20  # bytes of a pack that are asked for at once
_STEPS = 1024  # in a part

_Plains: TypeAlias = dict[BlobID, Bytes | IntegrityError]


class _Step(NamedTuple, Generic[T]):
    """A blob of a file, or the file's beginning, which has neither blob nor place."""

    number: int
    file: T
    blob: BlobID | None = None
    place: Place | None = None


class _Part(Generic[T]):
    """What is read with one request.

    Attributes:
        steps: In the order of the files.
        blobs: Those that are needed of it, each once, in the order of the pack.
    """

    def __init__(self) -> None:
        self.steps: list[_Step[T]] = []
        self.blobs: dict[BlobID, Place] = {}
        self._plain = 0

    def takes(self, step: _Step[T]) -> bool:
        """Whether a step may come into this part."""
        if len(self.steps) >= _STEPS:
            return False
        if step.place is None or not self.blobs or step.blob in self.blobs:
            return True
        joins = is_near(step.place, *self._ends, most=_PART)
        return joins and self._plain + step.place.size <= MOST_PLAIN

    def add(self, step: _Step[T]) -> None:
        """Take a step in."""
        self.steps.append(step)
        if step.blob is not None and step.place and step.blob not in self.blobs:
            self.blobs[step.blob] = step.place
            self._plain += step.place.size

    @property
    def _ends(self) -> tuple[Place, Place]:
        return next(iter(self.blobs.values())), next(reversed(self.blobs.values()))

    @property
    def extent(self) -> tuple[Place, int]:
        """The first of its blobs, and how many bytes there are to the end of the last."""
        first, last = self._ends
        return first, last.offset + last.length - first.offset

    @property
    def is_small(self) -> bool:
        """Whether to open its blobs takes the interpreter's lock most of the time."""
        return are_small(self.blobs.values())


def read_content(
    repository: OpenedRepository, blobs: Sequence[BlobID]
) -> Iterator[Bytes]:
    """Yield the plain bytes of each data blob, in their order.

    Args:
        repository: Where they are; its index is loaded.
        blobs: Of one file, say.

    Raises:
        BlobMissingError: No index knows one, or its pack is gone.
        IntegrityError: One is damaged; those before it came.
        StoreError: The backend failed.
        Cancelled: Somebody stopped it.
    """
    for _, content in read_contents(repository, [(None, blobs)]):
        yield from content


def read_contents(
    repository: OpenedRepository, files: Iterable[tuple[T, Sequence[BlobID]]]
) -> Iterator[tuple[T, Iterator[Bytes]]]:
    """Yield each file with its content; small files that lie together come together.

    Args:
        repository: Where they are; its index is loaded.
        files: Anything, with its blobs. Taken one by one, some ahead of what is yielded.

    Returns:
        What was given, with what `read_content` yields; that is good until the next file
        is asked for.
    """
    with closing(_plain_steps(repository, _parts(_steps(repository, files)))) as steps:
        for _, found in groupby(steps, key=_number_of):
            yield _apart(found)


def _apart(found: Iterator[tuple[_Step[T], Bytes]]) -> tuple[T, Iterator[Bytes]]:
    begins, _ = next(found)
    return begins.file, (plain for _, plain in found)


def _number_of(found: tuple[_Step[T], Bytes]) -> int:
    return found[0].number


def _steps(
    repository: OpenedRepository, files: Iterable[tuple[T, Sequence[BlobID]]]
) -> Iterator[_Step[T]]:
    for number, (file, blobs) in enumerate(files):
        yield _Step(number, file)
        for blob in blobs:
            place = repository.index.find(BlobType.DATA, blob)
            yield _Step(number, file, blob, place)


def _parts(steps: Iterable[_Step[T]]) -> Iterator[_Part[T]]:
    part: _Part[T] = _Part()
    for step in steps:
        if not part.takes(step):
            yield part
            part = _Part()
        part.add(step)
    if part.steps:
        yield part


def _plain_steps(
    repository: OpenedRepository, parts: Iterable[_Part[T]]
) -> Generator[tuple[_Step[T], Bytes], None, None]:
    """Yield each step with its bytes, parts being loaded ahead."""
    loading: deque[tuple[_Part[T], Future[memoryview | _Plains]]] = deque()
    with WorkerPool(_WORKERS, "kbackup-content") as pool:
        for part in parts:
            repository.cancel.check()
            loading.append((part, pool.submit(_load, repository, part)))
            if len(loading) > _MOST_AHEAD:
                yield from _finished(repository, *loading.popleft())
        while loading:
            repository.cancel.check()
            yield from _finished(repository, *loading.popleft())


def _load(repository: OpenedRepository, part: _Part[T]) -> memoryview | _Plains:
    """Read a part, and open it where its blobs are large; see `_bringing` on small ones."""
    if not part.blobs:
        return {}
    first, length = part.extent
    file = File(FileType.PACK, first.pack)
    try:
        content = memoryview(repository.backend.load(file, first.offset, length))
    except ObjectNotFoundError as exc:
        what = f"data blob {short(next(iter(part.blobs)))}"
        raise BlobMissingError(what, f"{file} is gone") from exc
    return content if part.is_small else _opened(repository, part, content)


def _finished(
    repository: OpenedRepository, part: _Part[T], loaded: Future[memoryview | _Plains]
) -> Iterator[tuple[_Step[T], Bytes]]:
    found = loaded.result()
    if isinstance(found, memoryview):
        found = _opened(repository, part, found)
    for step in part.steps:
        plain = b"" if step.blob is None else found[step.blob]
        if isinstance(plain, IntegrityError):
            raise plain
        yield step, plain


def _opened(
    repository: OpenedRepository, part: _Part[T], content: memoryview
) -> _Plains:
    """Open what was read; what is damaged is asked for once more."""
    codec, (first, _) = repository.codec, part.extent
    plains: _Plains = {}
    packed: list[tuple[BlobID, PackedBytes]] = []
    for blob, place in part.blobs.items():
        at = place.offset - first.offset
        try:
            unsealed = codec.unseal(blob, content[at : at + place.length])
        except IntegrityError:
            plains[blob] = _again(repository, blob)
        else:
            packed.append((blob, PackedBytes(unsealed, place.plain_size)))
    named = [(f"blob {short(blob)}", each) for blob, each in packed]
    for (blob, _), plain in zip(packed, codec.inflate_all(named), strict=True):
        is_right = not isinstance(plain, IntegrityError) and hash_of(plain) == blob
        plains[blob] = plain if is_right else _again(repository, blob)
    return plains


def _again(repository: OpenedRepository, blob: BlobID) -> Bytes | IntegrityError:
    try:
        return repository.load_blob(BlobType.DATA, blob)
    except IntegrityError as exc:
        return exc
