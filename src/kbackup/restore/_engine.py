"""RestoreEngine: plan a restore, look at it, apply it.

The public face of the room; the steps are in `_planning` and `_pipeline`, which are
loaded when the first of them is taken: whoever only imports and connects need not wait
for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kbackup._kits.arguments import given_or_new, require
from kbackup._kits.clock import Clock
from kbackup._kits.workers import CancelToken
from kbackup.models import (
    EngineSettings,
    LabelSelector,
    RestoreOptions,
    RestoreResult,
    RestoreSpec,
)

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster
    from kbackup.models import Difference
    from kbackup.plugins import Observer, PluginManager
    from kbackup.restore._plan.plan import RestorePlan
    from kbackup.restore._session import Session


class RestoreEngine:
    """Restores backups of one store into one cluster.

    May be used from several threads and runs any number of restores at once; the
    observer is called from one thread at a time for each of them, in order, never under
    a lock, and what it raises is logged while the run goes on.

    Args:
        cluster: The target; shared freely, not closed.
        store: Where the backups are; shared freely, not closed.
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

    def plan(
        self,
        name: str,
        spec: RestoreSpec,
        options: RestoreOptions | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> RestorePlan:
        """Predict what a restore would do; nothing is written anywhere.

        Args:
            name: The restore's name. The same name, backup and target, specification
                and options make the same restore, which may be run again.
            spec: What to restore.
            options: What only kbackup knows.
            cancel: Ends it early.

        Raises:
            InvalidSpecError: The spec or the resource modifiers break rules; all of them
                are named.
            TargetMismatchError: The cluster is not the expected one.
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: The backup is not what its manifest says.
            ArchiveCorruptError: Its archive cannot be read to the end.
            RestoreExistsError: Another restore has used the name.
            ClusterError: The target could not be read.
            RunCancelledError: *cancel* was cancelled.
        """
        from kbackup.restore._planning import make_plan  # noqa: PLC0415 - see the module

        require("name", name, str)
        require("spec", spec, RestoreSpec)
        options = given_or_new("options", options, RestoreOptions)
        return make_plan(self._session(cancel), name, spec, options)

    def check(self, plan: RestorePlan, *, cancel: CancelToken | None = None) -> None:
        """Refuse a saved plan that is not for this cluster or not of its backup any more.

        `apply` does the same before it writes; asked before, a plan is refused before it
        is shown to anybody. Nothing is written anywhere.

        Raises:
            InvalidSpecError: The plan's name or specification breaks rules.
            PlanOutdatedError: The archive, the target or the resource modifiers are not
                what the plan saw, or an action that changed an item of it is not
                installed.
            RestoreExistsError: Another restore has used the name.
            BackupNotFoundError: The backup is gone.
        """
        from kbackup.restore._pipeline import check_plan  # noqa: PLC0415 - see the module
        from kbackup.restore._plan.plan import RestorePlan  # noqa: PLC0415 - see the module

        require("plan", plan, RestorePlan)
        check_plan(self._session(cancel), plan)

    def apply(
        self, plan: RestorePlan, *, cancel: CancelToken | None = None
    ) -> RestoreResult:
        """Do exactly what *plan* says.

        An object that moved since the plan was made is left alone, and the result says
        so. A killed restore is completed by planning and applying it again under the
        same name. A plan that was saved (`RestorePlan.from_json`) is applied alike; what
        would be written differently by now is an error by name.

        Raises:
            InvalidSpecError: A saved plan's name or specification breaks rules.
            PlanOutdatedError: The archive, the target or the resource modifiers are not
                what the plan saw, or an action that changed an item of it is not
                installed.
            RunCancelledError: *cancel* was cancelled; what was written stays.
        """
        from kbackup.restore._pipeline import apply_plan  # noqa: PLC0415 - see the module
        from kbackup.restore._plan.plan import RestorePlan  # noqa: PLC0415 - see the module

        require("plan", plan, RestorePlan)
        return apply_plan(self._session(cancel), plan)

    def run(
        self,
        name: str,
        spec: RestoreSpec,
        options: RestoreOptions | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> RestoreResult:
        """Plan and apply, reading the archive once; raises what both raise.

        Blocks until the restore has ended. It is no coroutine: in asyncio or a notebook
        it is called as it is, or as ``await asyncio.to_thread(engine.run, ...)``, which
        keeps the loop free.
        """
        from kbackup.restore._pipeline import (  # noqa: PLC0415 - see the module
            run_restore,
        )

        require("name", name, str)
        require("spec", spec, RestoreSpec)
        options = given_or_new("options", options, RestoreOptions)
        return run_restore(self._session(cancel), name, spec, options)

    def compare(
        self,
        backup_name: str,
        *,
        namespaces: Sequence[str] = (),
        resources: Sequence[str] = (),
        selector: LabelSelector | None = None,
        namespace_mapping: Mapping[str, str] | None = None,
        redact: Sequence[str] = (),
        salvage: bool = False,
        cancel: CancelToken | None = None,
    ) -> Difference:
        """Tell what happened to the objects of a backup since; nothing is written.

        It tells what is there and what is not, whatever a restore would choose to do
        about it. `Difference` says what is left out. `BackupStore.diff` holds two
        backups against each other in the same way.

        Args:
            backup_name: The backup.
            namespaces: Names and globs, of the backup; none: all, and what is in none.
            resources: Types, by any name that means one; none: all.
            selector: Objects that have such labels on either side; None: all.
            namespace_mapping: What namespaces of the backup are called in the cluster:
                so a copy is held against what it was made of.
            redact: Types whose values are not shown, as those of Secrets; ``*``: all.
            salvage: Also of a backup that is damaged, as far as it can be read.
            cancel: Ends it early.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: The backup is not what its manifest says.
            ArchiveCorruptError: Its archive cannot be read to the end.
            InvalidSpecError: A name means nothing in backup and cluster.
            ClusterError: The cluster could not be read.
            RunCancelledError: *cancel* was cancelled.
        """
        from kbackup.catalog.engine import Wanted  # noqa: PLC0415 - see the module
        from kbackup.restore._comparer import (  # noqa: PLC0415 - see the module
            compare_live,
        )

        require("backup_name", backup_name, str)
        wanted = Wanted(
            namespaces=namespaces,
            resources=resources,
            selector=selector,
            namespace_mapping=namespace_mapping or {},
            redact=redact,
        )
        return compare_live(self._session(cancel), backup_name, wanted, salvage=salvage)

    def __repr__(self) -> str:
        return f"RestoreEngine({self._given.cluster!r}, {self._given.store!r})"

    def _session(self, cancel: CancelToken | None) -> Session:
        from kbackup.restore._session import Session  # noqa: PLC0415 - see the module

        cancel = given_or_new("cancel", cancel, CancelToken)
        return Session.of(self._given, cancel)
