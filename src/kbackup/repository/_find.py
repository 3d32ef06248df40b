"""Paths that match patterns, in many snapshots. Called by the facade, under a shared lock.

What two snapshots have in common at the same path, and nothing matches in, is walked
once. Source: restic ``doc/040_backup.rst``, "Finding files"; `_patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kbackup.repository._ids import BlobID
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._patterns import Patterns
from kbackup.repository._snapshots import Snapshot
from kbackup.repository._trees import load_tree


class Match(NamedTuple):
    """A path that matches.

    Attributes:
        snapshot: In which it is.
        path: Where, from the snapshot's root: names joined by ``/``, no slash in front.
        node: What is recorded of it.
    """

    snapshot: Snapshot
    path: bytes
    node: Node


class _Directory:
    """A directory that is being walked."""

    __slots__ = ("found", "nodes", "path", "tree")

    def __init__(self, path: bytes, tree: BlobID, nodes: Iterator[Node]) -> None:
        self.path, self.tree, self.nodes = path, tree, nodes
        self.found = False


class Finder:
    """Finds paths; remembers in which directories there is none.

    Args:
        repository: Its index is loaded.
        patterns: One of them matches.
    """

    def __init__(self, repository: OpenedRepository, patterns: Patterns) -> None:
        self._repository, self._patterns = repository, patterns
        self._nothing: set[tuple[bytes, BlobID]] = set()

    def find(self, snapshots: Iterable[Snapshot]) -> Iterator[Match]:
        """Yield what matches, snapshot by snapshot.

        Raises:
            IntegrityError: A tree is damaged or missing.
            Cancelled: Somebody stopped it.
        """
        for snapshot in snapshots:
            for path, node in self._walk(snapshot.tree):
                yield Match(snapshot, path, node)

    def _walk(self, root: BlobID) -> Iterator[tuple[bytes, Node]]:
        waiting = [self._enter(b"", root)]
        while waiting:
            directory = waiting[-1]
            node = next(directory.nodes, None)
            if node is None:
                self._leave(waiting)
                continue
            above = directory.path
            path = b"%b/%b" % (above, node.name) if above else node.name
            if self._patterns.matches(b"/" + path):
                directory.found = True
                yield path, node
            if node.type == NodeType.DIRECTORY:
                waiting.append(self._enter(path, node.tree))

    def _enter(self, path: bytes, tree: BlobID) -> _Directory:
        if (path, tree) in self._nothing:
            return _Directory(path, tree, iter(()))
        self._repository.cancel.check()
        return _Directory(path, tree, iter(load_tree(self._repository, tree)))

    def _leave(self, waiting: list[_Directory]) -> None:
        left = waiting.pop()
        if not left.found:
            self._nothing.add((left.path, left.tree))
        elif waiting:
            waiting[-1].found = True
