"""A backup from its request to its publication: the steps in order.

Called by the engine with a claim on the name. Until the last line nothing of it is listed
in the store; a failure or a cancel on the way leaves nothing but temporary files, which
are removed. What `run_backup` waits for `resume_backup` goes on with, in another process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from kbackup._kits.log_capture import LogCapture
from kbackup._kits.words import first_few, plural
from kbackup.archive import ArchiveWriter
from kbackup.backup._actions import backup_actions
from kbackup.backup._coverage import report_end
from kbackup.backup._draft import Draft, with_archive
from kbackup.backup._finalizer import finalize
from kbackup.backup._request import BackupRequest, make_request
from kbackup.backup._run_journal import RunJournal
from kbackup.backup._side_files import file_name, side_files, size_of
from kbackup.backup._status import finished_record
from kbackup.backup._storing import Stored, store_selected
from kbackup.catalog import (
    BackupClaim,
    BackupStore,
    Manifest,
    MirrorWatch,
    UnendedBackup,
)
from kbackup.cluster import Cluster
from kbackup.errors import PluginNotFoundError, TargetMismatchError
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
from kbackup.plugins.engine import Operations
from kbackup.stores import BackupFiles


@attrs.frozen(kw_only=True)
class Session:
    """Where a run takes from and where it writes to.

    Attributes:
        run: Gets warnings, errors and events.
        cluster: Bound to the run.
        store: Where the backup goes.
        claim: On the backup's name.
        plugins: Whose item actions are run.
    """

    run: Run
    cluster: Cluster
    store: BackupStore
    claim: BackupClaim
    plugins: PluginManager


def run_backup(
    session: Session, record: Backup, options: BackupOptions
) -> BackupResult:
    """Back up what *record* asks for and publish it.

    Args:
        session: Of the run.
        record: As `new_record` made it.
        options: What only kbackup knows.

    Raises:
        Cancelled: The run is to stop; nothing was published.
        KBackupError: The cluster cannot be read at all, or the store failed; nothing
            was published.
    """
    run = session.run
    journal = RunJournal(session.store, session.claim, run)
    with run.temporary_directory() as spool, journal.until_published():
        ending = _Ending(session, spool)
        with _logged(ending.log, record, run) as log:
            _give_up_dead_run(session)
            with run.phase("discovery"):
                request = make_request(record, options, session.cluster)
            timeout = request.backup.spec.item_operation_timeout
            with Operations(run, session.cluster, timeout, journal) as begun:
                draft = _write_archive(request, session, ending.archive, begun)
                if begun.records:
                    journal.keep_draft(draft, ending.archive, log.snapshot())
                with journal.following():
                    begun.follow()
            draft, record, operations = ending.finish(draft, begun.records)
        return ending.publish(draft, record, operations)


def resume_backup(session: Session, unended: UnendedBackup) -> BackupResult:
    """Go on with what a run that was killed waited for, and publish its backup.

    Args:
        session: Of the run, which has the uid of the killed one.
        unended: What that one has left.

    Raises:
        PluginNotFoundError: An action that began an operation is not installed.
        TargetMismatchError: They began in another cluster.
        Cancelled: The run is to stop; nothing was published.
        KBackupError: What was kept cannot be read, or the store failed; nothing was
            published.
    """
    run = session.run
    actions = _who_began(unended, session.plugins)
    journal = RunJournal(session.store, session.claim, run, unended)
    with run.temporary_directory() as spool, journal.until_published():
        ending = _Ending(session, spool)
        draft, results, log = journal.load(ending.archive)
        _require_its_cluster(session.cluster, draft)
        run.cancel.check()  # from here on a cancel gives the backup up
        run.recall(results)
        with _logged(ending.log, draft.record, run, begun=log):
            run.logger.info("resumed after its process was killed")
            timeout = draft.record.spec.item_operation_timeout
            with (
                journal.following(),
                Operations(run, session.cluster, timeout, journal) as begun,
            ):
                begun.resume(unended.operations, actions, backup=draft.record)
                begun.follow()
            draft, record, operations = ending.finish(draft, begun.records)
        return ending.publish(draft, record, operations)


def _who_began(
    unended: UnendedBackup, plugins: PluginManager
) -> Mapping[str, BackupItemAction]:
    """Return the actions that began the operations of a run, by name."""
    known = {action.name: action for action in plugins.backup_item_actions()}
    names = {each.spec.backup_item_action for each in unended.operations}
    if missing := sorted(names - known.keys()):
        raise PluginNotFoundError(
            f"backup {unended.name} cannot be resumed: no installed plugin offers "
            f"{first_few(missing)}, which began what it waits for",
            plugin=missing[0],
            hint="install the plugin here, or resume where it is installed: nothing "
            "was changed",
        )
    return known


def _require_its_cluster(cluster: Cluster, draft: Draft) -> None:
    """Refuse to ask another cluster about operations; one without a uid may be it."""
    expected, found = draft.manifest.cluster_uid, cluster.uid()
    if expected and found and expected != found:
        raise TargetMismatchError(
            "resume a backup of",
            cluster.server,
            reason=f"it is of cluster {expected}, found {found}",
            hint="choose the context of the cluster that is backed up",
        )


def _give_up_dead_run(session: Session) -> None:
    """Tell what an earlier run of the name has begun, which died before it could wait."""
    run, store = session.run, session.store
    while (found := store.unended(run.name)) is not None:
        run.warning(f"an earlier run of this backup was killed: {found}")
        store.journal(found.uid).remove()


class _Ending:
    """What comes once all operations have ended, and the files of the run.

    Attributes:
        archive: Where it is spooled.
        log: Alike.
    """

    def __init__(self, session: Session, spool: Path) -> None:
        self.archive, self.log = spool / "archive.tar.gz", spool / "log.gz"
        self._session = session
        self._run = session.run
        self._mirrors = MirrorWatch(session.store, session.run)

    def finish(
        self, draft: Draft, operations: Sequence[ItemOperation]
    ) -> tuple[Draft, Backup, Sequence[ItemOperation]]:
        """Store items again that operations want, and close the books."""
        run, session = self._run, self._session
        draft, operations = finalize(
            run,
            draft,
            operations,
            self.archive,
            cluster=session.cluster,
            plugins=session.plugins,
        )
        report_end(draft.manifest.missing, draft.ledger, run)
        self._mirrors.report()  # what is known by now is in the record as well
        record = finished_record(
            draft.record,
            draft.ledger,
            run.results,
            run.clock.now(),
            operations=operations,
        )
        _log_end(run, record, draft)
        return draft, record, operations

    def publish(
        self, draft: Draft, record: Backup, operations: Sequence[ItemOperation]
    ) -> BackupResult:
        """Write everything to the store; the log is closed."""
        run, session, name = self._run, self._session, record.metadata.name
        names = BackupFiles(name)
        files: dict[str, Path | bytes] = {
            file_name(names.archive): self.archive,
            file_name(names.logs): self.log,
            **side_files(name, draft.ledger, run.results, operations),
        }
        manifest = attrs.evolve(draft.manifest, not_covered=draft.ledger.not_covered)
        with run.phase("upload"):
            record = session.store.publish(
                session.claim,
                record,
                files,
                manifest,
                ask=self._mirrors.look_and_check,
            )
            self._mirrors.report()
        return _result(run, record, draft, files)


@contextmanager
def _logged(
    path: Path, record: Backup, run: Run, *, begun: bytes = b""
) -> Iterator[LogCapture]:
    """Write the run's log to *path*; its lines say which backup they are of."""
    metadata = record.metadata
    fields = {"backup": f"{metadata.namespace}/{metadata.name}"}
    log = LogCapture(path, fields, begun=begun)
    path.chmod(0o600)
    log.setLevel(logging.INFO)  # what hooks print is debug, and not for the store
    run.logger.addHandler(log)
    try:
        yield log
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


