"""Packs that are read by themselves, whatever an index tells of them.

Called by check, which reads them whole, and by the repair of the index, which believes
their headers. Source: restic ``doc/design.rst``, "Pack Format".
"""

from __future__ import annotations

from collections.abc import Iterator

from kbackup.errors import IntegrityError, ObjectNotFoundError, StoreError
from kbackup.repository._backend import File, FileType
from kbackup.repository._ids import PackID, hash_of, short
from kbackup.repository._index import IndexedPack
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packs import PackedBlob, read_header


def read_entries(repository: OpenedRepository, name: PackID, size: int) -> IndexedPack:
    """Return what a pack's own header tells; only its end is read.

    Args:
        repository: Where it lies.
        name: Which.
        size: Bytes of the file.

    Raises:
        PackCorruptError: It is no pack, or its header does not fit it.
        SealBrokenError: The header was altered.
        ObjectNotFoundError: It is gone.
    """
    file = File(FileType.PACK, name)

    def read(offset: int, length: int) -> bytes:
        return repository.backend.load(file, offset, length)

    return IndexedPack(name, read_header(repository.key, str(file), size, read))


def find_faults(repository: OpenedRepository, name: PackID, told: int) -> list[str]:
    """Read a pack whole and return what is wrong with it, nothing if it is as it was.

    Args:
        repository: Where it lies; its index is loaded.
        name: Which.
        told: How many blobs of it index files name.

    Raises:
        StoreError: The backend does not answer.
    """
    file = File(FileType.PACK, name)
    try:
        content = memoryview(repository.backend.load(file))
        if hash_of(content) != name:  # perhaps it was only turned on its way
            content = memoryview(repository.backend.load(file))
    except ObjectNotFoundError:
        return ["it is gone"]
    except StoreError as exc:
        if exc.retryable:
            raise
        return [str(exc)]
    faults = []
    if hash_of(content) != name:
        faults.append("its bytes are not those of its name")
    try:
        entries = read_header(
            repository.key,
            str(file),
            len(content),
            lambda offset, length: bytes(content[offset : offset + length]),
        )
    except IntegrityError as exc:
        return [*faults, exc.reason or exc.fact]
    if len(entries) != told:
        faults.append(f"it has {len(entries)} blobs, by the index {told}")
    return faults + list(_blob_faults(repository, name, entries, content))


def _blob_faults(
    repository: OpenedRepository,
    name: PackID,
    entries: tuple[PackedBlob, ...],
    content: memoryview,
) -> Iterator[str]:
    here = set(entries)  # two runs may have put the same blob into one pack
    for kind, blob, offset, length, plain_size in entries:
        sealed = content[offset : offset + length]
        try:
            repository.codec.open(blob, sealed, plain_size)
        except IntegrityError as exc:
            yield f"{kind.name.lower()} {exc}"
        if not repository.index.has(kind, blob):
            yield f"no index names its {kind.name.lower()} blob {short(blob)}"
            continue
        place = repository.index.find(kind, blob)
        if place.pack == name and PackedBlob(kind, blob, *place[1:]) not in here:
            yield f"the index has {kind.name.lower()} blob {short(blob)} elsewhere"
