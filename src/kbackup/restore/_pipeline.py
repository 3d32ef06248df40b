"""The steps of applying a plan, in order; those of planning are in `_planning`.

Everything that reads or writes goes through the run's own cluster handle, which asks
the cancel token before each request. Called by the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import attrs

from kbackup._kits.log_capture import LogCapture
from kbackup._kits.words import plural
from kbackup._kits.workers import Cancelled
from kbackup.archive import ArchiveContents
from kbackup.catalog.engine import lost_items
from kbackup.errors import KBackupError, RunCancelledError
from kbackup.models import (
    HookStatus,
    ItemOperation,
    ItemOutcome,
    RestoreOptions,
    RestorePhase,
    RestoreResult,
    RestoreSpec,
)
from kbackup.plugins import Run, RunEnded, RunStarted
from kbackup.plugins.engine import Operations
from kbackup.restore._approval import check, refuse_unasked_volumes
from kbackup.restore._commands.hook_journal import HookJournal
from kbackup.restore._commands.hook_run import HookRun
from kbackup.restore._making.readiness import Readiness
from kbackup.restore._plan.plan import PlanHead, RestorePlan
from kbackup.restore._planning import make_plan
from kbackup.restore._prepare import (
    make_object_writer,
    resolve,
    writers_of,
)
from kbackup.restore._request.request import RestoreRequest, validate
from kbackup.restore._result import result_of, tell_of_errors, warn_at_the_end
from kbackup.restore._session import Asked, Session, cancel_as_error, now
from kbackup.restore._source import opened
from kbackup.restore._target.api_versions import versions_of
from kbackup.restore._target.types import ServedTypes
from kbackup.restore._verdicts.namespaces import what_holds
from kbackup.restore._writes.before import save_before
from kbackup.restore._writes.object_writer import ObjectWriter
from kbackup.restore._writes.operations import RestoreJournal
from kbackup.restore._writes.record import Place, annotations_of, claimed, keep
from kbackup.restore._writes.saved import SavedObjects
from kbackup.restore._writes.writer import Writer


@attrs.define(kw_only=True)
class _Done:
    """What a run has done so far, also when it ends before its time.

    Attributes:
        outcomes: Of the items.
        operations: What item actions began.
        hooks: How many hooks there were; None: the plan has none.
    """

    operations: Operations
    outcomes: list[ItemOutcome] = attrs.field(factory=list)
    hooks: HookStatus | None = None


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


def check_plan(session: Session, plan: RestorePlan) -> None:
    """Refuse what `apply_plan` would refuse before it reads the archive."""
    validate(plan.head.restore_name, plan.spec, plan.options)
    with cancel_as_error():
        check(session, plan)


def apply_plan(session: Session, plan: RestorePlan) -> RestoreResult:
    """Write what *plan* says; nothing is written before the archive was read again."""
    head = plan.head
    validate(head.restore_name, plan.spec, plan.options)  # it may come from a file
    run = session.run(head.restore_name, head.restore_uid)
    with run.temporary_directory() as spool:
        return _apply_logged(session, run, plan, spool / "log.gz")


def _apply_logged(
    session: Session, run: Run, plan: RestorePlan, log_path: Path
) -> RestoreResult:
    """Apply *plan* and write the log to *log_path*; errors get the result so far."""
    head = plan.head
    run.emit(RunStarted(kind="restore", name=head.restore_name))
    started = now(session)
    log = LogCapture(log_path, {"restore": f"velero/{head.restore_name}"})
    run.logger.addHandler(log)
    _log_beginning(run, head)
    limit = plan.spec.item_operation_timeout
    journal = RestoreJournal(run)
    operations = Operations(run, session.bound(run), limit, journal)
    done = _Done(operations=operations)

    result = partial(_result_so_far, session, run, plan, done, started)
    try:
        with claimed(session.store, head, run) as place:
            journal.place = place
            with operations:
                _apply(session, run, plan, place, done, journal=journal)
            place.tell_of_missing_copies()  # in the record as well
            ended = result(failed=False)
            _log_end(run, ended)
            log.close()
            return _keep(place, run, plan, ended, operations.records, log=log_path)
    except Cancelled as exc:
        error = RunCancelledError(exc.reason)
        error.result = attrs.evolve(result(failed=True), cancelled=True)
        run.emit(RunEnded(phase="Cancelled"))
        raise error from exc
    except KeyboardInterrupt as exc:  # in a notebook, where nobody cancels a token
        told = attrs.evolve(result(failed=True), cancelled=True)
        exc.result = told  # type: ignore[attr-defined] # as all errors of a restore
        exc.add_note(f"{told}; the same restore, run again, completes it")
        run.emit(RunEnded(phase="Cancelled"))
        raise
    except KBackupError as exc:
        cancelled = isinstance(exc, RunCancelledError)
        exc.result = attrs.evolve(result(failed=True), cancelled=cancelled)
        run.emit(RunEnded(phase=str(RestorePhase.FAILED)))
        raise
    finally:
        log.close()


def _result_so_far(
    session: Session,
    run: Run,
    plan: RestorePlan,
    done: _Done,
    started: datetime,
    *,
    failed: bool,
) -> RestoreResult:
    return result_of(
        run,
        plan.spec,
        started=started,
        ended=now(session),
        outcomes=done.outcomes,
        operations=done.operations.records,
        hooks=done.hooks,
        total=len(plan.entries),
        annotations=annotations_of(session.cluster.server, plan, done.outcomes),
        failed=failed,
    )


def _apply(
    session: Session,
    run: Run,
    plan: RestorePlan,
    place: Place,
    done: _Done,
    *,
    journal: RestoreJournal,
) -> None:
    head, options = plan.head, plan.options
    backup, modifiers = check(session, plan)
    with opened(session, run, backup, options) as read:
        contents = read
        if head.versions is not None:
            contents = read.in_versions(versions_of(head.versions.chosen))
        asked = Asked(
            name=head.restore_name,
            uid=head.restore_uid,
            spec=plan.spec,
            options=options,
            target_uid=head.cluster_uid,
            modifiers=modifiers,
        )
        memory = plan.memory
        request = resolve(session, run, backup, contents, asked=asked, memory=memory)
        refuse_unasked_volumes(plan, request, contents)
        if options.salvage:
            run.error("the backup was read as far as it goes, damaged or not")
            if lost := lost_items(contents, request.manifest):
                run.error(lost)
        for damage in contents.damage:
            run.error(f"the backup is damaged: {damage}")
        workers = writers_of(session, request)
        saved = save_before(session.store, run, request, plan.entries, workers=workers)
        journal.recall(
            done.operations,
            session.plugins,
            backup=backup,
            restore=request.restore,
            hide=bool(options.redact),
        )
        converted = request.conversions.applied_to(contents)
        _write(
            session, run, plan, request, converted, place=place, done=done, saved=saved
        )
        done.operations.follow()
        tell_of_errors(plan, run)
        warn_at_the_end(plan, done.outcomes, run)


def _write(
    session: Session,
    run: Run,
    plan: RestorePlan,
    request: RestoreRequest,
    contents: ArchiveContents,
    *,
    place: Place,
    done: _Done,
    saved: SavedObjects,
) -> None:
    """Write all entries, and run hooks in the Pods among them meanwhile."""
    types = ServedTypes(request.cluster, request.discovery, run)
    objects = make_object_writer(
        session,
        run,
        request,
        contents,
        types=types,
        claims=plan.claims,
        entries=plan.entries,
        operations=done.operations,
        readiness=_readiness(session, run, plan, request, done),
        saved=saved,
    )
    hooks = _hooks_of(run, plan, request, objects, place)
    writer = Writer(
        run,
        write=hooks.watching(objects.write),
        await_types=types.await_established,
        takes=types.takes,
        what_holds=partial(what_holds, request.cluster, types),
        workers=writers_of(session, request),
        room=objects.room,
        untold=objects.untold,
        outcomes=done.outcomes,
    )
    if plan.memory is None:  # it was stored, without what its actions were answered
        with run.phase("prepare", total=len(plan.entries)):
            objects.rehearse(plan.entries)
    try:
        with hooks:
            with run.phase("write", total=len(plan.entries)):
                writer.write(plan.entries, plan.options.deadline)
            hooks.finish()
    finally:
        done.hooks = hooks.status


def _readiness(
    session: Session, run: Run, plan: RestorePlan, request: RestoreRequest, done: _Done
) -> Readiness:
    """Make what asks whether additional items are ready."""
    return Readiness(
        run,
        session.bound(run).reader(),
        entries=plan.entries,
        outcomes=done.outcomes,
        target=request.filters.target,
        patience=plan.options.deadline,
    )


def _hooks_of(
    run: Run,
    plan: RestorePlan,
    request: RestoreRequest,
    objects: ObjectWriter,
    place: Place,
) -> HookRun:
    """What runs the commands that the plan names."""
    name, uid = plan.head.restore_name, plan.head.restore_uid
    return HookRun(
        run,
        request.cluster,
        label=request.restore_label,
        entries=plan.entries,
        commands_of=objects.commands_of,
        open_journal=partial(HookJournal.of, place, name, uid, run),
    )


def _keep(
    place: Place,
    run: Run,
    plan: RestorePlan,
    result: RestoreResult,
    operations: Sequence[ItemOperation],
    *,
    log: Path,
) -> RestoreResult:
    """Put the restore on record; the result then tells also what that cost."""
    with run.phase("record"):
        written = keep(
            place,
            result.restore,
            results=result.results,
            outcomes=result.outcomes,
            operations=operations,
            kinds={entry.target: entry for entry in plan.entries},
            log=log,
            run=run,
        )
        place.tell_of_missing_copies()
    restore = result.restore
    if run.results.errors:  # that there is no record may be the first
        restore = attrs.evolve(
            restore,
            status=attrs.evolve(
                restore.status,
                phase=RestorePhase.PARTIALLY_FAILED,
                errors=len(run.results.errors),
            ),
        )
    run.emit(RunEnded(phase=str(restore.status.phase)))
    report = run.report(bytes_written=written)
    return attrs.evolve(result, restore=restore, results=run.results, report=report)


def _log_beginning(run: Run, head: PlanHead) -> None:
    run.logger.info(
        "restoring backup %s (uid %s, archive %s) into %s (cluster uid %s)",
        head.backup_name,
        head.backup_uid,
        head.archive_digest or "of unknown digest",
        head.server,
        head.cluster_uid or "unknown",
    )


def _log_end(run: Run, result: RestoreResult) -> None:
    status = result.restore.status
    counts = Counter(outcome.action for outcome in result.outcomes)
    done = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
    run.logger.info(
        "%s: %s; %s, %s",
        status.phase,
        done or "no items",
        plural(status.warnings, "warning"),
        plural(status.errors, "error"),
    )
