"""The door to plugins: what authors implement, and the manager that hosts use.

The only room that opens pluggy. Importing it is cheap: no SDK, no cluster client.
"""

from kbackup.plugins._events import (
    BytesUploaded,
    ErrorRecorded,
    Event,
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
    Capability,
    ClusterReader,
    ClusterWriter,
    Digest,
    ObjectInfo,
    ObjectStore,
    ObjectStoreFactory,
    VolumeDescription,
    VolumeSnapshotter,
    VolumeSnapshotterFactory,
)
from kbackup.plugins._item_actions import (
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
from kbackup.plugins._manager import PluginManager
from kbackup.plugins._names import qualify
from kbackup.plugins._offers import PluginInfo, PluginKind
from kbackup.plugins._operations import OPERATION_TIMEOUT, Operations
from kbackup.plugins._run import Run, RunLogger
from kbackup.plugins._selectors import ActionIndex, ResolvedAction
from kbackup.plugins._watchdog import call_action, fact_of
from kbackup.plugins.hookspecs import hookimpl

__all__ = [
    "OPERATION_TIMEOUT",
    "ActionIndex",
    "BackupInput",
    "BackupItemAction",
    "BackupOutput",
    "BeginsBackup",
    "BeginsRestore",
    "BytesUploaded",
    "Capability",
    "ClusterReader",
    "ClusterWriter",
    "DeleteInput",
    "DeleteItemAction",
    "Digest",
    "ErrorRecorded",
    "Event",
    "FollowsOperations",
    "ItemBlockAction",
    "ItemFailed",
    "ItemRestored",
    "ItemsListed",
    "ItemsProgressed",
    "ObjectInfo",
    "ObjectStore",
    "ObjectStoreFactory",
    "Observer",
    "OperationInput",
    "OperationProgressed",
    "Operations",
    "PhaseChanged",
    "PluginInfo",
    "PluginKind",
    "PluginManager",
    "ResolvedAction",
    "RestoreInput",
    "RestoreItemAction",
    "RestoreOutput",
    "Run",
    "RunEnded",
    "RunLogger",
    "RunStarted",
    "VolumeDescription",
    "VolumeSnapshotter",
    "VolumeSnapshotterFactory",
    "WaitingFor",
    "WarningRecorded",
    "call_action",
    "fact_of",
    "hookimpl",
    "qualify",
]
