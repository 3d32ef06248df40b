"""The index of an archive, made in one pass over a stream.

Called by the reader, and by the catalog while the archive is still on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from kbackup._kits.streams import Readable
from kbackup._kits.temporary import place_of
from kbackup.archive._contents import (
    SIZE_BITS,
    ArchiveContents,
    Place,
    TypeItems,
)
from kbackup.archive._entries import Entries
from kbackup.archive._files import PositionedFile, temporary_file
from kbackup.archive._items import Head, check_body, check_whole
from kbackup.archive._layout import PREFERRED_SUFFIX, Key, keep_best
from kbackup.errors import ArchiveCorruptError, SpoolError

_WRITE_AT = 1 << 20
_KEPT = 1 << 26  # bytes of bodies that stay in memory: all of most clusters


def index_archive(
    opened: Callable[[], AbstractContextManager[Readable]],
    spool_directory: Path | None = None,
    entries: Entries | None = None,
    *,
    every_version: bool = False,
    whole: bool = False,
) -> ArchiveContents:
    """Read an archive and return its items by name.

    The first 64 MiB of bodies stay in memory; what comes after them is written, inflated,
    to one temporary file that has no name and that only this account can read.

    Args:
        opened: Opens the archive at its beginning. Called a second time for those items
            that have copies of versions only, which neither Velero nor kbackup write.
        spool_directory: Where that file's blocks lie; None: the system's place.
        entries: Reads it; None: whole, or not at all.
        every_version: Keep the copies in other versions than the preferred one as well,
            for `ArchiveContents.in_versions`.
        whole: Look at every value of a body, not only at what says which item it is: for
            archives that no digest vouches for.

    Raises:
        ArchiveCorruptError: Something is damaged.
        ArchiveError: The archive cannot be read, or the file not be written.
    """
    entries = entries or Entries()
    check = check_whole if whole else check_body
    builder = _Builder(spool_directory, entries.report, check)
    try:
        with opened() as stream:
            for resource, version, namespace, name, body in entries.of(stream):
                if version:
                    builder.add_version(resource, version, namespace, name)
                    if every_version and not version.endswith(PREFERRED_SUFFIX):
                        builder.add_copy(resource, version, namespace, name, body)
                else:
                    builder.add(resource, namespace, name, body)
        if wanted := builder.postponed():
            with opened() as stream:
                for resource, version, namespace, name, body in entries.of(stream):
                    if wanted.get((resource, namespace, name)) == version != "":
                        builder.add(resource, namespace, name, body)
        return builder.finish(lambda: entries.damage)
    except BaseException:
        builder.close()
        raise


class _Builder:
    """What the index is made of while the archive is read.

    Args:
        directory: Where the bodies' file lies.
        report: Told of every item that is not what its path says.
        check: Tells whether it is.
    """

    def __init__(
        self,
        directory: Path | None,
        report: Callable[[ArchiveCorruptError], None],
        check: Callable[[str, str, str, bytes], Head],
    ) -> None:
        self._directory = directory
        self._check = check
        try:
            self._file = temporary_file(directory)
        except OSError as exc:
            raise self._full(exc) from exc
        self._report = report
        self._types: dict[str, TypeItems] = {}
        self._copies: dict[str, dict[str, TypeItems]] = {}
        self._versions: dict[str, set[str]] = {}
        self._last_version = ("", "")
        self._postponed: dict[Key, str] = {}
        self._end = self._written = self._kept = 0
        self._waiting: list[bytes] = []

    def add(self, resource: str, namespace: str, name: str, body: bytes) -> None:
        """Keep an item; a later one of the same name takes its place."""
        try:
            head = self._check(resource, namespace, name, body)
        except ArchiveCorruptError as exc:
            self._report(exc)
            return
        held = self._types.get(resource)
        if held is None:
            held = self._types[resource] = TypeItems()
        place = self._place(body)
        held.add((namespace, name), place, (head.api_version, head.kind))

    def add_copy(
        self, resource: str, version: str, namespace: str, name: str, body: bytes
    ) -> None:
        """Keep the copy of an item in another version than the preferred one."""
        try:
            head = self._check(resource, namespace, name, body)
        except ArchiveCorruptError as exc:
            self._report(exc)
            return
        copies = self._copies.setdefault(resource, {})
        held = copies.setdefault(version, TypeItems())
        place = self._place(body)
        held.add((namespace, name), place, (head.api_version, head.kind))

    def _place(self, body: bytes) -> Place:
        """Keep a body, and return where it is."""
        size = len(body)
        if self._kept + size <= _KEPT:
            self._kept += size
            return body
        place = self._end << SIZE_BITS | size
        self._end += size
        self._waiting.append(body)
        if self._end - self._written >= _WRITE_AT:
            self._flush()
        return place

    def add_version(
        self, resource: str, version: str, namespace: str, name: str
    ) -> None:
        """Note a versioned copy; its body counts only where no other one does."""
        if (resource, version) != self._last_version:
            self._last_version = (resource, version)
            self._versions.setdefault(resource, set()).add(version)
        if not self._has(resource, namespace, name):
            keep_best(self._postponed, (resource, namespace, name), version)

    def postponed(self) -> dict[Key, str]:
        """Return the items that have only versioned copies, and the best of those."""
        return {k: v for k, v in self._postponed.items() if not self._has(*k)}

    def _has(self, resource: str, namespace: str, name: str) -> bool:
        held = self._types.get(resource)
        return held is not None and (namespace, name) in held.places

    def finish(self, damage: Callable[[], tuple[str, ...]]) -> ArchiveContents:
        """Return the index; the builder is not used afterwards."""
        self._flush()
        try:
            self._file.flush()
        except OSError as exc:
            raise self._full(exc) from exc
        spool = PositionedFile(self._file)
        return ArchiveContents(
            self._types, self._versions, spool, damage, copies=self._copies
        )

    def close(self) -> None:
        """Drop what was kept."""
        with suppress(OSError):  # a full disk says once more that it is full
            self._file.close()

    def _flush(self) -> None:
        try:
            self._file.write(b"".join(self._waiting))
        except OSError as exc:
            raise self._full(exc) from exc
        self._waiting.clear()
        self._written = self._end

    def _full(self, cause: OSError) -> SpoolError:
        return SpoolError(place_of(self._directory), cause.strerror or str(cause))
