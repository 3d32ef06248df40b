"""Removing a backup: its record first, so that half a backup is never offered.

Only the files of a backup go: what somebody else put beside them is not ours.

What a backup owns outside its directory - snapshots, data in repositories, pending
operations - cannot be removed from here, and must not be forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from kbackup._kits.clock import Clock
from kbackup._kits.nested import value_at
from kbackup._kits.words import first_few
from kbackup.catalog._claim import BackupClaim
from kbackup.catalog._claim_record import BACKUPS, read_claims
from kbackup.catalog._claim_to_delete import delete_claimed, look
from kbackup.catalog._fetch import UnreadableError
from kbackup.catalog._journal import Journal
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._reading import read_side_file
from kbackup.catalog._side_files import SHOWN, SideFile, strangers
from kbackup.catalog._trust import (
    Record,
    fetch_record,
    is_foreign,
    read_manifest,
    read_record,
)
from kbackup.errors import (
    BackupDamagedError,
    BackupNotFoundError,
    BackupOwnsDataError,
    InvalidSpecError,
    ObjectNotFoundError,
)
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import BackupFiles, layout


def delete_backup(
    store: ObjectStore, name: str, *, files_only: bool, clock: Clock
) -> tuple[str, ...]:
    """Remove all of a backup's objects, and return what else lies beside them.

    Args:
        store: Where.
        name: The backup; what a dead run left of it counts.
        files_only: Leave behind what it owns outside its directory.
        clock: For the claim that keeps others from writing the name meanwhile.

    Raises:
        BackupNotFoundError: There is nothing of that name, not even a run that has not
            ended, or nothing of a backup.
        BackupInProgressError: A run is writing it, or has just written it anew.
        BackupOwnsDataError: It owns something, and *files_only* was not given.
    """
    files = BackupFiles(name)
    seen = look(store, files.metadata)
    _require_backup(store, files)
    record, manifest, owned = _look_inside(store, name)
    if owned and not files_only:
        raise BackupOwnsDataError(
            name,
            ", ".join(owned),
            hint="--files-only removes its files and leaves the rest behind",
        )
    named = [each.name for each in manifest.objects] if manifest is not None else []

    def ours() -> list[ObjectInfo]:
        found = list(store.list(files.directory))
        others = _others(files, found, named)
        return [info for info in found if info.key not in others]

    delete_claimed(
        BackupClaim,
        store,
        name,
        record=files.metadata,
        seen=seen,
        files=ours,
        clock=clock,
    )
    if record is not None:
        _remove_journal(store, record)
    return _others(files, store.list(files.directory), named)


def _look_inside(
    store: ObjectStore, name: str
) -> tuple[Record | None, Manifest | None, list[str]]:
    """Return record and manifest, as far as they can be read, and what is owned elsewhere."""
    record: Record | None = None
    manifest: Manifest | None = None
    owned: list[str] = []
    try:
        record = read_record(store, name)
        manifest = read_manifest(store, record)
        owned = list(_owned(store, name, manifest))
    except BackupNotFoundError:
        pass  # leftovers: what they own was never published
    except BackupDamagedError as exc:
        owned.append(f"what it owns cannot be told: {exc.reason}")
    return record, manifest, owned


def _others(
    files: BackupFiles, found: Iterable[ObjectInfo], named: Collection[str]
) -> tuple[str, ...]:
    """Return the keys of what lies in a backup's directory and is none of its files."""
    others = strangers(files.name, (info.key for info in found), named)
    return tuple(files.directory + each for each in others)


def _require_backup(store: ObjectStore, files: BackupFiles) -> None:
    """Refuse a directory that nobody's backup is in."""
    name = files.name
    keys = [info.key for info in store.list(files.directory)]
    if not keys:
        if any(read_claims(store, BACKUPS, name.__eq__)):
            return  # a run has begun it; whether that still lives its claim decides
        raise BackupNotFoundError(name)
    others = strangers(name, keys)
    if len(others) == len(keys):
        named = first_few(others, SHOWN)
        raise BackupNotFoundError(
            name, f"{files.directory} holds no file of a backup: {named}"
        )
    if files.metadata in keys and _is_foreign(store, name):
        raise BackupNotFoundError(
            name, f"its {layout.METADATA} is that of something else"
        )


def _is_foreign(store: ObjectStore, name: str) -> bool:
    try:
        return is_foreign(fetch_record(store, name))
    except (ObjectNotFoundError, UnreadableError):
        return False  # gone, or damaged: that is said later


def _remove_journal(store: ObjectStore, record: Record) -> None:
    try:
        Journal(store, record.backup.metadata.uid).remove()
    except InvalidSpecError:
        return  # a uid that names no journal of ours


def _owned(store: ObjectStore, name: str, manifest: Manifest | None) -> Iterator[str]:
    """Say what a backup owns outside its directory; an unreadable file raises."""
    if manifest is not None:
        moved = [each for each in manifest.volumes if each.data not in {"", "none"}]
        if moved:
            yield f"data of {len(moved)} volumes"
    for side, words, owns in _OWNERS:
        held = read_side_file(store, name, manifest, side)
        if held is None:
            continue
        if not isinstance(held, list):
            raise BackupDamagedError(name, f"{side.key(name)} is no list")
        count = sum(1 for each in held if owns(each))
        if count:
            yield f"{count} {words}"


_OWNERS = (
    (
        SideFile.VOLUME_SNAPSHOTS,
        "native snapshots",
        lambda each: bool(value_at(each, "status", "providerSnapshotID")),
    ),
    (
        SideFile.POD_VOLUME_BACKUPS,
        "snapshots in repositories",
        lambda each: bool(value_at(each, "status", "snapshotID")),
    ),
    (SideFile.CSI_VOLUME_SNAPSHOT_CONTENTS, "CSI snapshots", bool),
    (SideFile.ITEM_OPERATIONS, "operations", bool),
    (
        SideFile.VOLUME_INFO,
        "volumes with data elsewhere",
        lambda each: (
            bool(value_at(each, "backupMethod")) and not value_at(each, "skipped")
        ),
    ),
)
