"""What the verbs take from `Repository`, as far as it is spelled out nowhere else.

Each name is the part of a value of `kbackup.repository` that is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from kbackup.repository import Progress, Repository, Snapshot, SnapshotFilter


BlobID = Any  # the library's, which has no name outside


class Node(Protocol):
    """What is recorded of one name."""

    type: str
    mode: int
    size: int
    uid: int
    gid: int
    user: str
    group: str
    mtime: str
    atime: str
    ctime: str

    @property
    def posix_mode(self) -> int: ...
    @property
    def tree(self) -> BlobID: ...


class Entry(Protocol):
    """Something in a snapshot."""

    path: bytes
    node: Node


class Match(Protocol):
    """Something in one of several snapshots."""

    snapshot: Snapshot
    path: bytes
    node: Node


class Change(Protocol):
    """A difference; its kind is ``+``, ``-``, ``M``, ``T``, ``U``, or several."""

    path: bytes
    kind: str


class DiffStat(Protocol):
    """What is on one side of a comparison only."""

    files: int
    dirs: int
    others: int
    data_blobs: int
    tree_blobs: int
    bytes: int


class Diff(Protocol):
    """What differs between two snapshots."""

    changes: Sequence[Change]
    added: DiffStat
    removed: DiffStat
    changed_files: int


class Stats(Protocol):
    """What snapshots take."""

    snapshots: int
    files: int
    blobs: int
    bytes: int
    raw_bytes: int
    compression_ratio: float


class Finding(Protocol):
    """What is wrong with one thing."""

    thing: str
    reason: str


class CheckResult(Protocol):
    """What a check found."""

    errors: Sequence[Finding]
    hints: Sequence[Finding]
    packs: int
    blobs: int
    bytes_read: int

    @property
    def exit_code(self) -> int: ...


class PackCount(Protocol):
    """So many packs."""

    packs: int
    blobs: int
    bytes: int


class PrunePlan(Protocol):
    """What a prune would do, or did."""

    kept: PackCount
    repacked: PackCount
    removed: PackCount
    unused_bytes_before: int
    unused_bytes_after: int

    @property
    def is_empty(self) -> bool: ...


class RepairedIndex(Protocol):
    """Packs that came into the index, or went."""

    added: Sequence[object]
    removed: Sequence[object]


class Copied(Protocol):
    """A snapshot that another repository has now."""

    snapshot: Snapshot
    new: Snapshot | None
    is_there: bool


Told = Callable[["Progress"], None]


class Expected(Protocol):
    """The verbs themselves."""

    def ls(self, snapshot: str | Snapshot, path: str = "") -> Iterable[Entry]: ...

    def find(
        self,
        patterns: Sequence[str],
        *,
        ignore_case: bool = False,
        snapshots: Sequence[str] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
    ) -> Iterator[Match]: ...

    def dump(
        self, snapshot: str | Snapshot, path: str, stream: BinaryIO, *, archive: str
    ) -> None: ...

    def diff(self, one: str | Snapshot, other: str | Snapshot) -> Diff: ...

    def stats(
        self,
        mode: str,
        *,
        snapshots: Sequence[str] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
    ) -> Stats: ...

    def check(self, *, read_data: bool, subset: str, told: Told) -> CheckResult: ...

    def plan_prune(self, *, max_unused: str, max_repack: int | None) -> PrunePlan: ...

    def prune(self, plan: PrunePlan, *, told: Told) -> PrunePlan: ...

    def repair_index(self, *, read_all_packs: bool, told: Told) -> RepairedIndex: ...

    def copy(
        self,
        target: Repository,
        *,
        snapshots: Sequence[str] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
        told: Told,
    ) -> Sequence[Copied]: ...


def of(repository: Repository) -> Expected:
    """Return it as what has these verbs."""
    return cast("Expected", repository)
