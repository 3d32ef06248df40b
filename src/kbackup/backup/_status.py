"""From what was stored to the final record. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import attrs

from kbackup.backup._ledger import Ledger
from kbackup.models import (
    Backup,
    BackupPhase,
    ItemOperation,
    OperationPhase,
    Progress,
    Results,
)


def finished_record(
    record: Backup,
    ledger: Ledger,
    results: Results,
    now: datetime,
    *,
    operations: Sequence[ItemOperation] = (),
) -> Backup:
    """Return the record of a run that reached its end.

    Anything that was lost makes it PartiallyFailed. Items stored and items met agree
    unless something failed, as Velero has it: what was left out on purpose is not met.
    The spec's excludes grow by the namespaces that a label kept out, as Velero's do.
    """
    excluded = record.spec.excluded_namespaces
    labelled = sorted(ledger.excluded_namespaces - set(excluded))
    spec = attrs.evolve(record.spec, excluded_namespaces=(*excluded, *labelled))
    failed = sum(len(page.failed) for page in ledger.types())
    ended = Counter(operation.status.phase for operation in operations)
    status = attrs.evolve(
        record.status,
        phase=BackupPhase.PARTIALLY_FAILED if results.errors else BackupPhase.COMPLETED,
        completion_timestamp=now,
        warnings=len(results.warnings),
        errors=len(results.errors),
        progress=Progress(
            total_items=ledger.items + failed, items_backed_up=ledger.items
        ),
        hook_status=ledger.hook_status,
        backup_item_operations_attempted=len(operations),
        backup_item_operations_completed=ended[OperationPhase.COMPLETED],
        backup_item_operations_failed=ended[OperationPhase.FAILED],
    )
    return attrs.evolve(record, spec=spec, status=status)


def failed_record(record: Backup, reason: str, results: Results) -> Backup:
    """Return the record of a run that published nothing; it is never stored."""
    status = attrs.evolve(
        record.status,
        phase=BackupPhase.FAILED,
        failure_reason=reason,
        warnings=len(results.warnings),
        errors=len(results.errors),
    )
    return attrs.evolve(record, status=status)
