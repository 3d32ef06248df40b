"""restic's repository format: an encrypted, deduplicating store of files.

The room knows no cluster and no plugin, and is usable on its own. Only here are
`cryptography`, `zstandard` and `pyfastcdc` opened. Used by whoever keeps the data of
volumes, and by people who have a repository and want to read it.
"""

from kbackup.repository._backend import Backend, File, FileType, Spool
from kbackup.repository._calendar import CalendarDuration, Instant
from kbackup.repository._check import CheckResult, Finding
from kbackup.repository._compression import Compression
from kbackup.repository._copy import Copied
from kbackup.repository._crypto import ScryptParameters
from kbackup.repository._diff import Change, Diff, DiffCount
from kbackup.repository._directory_source import DirectorySource
from kbackup.repository._directory_target import DirectoryTarget
from kbackup.repository._entries import Entry, SnapshotPath
from kbackup.repository._excludes import Excludes
from kbackup.repository._find import Match
from kbackup.repository._keys import KeyInfo
from kbackup.repository._local import LocalBackend
from kbackup.repository._locks import LockInfo
from kbackup.repository._memory import MemoryBackend
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._object_store import ObjectStoreBackend
from kbackup.repository._patterns import Patterns, read_patterns
from kbackup.repository._progress import Progress
from kbackup.repository._prune_plan import (
    PackCount,
    PrunePlan,
    PruneRequest,
    UnusedLimit,
)
from kbackup.repository._raw_source import RawSource
from kbackup.repository._raw_target import RawTarget
from kbackup.repository._repair import RepairedIndex
from kbackup.repository._repository import Repository
from kbackup.repository._restorer import Problem, Restored, Selection
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
from kbackup.repository._sources import (
    Complete,
    Dropped,
    Found,
    Item,
    Link,
    OpenedFile,
    Source,
    Unreadable,
)
from kbackup.repository._stats import Stats, StatsMode
from kbackup.repository._stream_source import StreamSource
from kbackup.repository._tar_source import TarSource
from kbackup.repository._targets import Piece, Target

__all__ = [
    "UNLIMITED",
    "BackUpResult",
    "Backend",
    "CalendarDuration",
    "Change",
    "CheckResult",
    "Complete",
    "Compression",
    "Copied",
    "Decision",
    "Diff",
    "DiffCount",
    "DirectorySource",
    "DirectoryTarget",
    "Dropped",
    "Entry",
    "Excludes",
    "File",
    "FileType",
    "Finding",
    "ForgetPlan",
    "Found",
    "GroupBy",
    "GroupKey",
    "Instant",
    "Item",
    "KeyInfo",
    "Link",
    "LocalBackend",
    "LockInfo",
    "Match",
    "MemoryBackend",
    "Node",
    "NodeType",
    "ObjectStoreBackend",
    "OpenedFile",
    "PackCount",
    "Patterns",
    "Piece",
    "Problem",
    "Progress",
    "PrunePlan",
    "PruneRequest",
    "RawSource",
    "RawTarget",
    "RepairedIndex",
    "Repository",
    "Restored",
    "RetentionPolicy",
    "ScryptParameters",
    "Selection",
    "Snapshot",
    "SnapshotFilter",
    "SnapshotPath",
    "SnapshotSummary",
    "Source",
    "Spool",
    "Stats",
    "StatsMode",
    "StreamSource",
    "TarSource",
    "Target",
    "Unreadable",
    "UnusedLimit",
    "find_snapshot",
    "group_snapshots",
    "plan_forget",
    "read_patterns",
]
