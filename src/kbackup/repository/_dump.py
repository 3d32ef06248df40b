"""A part of a snapshot to a stream: a file as it is, a directory as an archive.

Called by the facade, under a shared lock.
Source: restic ``doc/050_restore.rst``, "Printing files to stdout".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

from kbackup.errors import InvalidSpecError
from kbackup.repository._content import read_content, read_contents
from kbackup.repository._entries import (
    Entry,
    SnapshotPath,
    find_node,
    normal_path,
    require_size,
    shown_path,
    walk_tree,
)
from kbackup.repository._ids import BlobID
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._tar_writer import TarWriter
from kbackup.repository._zip_writer import ZipWriter

_WRITERS: Mapping[str, Callable[[BinaryIO], TarWriter | ZipWriter]] = {
    "tar": TarWriter,
    "zip": ZipWriter,
}


def dump(
    repository: OpenedRepository,
    tree: BlobID,
    path: SnapshotPath,
    stream: BinaryIO,
    *,
    archive: str = "tar",
) -> None:
    """Write what lies at a path to a stream, which is never sought in and stays open.

    An archive holds what lies below a directory, the directory itself apart, under the
    names from the snapshot's root on, as restic's does. This is also how a snapshot is
    restored to a stream: a `Target` is given pieces in the order of the packs, by several
    threads, and no stream takes those.

    Args:
        repository: Where it is; its index is loaded.
        tree: Of the snapshot.
        path: A file; or a directory, empty and ``/`` being the root.
        stream: What it raises, such as `BrokenPipeError`, is raised here.
        archive: ``tar`` or ``zip``.

    Raises:
        InvalidSpecError: There is no such archive, or something else lies at the path;
            nothing was written.
        PathNotFoundError: Nothing lies there; the same.
        IntegrityError: Something is damaged. What was written until then is no archive.
        StoreError: The backend failed; the same.
    """
    if archive not in _WRITERS:
        raise InvalidSpecError([f"an archive is tar or zip, not {archive!r}"])
    found, where = find_node(repository, tree, path), normal_path(path)
    if not isinstance(found, Node):
        _dump_tree(repository, walk_tree(repository, found), stream, archive)
    elif found.type == NodeType.DIRECTORY:
        entries = walk_tree(repository, found.tree, where)
        _dump_tree(repository, entries, stream, archive)
    elif found.type == NodeType.FILE:
        _dump_file(repository, Entry(where, found), stream)
    else:
        what = f"{shown_path(where)} is a {found.type}"
        raise InvalidSpecError([f"{what}: only files and directories are dumped"])


def _dump_file(repository: OpenedRepository, entry: Entry, stream: BinaryIO) -> None:
    size = 0
    for plain in read_content(repository, entry.node.blobs):
        stream.write(plain)
        size += len(plain)
    require_size(entry, size)


def _dump_tree(
    repository: OpenedRepository,
    entries: Iterator[Entry],
    stream: BinaryIO,
    archive: str,
) -> None:
    writer = _WRITERS[archive](stream)
    for entry, content in read_contents(repository, _with_blobs(entries)):
        writer.add(entry, content)
    writer.close()


def _with_blobs(
    entries: Iterator[Entry],
) -> Iterator[tuple[Entry, Sequence[BlobID]]]:
    for entry in entries:
        yield entry, entry.node.blobs
