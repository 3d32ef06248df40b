"""Which commands of hooks earlier runs of a restore began: none is run twice unnoticed.

The journal of the restore says so, in entries that are written before what they tell of
is begun. It goes when the restore is on record. Asked where commands are run.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from kbackup.catalog import Journal
from kbackup.errors import KBackupError
from kbackup.hooks import HookNote
from kbackup.plugins import Run
from kbackup.restore._writes.record import Place, is_on_record

_KEY = "restoreHooks"
_UNKEPT = (
    "which hooks are run cannot be kept in the store: if this run is killed, the next one "
    "may run some again"
)


class Earlier(StrEnum):
    """What earlier runs of a restore did about the commands of one container."""

    NOTHING = "nothing"
    """None was begun: they are due."""
    BEGUN = "begun"
    """They may have been run, in part or wholly."""
    ENDED = "ended"
    """They were run, or given up, and that run knew how it ended."""
    RECORDED = "recorded"
    """The restore is on record, which tells of its hooks."""
    UNKNOWN = "unknown"
    """Nothing was kept of it."""


class HookJournal:
    """What is known of earlier runs, and is kept for later ones; for any threads."""

    def __init__(
        self,
        run: Run,
        journal: Journal | None,
        entries: Iterable[Mapping[str, Any]] = (),
        *,
        recorded: bool = False,
    ) -> None:
        self._run = run
        self._journal = journal
        self._recorded = recorded
        self._keeping = threading.Lock()
        self._is_kept = False
        self._begun: set[str] = set()
        self._failed: Counter[str] = Counter()
        for entry in entries:
            self._take(entry)

    @classmethod
    def of(cls, place: Place, name: str, uid: str, run: Run) -> HookJournal:
        """Read the journal of a restore; begin it, if this is the first run of it."""
        if is_on_record(place.store, name, uid):
            return cls(run, None, recorded=True)
        journal = place.journal
        try:
            found = [entry.get(_KEY) for entry in journal.entries()]
        except KBackupError as exc:
            run.logger.info("the journal of the restore cannot be read: %s", exc)
            return cls(run, None)
        entries = [entry for entry in found if isinstance(entry, Mapping)]
        kept = cls(run, journal if place.claim is not None else None, entries)
        if not entries:  # a later run knows by it that there is nothing more to know
            kept.note(HookNote())
        return kept

    def earlier(self, key: str) -> Earlier:
        """What earlier runs did; *key* is a `note_key`."""
        if self._recorded:
            return Earlier.RECORDED
        if not self._is_kept:
            return Earlier.UNKNOWN
        if key in self._failed:
            return Earlier.ENDED
        return Earlier.BEGUN if key in self._begun else Earlier.NOTHING

    def failed(self, key: str) -> int:
        """How many failed, or were never run, of commands that have ended."""
        return self._failed[key]

    def note(self, note: HookNote) -> None:
        """Keep what happens; that it cannot be kept is a warning, once."""
        if self._journal is None:
            return
        entry = {
            "begun": list(note.begun),
            "ended": dict(_summed(note.ended)),
            "left": list(note.left),
        }
        try:
            self._journal.append({_KEY: {key: x for key, x in entry.items() if x}})
        except KBackupError as exc:
            with self._keeping:
                journal, self._journal = self._journal, None
            if journal is not None:
                self._run.warning(f"{_UNKEPT}: {exc}", cause=exc)

    def _take(self, entry: Mapping[str, Any]) -> None:
        """Learn from an entry, which may be of another version, or odd."""
        self._is_kept = True
        begun, ended, left = (entry.get(key) for key in ("begun", "ended", "left"))
        if isinstance(begun, list):
            self._begun.update(str(key) for key in begun)
        if isinstance(ended, Mapping):
            for key, failed in ended.items():
                self._failed[key] += failed if isinstance(failed, int) else 0
        if isinstance(left, list):
            self._begun.difference_update(str(key) for key in left)


def _summed(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, failed in pairs:
        total[key] += failed
    return total
