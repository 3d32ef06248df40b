"""restic's repository format: an encrypted, deduplicating store of files.

The room knows no cluster and no plugin, and is usable on its own. Only here are
`cryptography`, `zstandard` and `pyfastcdc` opened. Used by whoever keeps the data of
volumes, and by people who have a repository and want to read it.
"""

from kbackup.repository._backend import Backend, File, FileType, Spool
from kbackup.repository._calendar import CalendarDuration, Instant
from kbackup.repository._compression import Compression
from kbackup.repository._crypto import ScryptParameters
from kbackup.repository._directory_source import DirectorySource
from kbackup.repository._directory_target import DirectoryTarget
from kbackup.repository._keys import KeyInfo
from kbackup.repository._local import LocalBackend
from kbackup.repository._locks import LockInfo
from kbackup.repository._memory import MemoryBackend
from kbackup.repository._object_store import ObjectStoreBackend
from kbackup.repository._progress import Progress
from kbackup.repository._repository import Repository
from kbackup.repository._restorer import Problem, Restored
from kbackup.repository._retention import (
    UNLIMITED,
    Decision,
    ForgetPlan,
    RetentionPolicy,
    plan_forget,
)
from kbackup.repository._saving import BackUpResult
from kbackup.repository._selection import (
    GroupBy,
    GroupKey,
    SnapshotFilter,
)
from kbackup.repository._selection import find as find_snapshot
from kbackup.repository._selection import group as group_snapshots
from kbackup.repository._snapshots import Snapshot, SnapshotSummary
from kbackup.repository._sources import Complete, Item, Source, Unreadable
from kbackup.repository._stream_source import StreamSource
from kbackup.repository._targets import Piece, Target

__all__ = [
    "UNLIMITED",
    "BackUpResult",
    "Backend",
    "CalendarDuration",
    "Complete",
    "Compression",
    "Decision",
    "DirectorySource",
    "DirectoryTarget",
    "File",
    "FileType",
    "ForgetPlan",
    "GroupBy",
    "GroupKey",
    "Instant",
    "Item",
    "KeyInfo",
    "LocalBackend",
    "LockInfo",
    "MemoryBackend",
    "ObjectStoreBackend",
    "Piece",
    "Problem",
    "Progress",
    "Repository",
    "Restored",
    "RetentionPolicy",
    "ScryptParameters",
    "Snapshot",
    "SnapshotFilter",
    "SnapshotSummary",
    "Source",
    "Spool",
    "StreamSource",
    "Target",
    "Unreadable",
    "find_snapshot",
    "group_snapshots",
    "plan_forget",
]
