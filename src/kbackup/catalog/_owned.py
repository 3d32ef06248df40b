"""What a backup owns outside its directory, which deleting it must not forget.

Snapshots, data in repositories and operations that nobody cleans up after. Pure reading;
`_delete` decides by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kbackup._kits.nested import value_at
from kbackup._kits.words import plural
from kbackup.catalog._cleanup import Begun
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._reading import read_side_file
from kbackup.catalog._side_files import SideFile
from kbackup.catalog._trust import Record, read_manifest, read_record
from kbackup.catalog._unended import all_unended
from kbackup.errors import (
    BackupDamagedError,
    BackupNotFoundError,
    BackupOwnsDataError,
    CodecError,
)
from kbackup.models import ItemOperation, OperationPhase, from_json
from kbackup.plugins import ObjectStore


@attrs.frozen(kw_only=True)
class Inside:
    """What a backup is, as far as it can be read.

    Attributes:
        owned: What it owns elsewhere that no action cleans up, in words.
        begun: What actions began that has ended, for others of their name to clean up.
    """

    record: Record | None = None
    manifest: Manifest | None = None
    owned: tuple[str, ...] = ()
    begun: tuple[Begun, ...] = ()


def require_nothing_owned(name: str, inside: Inside) -> None:
    """Refuse to forget what a backup owns elsewhere: `BackupOwnsDataError`."""
    if inside.owned:
        raise BackupOwnsDataError(
            name,
            ", ".join(inside.owned),
            hint="--files-only removes its files and leaves the rest behind",
        )


def look_inside(store: ObjectStore, name: str) -> Inside:
    """Return record and manifest, as far as they can be read, and what is owned."""
    record: Record | None = None
    manifest: Manifest | None = None
    owned: list[str] = []
    begun: list[Begun] = []
    try:
        record = read_record(store, name)
        manifest = read_manifest(store, record)
        owned += _owned(store, name, manifest)
        begun += _begun(store, name, manifest)
    except BackupNotFoundError:
        owned += _begun_by_the_dead(store, name)
    except BackupDamagedError as exc:
        owned.append(f"what it owns cannot be told: {exc.reason}")
    return Inside(
        record=record, manifest=manifest, owned=tuple(owned), begun=tuple(begun)
    )


def _begun_by_the_dead(store: ObjectStore, name: str) -> Iterator[str]:
    """Say what runs began that ended without a record: it may go on."""
    count = sum(len(found.operations) for found in all_unended(store, name))
    if count:
        yield f"{plural(count, 'operation')} begun by a run that was killed"


def _owned(store: ObjectStore, name: str, manifest: Manifest | None) -> Iterator[str]:
    """Say what a backup owns outside its directory; an unreadable file raises."""
    if manifest is not None:
        moved = [each for each in manifest.volumes if each.data not in {"", "none"}]
        if moved:
            yield f"data of {plural(len(moved), 'volume')}"
    for side, noun, where, owns in _OWNERS:
        held = _listed(store, name, manifest, side)
        count = sum(1 for each in held if owns(each))
        if count:
            yield f"{plural(count, noun)}{where}"


def _begun(store: ObjectStore, name: str, manifest: Manifest | None) -> Iterator[Begun]:
    """Yield what began when the backup was made, and has ended.

    An action cleans up after what one of its own name began.
    """
    held = _listed(store, name, manifest, SideFile.ITEM_OPERATIONS)
    yield from filter(None, map(_ended, held))


def _ended(content: Any) -> Begun | None:
    """Return who began an operation on what; None: it goes on, or cannot be read."""
    try:
        operation = from_json(ItemOperation, content)
    except CodecError:
        return None
    if operation.status.phase not in _ENDED:
        return None
    spec = operation.spec
    return spec.backup_item_action, spec.resource_identifier.identifier


def _listed(
    store: ObjectStore, name: str, manifest: Manifest | None, side: SideFile
) -> list[Any]:
    """Return what a side file lists; one that is not there lists nothing."""
    held = read_side_file(store, name, manifest, side)
    if held is None:
        return []
    if not isinstance(held, list):
        raise BackupDamagedError(name, f"{side.key(name)} is no list")
    return held


_ENDED = frozenset({OperationPhase.COMPLETED, OperationPhase.FAILED})
_OWNERS = (
    (
        SideFile.VOLUME_SNAPSHOTS,
        "native snapshot",
        "",
        lambda each: bool(value_at(each, "status", "providerSnapshotID")),
    ),
    (
        SideFile.POD_VOLUME_BACKUPS,
        "snapshot",
        " in repositories",
        lambda each: bool(value_at(each, "status", "snapshotID")),
    ),
    (SideFile.CSI_VOLUME_SNAPSHOT_CONTENTS, "CSI snapshot", "", bool),
    (SideFile.ITEM_OPERATIONS, "operation", "", lambda each: _ended(each) is None),
    (
        SideFile.VOLUME_INFO,
        "volume",
        " with data elsewhere",
        lambda each: (
            bool(value_at(each, "backupMethod")) and not value_at(each, "skipped")
        ),
    ),
)
