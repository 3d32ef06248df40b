"""What to prune: which packs stay, which are written anew without what nobody needs.

Pure: held against each other are what the index files tell, what lies in the backend and
what snapshots need. `_prune` carries a plan out. A pack costs nothing as it is, and all
of what is used in it when it is written anew: so some unused bytes may stay.
Source: restic ``doc/060_forget.rst``, "Customize pruning".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Self

import attrs

from kbackup._kits.sizes import format_size, parse_size
from kbackup._kits.words import first_few, plural
from kbackup.errors import IntegrityError, InvalidSpecError
from kbackup.repository._ids import BlobType, PackID, short
from kbackup.repository._index import Index, IndexedPack
from kbackup.repository._packs import PACK_SIZE, size_of_pack
from kbackup.repository._reachable import Reachable

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_UNLIMITED = "unlimited"
_ALL = 100  # percent
_SMALL = PACK_SIZE * 4 // 5  # bytes: a pack of fewer is a small one, as in restic


@attrs.frozen
class UnusedLimit:
    """How much that nobody needs may stay in packs that are used otherwise.

    Attributes:
        percent: Of all bytes that stay; None: see *bytes*.
        bytes: So many; None with None: without any limit.
    """

    percent: float | None = 5
    bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5%``, ``500M`` (of 1024 x 1024 bytes), ``0`` or ``unlimited``, as restic.

        Raises:
            InvalidSpecError: It is none of these.
        """
        body = text.strip()
        if body == _UNLIMITED:
            return cls(None)
        if share := _PERCENT.fullmatch(body):
            if float(share[1]) <= _ALL:
                return cls(float(share[1]))
        elif (size := parse_size(body)) is not None:
            return cls(None, size)
        raise InvalidSpecError(
            [f"{text[:80]!r} is no limit: such as 5%, 500M, 0 or unlimited"]
        )

    def bytes_of(self, used: int) -> float:
        """Return how many unused bytes may stay beside so many that are used."""
        if self.percent is None:
            return float("inf") if self.bytes is None else self.bytes
        if self.percent >= _ALL:
            return float("inf")
        return self.percent / (_ALL - self.percent) * used


@attrs.frozen(kw_only=True)
class PruneRequest:
    """How to prune.

    Attributes:
        max_unused: How much unused may stay.
        max_repack: Bytes of packs that are written anew at most; None: whatever it takes.
        small_packs: Whether small packs that are used are put together, too.
    """

    max_unused: UnusedLimit = UnusedLimit()
    max_repack: int | None = None
    small_packs: bool = False


@attrs.define
class PackCount:
    """How much there is of something.

    Attributes:
        bytes: Of whole packs, headers included.
    """

    packs: int = 0
    blobs: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        """As people read it: ``2 packs (31 blobs, 1.367 KiB)``."""
        packs, blobs = plural(self.packs, "pack"), plural(self.blobs, "blob")
        return f"{packs} ({blobs}, {format_size(self.bytes)})"


@attrs.frozen
class PackState:
    """Where a repository stood when a plan was made.

    Attributes:
        packs: Names in the backend.
        indexes: Names of index files.
        snapshots: Names of snapshot files.
    """

    packs: frozenset[bytes]
    indexes: frozenset[bytes]
    snapshots: frozenset[bytes]


@attrs.frozen(kw_only=True)
class PrunePlan:
    """What pruning will do.

    Attributes:
        kept: Packs that stay as they are.
        repacked: Packs what is used of which is written to new ones.
        removed: Packs of which nothing is used; their blobs are those an index names.
        unreferenced: How many of those that are removed no index names.
        freed: Bytes that the repository has fewer afterwards, index files apart.
        unused_before: Bytes of blobs that nobody needs.
        unused_after: What is left of them.
        used_blobs: Blobs that somebody needs.
    """

    kept: PackCount
    repacked: PackCount
    removed: PackCount
    unreferenced: int
    freed: int
    unused_before: int
    unused_after: int
    used_blobs: int
    # Which packs these are; those that are forgotten are gone already.
    rewrite: frozenset[PackID] = attrs.field(repr=False)
    drop: frozenset[PackID] = attrs.field(repr=False)
    forgotten: frozenset[PackID] = attrs.field(repr=False)
    state: PackState = attrs.field(repr=False)
    needed: Reachable = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        """As people read it before they agree; one line where there is nothing to do."""
        if self.is_empty:
            return "Nothing to prune"
        before, after = format_size(self.unused_before), format_size(self.unused_after)
        return (
            f"to keep: {self.kept}\nto write anew: {self.repacked}\n"
            f"to remove: {self.removed}\nunused: {before}, then {after}"
        )

    @property
    def gone(self) -> frozenset[PackID]:
        """The packs that no index may name afterwards."""
        return self.rewrite | self.drop | self.forgotten

    @property
    def removes_all(self) -> bool:
        """Whether nothing is needed of all there is: no snapshot is there, or seems to be."""
        return bool(self.removed.packs) and not self.used_blobs

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.gone


