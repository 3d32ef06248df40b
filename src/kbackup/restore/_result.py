"""How a restore ended: the last warnings, and the result of what its run collected."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import attrs

from kbackup.models import (
    HookStatus,
    ItemOperation,
    ItemOutcome,
    ObjectMeta,
    OperationPhase,
    ResourceIdentifier,
    Restore,
    RestorePhase,
    RestoreProgress,
    RestoreResult,
    RestoreSpec,
    RestoreStatus,
    Results,
    labels,
    well_known,
)
from kbackup.plugins import Run
from kbackup.restore._attempt import CREATED, RECREATED
from kbackup.restore._notices.notices import ABSENT
from kbackup.restore._owners.owners import STILL_OWNERLESS
from kbackup.restore._plan.claims import ClaimVerdict
from kbackup.restore._plan.plan import RestorePlan
from kbackup.restore._plan_entry import PlanAction
from kbackup.restore._verdicts.adoption import waits_in_vain
from kbackup.restore._writes.creating import OURS_CHANGED
from kbackup.restore._writes.updating import DONE

_QUIET = (PlanAction.UNCHANGED, PlanAction.UPDATE)  # of others the writer tells why
_NONE: Mapping[str, str] = MappingProxyType({})


def warn_at_the_end(
    plan: RestorePlan, outcomes: Sequence[ItemOutcome], run: Run
) -> None:
    """Warn by name of claims that are empty or will wait, and of what lacks something."""
    if not plan.entries:
        run.warning("nothing was selected: no item of the backup is in this restore")
    made = frozenset(x.identifier for x in outcomes if _is_made_here(x))
    _warn_of_claims(plan, made, run)
    for notice in plan.notices:
        if notice.what.endswith(ABSENT):
            for item in made.intersection(notice.items):
                run.warning(notice.what, item=item)
    for entry in plan.entries:
        if entry.action in _QUIET and STILL_OWNERLESS in entry.reason:
            run.warning(entry.reason, item=entry.target)
    for target, sentence in waits_in_vain(plan.entries, outcomes):
        run.warning(sentence, item=target)


def _warn_of_claims(
    plan: RestorePlan, made: frozenset[ResourceIdentifier], run: Run
) -> None:
    for line in plan.claims:
        if line.target not in made and line.verdict is not ClaimVerdict.MADE_BEFORE:
            continue
        if line.loses_data:
            run.warning(line.text, item=line.target)
        for problem in line.problems:
            run.warning(problem, item=line.target)


def tell_of_errors(plan: RestorePlan, run: Run) -> None:
    """Say of each item that is restored without a part of what was asked for why."""
    for entry in plan.entries:
        for error in entry.errors:
            run.error(error, item=entry.target)


def _is_made_here(outcome: ItemOutcome) -> bool:
    """Whether this restore made an object: now, or before it was run again."""
    is_made = outcome.action in (CREATED, RECREATED)
    return is_made or outcome.reason in (DONE, OURS_CHANGED)


def result_of(
    run: Run,
    spec: RestoreSpec,
    *,
    started: datetime,
    ended: datetime,
    outcomes: Sequence[ItemOutcome] = (),
    operations: Sequence[ItemOperation] = (),
    hooks: HookStatus | None = None,
    total: int = 0,
    annotations: Mapping[str, str] = _NONE,
    failed: bool = False,
) -> RestoreResult:
    """Make the result of a run.

    Args:
        run: Of the restore; it has the warnings, the errors and the costs.
        spec: What was asked for.
        started: When the run began.
        ended: When it ended.
        outcomes: What was done with each item.
        operations: What item actions began.
        hooks: How many commands in Pods there were; None: the plan has none.
        total: How many items the plan has.
        annotations: Of the record.
        failed: The run was ended before its time; nothing is on record.
    """
    results = run.results
    status = attrs.evolve(
        _status_of(operations),
        phase=_phase_of(results, failed=failed),
        warnings=len(results.warnings),
        errors=len(results.errors),
        start_timestamp=started,
        completion_timestamp=ended,
        progress=RestoreProgress(total_items=total, items_restored=len(outcomes)),
        hook_status=hooks,
    )
    return RestoreResult(
        restore=Restore(
            metadata=_metadata(run, spec, started, annotations),
            spec=spec,
            status=status,
        ),
        results=results,
        report=run.report(),
        outcomes=tuple(outcomes),
    )


def _phase_of(results: Results, *, failed: bool) -> RestorePhase:
    if failed:
        return RestorePhase.FAILED
    return RestorePhase.PARTIALLY_FAILED if results.errors else RestorePhase.COMPLETED


def _status_of(operations: Sequence[ItemOperation]) -> RestoreStatus:
    """What a status says of the operations."""
    phases = Counter(operation.status.phase for operation in operations)
    return RestoreStatus(
        restore_item_operations_attempted=len(operations),
        restore_item_operations_completed=phases[OperationPhase.COMPLETED],
        restore_item_operations_failed=phases[OperationPhase.FAILED],
    )


def _metadata(
    run: Run, spec: RestoreSpec, started: datetime, annotations: Mapping[str, str]
) -> ObjectMeta:
    return ObjectMeta(
        name=run.name,
        namespace=well_known.VELERO_NAMESPACE,
        uid=run.uid,
        creation_timestamp=started,
        labels={labels.BACKUP_NAME: spec.backup_name} if spec.backup_name else {},
        annotations=annotations,
    )
