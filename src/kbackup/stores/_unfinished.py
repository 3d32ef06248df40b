"""What writes that did not end left in a store, where no list of objects shows it.

Parts of an upload in S3, a temporary file in a directory. ``location repair`` asks for
them through the Protocol here; which of them are dead is not the store's to decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from kbackup.plugins import ObjectStore


@attrs.frozen(kw_only=True)
class UnfinishedWrite:
    """Bytes of an object that never came to be.

    Attributes:
        key: What was written, or a key of its own beside that.
        id: What the store calls it, such as the id of an upload.
        since: When it began, or when bytes were last added; the store's clock.
        path: The directory it lies in, of a store that has several.
    """

    key: str
    id: str
    since: datetime
    path: str = ""


@runtime_checkable
class TidyStore(Protocol):
    """An `ObjectStore` that can tell and remove what unfinished writes left."""

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield the writes below a prefix that have not ended, live ones included."""
        ...

    def discard(self, write: UnfinishedWrite) -> None:
        """Remove what a write left; removing what is gone is success."""
        ...


def unfinished_writes(store: ObjectStore, prefix: str) -> Iterator[UnfinishedWrite]:
    """Yield the unfinished writes of any store; none where it cannot tell."""
    if isinstance(store, TidyStore):
        yield from store.unfinished(prefix)
