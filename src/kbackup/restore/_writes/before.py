"""What a restore deletes, or changes beside that, saved first as a backup of its own.

Only where something is deleted: from there the old object comes back, should the new one
not be what was wanted. Nothing is written to the cluster before that backup is whole.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import attrs

from kbackup._kits.versions import installed_version
from kbackup._kits.workers import map_ordered
from kbackup.archive import FORMAT_VERSION, ArchiveWriter
from kbackup.catalog import BackupStore, Manifest
from kbackup.errors import (
    ArchiveError,
    BackupError,
    BackupExistsError,
    BackupInProgressError,
    BackupNotFoundError,
)
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    Item,
    ObjectMeta,
    Progress,
    ResourceIdentifier,
    labels,
    well_known,
)
from kbackup.plugins import Run
from kbackup.restore._notices.kept_first import deletes_anything, name_before
from kbackup.restore._owners.earlier_ties import EarlierTies
from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.seen import find
from kbackup.restore._writes.saved import SavedObjects, digest_of

_CHANGING = (PlanAction.UPDATE, PlanAction.RECREATE)

Seen = Mapping[ResourceIdentifier, Precondition]


def save_before(
    store: BackupStore,
    run: Run,
    request: RestoreRequest,
    entries: Sequence[PlanEntry],
    *,
    workers: int,
) -> SavedObjects:
    """Save what the entries delete or change, unless an earlier run has done so.

    Returns:
        What was found as the plan saw it, of that whose values a plan does not show.

    Raises:
        StoreError: It cannot be saved; then nothing may be deleted.
    """
    if not deletes_anything(entries):
        return SavedObjects()
    concerned = [entry for entry in entries if entry.action in _CHANGING]
    with (
        run.phase("save what is there", total=len(concerned)),
        run.temporary_directory() as spool,
    ):
        saved = _archived(run, request, concerned, spool / "a.gz", workers=workers)
        for number in count(1):
            name = name_before(run.name, number)
            if _holds(store, name, saved.seen):
                run.logger.info("what is deleted or changed is in backup %s", name)
                break
            try:
                _publish(store, run, request, saved, name)
            except (BackupExistsError, BackupInProgressError):
                continue  # of an earlier run, or somebody else's
            run.logger.info("saved what is deleted or changed as backup %s", name)
            break
    return SavedObjects(saved.hidden)


def read_earlier_ties(store: BackupStore, restore: str) -> EarlierTies:
    """Read who owned what earlier runs of a restore saved, in whatever version.

    Raises:
        StoreError: The store cannot be read.
    """
    found: dict[ResourceIdentifier, list[Mapping[str, Any]]] = {}
    for name in _names_before(store, restore):
        # Of what is damaged nothing can be relied upon.
        with suppress(BackupError, ArchiveError), store.open_contents(name) as saved:
            for item in chain.from_iterable(map(saved.items, saved.resources())):
                metadata = item.content["metadata"]
                if metadata.get("ownerReferences"):
                    found.setdefault(item.identifier, []).append(metadata)
    return found


def _names_before(store: BackupStore, restore: str) -> Iterator[str]:
    """The backups of what was there before the runs of a restore."""
    for number in count(1):
        name = name_before(restore, number)
        try:
            backup = store.get(name)
        except BackupNotFoundError:
            return
        except BackupError:
            continue
        if backup.metadata.annotations.get(labels.BEFORE_RESTORE) == restore:
            yield name


@attrs.frozen
class _Saved:
    """An archive of live objects.

    Attributes:
        path: Of the archive.
        items: In it.
        entries: Of the archive.
        seen: What it holds, each in which version.
        hidden: The digests of what the plan saw in that version, and hides.
    """

    path: Path
    items: int
    entries: int
    seen: Seen
    hidden: Mapping[ResourceIdentifier, bytes]


def _archived(
    run: Run,
    request: RestoreRequest,
    entries: Sequence[PlanEntry],
    path: Path,
    *,
    workers: int,
) -> _Saved:
    """Write the live objects of *entries* into an archive, in its order."""
    seen: dict[ResourceIdentifier, Precondition] = {}
    hidden: dict[ResourceIdentifier, bytes] = {}
    planned = {entry.target: entry.precondition for entry in entries}
    ordered = sorted(entries, key=lambda entry: _place(entry.target))
    found = map_ordered(
        lambda entry: _live(request, entry),
        ordered,
        workers=workers,
        name="kbackup-save",
    )
    mtime = int(run.clock.now().timestamp())
    with run.temporary_file(path) as out, ArchiveWriter(out, mtime=mtime) as archive:
        for item in filter(None, found):
            ref = item.identifier
            archive.add(
                resource=str(ref.group_resource),
                version=item.api_version.rpartition("/")[2],
                namespace=ref.namespace,
                name=ref.name,
                body=item.raw,
            )
            live = item.content
            seen[ref] = Precondition.of(live)
            if request.hides(item) and seen[ref] == planned[ref]:
                hidden[ref] = digest_of(live)
    return _Saved(path, archive.items, archive.entries, seen, hidden)


def _place(ref: ResourceIdentifier) -> tuple[str, str, str]:
    return str(ref.group_resource), ref.namespace, ref.name


def _live(request: RestoreRequest, entry: PlanEntry) -> Item | None:
    """The live object of an entry, where it is there still."""
    resource = request.discovery.by_kind(entry.api_version, entry.kind)
    if resource is None:
        return None
    target = entry.target
    found = find(request.cluster, resource, target.name, target.namespace)
    if found is None:
        return None
    return Item(
        identifier=target,
        raw=found.json(),
        api_version=entry.api_version,
        kind=entry.kind,
    )


def _holds(store: BackupStore, name: str, seen: Seen) -> bool:
    """Whether a backup has all of these objects, in these versions."""
    try:
        with store.open_contents(name) as contents:
            return all(
                (item := contents.get(ref)) is not None
                and Precondition.of(item.content) == version
                for ref, version in seen.items()
            )
    except (BackupError, ArchiveError):
        return False  # there is none, or none that could be relied upon


def _publish(
    store: BackupStore, run: Run, request: RestoreRequest, saved: _Saved, name: str
) -> None:
    backup = _record(run, request, saved, name)
    manifest = Manifest(
        writer_version=installed_version("kbackup"),
        cluster_uid=request.target_uid,
        cluster_version=request.target_version.git_version,
        items=saved.items,
        entries=saved.entries,
    )
    with store.claim(name, run_uid=backup.metadata.uid, clock=run.clock) as claim:
        files = {f"{name}.tar.gz": saved.path}
        store.publish(claim, backup, files, manifest, ask=run.cancel.check)


def _record(run: Run, request: RestoreRequest, saved: _Saved, name: str) -> Backup:
    now = run.clock.now().replace(microsecond=0)
    return Backup(
        metadata=ObjectMeta(
            name=name,
            namespace=well_known.VELERO_NAMESPACE,
            uid=str(uuid.uuid4()),
            creation_timestamp=now,
            annotations={labels.BEFORE_RESTORE: run.name},
        ),
        spec=BackupSpec(
            included_namespaces=tuple(_namespaces(saved.seen)) or ("*",),
            storage_location=request.backup.spec.storage_location,
        ),
        status=BackupStatus(
            version=1,
            format_version=FORMAT_VERSION,
            phase=BackupPhase.COMPLETED,
            start_timestamp=now,
            completion_timestamp=now,
            progress=Progress(total_items=saved.items, items_backed_up=saved.items),
        ),
    )


def _namespaces(seen: Seen) -> Iterator[str]:
    """The namespaces that objects were saved of, each once."""
    yield from sorted({ref.namespace for ref in seen if ref.namespace})
