"""Which backups can be restored from, told by their lines in the list. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kbackup.catalog._listing import BackupEntry, EntryState
from kbackup.errors import (
    BackupDamagedError,
    BackupInProgressError,
    BackupNotFoundError,
)
from kbackup.models import Backup, BackupPhase

_USABLE = frozenset({BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED})


def first_usable(entries: Iterable[BackupEntry]) -> Backup:
    """Return the record of the first whole backup that did not fail.

    Raises:
        BackupNotFoundError: There is none.
    """
    for entry in entries:
        backup = entry.backup
        if backup is None or entry.state is not EntryState.COMPLETE:
            continue
        if backup.status.phase in _USABLE:
            return backup
    raise BackupNotFoundError("latest", "the location has no whole backup")


def require_complete(entry: BackupEntry) -> None:
    """Refuse a backup whose archive may not be all that its run was to store.

    Raises:
        BackupInProgressError: It is being written.
        BackupDamagedError: It is not whole, or not what its manifest says.
    """
    if entry.state is EntryState.IN_PROGRESS:
        raise BackupInProgressError(entry.name, entry.reason)
    if entry.state is not EntryState.COMPLETE:
        fault = f"{entry.state}: {entry.reason}"
        hint = "--damaged reads what is readable of it"
        raise BackupDamagedError(entry.name, fault, hint=hint)