def _log_end(run: Run, record: Backup, draft: Draft) -> None:
    run.logger.info(
        "%s: %s, %s, %s",
        record.status.phase,
        plural(draft.ledger.items, "item"),
        plural(record.status.warnings, "warning"),
        plural(record.status.errors, "error"),
    )


def _write_archive(
    request: BackupRequest, session: Session, path: Path, begun: Operations
) -> Draft:
    """Store everything that the request selects."""
    run = session.run
    _warn_of_long_name(run, request.backup.metadata.name)
    actions = backup_actions(request, session.plugins)
    started = request.backup.status.start_timestamp or run.clock.now()
    with (
        run.temporary_file(path) as out,
        ArchiveWriter(out, mtime=int(started.timestamp())) as archive,
    ):
        stored = store_selected(request, run, archive, actions, begun)
    manifest = with_archive(_manifest(request, stored), archive, stored.ledger)
    return Draft(record=request.backup, manifest=manifest, ledger=stored.ledger)


def _manifest(request: BackupRequest, stored: Stored) -> Manifest:
    """Return the manifest; whoever publishes adds the files and what is not covered."""
    options = request.options.to_record()
    if request.options.where is not None:
        options["where"] = {
            "function": options["where"],
            "leftOut": stored.left_out_by_where,
        }
    return Manifest(
        backup_name=request.backup.metadata.name,
        backup_uid=request.backup.metadata.uid,
        cluster_uid=request.cluster_uid,
        cluster_version=request.version.git_version,
        lists=stored.lists,
        volumes=stored.ledger.volumes,
        missing=stored.missing,
        options=options,
    )


def _result(
    run: Run, record: Backup, draft: Draft, files: Mapping[str, Path | bytes]
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
        report=run.report(bytes_written=written, lists=draft.manifest.lists),
        holds_nothing=draft.ledger.holds_nothing,
        manifest_digest=record.metadata.annotations.get(labels.MANIFEST_ANNOTATION, ""),
    )
