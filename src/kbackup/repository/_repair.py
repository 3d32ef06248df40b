"""The index written anew from what is there: packs are believed, and nothing else.

No pack is changed or removed. Called by the facade, under an exclusive lock.
Source: restic ``doc/077_troubleshooting.rst``, "Rebuild the index".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs

from kbackup._kits.workers import map_ordered
from kbackup.errors import IntegrityError, ObjectNotFoundError, StoreError
from kbackup.repository._backend import File, FileType
from kbackup.repository._ids import IndexID, PackID
from kbackup.repository._index import IndexedPack, load_index, save_index
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._pack_reading import read_entries
from kbackup.repository._packs import size_of_pack
from kbackup.repository._progress import Progress, Told, untold

_READERS = 4  # threads that wait for the backend


@attrs.define
class RepairedIndex:
    """What the repair of an index found.

    Attributes:
        packs: That the new index names.
        added: Of these, those whose headers were read: the old one did not name them, or
            not as they are.
        gone: Packs that the old one named and that are not there.
        unreadable: Packs whose headers cannot be read, with the reason; they stay.
        damaged: Index files that could not be read, with the reason; they are removed.
    """

    packs: int = 0
    added: int = 0
    gone: int = 0
    unreadable: dict[PackID, str] = attrs.field(factory=dict)
    damaged: dict[IndexID, str] = attrs.field(factory=dict)


def repair_index(
    repository: OpenedRepository,
    *,
    read_all: bool,
    check: Callable[[], None],
    told: Told = untold,
) -> RepairedIndex:
    """Write index files that name what packs hold, then remove the old ones.

    Args:
        repository: Whose.
        read_all: Read the header of each pack, also of those that an old index names.
        check: Raises where the lock is lost; asked before anything is written or removed.
        told: Told how many packs were read.

    Raises:
        StoreError: The backend failed; the old index files are still there.
    """
    repaired = RepairedIndex()
    sizes = {PackID(n): size for n, size in repository.backend.list(FileType.PACK)}
    old = [IndexID(name) for name, _ in repository.backend.list(FileType.INDEX)]
    known = _believed(repository, old, sizes, repaired)
    asked = sorted(sizes if read_all else sizes.keys() - known.keys())
    read = {pack.id: pack for pack in _read(repository, asked, sizes, repaired, told)}
    # A pack whose header is lost is still good for what an old index file tells of it.
    packs = known | read
    repaired.packs = len(packs)
    repaired.added = sum(known.get(name) != pack for name, pack in read.items())
    check()
    new = save_index(repository.documents, packs.values())
    check()
    for name in set(old) - set(new):
        repository.backend.remove(File(FileType.INDEX, name))
    return repaired


def _believed(
    repository: OpenedRepository,
    old: list[IndexID],
    sizes: Mapping[PackID, int],
    repaired: RepairedIndex,
) -> dict[PackID, IndexedPack]:
    """What old index files tell of packs that are there and as long as they say."""
    told: dict[PackID, IndexedPack] = {}
    for name in sorted(old):
        try:
            for pack in load_index(repository.documents, name):
                before = told[pack.id].blobs if pack.id in told else ()
                blobs = dict.fromkeys((*before, *pack.blobs))
                told[pack.id] = IndexedPack(pack.id, tuple(blobs))
        except (IntegrityError, ObjectNotFoundError) as exc:
            repaired.damaged[name] = str(exc)
    repaired.gone = len(told.keys() - sizes.keys())
    return {
        name: pack
        for name, pack in told.items()
        if sizes.get(name) == size_of_pack(pack.blobs)
    }


def _read(
    repository: OpenedRepository,
    names: list[PackID],
    sizes: Mapping[PackID, int],
    repaired: RepairedIndex,
    told: Told,
) -> Iterator[IndexedPack]:
    """Yield what the headers of packs tell."""
    read = partial(_entries_or_reason, repository, sizes)
    found = map_ordered(read, names, workers=_READERS, name="kbackup-repair")
    for number, (name, pack) in enumerate(zip(names, found, strict=True), 1):
        repository.cancel.check()
        told(Progress("read packs", number, len(names)))
        if isinstance(pack, str):
            repaired.unreadable[name] = pack
        else:
            yield pack


def _entries_or_reason(
    repository: OpenedRepository, sizes: Mapping[PackID, int], name: PackID
) -> IndexedPack | str:
    try:
        return read_entries(repository, name, sizes[name])
    except IntegrityError as exc:
        return str(exc)
    except StoreError as exc:
        if exc.retryable:
            raise
        return str(exc)
