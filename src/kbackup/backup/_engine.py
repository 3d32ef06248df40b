"""`BackupEngine`: the front of the room. Validates, claims, runs, reports; decides nothing.

The steps are loaded with the first run: whoever only imports and connects need not wait
for them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kbackup._kits.arguments import given_or_new, require
from kbackup._kits.clock import Clock
from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import (
    BackupExistsError,
    BackupNotFoundError,
    InvalidSpecError,
    KBackupError,
    RunCancelledError,
)
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupResult,
    BackupSpec,
    EngineSettings,
    ObjectMeta,
    labels,
)

if TYPE_CHECKING:
    from kbackup.backup._pipeline import Session
    from kbackup.backup._plan import BackupPlan
    from kbackup.catalog import BackupClaim, BackupStore
    from kbackup.cluster import Cluster
    from kbackup.plugins import Observer, PluginManager, Run

_BEGIN_ANEW = "the same backup under the same name begins anew"

_R = TypeVar("_R", "BackupResult", "BackupPlan")


class BackupEngine:
    """Backs up what a cluster holds into a store.

    An engine keeps no state between runs: any number of them may go on at once, from
    any threads. The observer is called from one thread at a time, in order; what it
    raises is logged and the run goes on. From asynchronous code:
    ``await asyncio.to_thread(engine.run, ...)``.

    Args:
        cluster: What is backed up; shared freely, not closed.
        store: Where the backups go; shared freely, not closed.
        plugins: Whose item actions are used; None: all that are installed.
        observer: Is told what happens.
        settings: How it is done.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: BackupStore,
        *,
        plugins: PluginManager | None = None,
        observer: Observer | None = None,
        settings: EngineSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        from kbackup.plugins.engine import Equipment  # noqa: PLC0415 - see the module

        self._given = Equipment.checked(
            cluster,
            store,
            plugins=plugins,
            observer=observer,
            settings=settings,
            clock=clock,
        )

    def run(
        self,
        name: str,
        spec: BackupSpec,
        options: BackupOptions | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> BackupResult:
        """Make a backup; blocks until it has ended.

        It is no coroutine: in asyncio or a notebook it is called as it is, or as
        ``await asyncio.to_thread(engine.run, ...)``, which keeps the loop free.

        Args:
            name: Of the backup: a DNS-1123 subdomain that the store does not have.
            spec: What to back up.
            options: What Velero's specification cannot say.
            cancel: Stops the run; nothing is published then.

        Returns:
            A published backup's: Completed, or PartiallyFailed if something is missing.

        Raises:
            InvalidSpecError: Name, specification or options break their rules; all of
                them are told.
            BackupExistsError: The name is taken, or a run of it was killed that can be
                resumed; nothing was overwritten.
            BackupInProgressError: Another run is writing a backup of this name.
            RunCancelledError: *cancel* was used.
            KBackupError: Cluster or store failed; ``error.result`` has what was known.
        """
        from kbackup.backup import _request  # noqa: PLC0415 - see the module

        require("name", name, str)
        require("spec", spec, BackupSpec)
        options = given_or_new("options", options, BackupOptions)
        _refuse(_request.violations_of(spec, options, name=name))
        run = self._new_run(name, cancel)
        record = _request.new_record(name, run.uid, spec, options, run.clock.now())

        execute = partial(self._run_claimed, run, record, options)
        return self._ended(run, record, execute, kind="backup")

    def _run_claimed(
        self, run: Run, record: Backup, options: BackupOptions
    ) -> BackupResult:
        """Make a backup, with a claim on its name for as long as that takes."""
        from kbackup.backup._pipeline import run_backup  # noqa: PLC0415 - see the module

        with self._given.store.claim(
            run.name, run_uid=run.uid, clock=self._given.clock
        ) as claim:
            return run_backup(self._session(run, claim), record, options)

    def _session(self, run: Run, claim: BackupClaim) -> Session:
        from kbackup.backup._pipeline import Session  # noqa: PLC0415 - see the module

        return Session(
            run=run,
            cluster=self._bound(run),
            store=self._given.store,
            claim=claim,
            plugins=self._given.plugins,
        )

    def plan(
        self,
        spec: BackupSpec,
        options: BackupOptions | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> BackupPlan:
        """Return what a backup would store now; nothing is written anywhere.

        The same lists are read and the same item actions are asked as for a backup.

        Raises:
            InvalidSpecError: The specification breaks its rules.
            RunCancelledError: *cancel* was used.
            ClusterError: The cluster cannot be read at all.
        """
        from kbackup.backup import _request  # noqa: PLC0415 - see the module
        from kbackup.backup._plan import plan_backup  # noqa: PLC0415 - see the module

        require("spec", spec, BackupSpec)
        given = given_or_new("options", options, BackupOptions)
        _refuse(_request.violations_of(spec, options))
        run = self._new_run("plan", cancel)
        record = _request.new_record(run.name, run.uid, spec, given, run.clock.now())

        def execute() -> BackupPlan:
            cluster = self._bound(run)
            return plan_backup(
                run, record, given, cluster=cluster, plugins=self._given.plugins
            )

        return self._ended(run, record, execute, kind="backup plan")

    def resume(self, name: str, *, cancel: CancelToken | None = None) -> BackupResult:
        """Go on with a backup whose process died while it waited for operations.

        Operations go on by themselves; once all items of a backup are read, its run
        keeps in the store what another process needs: the archive, the log, and what
        was begun. Here the actions are asked for the progress of that, it is waited for
        as in `run`, and the backup is published as if nothing had happened. It has the
        uid and the start of the run that was killed, and the time of an operation goes
        on from when that began. A resume that was killed can be resumed.

        Returns:
            The published backup's; that of one which has ended already is returned as
            it is.

        Raises:
            BackupNotFoundError: There is no such backup, or not all of it was read: its
                run can be started again.
            BackupInProgressError: Its run lives, or another one has resumed it.
            PluginNotFoundError: An action that began an operation is not installed
                here; nothing was changed.
            TargetMismatchError: The cluster is not the one that is backed up; alike.
            RunCancelledError: *cancel* was used: what was begun is cancelled.
            KBackupError: Cluster or store failed.
        """
        require("name", name, str)
        try:
            return self._published(name)
        except BackupNotFoundError as exc:
            found = self._given.store.unended(name)
            if found is None:
                raise _nothing_to_resume(name, exc) from exc
        run = self._new_run(name, cancel, uid=found.uid)
        record = Backup(metadata=ObjectMeta(name=name, uid=found.uid))
        execute = partial(self._resume_claimed, run)
        try:
            return self._ended(run, record, execute, kind="backup")
        except BackupExistsError:
            with suppress(BackupNotFoundError):
                return self._published(name)  # its run, or another resume, was first
            raise

    def _resume_claimed(self, run: Run) -> BackupResult:
        """Go on with a run under a claim of our own: it tells us from the dead one."""
        from kbackup.backup._pipeline import (  # noqa: PLC0415 - see the module
            resume_backup,
        )

        uid = str(uuid.uuid4())
        with self._given.store.claim(
            run.name, run_uid=uid, clock=self._given.clock, resume=True
        ) as claim:
            # By now nobody else writes it.
            unended = self._given.store.unended(run.name)
            if unended is None or unended.uid != run.uid:
                raise BackupNotFoundError(run.name, hint=_BEGIN_ANEW)
            if not unended.can_be_resumed:
                raise BackupNotFoundError(run.name, str(unended), hint=_BEGIN_ANEW)
            return resume_backup(self._session(run, claim), unended)

    def _published(self, name: str) -> BackupResult:
        """Return the result of a backup that has ended."""
        record = self._given.store.get(name)
        return BackupResult(
            backup=record,
            results=self._given.store.results(name),
            manifest_digest=record.metadata.annotations.get(
                labels.MANIFEST_ANNOTATION, ""
            ),
        )

    def __repr__(self) -> str:
        return f"BackupEngine({self._given.cluster!r}, {self._given.store!r})"

    def _new_run(self, name: str, cancel: CancelToken | None, *, uid: str = "") -> Run:
        cancel = given_or_new("cancel", cancel, CancelToken)
        uid = uid or str(uuid.uuid4())
        return self._given.new_run("backup", name, uid, cancel)

    def _bound(self, run: Run) -> Cluster:
        return self._given.cluster.for_run(
            run.cancel, settings=run.settings, count=run.count, waits=run.waits
        )

    def _ended(
        self, run: Run, record: Backup, execute: Callable[[], _R], *, kind: str
    ) -> _R:
        """Call *execute* between the events of a run; give its errors their result."""
        from kbackup.plugins import RunEnded, RunStarted  # noqa: PLC0415 - see the module

        run.emit(RunStarted(kind=kind, name=run.name))
        phase = "Failed"
        try:
            run.cancel.check()
            result = execute()
            phase = "Planned"
            if isinstance(result, BackupResult):
                phase = str(result.backup.status.phase)
        except Cancelled as exc:
            phase = "Cancelled"
            error = RunCancelledError(exc.reason)
            error.result = _unpublished(run, record, error)
            raise error from exc
        except KBackupError as exc:
            exc.result = _unpublished(run, record, exc)
            raise
        finally:
            run.emit(RunEnded(phase=phase))
        return result


def _refuse(violations: list[str]) -> None:
    if violations:
        raise InvalidSpecError(violations)


def _nothing_to_resume(name: str, found: BackupNotFoundError) -> BackupNotFoundError:
    hint = f"a run that was interrupted before it waited left nothing: {_BEGIN_ANEW}"
    reason = found.reason or "no run of it has ended"
    return BackupNotFoundError(name, reason, hint=found.hint or hint)


def _unpublished(run: Run, record: Backup, error: KBackupError) -> BackupResult:
    from kbackup.backup._status import failed_record  # noqa: PLC0415 - see the module

    return BackupResult(
        backup=failed_record(record, str(error), run.results),
        results=run.results,
        report=run.report(),
        cancelled=isinstance(error, RunCancelledError),
    )
