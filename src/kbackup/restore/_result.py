"""What a restore ended with, made of what its run collected."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from kbackup.models import (
    ItemOperation,
    ItemOutcome,
    ObjectMeta,
    OperationPhase,
    Restore,
    RestorePhase,
    RestoreProgress,
    RestoreResult,
    RestoreSpec,
    RestoreStatus,
    labels,
    well_known,
)
from kbackup.plugins import Run

_NONE: Mapping[str, str] = MappingProxyType({})


def result_of(
    run: Run,
    spec: RestoreSpec,
    *,
    started: datetime,
    ended: datetime,
    outcomes: Sequence[ItemOutcome] = (),
    operations: Sequence[ItemOperation] = (),
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
        total: How many items the plan has.
        annotations: Of the record.
        failed: The run was ended before its time; nothing is on record.
    """
    results = run.results
    phases = Counter(operation.status.phase for operation in operations)
    phase = RestorePhase.PARTIALLY_FAILED if results.errors else RestorePhase.COMPLETED
    status = RestoreStatus(
        phase=RestorePhase.FAILED if failed else phase,
        warnings=len(results.warnings),
        errors=len(results.errors),
        start_timestamp=started,
        completion_timestamp=ended,
        progress=RestoreProgress(total_items=total, items_restored=len(outcomes)),
        restore_item_operations_attempted=len(operations),
        restore_item_operations_completed=phases[OperationPhase.COMPLETED],
        restore_item_operations_failed=phases[OperationPhase.FAILED],
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
