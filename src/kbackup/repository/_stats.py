"""How much snapshots hold, and what they take. Called by the facade, under a shared lock.

Source: restic ``doc/manual_rest.rst``, "Metadata: stats".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Self

import attrs

from kbackup.errors import InvalidSpecError
from kbackup.repository._entries import walk_tree
from kbackup.repository._ids import BlobID, BlobType
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._reachable import Reach
from kbackup.repository._snapshots import Snapshot


class StatsMode(enum.StrEnum):
    """What is counted, as restic names it."""

    RESTORE_SIZE = "restore-size"
    FILES_BY_CONTENTS = "files-by-contents"
    RAW_DATA = "raw-data"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one of these.

        Raises:
            InvalidSpecError: There is no such mode.
        """
        try:
            return cls(text)
        except ValueError as exc:
            known = ", ".join(cls)
            raise InvalidSpecError([f"no mode {text[:80]!r}: {known}"]) from exc


@attrs.define(kw_only=True)
class Stats:
    """What was counted.

    Attributes:
        mode: In which way.
        snapshots: How many were looked at.
        size: Bytes: of all files once restored; of different ones; or in packs.
        files: How many files that are; with raw data none is counted.
        blobs: How many blobs that are; only with raw data.
        plain_size: Bytes of these blobs before compression; only with raw data.
    """

    mode: StatsMode
    snapshots: int = 0
    size: int = 0
    files: int = 0
    blobs: int = 0
    plain_size: int = 0

    @property
    def compression_ratio(self) -> float:
        """How much larger they would be without compression; 1.0 of nothing."""
        return self.plain_size / self.size if self.size else 1.0


def count(
    repository: OpenedRepository, snapshots: Sequence[Snapshot], mode: StatsMode
) -> Stats:
    """Count what these snapshots hold; the index is loaded.

    Raises:
        IntegrityError: A tree is damaged or missing.
    """
    stats = Stats(mode=mode, snapshots=len(snapshots))
    if mode is StatsMode.RAW_DATA:
        _count_blobs(repository, snapshots, stats)
    elif mode is StatsMode.FILES_BY_CONTENTS:
        _count_contents(repository, snapshots, stats)
    else:
        for snapshot in snapshots:
            _count_files(repository, snapshot, stats)
    return stats


def _count_files(
    repository: OpenedRepository, snapshot: Snapshot, stats: Stats
) -> None:
    """Count what a restore would make; of a file with several names, its bytes once."""
    linked: set[tuple[int, int]] = set()
    for _, node in walk_tree(repository, snapshot.tree):
        stats.files += 1
        if node.type != NodeType.FILE:
            continue
        if inode := node.shared_inode:
            if inode in linked:
                continue
            linked.add(inode)
        stats.size += node.size


def _count_contents(
    repository: OpenedRepository, snapshots: Sequence[Snapshot], stats: Stats
) -> None:
    """Count files with different contents once."""
    contents: set[tuple[str, ...]] = set()

    def visit(_: BlobID, nodes: Sequence[Node]) -> None:
        for node in nodes:
            content = tuple(node.content or ())
            if node.type == NodeType.FILE and content not in contents:
                contents.add(content)
                stats.files += 1
                stats.size += node.size

    Reach(repository, visit=visit).run(each.tree for each in snapshots)


def _count_blobs(
    repository: OpenedRepository, snapshots: Sequence[Snapshot], stats: Stats
) -> None:
    """Count what the blobs that these need take in packs."""
    needed = Reach(repository).run(each.tree for each in snapshots)
    for kind, names in (
        (BlobType.TREE, needed.trees),
        (BlobType.DATA, needed.data),
    ):
        for name in names:
            place = repository.index.find(kind, BlobID(name))
            stats.blobs += 1
            stats.size += place.length
            stats.plain_size += place.size
