"""Trees: what a directory holds, as JSON that is Go's byte by byte.

A tree is named after these bytes: written otherwise, the same directory would be stored
twice. Source: restic ``doc/design.rst``, "Trees and Data"; Go ``encoding/json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from kbackup._kits.go_json import escaped
from kbackup.errors import IntegrityError
from kbackup.repository._ids import BlobID, BlobType, Bytes, parse_id, short
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._times import parse_nanoseconds


class _Tree(msgspec.Struct):
    nodes: list[Node]


_decode = msgspec.json.Decoder(_Tree).decode
_encode = msgspec.json.Encoder().encode
_PART = 1000  # nodes that are encoded at once
_DOTS = {b".", b".."}
_PLACE = "kbackup-linktarget-that-is-no-text"


def encode_tree(nodes: Iterable[Node]) -> Bytes:
    """Return the JSON of a tree.

    Args:
        nodes: Ascending by the bytes of their names, no two of one name.
    """
    found = list(nodes)
    tree = bytearray(b'{"nodes":[')  # grows in its place: of a million it has 400 MB
    for at in range(0, len(found), _PART):
        tree += b"," if at else b""
        tree += _encoded(found[at : at + _PART])
    tree += b"]}\n"
    return tree


def _encoded(nodes: Sequence[Node]) -> bytes:
    """Encode nodes, with commas between them."""
    if any(node.linktarget_raw for node in nodes):
        return b",".join(map(_encoded_link, nodes))
    return escaped(_encode(nodes))[1:-1]


def _encoded_link(node: Node) -> bytes:
    r"""Encode one node; a target that is no UTF-8 has ``\ufffd`` for each of its bytes."""
    if not node.linktarget_raw:
        return escaped(_encode(node))
    body = escaped(_encode(msgspec.structs.replace(node, linktarget=_PLACE)))
    text = node.linktarget_raw.decode(errors="surrogateescape")
    signs = [
        b"\\ufffd" if "\udc80" <= sign <= "\udcff" else escaped(_encode(sign))[1:-1]
        for sign in text
    ]
    return body.replace(_PLACE.encode(), b"".join(signs), 1)


def decode_tree(data: Bytes, what: str) -> list[Node]:
    """Read a tree; its nodes are in the order of their names. See `nodes_by_name`."""
    return list(nodes_by_name(data, what).values())


def nodes_by_name(data: Bytes, what: str) -> dict[bytes, Node]:
    """Read a tree; return its nodes by their names, ascending.

    Args:
        data: The plain bytes of a tree blob.
        what: How messages name it.

    Raises:
        IntegrityError: It is none, or holds what no directory can hold.
    """
    try:
        nodes: dict[bytes, Node] = {}
        last = b""
        for node in _decode(data).nodes:
            name = _checked(node)
            if name <= last:
                raise IntegrityError(what, f"{_shown(name)} is not in its place")
            nodes[name] = node
            last = name
    except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise IntegrityError(what, f"it is no tree: {exc}") from exc
    return nodes


def is_name(name: bytes) -> bool:
    """Whether something in a directory can have a name; no tree with another is read."""
    return bool(name) and name not in _DOTS and b"/" not in name and b"\0" not in name


def _checked(node: Node) -> bytes:
    """Return the name of a node that can be; raise `ValueError` of others."""
    name = node.name
    if not is_name(name):
        raise ValueError(f"{_shown(name)} is no name")
    # One number is below zero where all of them together are.
    if (node.mode | node.size | node.inode | node.links | node.uid | node.gid) < 0:
        raise ValueError(f"{_shown(name)} has a number below zero")
    for instant in {node.mtime, node.atime, node.ctime}:  # mostly one
        parse_nanoseconds(instant)
    for blob in node.content or ():
        parse_id(blob)
    if node.type == NodeType.DIRECTORY:
        parse_id(node.subtree)
    return name


def _shown(name: bytes) -> str:
    return repr(name.decode(errors="backslashreplace")[:80])


class _Loader(Protocol):
    def load_blob(self, kind: BlobType, blob_id: BlobID) -> Bytes: ...


def load_tree(repository: _Loader, name: BlobID) -> list[Node]:
    """Load a tree by its name; see `load_nodes`."""
    return list(load_nodes(repository, name).values())


def load_nodes(repository: _Loader, name: BlobID) -> dict[bytes, Node]:
    """Load a tree by its name; raises as loading a blob does, and as `nodes_by_name`."""
    data = repository.load_blob(BlobType.TREE, name)
    return nodes_by_name(data, f"tree {short(name)}")
