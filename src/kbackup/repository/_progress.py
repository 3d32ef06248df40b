"""What a run tells while it goes on; what it counted in the end says its result.

Called by the verbs; whoever shows progress gives a function that takes one of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        what: What it does: ``back up``, ``restore``, ``copy``, ``repack``, ``read
            trees``, ``read packs``, ``remove packs``.
        done: Bytes of files or blobs in the first four, and of packs where a check reads
            them; else trees or packs.
        total: Of how many; 0 while that is not known.
        files: Files that are done.
    """

    what: str
    done: int
    total: int = 0
    files: int = 0


Told: TypeAlias = Callable[[Progress], None]


def untold(_: Progress) -> None:
    """Tell nobody."""
