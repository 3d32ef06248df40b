"""An archive once more, with some of its items replaced and others added.

Nothing that is published is ever rewritten: this is for an archive that is not yet, when
what an asynchronous operation left is to be in it. Called by the backup engine.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from kbackup._kits.streams import Readable
from kbackup.archive._entries import Entries
from kbackup.archive._layout import PREFERRED_SUFFIX, Key
from kbackup.archive._writer import ArchiveWriter


@attrs.frozen(kw_only=True)
class NewItem:
    """One item as `ArchiveWriter.add` takes it."""

    resource: str
    version: str
    namespace: str
    name: str
    body: bytes = attrs.field(repr=False)
    preferred: bool = True

    @property
    def key(self) -> Key:
        """Which item it is, whatever its version."""
        return self.resource, self.namespace, self.name

    def write_to(self, writer: ArchiveWriter) -> None:
        """Add it to an archive."""
        writer.add(**attrs.asdict(self))


def rewrite(source: Readable, writer: ArchiveWriter, new: Iterable[NewItem]) -> None:
    """Copy an archive that `ArchiveWriter` wrote, with *new* items in it.

    An item that is there already is replaced in its place, in all its versions; others
    follow at the end, in the order given. Velero orders its final archive alike.

    Args:
        source: The compressed bytes.
        writer: Gets everything; not closed.
        new: Each item once.

    Raises:
        ArchiveCorruptError: *source* cannot be read to its end.
    """
    items = {item.key: item for item in new}
    left = dict(items)
    for resource, version, namespace, name, body in Entries().of(source):
        key = resource, namespace, name
        if key in items:
            if (item := left.pop(key, None)) is not None:
                item.write_to(writer)
        elif version:  # the un-versioned copy is written with the preferred one
            writer.add(
                resource=resource,
                version=version.removesuffix(PREFERRED_SUFFIX),
                namespace=namespace,
                name=name,
                body=body,
                preferred=version.endswith(PREFERRED_SUFFIX),
            )
    for item in left.values():
        item.write_to(writer)
