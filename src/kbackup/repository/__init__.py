"""restic's repository format: an encrypted, deduplicating store of files.

The room knows no cluster and no plugin, and is usable on its own. Only here are
`cryptography`, `zstandard` and `pyfastcdc` opened. Used by whoever keeps the data of
volumes, and by people who have a repository and want to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbackup._kits.doors import loader

if TYPE_CHECKING:
    from kbackup.repository._back_up_request import BackUpResult
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
    from kbackup.repository._selection import (
        GroupBy,
        GroupKey,
        SnapshotFilter,
        find_snapshot,
        group_snapshots,
    )
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
    from kbackup.repository._tag import Tagged
    from kbackup.repository._tar_source import TarSource
    from kbackup.repository._targets import Piece, Target

_PLACES = {
    "BackUpResult": "_back_up_request",
    "Backend": "_backend",
    "CalendarDuration": "_calendar",
    "Change": "_diff",
    "CheckResult": "_check",
    "Complete": "_sources",
    "Compression": "_compression",
    "Copied": "_copy",
    "Decision": "_retention",
    "Diff": "_diff",
    "DiffCount": "_diff",
    "DirectorySource": "_directory_source",
    "DirectoryTarget": "_directory_target",
    "Dropped": "_sources",
    "Entry": "_entries",
    "Excludes": "_excludes",
    "File": "_backend",
    "FileType": "_backend",
    "Finding": "_check",
    "ForgetPlan": "_retention",
    "Found": "_sources",
    "GroupBy": "_selection",
    "GroupKey": "_selection",
    "Instant": "_calendar",
    "Item": "_sources",
    "KeyInfo": "_keys",
    "Link": "_sources",
    "LocalBackend": "_local",
    "LockInfo": "_locks",
    "Match": "_find",
    "MemoryBackend": "_memory",
    "Node": "_nodes",
    "NodeType": "_nodes",
    "ObjectStoreBackend": "_object_store",
    "OpenedFile": "_sources",
    "PackCount": "_prune_plan",
    "Patterns": "_patterns",
    "Piece": "_targets",
    "Problem": "_restorer",
    "Progress": "_progress",
    "PrunePlan": "_prune_plan",
    "PruneRequest": "_prune_plan",
    "RawSource": "_raw_source",
    "RawTarget": "_raw_target",
    "RepairedIndex": "_repair",
    "Repository": "_repository",
    "Restored": "_restorer",
    "RetentionPolicy": "_retention",
    "ScryptParameters": "_crypto",
    "Selection": "_restorer",
    "Snapshot": "_snapshots",
    "SnapshotFilter": "_selection",
    "SnapshotPath": "_entries",
    "SnapshotSummary": "_snapshots",
    "Source": "_sources",
    "Spool": "_backend",
    "Stats": "_stats",
    "StatsMode": "_stats",
    "StreamSource": "_stream_source",
    "Tagged": "_tag",
    "TarSource": "_tar_source",
    "Target": "_targets",
    "UNLIMITED": "_retention",
    "Unreadable": "_sources",
    "UnusedLimit": "_prune_plan",
    "find_snapshot": "_selection",
    "group_snapshots": "_selection",
    "plan_forget": "_retention",
    "read_patterns": "_patterns",
}

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
    "Tagged",
    "TarSource",
    "Target",
    "Unreadable",
    "UnusedLimit",
    "find_snapshot",
    "group_snapshots",
    "plan_forget",
    "read_patterns",
]


__getattr__ = loader(__name__, _PLACES)


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
