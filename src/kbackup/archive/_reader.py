"""A tar.gz in Velero's layout to items. Streams only; knows no store."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Self

import attrs

from kbackup._kits.streams import Readable
from kbackup.archive._contents import ArchiveContents
from kbackup.archive._entries import Entries, Found
from kbackup.archive._files import Cursor, PositionedFile
from kbackup.archive._index import index_archive
from kbackup.archive._items import ItemFactory, check_whole
from kbackup.archive._layout import PREFERRED_SUFFIX, Key, keep_best
from kbackup.archive._limits import ArchiveLimits
from kbackup.errors import ArchiveCorruptError, ArchiveError
from kbackup.models import GroupResource, Item, ResourceIdentifier


@attrs.frozen(kw_only=True)
class ArchiveSummary:
    """What reading the whole of an archive found.

    Attributes:
        items: How many items there are.
        entries: How many files, versioned copies and ``metadata/version`` included.
        by_type: Items of each type.
        differing: Items whose un-versioned copy and that of the preferred version are
            not the same bytes. Velero can keep further versions, which are not either.
    """

    items: int
    entries: int
    by_type: Mapping[GroupResource, int]
    differing: tuple[ResourceIdentifier, ...] = ()


class ArchiveReader:
    """Reads an archive of Velero or kbackup, as often as asked.

    Items come from the un-versioned copies; an item that has none comes from the best
    of its versions, at the end. The archive is never unpacked by name. May be shared by
    threads, each with an iteration of its own.

    Args:
        source: The archive: a file, or a seekable stream, which is closed with the
            reader.
        limits: What counts as absurd.
        salvage: Pass over what is damaged and name it in `damage`.
    """

    def __init__(
        self,
        source: Path | BinaryIO,
        *,
        limits: ArchiveLimits | None = None,
        salvage: bool = False,
    ) -> None:
        try:
            stream = source.open("rb") if isinstance(source, Path) else source
        except OSError as exc:
            raise ArchiveError(f"the archive cannot be opened: {exc}") from exc
        self._name = str(getattr(stream, "name", ""))
        self._file = PositionedFile(stream)
        self._entries = Entries(limits, salvage=salvage)

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read; empty unless reading was to pass over it."""
        return self._entries.damage

    def __repr__(self) -> str:
        return f"ArchiveReader({self._name!r})"

    def __iter__(self) -> Iterator[Item]:
        """Yield every item, in the archive's order.

        Of two entries under one path both come; only the index knows which is the
        later one, which counts.
        """
        factory = ItemFactory()
        for resource, _, namespace, name, body in self._chosen():
            try:
                yield factory.make(factory.type_of(resource), namespace, name, body)
            except ArchiveCorruptError as exc:
                self._entries.report(exc)

    def index(
        self, spool_directory: Path | None = None, *, every_version: bool = False
    ) -> ArchiveContents:
        """Read the archive once and return its items by name; see `index_archive`."""
        return index_archive(
            self._opened, spool_directory, self._entries, every_version=every_version
        )

    def check(self) -> ArchiveSummary:
        """Read all of the archive and parse all of every copy of every item.

        Raises:
            ArchiveCorruptError: Something is damaged.
        """
        digests: dict[Key, int | None] = {}  # None: only other versions so far
        differing: set[Key] = set()
        entries = itertools.count()
        for resource, version, namespace, name, body in self._found(entries):
            try:
                check_whole(resource, namespace, name, body)
            except ArchiveCorruptError as exc:
                self._entries.report(exc)
            key = (resource, namespace, name)
            held = digests.setdefault(key, None)
            if version and not version.endswith(PREFERRED_SUFFIX):
                continue
            digests[key] = hash(body)
            if held not in (None, hash(body)):
                differing.add(key)
        by_type = Counter(resource for resource, _, _ in digests)
        return ArchiveSummary(
            items=len(digests),
            entries=next(entries),
            by_type={GroupResource.parse(r): n for r, n in sorted(by_type.items())},
            differing=tuple(
                ResourceIdentifier(GroupResource.parse(resource), namespace, name)
                for resource, namespace, name in sorted(differing)
            ),
        )

    def close(self) -> None:
        """Close the archive; iterations under way fail."""
        self._file.close()

    def _opened(self) -> AbstractContextManager[Readable]:
        return nullcontext(Cursor(self._file))

    def _found(self, count: Iterator[int] | None = None) -> Iterator[Found]:
        return self._entries.of(Cursor(self._file), count)

    def _chosen(self) -> Iterator[Found]:
        """Yield the copies that count: un-versioned, else the best version.

        The copies of an item stand side by side in what Velero and kbackup write, so
        that only those of other archives are read again.
        """
        orphans: dict[Key, str] = {}
        last: Key | None = None
        for found in self._found():
            resource, version, namespace, name, _ = found
            key = (resource, namespace, name)
            if not version:
                last = key
                orphans.pop(key, None)
                yield found
            elif key != last:
                keep_best(orphans, key, version)
        if orphans:
            for resource, version, namespace, name, _ in self._found():
                if not version:
                    orphans.pop((resource, namespace, name), None)
        if orphans:
            for found in self._found():
                resource, version, namespace, name, _ = found
                if orphans.get((resource, namespace, name)) == version != "":
                    yield found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
