"""Pruning carried out: what is used is moved first, and what is not is removed last.

The order holds at any moment of a crash. New packs are durable before an index names
them; index files that do not name a pack any more are durable before those go that do;
a pack is removed only when no index names it. What stops in between leaves things twice,
or unnamed, and nothing missing. Called by the facade, under an exclusive lock.
Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from kbackup._kits.words import first_few
from kbackup._kits.workers import map_ordered
from kbackup.errors import BlobMissingError, IntegrityError, PlanOutdatedError
from kbackup.repository._backend import File, FileType
from kbackup.repository._blobs import SealedBlob
from kbackup.repository._bringing import Bringer, Need, Sealed
from kbackup.repository._ids import BlobID, BlobType, Bytes, IndexID, PackID, short
from kbackup.repository._index import (
    MOST_BLOBS,
    IndexedPack,
    Place,
    load_index,
    save_index,
)
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._prune_plan import (
    PackState,
    PrunePlan,
    PruneRequest,
    plan_prune,
)
from kbackup.repository._reachable import Reach, Reachable
from kbackup.repository._snapshots import Snapshot

_REMOVERS = 4  # threads that wait for the backend
_ABANDONED = timedelta(hours=1)  # since the last byte: what a killed process left
_FULL = MOST_BLOBS * 4 // 5  # blobs: an index file of as many is not worth rewriting


def look(
    repository: OpenedRepository,
    snapshots: Sequence[Snapshot],
    request: PruneRequest,
    *,
    told: Told = untold,
) -> PrunePlan:
    """Make a plan, and change nothing.

    Args:
        repository: Its index was loaded after the snapshots were listed.
        snapshots: All that there are.
        request: How much unused may stay.
        told: Told how many trees were read.

    Raises:
        IntegrityError: Something that a snapshot needs is damaged or missing: then
            nobody knows what else is needed.
    """
    index = repository.index
    needed = Reach(repository, told=told).run(each.tree for each in snapshots)
    _require_known(repository, needed)
    sizes = {PackID(n): size for n, size in repository.backend.list(FileType.PACK)}
    state = _state(repository, sizes, snapshots)
    return plan_prune(
        repository.packs(), state, sizes, index=index, needed=needed, request=request
    )


def require_fresh(
    plan: PrunePlan, repository: OpenedRepository, snapshots: Iterable[Snapshot]
) -> None:
    """Raise `PlanOutdatedError` where something came or went since a plan was made."""
    packs = (name for name, _ in repository.backend.list(FileType.PACK))
    if _state(repository, packs, snapshots) != plan.state:
        raise PlanOutdatedError(
            "the repository is not as it was when pruning was planned",
            hint="plan once more: somebody wrote to it or removed something since",
        )


def carry_out(
    plan: PrunePlan,
    repository: OpenedRepository,
    *,
    check: Callable[[], None],
    told: Told = untold,
) -> None:
    """Do what was planned; see the order above.

    Args:
        plan: Of this very state.
        repository: Its index is loaded.
        check: Raises where the lock is lost; asked before anything is removed.
        told: Told of bytes that were written anew, then of files that were removed.

    Raises:
        IntegrityError: What is to be moved is damaged; nothing was removed.
        StoreError: The backend failed; what is there stays whole.
    """
    if plan.rewrite:
        _move(plan, repository, check, told)
    check()
    old = _rewrite_index(plan, repository)
    _require_named(plan, repository, old)
    check()
    _remove(repository, [File(FileType.INDEX, name) for name in old])
    packs = sorted(plan.rewrite | plan.drop)
    for at in range(0, len(packs), 100):
        check()
        _remove(repository, [File(FileType.PACK, n) for n in packs[at : at + 100]])
        told(Progress("remove packs", min(at + 100, len(packs)), len(packs)))
    repository.backend.sweep(_ABANDONED)


def _require_known(repository: OpenedRepository, needed: Reachable) -> None:
    has = repository.index.has
    lost = [n for n in map(BlobID, needed.data) if not has(BlobType.DATA, n)]
    if lost:
        raise BlobMissingError(
            f"data blob {first_few(sorted(short(name) for name in lost))}",
            "snapshots need it, and no index names it; nothing was removed",
            hint="`check` tells what is lost; `repair_index` looks for packs that no "
            "index names",
        )


# --- moving -------------------------------------------------------------------------


def _move(
    plan: PrunePlan,
    repository: OpenedRepository,
    check: Callable[[], None],
    told: Told,
) -> None:
    """Write what is used of some packs to new ones, as it is sealed, once it was checked."""
    packer = Packer(repository.documents, repository.key)
    total, done = plan.repacked.bytes, 0

    def deliver(need: Need, _: Bytes, sealed: Sealed) -> None:
        nonlocal done
        kind = need.users[0]
        blob = SealedBlob(sealed, need.place.plain_size)
        packer.add(kind, [(need.id, blob)], confirm=check)
        done += need.place.length
        told(Progress("repack", done, total))

    try:
        needs = _used_of(repository, plan)
        Bringer(repository, deliver, _refuse).run(needs)
        packer.flush(confirm=check)
    finally:
        packer.close()


def _used_of(repository: OpenedRepository, plan: PrunePlan) -> Iterator[Need]:
    """Yield what is needed of the packs that go, and lies in none that stays.

    Which copy of a blob the plan counted does not matter: an index that was loaded in
    another order may know another one.
    """
    find, gone = repository.index.find, plan.gone
    taken: set[tuple[BlobType, BlobID]] = set()
    for pack in repository.packs():
        if pack.id not in plan.rewrite:
            continue
        for kind, name, offset, length, plain_size in pack.blobs:
            if not plan.needed.has(kind, name) or (kind, name) in taken:
                continue
            if find(kind, name).pack in gone:
                taken.add((kind, name))
                place = Place(pack.id, offset, length, plain_size)
                yield Need(name, place, [kind])


def _refuse(need: Need, reason: str) -> None:
    raise IntegrityError(
        f"pack {short(need.place.pack)}",
        f"{reason}; nothing was removed",
        hint="`check` with `read_data` tells what else is damaged",
    )


# --- the index ----------------------------------------------------------------------


def _rewrite_index(plan: PrunePlan, repository: OpenedRepository) -> list[IndexID]:
    """Write what stays of the index files that change; return those files."""
    gone = plan.gone
    old: list[IndexID] = []

    def staying() -> Iterator[IndexedPack]:
        for name, packs in repository.index_files():
            if not _changes(packs, gone):
                continue
            old.append(name)
            yield from (pack for pack in packs if pack.id not in gone)

    save_index(repository.documents, staying())
    return old


def _changes(packs: Sequence[IndexedPack], gone: frozenset[PackID]) -> bool:
    """Whether an index file names what goes, or is so small that it joins others."""
    return sum(len(pack.blobs) for pack in packs) < _FULL or any(
        pack.id in gone for pack in packs
    )


def _require_named(
    plan: PrunePlan, repository: OpenedRepository, old: Sequence[IndexID]
) -> None:
    """Look once more, before anything goes: all that is needed is in packs that stay."""
    left = {BlobType.TREE: set(plan.needed.trees), BlobType.DATA: set(plan.needed.data)}
    names = {IndexID(name) for name, _ in repository.backend.list(FileType.INDEX)}
    for name in sorted(names - set(old)):
        for pack in load_index(repository.documents, name):
            if pack.id not in plan.gone:
                for blob in pack.blobs:
                    left[blob.type].discard(blob.id)
    lost = sorted(left[BlobType.TREE] | left[BlobType.DATA])
    if lost:
        raise IntegrityError(
            f"blob {first_few([short(BlobID(name)) for name in lost])}",
            "it would be lost by pruning; nothing was removed",
        )


# --- removing -----------------------------------------------------------------------


def _remove(repository: OpenedRepository, files: Sequence[File]) -> None:
    remove = repository.backend.remove
    for _ in map_ordered(remove, files, workers=_REMOVERS, name="kbackup-prune"):
        repository.cancel.check()


def _state(
    repository: OpenedRepository,
    packs: Iterable[bytes],
    snapshots: Iterable[Snapshot],
) -> PackState:
    return PackState(
        packs=frozenset(packs),
        indexes=repository.loaded,
        snapshots=frozenset(each.id for each in snapshots),
    )
