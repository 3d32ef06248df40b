"""The steps of planning, in order; nothing is written anywhere.

Called by the engine, and by `_pipeline`, which carries out what is planned here.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from kbackup._kits.versions import installed_version
from kbackup.errors import KBackupError, RunCancelledError
from kbackup.models import (
    Backup,
    RestoreOptions,
    RestorePhase,
    RestoreResult,
    RestoreSpec,
)
from kbackup.plugins import Run, RunEnded, RunStarted
from kbackup.restore._plan.plan import PlanHead, RestorePlan
from kbackup.restore._prepare import (
    check_target,
    find_modifiers,
    look,
)
from kbackup.restore._request.modifier_source import named_digest
from kbackup.restore._request.request import RestoreRequest, restore_uid, validate
from kbackup.restore._request.settings import FoundSettings, find_settings
from kbackup.restore._request.version_priority import find_priority
from kbackup.restore._result import result_of
from kbackup.restore._session import Asked, Session, cancel_as_error, now
from kbackup.restore._source import find_backup
from kbackup.restore._verdicts.planner import Planned
from kbackup.restore._writes.record import check_name


def make_plan(
    session: Session, name: str, spec: RestoreSpec, options: RestoreOptions
) -> RestorePlan:
    """Read backup and target, decide about every item; write nothing."""
    validate(name, spec, options)
    started = now(session)
    asked = Asked(name=name, uid="", spec=spec, options=options, target_uid="")
    try:
        with cancel_as_error():
            asked, backup = _identify(session, asked)
    except KBackupError as exc:  # before there is a run
        run = session.run(name, "")
        exc.result = _unplanned(session, run, spec, started, exc)
        raise
    run = session.run(name, asked.uid)
    run.emit(RunStarted(kind="restore plan", name=name))
    phase = str(RestorePhase.FAILED)
    try:
        with cancel_as_error():
            looked = look(session, run, backup, asked=asked)
            plan = _plan_of(session, *looked, asked.settings)
        phase = "Planned"
    except KBackupError as exc:
        if isinstance(exc, RunCancelledError):
            phase = "Cancelled"
        exc.result = _unplanned(session, run, asked.spec, started, exc)
        raise
    finally:
        run.emit(RunEnded(phase=phase))
    return plan


def _unplanned(
    session: Session,
    run: Run,
    spec: RestoreSpec,
    started: datetime,
    error: KBackupError,
) -> RestoreResult:
    """The result of a restore that ended before it had a plan."""
    ended = now(session)
    result = result_of(run, spec, started=started, ended=ended, failed=True)
    return attrs.evolve(result, cancelled=isinstance(error, RunCancelledError))


def _identify(session: Session, asked: Asked) -> tuple[Asked, Backup]:
    """Find target and backup; from them follows the restore's uid."""
    name, spec = asked.name, asked.spec
    target_uid = check_target(session.reading(), asked.options)
    asked = _with_settings(session, asked)
    backup = find_backup(session.store, spec)
    spec = attrs.evolve(spec, backup_name=backup.name, schedule_name="")
    modifiers = find_modifiers(session, spec, asked.options)
    uid = restore_uid(
        backup.metadata.uid,
        name,
        target_uid,
        spec,
        asked.options,
        modifiers=named_digest(spec, modifiers),
    )
    check_name(session.store, name, uid, from_backup=backup.name)
    asked = attrs.evolve(
        asked, uid=uid, spec=spec, target_uid=target_uid, modifiers=modifiers
    )
    return asked, backup


def _with_settings(session: Session, asked: Asked) -> Asked:
    """Return a restore whose options have what the target's ConfigMaps say.

    That is the settings of its item actions, and the user's list of versions.

    Raises:
        InvalidSpecError: They cannot be meant.
        ClusterError: The target cannot be read.
    """
    found = find_settings(
        session.reading(),
        session.plugins.restore_item_actions(),
        asked.options.action_settings,
    )
    priority = find_priority(session.reading().reader(), asked.options)
    options = attrs.evolve(
        asked.options,
        action_settings=found.values,
        restore_resources_version_priority=priority.versions,
    )
    return attrs.evolve(asked, options=options, settings=found, priority=priority)


def _plan_of(
    session: Session,
    request: RestoreRequest,
    planned: Planned,
    settings: FoundSettings | None,
) -> RestorePlan:
    sources = settings.sources if settings is not None else {}
    return RestorePlan(
        head=attrs.evolve(_head(session, request), settings_from=sources),
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
        backup_cluster_uid=manifest.cluster_uid if manifest else "",
        writer_version=installed_version("kbackup"),
        made_at=now(session),
        modifiers=request.modifiers.about if request.modifiers else None,
        versions=request.versions,
    )
