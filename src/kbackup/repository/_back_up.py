"""A backup: a source saved, and the snapshot of it, which comes last.

Called by the facade, which holds the lock and has loaded the index.
Source: restic ``doc/design.rst``, "Read and Write Ordering"; ``doc/040_backup.rst``.
"""

from __future__ import annotations

import os
import socket
import time as clock
from collections.abc import Sequence

import attrs

from kbackup.repository._archiver import Archived, Archiver
from kbackup.repository._back_up_request import BackUpRequest, BackUpResult
from kbackup.repository._calendar import Instant
from kbackup.repository._ids import BlobID, BlobType
from kbackup.repository._locks import Lock
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._progress import Told
from kbackup.repository._selection import find_parent, find_snapshot
from kbackup.repository._sharing import SharedPacker
from kbackup.repository._snapshots import (
    Snapshot,
    SnapshotSummary,
    save_snapshot,
)
from kbackup.repository._sources import Source
from kbackup.repository._times import format_nanoseconds
from kbackup.repository._users import user_name

_PROGRAM = "kbackup"
_NO_TREE = BlobID(b"")


def save_source(
    repository: OpenedRepository,
    source: Source,
    asked: BackUpRequest,
    *,
    packers: SharedPacker,
    known: Sequence[Snapshot],
    lock: Lock,
    told: Told,
) -> BackUpResult:
    """Save a source and make a snapshot of it.

    Args:
        repository: Where it goes.
        source: What is saved.
        asked: How.
        packers: Of all runs of this process.
        known: The snapshots among which its parent is.
        lock: Shared; it need not be confirmed.
        told: Told how far this is.
    """
    begun = _now()
    draft = _draft(source, asked, begun)
    older = None if asked.read_all else _older(known, asked.parent, draft)
    tree = None if older is None else older.tree
    with packers.packer(lock) as packer:
        archived = Archiver(
            repository, packer, confirm=lock.check, parent=tree, told=told
        ).run(source)
        snapshot = _with_content(draft, archived, older, begun)
        lock.check()
        saved = save_snapshot(repository.documents, snapshot)
    return BackUpResult(snapshot=saved, unreadable=archived.unreadable)


def _draft(source: Source, asked: BackUpRequest, begun: Instant) -> Snapshot:
    """A snapshot of this user that has no tree yet."""
    return Snapshot(
        time=begun if asked.time is None else Instant(asked.time),
        tree=_NO_TREE,
        paths=source.paths,
        excludes=tuple(source.excludes),
        hostname=asked.hostname or socket.gethostname(),
        username=user_name(os.getuid()),
        uid=os.getuid(),
        gid=os.getgid(),
        tags=asked.tags,
        program_version=_PROGRAM,
    )


def _now() -> Instant:
    """This moment, in the zone of this machine, as restic has it."""
    return Instant.parse(format_nanoseconds(clock.time_ns()))


def _older(
    known: Sequence[Snapshot], parent: str | Snapshot | None, draft: Snapshot
) -> Snapshot | None:
    """The snapshot whose files need not be read again."""
    if parent is not None:
        name = parent if isinstance(parent, str) else parent.id.hex()
        return find_snapshot(known, name)
    return find_parent(known, host=draft.hostname, paths=draft.paths, before=draft.time)


def _with_content(
    draft: Snapshot, archived: Archived, older: Snapshot | None, begun: Instant
) -> Snapshot:
    """The snapshot of what was archived."""
    return attrs.evolve(
        draft,
        tree=archived.tree,
        parent=older.id if older else None,
        summary=_summary(archived, begun),
    )


def _summary(archived: Archived, begun: Instant) -> SnapshotSummary:
    counts, added = archived.counts, archived.added
    return SnapshotSummary(
        backup_start=begun,
        backup_end=_now(),
        files_new=counts.files_new,
        files_changed=counts.files_changed,
        files_unmodified=counts.files_unmodified,
        dirs_new=counts.dirs_new,
        dirs_changed=counts.dirs_changed,
        dirs_unmodified=counts.dirs_unmodified,
        data_blobs=added.blobs[BlobType.DATA],
        tree_blobs=added.blobs[BlobType.TREE],
        data_added=added.plain,
        data_added_packed=added.packed,
        total_files_processed=counts.files,
        total_bytes_processed=counts.bytes,
    )
