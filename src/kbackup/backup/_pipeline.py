"""A backup from its request to its publication: the steps in order.

Called by the engine with a claim on the name. Until the last line nothing is visible
in the store; a failure or a cancel on the way leaves nothing but temporary files, which
are removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from kbackup._kits.log_capture import LogCapture
from kbackup.archive import ArchiveWriter
from kbackup.backup._coverage import report_unasked
from kbackup.backup._request import BackupRequest, make_request
from kbackup.backup._side_files import file_name, side_files, size_of
from kbackup.backup._status import finished_record
from kbackup.backup._storing import Stored, store_selected
from kbackup.catalog import (
    BackupClaim,
    BackupStore,
    Manifest,
    ManifestObject,
    MirrorWatch,
)
from kbackup.cluster import Cluster
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupResult,
    ItemOperation,
    label_value,
    labels,
)
from kbackup.plugins import (
    BackupItemAction,
    BytesUploaded,
    PluginManager,
    Run,
)
from kbackup.plugins.engine import ActionIndex, Operations
from kbackup.stores import BackupFiles


def run_backup(
    run: Run,
    record: Backup,
    options: BackupOptions,
    *,
    cluster: Cluster,
    store: BackupStore,
    claim: BackupClaim,
    plugins: PluginManager,
) -> BackupResult:
    """Back up what *record* asks for and publish it.

    Args:
        run: Gets warnings, errors and events.
        record: As `new_record` made it.
        options: What only kbackup knows.
        cluster: Bound to the run.
        store: Where the backup goes.
        claim: On the backup's name.
        plugins: Whose item actions are run.

    Raises:
        Cancelled: The run is to stop; nothing was published.
        KBackupError: The cluster cannot be read at all, or the store failed; nothing
            was published.
    """
    with run.temporary_directory() as spool:
        archive_path, log_path = spool / "archive.tar.gz", spool / "log.gz"
        mirrors = MirrorWatch(store, run)
        with _logged(log_path, record, run):
            with run.phase("discovery"):
                request = make_request(record, options, cluster)
            stored, archive, begun = _write_archive(request, run, archive_path, plugins)
            mirrors.report()  # what is known by now is in the record as well
            now = run.clock.now()
            record = finished_record(
                request.backup, stored.ledger, run.results, now, operations=begun
            )
            _log_end(run, record, stored)
        files = _files(run, record, stored, begun, archive=archive_path, log=log_path)
        manifest = _manifest(request, stored, archive)
        with run.phase("upload"):
            record = store.publish(
                claim, record, files, manifest, ask=mirrors.look_and_check
            )
            mirrors.report()
        return _result(run, record, stored, files)


def action_index(
    request_cluster: Cluster, plugins: PluginManager, run: Run
) -> ActionIndex[BackupItemAction]:
    """Return the item actions by the types that the cluster serves."""
    report_unasked(plugins, run)
    return ActionIndex(
        plugins.backup_item_actions(), request_cluster.discover().resolve
    )


def _files(
    run: Run,
    record: Backup,
    stored: Stored,
    begun: tuple[ItemOperation, ...],
    *,
    archive: Path,
    log: Path,
) -> dict[str, Path | bytes]:
    """Return by name all files of the backup but its record and its manifest."""
    names = BackupFiles(record.metadata.name)
    return {
        file_name(names.archive): archive,
        file_name(names.logs): log,
        **side_files(record.metadata.name, stored.ledger, run.results, begun),
    }


@contextmanager
def _logged(path: Path, record: Backup, run: Run) -> Iterator[None]:
    """Write the run's log to *path*; its lines say which backup they are of."""
    metadata = record.metadata
    log = LogCapture(path, {"backup": f"{metadata.namespace}/{metadata.name}"})
    path.chmod(0o600)
    log.setLevel(logging.INFO)  # what hooks print is debug, and not for the store
    run.logger.addHandler(log)
    try:
        yield
    finally:
        run.logger.removeHandler(log)
        log.close()


def _warn_of_long_name(run: Run, name: str) -> None:
    """Whoever looks for a backup's objects by label would not find the name there."""
    if (value := label_value(name)) != name:
        run.warning(
            f"the backup's name has {len(name)} characters, more than a label holds: on "
            f"restored objects {labels.BACKUP_NAME} is {value}"
        )


def _log_end(run: Run, record: Backup, stored: Stored) -> None:
    run.logger.info(
        "%s: %d items, %d warnings, %d errors",
        record.status.phase,
        stored.ledger.items,
        record.status.warnings,
        record.status.errors,
    )


@attrs.frozen
class _Archive:
    """What the manifest says of the archive."""

    size: int
    sha256: str
    items: int
    entries: int


def _write_archive(
    request: BackupRequest, run: Run, path: Path, plugins: PluginManager
) -> tuple[Stored, _Archive, tuple[ItemOperation, ...]]:
    """Store everything, and wait for what actions began meanwhile."""
    _warn_of_long_name(run, request.backup.metadata.name)
    actions = action_index(request.cluster, plugins, run)
    started = request.backup.status.start_timestamp or run.clock.now()
    timeout = request.backup.spec.item_operation_timeout
    with (
        run.temporary_file(path) as out,
        Operations(run, request.cluster, timeout) as begun,
    ):
        with ArchiveWriter(out, mtime=int(started.timestamp())) as archive:
            stored = store_selected(request, run, archive, actions, begun)
            begun.follow()
        written = _Archive(archive.size, archive.sha256, archive.items, archive.entries)
        return stored, written, begun.records


def _manifest(request: BackupRequest, stored: Stored, archive: _Archive) -> Manifest:
    """Return the manifest; whoever publishes adds the other files and digests."""
    options = request.options.to_record()
    if request.options.where is not None:
        options["where"] = {
            "function": options["where"],
            "leftOut": stored.left_out_by_where,
        }
    name = file_name(BackupFiles(request.backup.metadata.name).archive)
    return Manifest(
        backup_name=request.backup.metadata.name,
        backup_uid=request.backup.metadata.uid,
        cluster_uid=request.cluster_uid,
        cluster_version=request.version.git_version,
        objects=(ManifestObject(name=name, size=archive.size, sha256=archive.sha256),),
        items=archive.items,
        entries=archive.entries,
        lists=stored.lists,
        not_covered=stored.ledger.not_covered,
        volumes=stored.ledger.volumes,
        missing=stored.missing,
        options=options,
    )


def _result(
    run: Run, record: Backup, stored: Stored, files: Mapping[str, Path | bytes]
) -> BackupResult:
    written = 0
    for name, content in files.items():
        size = size_of(content)
        written += size
        key = BackupFiles(record.metadata.name).directory + name
        run.emit(BytesUploaded(key=key, size=size))
    return BackupResult(
        backup=record,
        results=run.results,
        report=run.report(bytes_written=written, lists=stored.lists),
        holds_nothing=stored.ledger.holds_nothing,
        manifest_digest=record.metadata.annotations.get(labels.MANIFEST_ANNOTATION, ""),
    )
