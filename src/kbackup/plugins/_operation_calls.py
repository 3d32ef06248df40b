"""What an action is called for about its operations, with what it returns checked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import attrs

from kbackup._kits.workers import Cancelled
from kbackup.models import (
    ItemOperation,
    OperationPhase,
    OperationProgress,
    OperationStatus,
    dump_json,
)
from kbackup.plugins._action_outputs import WrongAnswerError
from kbackup.plugins._interfaces import ClusterWriter
from kbackup.plugins._item_actions import BackupInput, OperationInput, RestoreInput

T = TypeVar("T")

_UNTOLD = "its action says why in words that may quote the item"


def keep(outcome: Future[T], call: Callable[[], T]) -> T:
    """Call for somebody who may be gone by then: the future has the outcome as well."""
    if not outcome.set_running_or_notify_cancel():
        raise Cancelled("nobody wants it any more")
    try:
        result = call()
    except BaseException as exc:
        outcome.set_exception(exc)
        raise
    outcome.set_result(result)
    return result


def begin(
    action: Any,
    given: BackupInput | RestoreInput,
    writer: ClusterWriter,
) -> ItemOperation | None:
    """Let an action begin; what it returns can be followed and kept in a file."""
    operation = _method(action, "begin")(given, writer)
    if operation is None:
        return None
    if not isinstance(operation, ItemOperation):
        kind = type(operation).__name__
        raise WrongAnswerError(f"begin returned a {kind}, not an ItemOperation")
    if not operation.spec.operation_id:
        raise WrongAnswerError("begin returned an operation without an id")
    dump_json(operation)  # what no file can hold would cost the record of all
    return operation


def progress(action: Any, given: OperationInput, *, hide: bool) -> OperationStatus:
    """Return the status of an operation, as far as it is now.

    With *hide* without the words of the action: they may quote the item.
    """
    answer = _method(action, "progress")(given)
    if not isinstance(answer, OperationProgress):
        kind = type(answer).__name__
        raise WrongAnswerError(f"progress returned a {kind}, not an OperationProgress")
    status = _advanced(given.operation.status, answer)
    if hide:
        told = _UNTOLD if status.error else ""
        status = attrs.evolve(status, error=told, description="")
    dump_json(status)
    return status


def cancel(
    action: Any,
    given: OperationInput,
    writer: ClusterWriter,
) -> None:
    """Let an action stop an operation."""
    _method(action, "cancel")(given, writer)


def _method(action: Any, name: str) -> Any:
    method = getattr(action, name, None)
    if method is None:
        raise WrongAnswerError(f"it has no method {name}")
    return method


def _advanced(known: OperationStatus, progress: OperationProgress) -> OperationStatus:
    """Return the status that an answer means; nothing goes back to New."""
    phase = known.phase
    if progress.completed:
        failed = bool(progress.error)
        phase = OperationPhase.FAILED if failed else OperationPhase.COMPLETED
    elif progress.started or progress.n_completed:
        phase = OperationPhase.IN_PROGRESS
    return attrs.evolve(
        known,
        phase=phase,
        error=progress.error if progress.completed else "",
        n_completed=progress.n_completed,
        n_total=progress.n_total,
        operation_units=progress.operation_units,
        description=progress.description,
        started=progress.started or known.started,
        updated=progress.updated or known.updated,
    )
