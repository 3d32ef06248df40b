"""What is backed up: a Protocol; `_directory_source` keeps it for a tree of files.

A source says what there is and opens it; what is new in it and where it goes, the
archiver decides. Nothing of a source is changed, access times apart where the system has
no other way. Source: restic ``doc/design.rst``, "Trees and Data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from kbackup.repository._nodes import Node


class OpenedFile(Protocol):
    """A content while it is read."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill *buffer* from its beginning; return how far, 0 at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Item(NamedTuple):
    """Something that is there.

    Attributes:
        path: Where, from the snapshot's root: names joined by ``/``, no slash in front.
        node: What is known of it, its content apart.
        open: Opens its content; None where it has none.
        origin: How the source itself names it, if otherwise.
    """

    path: bytes
    node: Node
    open: Callable[[], OpenedFile] | None = None
    origin: bytes = b""


class Link(NamedTuple):
    """Another name of something that was yielded, whose directory is not complete.

    Attributes:
        path: Where, as of an `Item`.
        other: The path that was yielded.
        inode: Of both, from now on.
        links: How many names there are, of which each but the first one is yielded so.
    """

    path: bytes
    other: bytes
    inode: int
    links: int


class Dropped(NamedTuple):
    """What was yielded of this path, which is no directory, does not count any more.

    Something else of that name may come next.
    """

    path: bytes


class Complete(NamedTuple):
    """Nothing more will come below this directory."""

    path: bytes


class Unreadable(NamedTuple):
    """Something that is there and cannot be saved; the rest is.

    Attributes:
        path: Where, as the source knows it.
        reason: What the system said.
    """

    path: bytes
    reason: str


Found: TypeAlias = Item | Link | Dropped | Complete | Unreadable


class Source(Protocol):
    """What is backed up.

    Attributes:
        paths: What the snapshot says was saved; by them the next one finds its parent.
        excludes: The patterns that it says were left out.
    """

    paths: Sequence[str]
    excludes: Sequence[str]

    def walk(self) -> Iterator[Found]:
        """Yield everything once, each directory before what lies in it.

        A directory is complete when nothing more comes below it. What is never said to
        be complete is so at the end; until then it may come again, when it is its newer
        node that counts.
        """
        ...
