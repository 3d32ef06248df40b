"""The door to plugins: what authors implement, and the manager that hosts use.

The only room that opens pluggy. Importing it is cheap: no SDK, no cluster client. What
only the engines need is not offered here: see `kbackup.plugins.engine`.
"""

from kbackup._kits.clock import Clock, SystemClock
from kbackup.plugins._events import (
    BytesUploaded,
    ErrorRecorded,
    Event,
    HookEnded,
    HookStarted,
    ItemFailed,
    ItemRestored,
    ItemsListed,
    ItemsProgressed,
    Observer,
    OperationProgressed,
    PhaseChanged,
    RunEnded,
    RunStarted,
    WaitingFor,
    WarningRecorded,
)
from kbackup.plugins._interfaces import (
    ANY_SCHEME,
    Capability,
    ClusterReader,
    ClusterWriter,
    Digest,
    ObjectInfo,
    ObjectStore,
    ObjectStoreFactory,
    SnapshotState,
    VolumeDescription,
    VolumeSnapshotter,
    VolumeSnapshotterFactory,
)
from kbackup.plugins._item_actions import (
    AwaitsAdditionalItems,
    BackupInput,
    BackupItemAction,
    BackupOutput,
    BeginsBackup,
    BeginsRestore,
    DeleteInput,
    DeleteItemAction,
    FollowsOperations,
    ItemBlockAction,
    OperationInput,
    RestoreInput,
    RestoreItemAction,
    RestoreOutput,
)
from kbackup.plugins._kinds import PluginKind
from kbackup.plugins._manager import PluginManager
from kbackup.plugins._offers import PluginInfo
from kbackup.plugins._opening import open_volume_snapshotter
from kbackup.plugins._run import Run, RunLogger
from kbackup.plugins._versions import KBackupDeprecationWarning
from kbackup.plugins.hookspecs import hookimpl

__all__ = [
    "ANY_SCHEME",
    "AwaitsAdditionalItems",
    "BackupInput",
    "BackupItemAction",
    "BackupOutput",
    "BeginsBackup",
    "BeginsRestore",
    "BytesUploaded",
    "Capability",
    "Clock",
    "ClusterReader",
    "ClusterWriter",
    "DeleteInput",
    "DeleteItemAction",
    "Digest",
    "ErrorRecorded",
    "Event",
    "FollowsOperations",
    "HookEnded",
    "HookStarted",
    "ItemBlockAction",
    "ItemFailed",
    "ItemRestored",
    "ItemsListed",
    "ItemsProgressed",
    "KBackupDeprecationWarning",
    "ObjectInfo",
    "ObjectStore",
    "ObjectStoreFactory",
    "Observer",
    "OperationInput",
    "OperationProgressed",
    "PhaseChanged",
    "PluginInfo",
    "PluginKind",
    "PluginManager",
    "RestoreInput",
    "RestoreItemAction",
    "RestoreOutput",
    "Run",
    "RunEnded",
    "RunLogger",
    "RunStarted",
    "SnapshotState",
    "SystemClock",
    "VolumeDescription",
    "VolumeSnapshotter",
    "VolumeSnapshotterFactory",
    "WaitingFor",
    "WarningRecorded",
    "hookimpl",
    "open_volume_snapshotter",
]
