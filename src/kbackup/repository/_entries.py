"""What lies in a snapshot, by its path: one tree after the other, nothing of any content.

Called by whoever lists a snapshot, or reads or restores a part of one. Nothing is
followed: a symlink on the way to a path is not a directory.
Source: restic ``doc/design.rst``, "Trees and Data".
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from kbackup.errors import IntegrityError, PathNotFoundError
from kbackup.repository._ids import BlobID
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._trees import load_tree

SnapshotPath: TypeAlias = str | bytes
"""Names joined by ``/`` from the snapshot's root on, with a slash in front or without."""


class Entry(NamedTuple):
    """Something in a snapshot.

    Attributes:
        path: Where, from the snapshot's root: names joined by ``/``, no slash in front.
        node: What is recorded of it.
    """

    path: bytes
    node: Node


def walk_tree(
    repository: OpenedRepository, tree: BlobID, above: bytes = b""
) -> Iterator[Entry]:
    """Yield all there is in a tree: by name, a directory before what lies in it.

    Of the trees on the way to where it stands, and of no others, the nodes are in memory.

    Args:
        repository: Where it is; its index is loaded.
        tree: Whose.
        above: The path of it; empty: it is the root.

    Raises:
        IntegrityError: A tree is damaged or missing.
        StoreError: The backend failed.
        Cancelled: Somebody stopped it.
    """
    waiting = [(above, iter(load_tree(repository, tree)))]
    while waiting:
        above, nodes = waiting[-1]
        node = next(nodes, None)
        if node is None:
            waiting.pop()
            continue
        path = b"%b/%b" % (above, node.name) if above else node.name
        yield Entry(path, node)
        if node.type == NodeType.DIRECTORY:
            repository.cancel.check()
            waiting.append((path, iter(load_tree(repository, node.tree))))


def normal_path(path: SnapshotPath) -> bytes:
    """Return a path as `Entry` has it, ``.`` and ``..`` resolved; empty for the root."""
    return posixpath.normpath(b"/" + os.fsencode(path).lstrip(b"/"))[1:]


def find_node(
    repository: OpenedRepository, tree: BlobID, path: SnapshotPath
) -> Node | BlobID:
    """Find what a snapshot has at a path.

    Args:
        repository: Where it is; its index is loaded.
        tree: Of the snapshot.
        path: Empty and ``/``: the root.

    Returns:
        The node; of the root, which has none, the tree.

    Raises:
        PathNotFoundError: There is nothing.
        IntegrityError: A tree on the way is damaged or missing.
    """
    wanted = normal_path(path)
    if not wanted:
        return tree
    *above, name = wanted.split(b"/")
    passed: list[bytes] = []
    for directory in above:
        passed.append(directory)
        tree = _tree(_child(repository, tree, passed, wanted), passed, wanted)
    return _child(repository, tree, [*passed, name], wanted)


def find_directory(
    repository: OpenedRepository, tree: BlobID, path: SnapshotPath
) -> BlobID:
    """Return the tree of a directory in a snapshot; see `find_node`.

    Raises:
        PathNotFoundError: There is nothing, or something else.
    """
    found = find_node(repository, tree, path)
    if not isinstance(found, Node):
        return found
    wanted = normal_path(path)
    return _tree(found, wanted.split(b"/"), wanted)


def shown_path(path: bytes) -> str:
    """Return a path as messages name it."""
    return "/" + path.decode(errors="backslashreplace")


def require_size(entry: Entry, size: int) -> None:
    """Raise `IntegrityError` where a content is longer or shorter than its node says."""
    if size != entry.node.size:
        reason = f"its blobs have {size} bytes instead of {entry.node.size}"
        raise IntegrityError(f"file {shown_path(entry.path)}", reason)


def _child(
    repository: OpenedRepository, tree: BlobID, passed: list[bytes], wanted: bytes
) -> Node:
    for node in load_tree(repository, tree):
        if node.name == passed[-1]:
            return node
    missing = b"/".join(passed)
    reason = "" if missing == wanted else f"there is no {shown_path(missing)}"
    raise PathNotFoundError(shown_path(wanted), reason)


def _tree(node: Node, passed: list[bytes], wanted: bytes) -> BlobID:
    if node.type != NodeType.DIRECTORY:
        reason = f"{shown_path(b'/'.join(passed))} is no directory but a {node.type}"
        raise PathNotFoundError(shown_path(wanted), reason)
    return node.tree
