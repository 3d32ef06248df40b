"""What a restore reads of its backup: the record, the archive and what stands beside it.

The archive is read once from beginning to end and found right before anything is decided.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from kbackup._kits.workers import call_watched
from kbackup.archive import ArchiveContents
from kbackup.catalog import BackupStore, Manifest, VolumeRecord
from kbackup.errors import BackupDamagedError
from kbackup.models import Backup, RestoreOptions, RestoreSpec
from kbackup.plugins import Run
from kbackup.restore._session import Session


def find_backup(store: BackupStore, spec: RestoreSpec) -> Backup:
    """Return the record of the backup that is named, or of a schedule's newest.

    That is Completed, as Velero has it, and by the rule of `BackupStore.latest`: a newer
    one that is damaged or empty is passed over.

    Raises:
        BackupNotFoundError: There is none.
        BackupDamagedError: The record cannot be read.
    """
    if spec.backup_name:
        return store.get(spec.backup_name)
    return store.latest(spec.schedule_name, partially_failed=False)


@contextmanager
def opened(
    session: Session, run: Run, backup: Backup, options: RestoreOptions
) -> Iterator[ArchiveContents]:
    """The archive, read once from beginning to end and found right."""
    kept = session.kept
    if kept is not None and backup.metadata.uid in kept:
        yield kept[backup.metadata.uid]  # read by this very call, and spooled since
        return
    with run.phase("read the backup"):
        contents = _read_archive(session, backup, options)
    if kept is not None:
        kept[backup.metadata.uid] = contents
        yield contents
        return
    with contents:
        yield contents


def _read_archive(
    session: Session, backup: Backup, options: RestoreOptions
) -> ArchiveContents:
    """Fetch and index it; a cancel leaves the store, which may be slow, behind."""
    store, place = session.store, session.settings.spool_directory
    every = options.enable_api_group_versions

    def read() -> ArchiveContents:
        return store.open_contents(
            backup.name, place, salvage=options.salvage, every_version=every
        )

    return call_watched(read, math.inf, session.cancel)


def read_manifest(
    session: Session, backup: Backup, options: RestoreOptions
) -> Manifest | None:
    """The manifest; of a damaged backup that is read nevertheless, maybe none."""
    try:
        return session.store.manifest(backup.name)
    except BackupDamagedError:
        if options.salvage:
            return None
        raise


def read_volumes(
    session: Session, backup: Backup, manifest: Manifest | None
) -> tuple[VolumeRecord, ...] | None:
    """What the backup says of its volumes; None: the file that tells is damaged.

    No data is restored from it: the objects are not lost for that.
    """
    if manifest is not None:
        return manifest.volumes
    try:
        return session.store.volumes(backup.name)
    except BackupDamagedError:
        return None


def read_digest(session: Session, backup: Backup, options: RestoreOptions) -> str:
    """The digest of the archive; of a damaged backup maybe none."""
    try:
        return session.store.archive_digest(backup.name)
    except BackupDamagedError:
        if options.salvage:
            return ""
        raise
