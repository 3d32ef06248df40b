"""What is asked of a backup, and what it did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

import attrs

from kbackup._kits.sizes import format_size
from kbackup._kits.words import one_line, plural
from kbackup.errors import InvalidSpecError
from kbackup.repository._snapshots import Snapshot
from kbackup.repository._sources import Unreadable


@attrs.frozen(kw_only=True)
class BackUpRequest:
    """What is asked of a backup; see `Repository.back_up`.

    Raises:
        InvalidSpecError: *time* has no zone.
    """

    hostname: str = ""
    tags: Sequence[str] = ()
    time: datetime | None = None
    parent: str | Snapshot | None = None
    read_all: bool = False

    def __attrs_post_init__(self) -> None:
        if self.time is not None and self.time.tzinfo is None:
            raise InvalidSpecError([f"the time {self.time} says no zone"])


@attrs.frozen(kw_only=True)
class BackUpResult:
    """What a backup did.

    Attributes:
        snapshot: What it made.
        unreadable: What could not be saved; the rest was.
    """

    snapshot: Snapshot
    unreadable: tuple[Unreadable, ...]

    def __str__(self) -> str:
        """As people read it: what was saved, how much of it was new, and what was not."""
        lines = [str(self.snapshot)]
        if (summary := self.snapshot.summary) is not None:
            files = plural(summary.total_files_processed, "file")
            size = format_size(summary.total_bytes_processed)
            added = format_size(summary.data_added)
            lines[0] += f": {files}, {size}; {added} added"
        lines += [
            f"not saved: {one_line(os.fsdecode(each.path))}: {each.reason}"
            for each in self.unreadable
        ]
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """What a command line ends with: 0, or 3 where something could not be saved."""
        return 3 if self.unreadable else 0
