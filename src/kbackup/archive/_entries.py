"""The copies of items among the entries of an archive. Called by reader and index."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from kbackup._kits.streams import Readable
from kbackup.archive._layout import VERSION_ENTRY, PathReader, check_version
from kbackup.archive._limits import ArchiveLimits
from kbackup.archive._scan import scan
from kbackup.errors import ArchiveCorruptError

_log = logging.getLogger("kbackup.archive")
_MOST_NAMED = 5  # of the files that are no items: there may be a million of them

Found = tuple[str, str, str, str, bytes]
"""Type, version directory (empty: un-versioned), namespace, name and body."""


class Entries:
    """Reads archives within limits, and knows what of them was damaged.

    Args:
        limits: What counts as absurd.
        salvage: Pass over what is damaged and name it in `damage`.
    """

    def __init__(
        self, limits: ArchiveLimits | None = None, *, salvage: bool = False
    ) -> None:
        self._limits = limits or ArchiveLimits()
        self._damage: list[str] | None = [] if salvage else None

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read; empty unless reading was to pass over it."""
        return tuple(dict.fromkeys(self._damage or ()))

    def report(self, error: ArchiveCorruptError) -> None:
        """Note damage, or raise it."""
        if self._damage is None:
            raise error
        self._damage.append(str(error))

    def of(
        self, stream: Readable, count: Iterator[int] | None = None
    ) -> Iterator[Found]:
        """Yield every entry that is an item's copy; *count* is taken for every one."""
        split = PathReader().split
        strangers = 0
        for raw, body in scan(stream, self._limits, self._damage):
            if count is not None:
                next(count)
            try:
                place = split(raw)
                if place is not None:
                    yield (*place, body)
                elif raw == VERSION_ENTRY.encode():
                    check_version(body)
                elif (strangers := strangers + 1) <= _MOST_NAMED:
                    _log.warning("%r in the archive is no item and is not read", raw)
            except ArchiveCorruptError as exc:
                self.report(exc)
        if strangers > _MOST_NAMED:
            _log.warning("nor are %d more files", strangers - _MOST_NAMED)
