"""What is wrong with a backup, or its archive, or with a restore."""

from __future__ import annotations

from typing import ClassVar

from kbackup.errors._base import KBackupError
from kbackup.errors._plugins import PluginError


class BackupError(KBackupError):
    """Something about the backup `name`."""

    thing: ClassVar[str] = "backup"
    fact: ClassVar[str] = "failed"

    def __init__(self, name: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"{self.thing} {name}: {self.fact}", reason, hint=hint)
        self.name, self.reason = name, reason


class BackupExistsError(BackupError):
    """The name is taken; nothing was overwritten."""

    fact = "exists already"


class BackupInProgressError(BackupError):
    """Another run is writing a backup of this name."""

    retryable = True
    fact = "is being written"


class BackupNotFoundError(BackupError):
    """The store has no backup of this name."""

    fact = "not found"


class NoBackupOfScheduleError(BackupNotFoundError):
    """The store has no backup of the schedule `name` that may be restored from."""

    thing = "schedule"
    fact = "nothing to restore from"


class BackupDamagedError(BackupError):
    """What is stored is not what was written, or a part is missing."""

    fact = "is damaged"


class BackupOwnsDataError(BackupError):
    """The backup owns something outside its directory, which deleting would orphan."""

    fact = "owns data outside the store"


class BackupCleanupError(BackupError):
    """DeleteItemActions failed, as `failures` tell one by one; nothing was removed."""

    fact = "was not deleted"
    failures: tuple[PluginError, ...] = ()


class RestoreError(KBackupError):
    """Something about the restore `name`."""

    fact: ClassVar[str] = "failed"

    def __init__(self, name: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"restore {name}: {self.fact}", reason, hint=hint)
        self.name, self.reason = name, reason


class RestoreExistsError(RestoreError):
    """Another run has used this name."""

    fact = "exists already"


class RestoreInProgressError(RestoreError):
    """Another run is restoring under this name."""

    retryable = True
    fact = "is running already"


class RestoreNotFoundError(RestoreError):
    """The store has no record of this restore."""

    fact = "not found"


class RestoreDamagedError(RestoreError):
    """A file of the restore's record is not what was written, or cannot be read."""

    fact = "is damaged"


class ArchiveError(KBackupError):
    """A backup's archive cannot be read; `entry` is the path inside it, or empty."""

    def __init__(self, reason: str, *, entry: str = "", hint: str = "") -> None:
        super().__init__(f"{entry}: {reason}" if entry else reason, hint=hint)
        self.reason, self.entry = reason, entry


class ArchiveCorruptError(ArchiveError):
    """The archive is truncated, altered or hostile."""


class ArchiveVersionError(ArchiveError):
    """The archive's layout is newer than this reader."""
