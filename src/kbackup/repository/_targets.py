"""Where a snapshot is restored to: a Protocol; `_directory_target` keeps it for a directory.

The restorer walks trees and brings blobs; a target makes files of them. Nothing that was
there is removed unless that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from kbackup.repository._ids import BlobID, Bytes, hash_of
from kbackup.repository._nodes import Node
from kbackup.repository._sparse import hash_of_zeros, next_data


class Piece(NamedTuple):
    """A part of a file that is one blob.

    Attributes:
        blob: Which.
        offset: Where it begins in the file.
        size: Bytes.
    """

    blob: BlobID
    offset: int
    size: int


def has_piece(descriptor: int, piece: Piece) -> bool:
    """Whether an open file has a piece at its place already; raises `OSError`."""
    content = os.pread(descriptor, piece.size, piece.offset)
    return len(content) == piece.size and hash_of(content) == piece.blob


def has_piece_sparsely(descriptor: int, piece: Piece) -> bool:
    """As `has_piece`, of a file that may have holes, which are not read.

    It is as long as it will be: what lies behind its end is taken for a hole.
    """
    data = next_data(descriptor, piece.offset)
    if data is not None and data < piece.offset + piece.size:
        return has_piece(descriptor, piece)
    zeros = hash_of_zeros(piece.size)
    return has_piece(descriptor, piece) if zeros is None else zeros == piece.blob


class Target(Protocol):
    """What is restored to. Files are written by several threads, each piece once."""

    def enter(self, path: bytes, node: Node) -> None:
        """Make a directory, or take the one that is there.

        Raises:
            OSError: Something else is in its place, or it cannot be made.
        """
        ...

    def make(self, path: bytes, node: Node) -> None:
        """Make what is neither file nor directory; raises as `enter`."""
        ...

    def link(self, path: bytes, other: bytes) -> None:
        """Give a file that was begun a second name; raises as `enter`."""
        ...

    def begin(
        self, path: bytes, node: Node, pieces: Sequence[Piece]
    ) -> Sequence[Piece]:
        """Begin a file; return the pieces that it lacks. Without any, it is finished next.

        Raises:
            OSError: Something else is in its place, or it cannot be made.
        """
        ...

    def write(self, path: bytes, offset: int, plain: Bytes) -> None:
        """Write a piece of a file that was begun; raises `OSError`."""
        ...

    def finish(self, path: bytes, node: Node) -> None:
        """End a file, all of which is there: owner, mode, times; raises `OSError`."""
        ...

    def drop(self, path: bytes) -> None:
        """Give up a file that was begun: one that is new is removed; raises `OSError`."""
        ...

    def leave(self, path: bytes, node: Node) -> None:
        """End a directory after all that lies in it; raises `OSError`."""
        ...

    def others(self, path: bytes, names: Collection[bytes]) -> Sequence[bytes]:
        """Return the names in a directory that are none of *names*.

        Raises:
            OSError: There is no such directory; a link to one is none.
        """
        ...

    def remove(self, path: bytes) -> None:
        """Remove something, and what lies in it; raises `OSError`."""
        ...