@attrs.define
class _Pack:
    """What is in one pack."""

    id: PackID
    size: int
    used_blobs: int = 0
    used: int = 0
    unused_blobs: int = 0
    unused: int = 0
    kinds: set[BlobType] = attrs.field(factory=set)

    @property
    def is_mixed(self) -> bool:
        """Whether trees and data lie together, as very old programs put them."""
        return len(self.kinds) > 1

    @property
    def is_small(self) -> bool:
        return self.size < _SMALL

    @property
    def waste(self) -> float:
        """How much is gained for what is written anew."""
        return self.unused / self.used


def plan_prune(
    packs: Iterable[IndexedPack],
    state: PackState,
    sizes: Mapping[PackID, int],
    *,
    index: Index,
    needed: Reachable,
    request: PruneRequest,
) -> PrunePlan:
    """Decide what becomes of each pack.

    Args:
        packs: What the index files tell, each pack once.
        state: Of the moment.
        sizes: Bytes of each pack in the backend.
        index: Says which copy of a blob counts.
        needed: Blobs that snapshots need; the index knows all of them.
        request: How much may stay.

    Raises:
        IntegrityError: A pack that is needed is missing, or not as long as it must be.
    """
    found = [_weighed(pack, sizes, index, needed) for pack in packs]
    _require_whole(found, sizes)
    there = [pack for pack in found if pack.id in sizes]
    unreferenced = set(sizes) - {pack.id for pack in found}
    empty = [pack for pack in there if not pack.used_blobs]
    used = [pack for pack in there if pack.used_blobs]
    rewrite = _chosen(used, request)
    kept = [pack for pack in used if pack.id not in rewrite]
    repacked = [pack for pack in used if pack.id in rewrite]
    loose = sum(sizes[name] for name in unreferenced)
    return PrunePlan(
        kept=_count(kept),
        repacked=_count(repacked),
        removed=_plus(_count(empty), len(unreferenced), loose),
        unreferenced=len(unreferenced),
        freed=loose
        + sum(pack.size for pack in empty)
        + sum(pack.unused for pack in repacked),
        unused_before=sum(pack.unused for pack in there) + loose,
        unused_after=sum(pack.unused for pack in kept),
        used_blobs=len(needed),
        rewrite=frozenset(rewrite),
        drop=frozenset(unreferenced | {pack.id for pack in empty}),
        forgotten=frozenset(pack.id for pack in found if pack.id not in sizes),
        state=state,
        needed=needed,
    )


def _weighed(
    pack: IndexedPack, sizes: Mapping[PackID, int], index: Index, needed: Reachable
) -> _Pack:
    """Tell used from unused; of a blob that lies in several places one copy is used."""
    weighed = _Pack(pack.id, sizes.get(pack.id, 0))
    whole = size_of_pack(pack.blobs)
    for blob in pack.blobs:
        weighed.kinds.add(blob.type)
        if needed.has(blob.type, blob.id) and index.keeps(pack.id, blob):
            weighed.used_blobs += 1
            weighed.used += blob.length
        else:
            weighed.unused_blobs += 1
            weighed.unused += blob.length
    if weighed.used_blobs and pack.id in sizes and whole != weighed.size:
        raise IntegrityError(
            f"pack {short(pack.id)}",
            f"it has {weighed.size} bytes, by the index {whole}; nothing was removed",
            hint="`repair_index` writes the index anew from the packs",
        )
    return weighed


def _require_whole(found: Iterable[_Pack], sizes: Mapping[PackID, int]) -> None:
    gone = [short(p.id) for p in found if p.used_blobs and p.id not in sizes]
    if gone:
        raise IntegrityError(
            f"pack {first_few(gone)}",
            "it is needed, and gone; nothing was removed",
            hint="`check` tells what is lost; `repair_index` looks for other copies",
        )


def _chosen(used: list[_Pack], request: PruneRequest) -> set[PackID]:
    """Choose what is written anew, most waste first, until little enough is left."""
    chosen: set[PackID] = set()
    unused = sum(pack.unused for pack in used)
    allowed = request.max_unused.bytes_of(sum(pack.used for pack in used))
    room = float("inf") if request.max_repack is None else request.max_repack
    must = {pack.id for pack in used if pack.is_mixed}
    if request.small_packs:
        must |= _together([pack for pack in used if pack.is_small])
    for pack in sorted(used, key=lambda p: (p.id not in must, -p.waste, p.id)):
        if pack.id not in must and (not pack.unused or unused <= allowed):
            continue
        if pack.size > room:
            continue
        room -= pack.size
        unused -= pack.unused
        chosen.add(pack.id)
    return chosen


def _together(small: list[_Pack]) -> set[PackID]:
    """Those small packs of which there are others of the same kind."""
    kinds = [kind for pack in small for kind in pack.kinds]
    return {p.id for p in small if any(kinds.count(kind) > 1 for kind in p.kinds)}


def _count(packs: list[_Pack]) -> PackCount:
    return PackCount(
        len(packs),
        sum(pack.used_blobs + pack.unused_blobs for pack in packs),
        sum(pack.size for pack in packs),
    )


def _plus(count: PackCount, packs: int, size: int) -> PackCount:
    return PackCount(count.packs + packs, count.blobs, count.bytes + size)
