"""The steps of planning and applying, in order.

Everything that reads or writes goes through the run's own cluster handle, which asks
the cancel token before each request. Called by the engine.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

import attrs

from kbackup._kits.log_capture import LogCapture
from kbackup._kits.workers import Cancelled
from kbackup.archive import ArchiveContents
from kbackup.errors import (
    KBackupError,
    PlanOutdatedError,
    RunCancelledError,
)
from kbackup.models import (
    ItemOutcome,
    ObjectMeta,
    Restore,
    RestoreOptions,
    RestorePhase,
    RestoreProgress,
    RestoreResult,
    RestoreSpec,
    RestoreStatus,
    labels,
)
from kbackup.plugins import (
    Run,
    RunEnded,
    RunStarted,
)
from kbackup.restore._finalizer import finalize
from kbackup.restore._plan import PlanHead, RestorePlan
from kbackup.restore._planner import Planned
from kbackup.restore._prepare import (
    Asked,
    Session,
    cancel_as_error,
    check_target,
    find_backup,
    look,
    make_object_writer,
    now,
    opened,
    read_digest,
    resolve,
    writers_of,
)
from kbackup.restore._record import check_name, keep
from kbackup.restore._request import (
    RestoreRequest,
    restore_uid,
    validate,
)
from kbackup.restore._types import ServedTypes
from kbackup.restore._writer import Writer


def make_plan(
    session: Session, name: str, spec: RestoreSpec, options: RestoreOptions
) -> RestorePlan:
    """Read backup and target, decide about every item; write nothing."""
    validate(name, spec, options)
    with cancel_as_error():
        target_uid = check_target(session.cluster, options)
        backup = find_backup(session.store, spec)
        uid = restore_uid(backup.metadata.uid, name, target_uid)
        check_name(session.store, name, uid)
        run = session.run(name, uid)
        run.emit(RunStarted(kind="restore plan", name=name))
        asked = Asked(
            name=name,
            uid=uid,
            spec=attrs.evolve(spec, backup_name=backup.name, schedule_name=""),
            options=options,
            target_uid=target_uid,
        )
        return _plan_of(session, *look(session, run, backup, asked=asked))


def _plan_of(
    session: Session, request: RestoreRequest, planned: Planned
) -> RestorePlan:
    return RestorePlan(
        head=_head(session, request),
        entries=planned.entries,
        claims=tuple(planned.state.lines.values()),
        notices=planned.book.notices(),
        spec=request.spec,
        options=request.options,
        memory=request.reader,
    )


def _head(session: Session, request: RestoreRequest) -> PlanHead:
    backup, manifest = request.backup, request.manifest
    finished = backup.status.completion_timestamp or backup.status.start_timestamp
    return PlanHead(
        server=request.cluster.server,
        context=request.cluster.context,
        cluster_uid=request.target_uid,
        cluster_version=request.target_version.git_version,
        same_cluster=request.same_cluster,
        restore_name=request.restore.name,
        restore_uid=request.restore.metadata.uid,
        backup_name=backup.name,
        backup_uid=backup.metadata.uid,
        backup_phase=str(backup.status.phase or ""),
        backup_age=now(session) - finished if finished is not None else None,
        backup_warnings=backup.status.warnings,
        backup_errors=backup.status.errors,
        not_covered=tuple(str(x) for x in manifest.not_covered) if manifest else (),
        archive_digest=request.archive_digest,
    )


def run_restore(
    session: Session, name: str, spec: RestoreSpec, options: RestoreOptions
) -> RestoreResult:
    """Plan and apply; the archive is read once for both."""
    kept: dict[str, ArchiveContents] = {}
    session = attrs.evolve(session, kept=kept)
    try:
        return apply_plan(session, make_plan(session, name, spec, options))
    finally:
        for contents in kept.values():
            contents.close()


def apply_plan(session: Session, plan: RestorePlan) -> RestoreResult:
    """Write what *plan* says; nothing is written before the archive was read again."""
    head = plan.head
    run = session.run(head.restore_name, head.restore_uid)
    run.emit(RunStarted(kind="restore", name=head.restore_name))
    started = now(session)
    spool = Path(tempfile.mkdtemp(dir=session.settings.spool_directory))
    log_path = spool / "log.gz"
    log = LogCapture(log_path, {"restore": f"velero/{head.restore_name}"})
    run.logger.addHandler(log)
    outcomes: list[ItemOutcome] = []
    try:
        _apply(session, run, plan, outcomes)
        return _conclude(
            session, run, plan, outcomes, started, log=log, log_path=log_path
        )
    except Cancelled as exc:
        error = RunCancelledError(exc.reason)
        error.result = _failed(session, run, plan, outcomes, started)
        run.emit(RunEnded(phase="Cancelled"))
        raise error from exc
    except KBackupError as exc:
        exc.result = _failed(session, run, plan, outcomes, started)
        run.emit(RunEnded(phase=str(RestorePhase.FAILED)))
        raise
    finally:
        log.close()
        shutil.rmtree(spool, ignore_errors=True)


def _apply(
    session: Session, run: Run, plan: RestorePlan, outcomes: list[ItemOutcome]
) -> None:
    head, options = plan.head, plan.options
    target_uid = check_target(session.cluster, options)
    if target_uid != head.cluster_uid:
        raise PlanOutdatedError("the plan was made for another cluster")
    check_name(session.store, head.restore_name, head.restore_uid)
    backup = session.store.get(head.backup_name)
    digest = read_digest(session, backup, options)
    if (backup.metadata.uid, digest) != (head.backup_uid, head.archive_digest):
        raise PlanOutdatedError(f"backup {head.backup_name} is not the one planned")
    with opened(session, run, backup, options) as contents:
        asked = Asked(
            name=head.restore_name,
            uid=head.restore_uid,
            spec=plan.spec,
            options=options,
            target_uid=target_uid,
        )
        memory = plan.memory
        request = resolve(session, run, backup, contents, asked=asked, memory=memory)
        if options.salvage:
            run.error("the backup was read as far as it goes, damaged or not")
        for damage in contents.damage:
            run.error(f"the backup is damaged: {damage}")
        with run.phase("write", total=len(plan.entries)):
            writer = _writer(session, run, plan, request, contents)
            outcomes += writer.write(plan.entries, options.deadline)
        finalize(plan, outcomes, run)


def _writer(
    session: Session,
    run: Run,
    plan: RestorePlan,
    request: RestoreRequest,
    contents: ArchiveContents,
) -> Writer:
    workers = writers_of(session, request)
    types = ServedTypes(request.cluster, request.discovery, run)
    objects = make_object_writer(
        session,
        run,
        request,
        contents,
        types=types,
        claims=plan.claims,
        entries=plan.entries,
    )
    return Writer(
        run,
        write=objects.write,
        await_types=types.await_established,
        workers=workers,
        room=objects.room,
    )


def _conclude(
    session: Session,
    run: Run,
    plan: RestorePlan,
    outcomes: list[ItemOutcome],
    started: datetime,
    *,
    log: LogCapture,
    log_path: Path,
) -> RestoreResult:
    """Put the restore on record and make the result."""
    result = _result(session, run, plan, outcomes, started)
    log.close()
    with run.phase("record"):
        keep(
            session.store,
            result.restore,
            results=result.results,
            outcomes=outcomes,
            kinds={entry.target: entry for entry in plan.entries},
            log=log_path,
            run=run,
        )
    phase = result.restore.status.phase
    run.emit(RunEnded(phase=str(phase)))
    return attrs.evolve(result, results=run.results, report=run.report())


def _failed(
    session: Session,
    run: Run,
    plan: RestorePlan,
    outcomes: list[ItemOutcome],
    started: datetime,
) -> RestoreResult:
    """The result of a run that was ended before its time; nothing is on record."""
    result = _result(session, run, plan, outcomes, started)
    status = attrs.evolve(result.restore.status, phase=RestorePhase.FAILED)
    return attrs.evolve(result, restore=attrs.evolve(result.restore, status=status))


def _result(
    session: Session,
    run: Run,
    plan: RestorePlan,
    outcomes: list[ItemOutcome],
    started: datetime,
) -> RestoreResult:
    results, head = run.results, plan.head
    phase = RestorePhase.PARTIALLY_FAILED if results.errors else RestorePhase.COMPLETED
    status = RestoreStatus(
        phase=phase,
        warnings=len(results.warnings),
        errors=len(results.errors),
        start_timestamp=started,
        completion_timestamp=now(session),
        progress=RestoreProgress(
            total_items=len(plan.entries), items_restored=len(outcomes)
        ),
    )
    metadata = ObjectMeta(
        name=head.restore_name,
        namespace="velero",
        uid=head.restore_uid,
        creation_timestamp=started,
        labels={labels.BACKUP_NAME: head.backup_name},
    )
    restore = Restore(metadata=metadata, spec=plan.spec, status=status)
    return RestoreResult(
        restore=restore,
        results=results,
        report=run.report(),
        outcomes=tuple(outcomes),
    )
