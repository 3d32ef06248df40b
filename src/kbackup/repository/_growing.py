"""Trees that grow while their files are saved: each is written once its last child is in.

Whoever finishes the last child of a directory writes its tree, on whatever thread that
is, and so finishes a child of the directory above. Called by the archiver.
Source: restic ``doc/design.rst``, "Trees and Data".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from kbackup.repository._counts import Counts
from kbackup.repository._ids import BlobID, Bytes
from kbackup.repository._nodes import Node
from kbackup.repository._trees import encode_tree


class Directory:
    """A directory that is not written yet.

    Args:
        node: What is known of it, its tree apart; None: it is the root.
        above: The one it lies in.
        old: What the parent snapshot has there, by name.
        old_tree: Its tree in there; empty: there is none.
    """

    __slots__ = ("above", "node", "nodes", "old", "old_tree", "waits_for")

    def __init__(
        self,
        node: Node | None,
        above: Directory | None,
        old: Mapping[bytes, Node],
        old_tree: str,
    ) -> None:
        self.node, self.above = node, above
        self.old, self.old_tree = old, old_tree
        self.nodes: dict[bytes, Node] = {}
        self.waits_for = 1  # children that are not in, and the end of the walk below it


class GrowingTrees:
    """All directories of one run. Used by many threads.

    Args:
        save: Saves a tree and returns its name.
        counts: Told of each directory that is written.
    """

    def __init__(self, save: Callable[[Bytes], BlobID], counts: Counts) -> None:
        self._save, self._counts = save, counts
        self._lock = threading.Lock()
        self.root: BlobID | None = None  # once it is written

    def expect(self, directory: Directory) -> None:
        """Say that a child will come."""
        with self._lock:
            directory.waits_for += 1

    @staticmethod
    def keep(directory: Directory, name: bytes, node: Node) -> None:
        """Put a child at once, while the walk below its directory is not over."""
        directory.nodes[name] = node

    def put(self, directory: Directory, name: bytes, node: Node) -> None:
        """Put the child that was expected."""
        directory.nodes[name] = node  # no two threads have children of one name
        self.leave(directory)

    def leave(self, directory: Directory) -> None:
        """Say that an expected child is in, or will not come, or that the walk is over."""
        while self._is_whole(directory):
            directory.old = {}  # a million nodes are a gigabyte
            nodes = sorted(directory.nodes.items())
            tree = self._save(encode_tree(node for _, node in nodes))
            directory.nodes.clear()
            above, node = directory.above, directory.node
            if above is None or node is None:
                self.root = tree
                return
            subtree = tree.hex()
            with self._lock:
                self._counts.directory(subtree, directory.old_tree)
            above.nodes[node.name] = replace(node, subtree=subtree)
            directory = above

    def _is_whole(self, directory: Directory) -> bool:
        with self._lock:
            directory.waits_for -= 1
            return directory.waits_for == 0
