"""Two snapshots held against each other: which paths came, went, or changed.

What both have by the same tree is passed over without being read. Called by the facade,
under a shared lock. Source: restic ``doc/040_backup.rst``, "Comparing Snapshots".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from kbackup.repository._entries import walk_tree
from kbackup.repository._ids import BlobID, BlobType
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._reachable import Reach
from kbackup.repository._trees import load_nodes

_CONTENT = ("type", "size", "content", "linktarget", "device")
_METADATA = (
    "mode",
    "mtime",
    "uid",
    "gid",
    "user",
    "group",
    "links",
    "extended_attributes",
    "generic_attributes",
)


@attrs.frozen(order=True)
class Change:
    """A path that is not as it was.

    Attributes:
        path: From the snapshots' root.
        kind: ``+`` came, ``-`` went, ``M`` has another content, ``T`` is of another type,
            ``U`` has another owner, mode, time or attribute.
        is_directory: In the newer one, or in the only one that has it.
    """

    path: bytes
    kind: str
    is_directory: bool = False

    def __str__(self) -> str:
        """As restic prints it: ``M    /srv/data``."""
        shown = self.path.decode(errors="backslashreplace")
        return f"{self.kind:<4} /{shown}{'/' if self.is_directory else ''}"


@attrs.define
class DiffCount:
    """What came, or went.

    Attributes:
        others: What is neither a file nor a directory.
        bytes: Of blobs that only one of the two needs, before compression.
    """

    files: int = 0
    directories: int = 0
    others: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    bytes: int = 0

    def count(self, node: Node) -> None:
        """Count one that came or went."""
        if node.type == NodeType.DIRECTORY:
            self.directories += 1
        elif node.type == NodeType.FILE:
            self.files += 1
        else:
            self.others += 1


@attrs.define
class Diff:
    """How one snapshot differs from an older one.

    Attributes:
        changes: In the order of their paths.
        changed_files: Files that both have, with different contents.
        added: What the newer one has and the older one has not.
        removed: The other way round.
    """

    changes: list[Change] = attrs.field(factory=list)
    changed_files: int = 0
    added: DiffCount = attrs.field(factory=DiffCount)
    removed: DiffCount = attrs.field(factory=DiffCount)


def compare(
    repository: OpenedRepository, older: BlobID, newer: BlobID, *, metadata: bool
) -> Diff:
    """Hold two trees against each other; the index is loaded.

    Args:
        repository: That has both.
        older: A tree.
        newer: Another.
        metadata: Whether ``U`` counts as a change.

    Raises:
        IntegrityError: A tree is damaged or missing.
    """
    comparison = _Comparison(repository, metadata=metadata)
    comparison.compare(b"", older, newer)
    diff = comparison.diff
    diff.changes.sort()
    _count_blobs(repository, diff, older, newer)
    return diff


class _Comparison:
    def __init__(self, repository: OpenedRepository, *, metadata: bool) -> None:
        self._repository, self._metadata = repository, metadata
        self.diff = Diff()

    def compare(self, above: bytes, older: BlobID, newer: BlobID) -> None:
        """Note every difference below a directory that both have."""
        waiting = [(above, older, newer)]
        while waiting:
            self._repository.cancel.check()
            above, older, newer = waiting.pop()
            if older == newer:
                continue
            start = above + b"/" if above else b""
            old, new = self._load(older), self._load(newer)
            for name in old.keys() - new.keys():
                self._alone("-", start + name, old[name], self.diff.removed)
            for name in new.keys() - old.keys():
                self._alone("+", start + name, new[name], self.diff.added)
            for name in old.keys() & new.keys():
                self._both(start + name, old[name], new[name])
                if {old[name].type, new[name].type} == {NodeType.DIRECTORY}:
                    waiting.append((start + name, old[name].tree, new[name].tree))

    def _load(self, tree: BlobID) -> Mapping[bytes, Node]:
        return load_nodes(self._repository, tree)

    def _alone(self, kind: str, path: bytes, node: Node, count: DiffCount) -> None:
        """Note what only one of the two has, and all that lies in it."""
        self.diff.changes.append(Change(path, kind, node.type == NodeType.DIRECTORY))
        count.count(node)
        self._below(kind, path, node, count)

    def _below(self, kind: str, path: bytes, node: Node, count: DiffCount) -> None:
        if node.type != NodeType.DIRECTORY:
            return
        for below, inner in walk_tree(self._repository, node.tree, path):
            is_directory = inner.type == NodeType.DIRECTORY
            self.diff.changes.append(Change(below, kind, is_directory))
            count.count(inner)

    def _both(self, path: bytes, old: Node, new: Node) -> None:
        is_directory = new.type == NodeType.DIRECTORY
        if old.type != new.type:
            kind = "T"
            self._below("-", path, old, self.diff.removed)
            self._below("+", path, new, self.diff.added)
        elif _differ(_CONTENT, old, new) or _has_other_target(old, new):
            kind = "M"
            self.diff.changed_files += new.type == NodeType.FILE
        elif self._metadata and _differ(_METADATA, old, new):
            kind = "U"
        else:
            return
        self.diff.changes.append(Change(path, kind, is_directory))


def _differ(members: Sequence[str], old: Node, new: Node) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in members)


def _has_other_target(old: Node, new: Node) -> bool:
    """Whether links lead elsewhere; older programs kept no bytes that are no UTF-8."""
    raw = (old.linktarget_raw, new.linktarget_raw)
    return all(raw) and raw[0] != raw[1]


def _count_blobs(
    repository: OpenedRepository, diff: Diff, older: BlobID, newer: BlobID
) -> None:
    """Count the blobs that only one of the two needs."""
    old, new = (Reach(repository).run([tree]) for tree in (older, newer))
    for count, own, other in (
        (diff.added, new, old),
        (diff.removed, old, new),
    ):
        trees, data = own.trees - other.trees, own.data - other.data
        count.tree_blobs, count.data_blobs = len(trees), len(data)
        for kind, names in ((BlobType.TREE, trees), (BlobType.DATA, data)):
            for name in names:
                count.bytes += repository.index.find(kind, BlobID(name)).size
