"""Which backups can be restored from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import attrs

from kbackup._kits.words import first_few
from kbackup.catalog._listing import BackupEntry, EntryState
from kbackup.catalog._sizes import size_fault
from kbackup.errors import (
    BackupDamagedError,
    BackupInProgressError,
    BackupNotFoundError,
    NoBackupOfScheduleError,
)
from kbackup.models import Backup, BackupPhase, labels
from kbackup.plugins import ObjectStore


@attrs.frozen(kw_only=True)
class Wish:
    """Which backups may be taken.

    Attributes:
        schedule: Those of one schedule; empty: all.
        partially_failed: Also those that lack something.
    """

    schedule: str = ""
    partially_failed: bool = True

    def covers(self, entry: BackupEntry) -> bool:
        """Whether a backup is asked about at all; one without a record says nothing."""
        return not self.schedule or schedule_of(entry) == self.schedule

    def fault(self, entry: BackupEntry) -> str:
        """Why a backup is not to be taken; empty: it can be."""
        phase = entry.backup.status.phase if entry.backup is not None else None
        lacks = phase is BackupPhase.PARTIALLY_FAILED and not self.partially_failed
        return entry.unusable or (f"phase {phase}" if lacks else "")

    def refusal(
        self, reason: str, schedules: Collection[str] = ()
    ) -> BackupNotFoundError:
        """The error where there is none.

        Args:
            reason: What is wrong with the newest, if there is one.
            schedules: Of which there are backups.
        """
        if not self.schedule:
            reason = f"the location has no whole backup{reason}"
            return BackupNotFoundError("latest", reason)
        what = "whole" if self.partially_failed else "completed"
        reason = f"no {what} backup of this schedule{reason}"
        hint = ""
        if self.schedule not in schedules:
            known = first_few(sorted(schedules)) or "none"
            hint = f"schedules that have backups here: {known}"
        return NoBackupOfScheduleError(self.schedule, reason, hint=hint)


def schedule_of(entry: BackupEntry) -> str:
    """Return the schedule that made a backup; empty: none, or nobody knows."""
    if entry.backup is None:
        return ""
    return entry.backup.metadata.labels.get(labels.SCHEDULE_NAME, "")


def first_usable(
    entries: Iterable[BackupEntry],
    measure: Callable[[BackupEntry], BackupEntry],
    wish: Wish,
) -> Backup:
    """Return the record of the first whole backup that did not fail or hold nothing.

    Args:
        entries: The newest first.
        measure: See `measured`; asked of what seems to be whole.
        wish: Which of them.

    Raises:
        BackupNotFoundError: There is none; says what is wrong with the newest.
    """
    reason, entries = "", list(entries)
    for number, entry in enumerate(filter(wish.covers, entries)):
        try:
            fault = wish.fault(entry) or measure(entry).unusable
        except BackupNotFoundError:
            continue  # it was deleted while we looked
        if entry.backup is not None and not fault:
            return entry.backup
        if not number:
            reason = f"; the newest is {entry.name}, {fault}"
    raise wish.refusal(reason, {schedule_of(entry) for entry in entries} - {""})


def measured(store: ObjectStore, entry: BackupEntry) -> BackupEntry:
    """Look at a whole backup more closely: is its archive as large as it was?

    That is not looked at in a list: it costs requests for every backup.
    """
    if entry.state is not EntryState.COMPLETE:
        return entry
    try:
        fault = size_fault(store, entry.name)
    except BackupDamagedError as exc:
        fault = exc.reason
    if not fault:
        return entry
    return attrs.evolve(entry, state=EntryState.DAMAGED, reason=fault)


def require_complete(entry: BackupEntry) -> None:
    """Refuse a backup whose archive may not be all that its run was to store.

    Raises:
        BackupInProgressError: It is being written.
        BackupDamagedError: It is not whole, or not what its manifest says.
    """
    if entry.state is EntryState.IN_PROGRESS:
        raise BackupInProgressError(entry.name, entry.reason)
    if entry.state is not EntryState.COMPLETE:
        fault = entry.unusable.removeprefix("damaged: ")  # the error says that
        hint = "--damaged reads what is readable of it"
        raise BackupDamagedError(entry.name, fault, hint=hint)
