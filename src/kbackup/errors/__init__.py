"""Every error that leaves kbackup, in one tree.

A message states a fact and names the thing it is about; its parts are attributes;
advice stands in `KBackupError.hint`. Errors of foreign libraries are translated once,
in the room that owns the library, and kept as the cause. Nothing secret is ever part
of a message.

::

    KBackupError                   exit_code = 1, retryable = False
    ├── ConfigError (2)            InvalidSpecError (violations) · InvalidConfigError ·
    │                              InvalidPlanError · UnknownLocationError
    ├── CodecError (path, expected, got)
    ├── PluginError (plugin)       PluginNotFoundError · PluginConflictError ·
    │                              PluginLoadError · ActionError (plugin, item) ·
    │                              ActionTimeoutError (plugin, item, seconds)
    ├── ClusterError (verb, resource, item, reason, status)
    │                              ForbiddenError · UnauthorizedError ·
    │                              ItemNotFoundError · AlreadyExistsError ·
    │                              ConflictError* · InvalidItemError · GoneError ·
    │                              UnsupportedByServerError · ThrottledError* ·
    │                              ClusterUnreachableError* · ServerFaultError* ·
    │                              TargetMismatchError · ExecError
    ├── HookError (hook, pod)      HookFailedError · HookTimeoutError
    ├── StoreError (key)           ObjectNotFoundError · ObjectExistsError ·
    │                              ObjectDamagedError · StoreAccessError ·
    │                              StoreUnavailableError* ·
    │                              StoreFullError · DigestMismatchError ·
    │                              ReadOnlyLocationError · UnsupportedCapabilityError
    ├── BackupError (name)         BackupExistsError · BackupInProgressError* ·
    │   │                          BackupDamagedError · BackupOwnsDataError ·
    │   │                          BackupCleanupError (failures)
    │   └── BackupNotFoundError    NoBackupOfScheduleError
    ├── RestoreError (name)        RestoreExistsError · RestoreInProgressError* ·
    │                              RestoreNotFoundError · RestoreDamagedError
    ├── PlanOutdatedError
    ├── RunCancelledError (130)
    ├── ArchiveError (entry)       ArchiveCorruptError · ArchiveVersionError
    ├── RepositoryError (thing, reason)
    │   │                          RepositoryNotFoundError (10) · RepositoryExistsError ·
    │   │                          RepositoryLockedError* (11) · WrongPasswordError (12) ·
    │   │                          KeySizeError · UnsupportedFormatError ·
    │   │                          SnapshotNotFoundError · KeyNotFoundError · KeyInUseError ·
    │   │                          PathNotFoundError · SourceNotFoundError
    │   └── IntegrityError         SealBrokenError · BlobMissingError · PackCorruptError
    ├── VolumeError                SnapshotFailedError · NoSnapshotterError ·
    │   │                          DataMoverError
    │   └── SnapshotterError (thing, reason)
    │                              VolumeNotFoundError · NativeSnapshotNotFoundError ·
    │                              SnapshotterAccessError · SnapshotterThrottledError* ·
    │                              SnapshotterUnavailableError*
    ├── OperationTimeoutError (what, seconds)
    └── SpoolError (place)

    (n) exit code        * retryable
"""

from kbackup.errors._backups import (
    ArchiveCorruptError,
    ArchiveError,
    ArchiveVersionError,
    BackupCleanupError,
    BackupDamagedError,
    BackupError,
    BackupExistsError,
    BackupInProgressError,
    BackupNotFoundError,
    BackupOwnsDataError,
    NoBackupOfScheduleError,
    RestoreDamagedError,
    RestoreError,
    RestoreExistsError,
    RestoreInProgressError,
    RestoreNotFoundError,
)
from kbackup.errors._base import (
    CodecError,
    ConfigError,
    InvalidConfigError,
    InvalidPlanError,
    InvalidSpecError,
    KBackupError,
    OperationTimeoutError,
    PlanOutdatedError,
    RunCancelledError,
    SpoolError,
    UnknownLocationError,
)
from kbackup.errors._cluster import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnreachableError,
    ConflictError,
    ExecError,
    ForbiddenError,
    GoneError,
    HookError,
    HookFailedError,
    HookTimeoutError,
    InvalidItemError,
    ItemNotFoundError,
    ServerFaultError,
    TargetMismatchError,
    ThrottledError,
    UnauthorizedError,
    UnsupportedByServerError,
)
from kbackup.errors._plugins import (
    ActionError,
    ActionTimeoutError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
)
from kbackup.errors._repository import (
    BlobMissingError,
    IntegrityError,
    KeyInUseError,
    KeyNotFoundError,
    KeySizeError,
    PackCorruptError,
    PathNotFoundError,
    RepositoryError,
    RepositoryExistsError,
    RepositoryLockedError,
    RepositoryNotFoundError,
    SealBrokenError,
    SnapshotNotFoundError,
    SourceNotFoundError,
    UnsupportedFormatError,
    WrongPasswordError,
)
from kbackup.errors._stores import (
    DigestMismatchError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ReadOnlyLocationError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.errors._volumes import (
    DataMoverError,
    NativeSnapshotNotFoundError,
    NoSnapshotterError,
    SnapshotFailedError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    VolumeError,
    VolumeNotFoundError,
)

__all__ = [
    "ActionError",
    "ActionTimeoutError",
    "AlreadyExistsError",
    "ArchiveCorruptError",
    "ArchiveError",
    "ArchiveVersionError",
    "BackupCleanupError",
    "BackupDamagedError",
    "BackupError",
    "BackupExistsError",
    "BackupInProgressError",
    "BackupNotFoundError",
    "BackupOwnsDataError",
    "BlobMissingError",
    "ClusterError",
    "ClusterUnreachableError",
    "CodecError",
    "ConfigError",
    "ConflictError",
    "DataMoverError",
    "DigestMismatchError",
    "ExecError",
    "ForbiddenError",
    "GoneError",
    "HookError",
    "HookFailedError",
    "HookTimeoutError",
    "IntegrityError",
    "InvalidConfigError",
    "InvalidItemError",
    "InvalidPlanError",
    "InvalidSpecError",
    "ItemNotFoundError",
    "KBackupError",
    "KeyInUseError",
    "KeyNotFoundError",
    "KeySizeError",
    "NativeSnapshotNotFoundError",
    "NoBackupOfScheduleError",
    "NoSnapshotterError",
    "ObjectDamagedError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "OperationTimeoutError",
    "PackCorruptError",
    "PathNotFoundError",
    "PlanOutdatedError",
    "PluginConflictError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFoundError",
    "ReadOnlyLocationError",
    "RepositoryError",
    "RepositoryExistsError",
    "RepositoryLockedError",
    "RepositoryNotFoundError",
    "RestoreDamagedError",
    "RestoreError",
    "RestoreExistsError",
    "RestoreInProgressError",
    "RestoreNotFoundError",
    "RunCancelledError",
    "SealBrokenError",
    "ServerFaultError",
    "SnapshotFailedError",
    "SnapshotNotFoundError",
    "SnapshotterAccessError",
    "SnapshotterError",
    "SnapshotterThrottledError",
    "SnapshotterUnavailableError",
    "SourceNotFoundError",
    "SpoolError",
    "StoreAccessError",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "TargetMismatchError",
    "ThrottledError",
    "UnauthorizedError",
    "UnknownLocationError",
    "UnsupportedByServerError",
    "UnsupportedCapabilityError",
    "UnsupportedFormatError",
    "VolumeError",
    "VolumeNotFoundError",
    "WrongPasswordError",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # a traceback names what can be imported
