"""What item actions began in a run: started, followed until it has ended, or given up.

Both engines let actions begin through an `Operations` and wait with it before they
publish anything. Nothing is written here: an `OperationsKeeper` keeps what was begun,
so that another process can `resume` it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import as_completed
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

import attrs

from kbackup._kits.words import first_few
from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import ActionTimeoutError, KBackupError
from kbackup.models import (
    Backup,
    BackupPhase,
    ItemOperation,
    OperationPhase,
    OperationStatus,
    ResourceIdentifier,
    Restore,
    well_known,
)
from kbackup.plugins import _operation_calls as calls
from kbackup.plugins._acting import ActingCluster, OperationsKeeper
from kbackup.plugins._action_calls import call_action
from kbackup.plugins._events import ItemsProgressed, OperationProgressed, WaitingFor
from kbackup.plugins._item_actions import (
    BackupInput,
    BackupItemAction,
    OperationInput,
    RestoreInput,
    RestoreItemAction,
)
from kbackup.plugins._operation_book import Beginning, Begun, OperationBook
from kbackup.plugins._run import Run

OPERATION_TIMEOUT = timedelta(hours=4)  # Velero's --default-item-operation-timeout

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds; Velero looks every 10
_GRACE = timedelta(seconds=10)  # for the cancels of a run that is over already
_FAULTS = 5  # of progress in a row are none that passes

_WAITING = BackupPhase.WAITING_FOR_PLUGIN_OPERATIONS  # a restore's phase is alike
_WAITING_PARTIALLY_FAILED = BackupPhase.WAITING_FOR_PLUGIN_OPERATIONS_PARTIALLY_FAILED


class Operations:
    """The operations of one run; leaving its context cancels those still open.

    `begin` may be called from several threads; everything else is for one.

    Args:
        run: Gets errors and events; its clock and cancel token count.
        cluster: Bound to the run.
        timeout: How long one operation may take; None: `OPERATION_TIMEOUT`.
        keeper: Is told of each operation that begins or ends; None: nobody is.
    """

    def __init__(
        self,
        run: Run,
        cluster: ActingCluster,
        timeout: timedelta | None,
        keeper: OperationsKeeper | None = None,
    ) -> None:
        self._run = run
        self._cluster = cluster
        self._timeout = timeout or OPERATION_TIMEOUT
        self._keeper = keeper
        self._book = OperationBook()

    @property
    def records(self) -> tuple[ItemOperation, ...]:
        """What was begun, as it is now, in the order of items."""
        return self._book.records

    # --- begin ------------------------------------------------------------------------

    def begin(
        self,
        action: BackupItemAction | RestoreItemAction,
        given: BackupInput | RestoreInput,
        item: ResourceIdentifier,
        *,
        post_operation_items: tuple[ResourceIdentifier, ...] = (),
        hide: bool = False,
    ) -> None:
        """Let an action act on one item; whatever goes wrong is an error of both.

        What it began for the item in an earlier process of the run, and what did not
        fail there, is not begun again.

        Args:
            action: Whose `execute` wanted it.
            given: What it is given.
            item: What errors and records name.
            post_operation_items: What `execute` wants to be stored again.
            hide: Nothing is told that might quote the item, as of a Secret.

        Raises:
            Cancelled: The run is to stop.
            StoreError: It has begun and cannot be kept.
        """
        if self._book.goes_on(action.name, item):
            return
        run, writer = self._run, self._cluster.writer()
        hide = hide or well_known.is_secret(item.group_resource)
        again = post_operation_items
        one = Beginning(action=action, given=given, item=item, again=again, hide=hide)
        self._book.begin(one)
        try:
            call = partial(calls.begin, action, given, writer)
            call = partial(calls.keep, one.outcome, call)
            operation = call_action(run, action.name, item, call, hide=hide)
        except KBackupError as exc:
            self._book.settle(one, None)
            self._tell_no_beginning(one, exc)
        except Cancelled:
            if one.outcome.cancel():  # it was not called yet, and will not be
                self._book.settle(one, None)
            raise
        else:
            begun = self._settle(one, operation)
            if begun is not None and self._keeper is not None:
                self._keeper.keep(begun.operation)
        finally:
            writer.revoke()

    def _tell_no_beginning(self, one: Beginning, exc: KBackupError) -> None:
        message = f"could not begin: {exc}"
        if isinstance(exc, ActionTimeoutError):
            message += "; what it began may go on"
        self._run.error(message, item=one.item, plugin=one.action.name)

    def resume(
        self,
        operations: Iterable[ItemOperation],
        actions: Mapping[str, Any],
        *,
        backup: Backup,
        restore: Restore | None = None,
        hide: bool = False,
    ) -> None:
        """Take over what an earlier process of the run began; its time goes on.

        Args:
            operations: As they were kept; `follow` tells those that failed once more.
            actions: By name: all that began one of them.
            backup: The backup that runs or is restored.
            restore: The restore, where it is one.
            hide: As for `begin`, of all of them.
        """
        for operation in operations:
            spec = operation.spec
            item = spec.resource_identifier.identifier
            begun = Begun(
                action=actions[spec.backup_item_action or spec.restore_item_action],
                item=item,
                backup=backup,
                restore=restore,
                operation=operation,
                deadline=self._run.deadline(self._left(operation)),
                hide=hide or well_known.is_secret(item.group_resource),
            )
            self._book.recall(begun)

    def _left(self, operation: ItemOperation) -> timedelta:
        """Return what is left of an operation's time, whatever other clocks say."""
        now = self._run.clock.now()
        left = self._timeout - (now - (operation.status.created or now))
        return min(max(left, timedelta()), self._timeout)

    def _settle(self, one: Beginning, operation: ItemOperation | None) -> Begun | None:
        """Book what was begun and tell it; None: nothing was, or it is booked already."""
        begun = self._filled(one, operation) if operation is not None else None
        if not self._book.settle(one, begun) or begun is None:
            return None
        self._tell(begun)
        return begun

    def _filled(self, one: Beginning, operation: ItemOperation) -> Begun:
        """Return an operation to follow; all but its id is for the run to say."""
        run, given = self._run, one.given
        late = (each.identifier for each in operation.spec.post_operation_items)
        filled: dict[str, Any] = {
            f"{run.kind}_name": run.name,
            f"{run.kind}_uid": run.uid,
            f"{run.kind}_item_action": one.action.name,
            "resource_identifier": one.item,
            "post_operation_items": sorted({*one.again, *late}),
        }
        now = run.clock.now()
        started = ItemOperation(
            spec=attrs.evolve(operation.spec, **filled),
            status=OperationStatus(phase=OperationPhase.NEW, created=now),
        )
        return Begun(
            action=one.action,
            item=one.item,
            backup=given.backup,
            restore=given.restore if isinstance(given, RestoreInput) else None,
            operation=started,
            deadline=run.deadline(self._timeout),
            hide=one.hide,
        )

    # --- follow -----------------------------------------------------------------------

    def follow(self) -> None:
        """Wait until every operation has ended or its time is over.

        Raises:
            Cancelled: The run is to stop.
            KBackupError: Another process follows them now.
        """
        for each in self._book.failed_before:
            self._tell_failure(each)
        if not self._book.open:
            return
        failed = bool(self._run.results.errors)
        phase = _WAITING_PARTIALLY_FAILED if failed else _WAITING
        with self._run.phase(str(phase), total=len(self._book)):
            self._poll()

    def _poll(self) -> None:
        """Ask each one, then pause: longer and longer while none of them ends."""
        run, pause, total = self._run, _FIRST_PAUSE, len(self._book)
        waiting, told = self._book.open, total + 1
        while waiting:
            if len(waiting) < told:
                told = len(waiting)
                run.emit(ItemsProgressed(done=total - told, total=total))
            self._tell_wait(waiting)
            if self._keeper is not None:
                self._keeper.check()
            for each in waiting:
                self._look_after(each)
            left = self._book.open
            if left:
                pause = _FIRST_PAUSE if len(left) < len(waiting) else pause
                until = min(each.deadline for each in left) - run.clock.monotonic()
                run.cancel.wait(max(0.0, min(pause, until)))
                pause = min(pause * 2, _LONGEST_PAUSE)
            waiting = left

    def _tell_wait(self, waiting: list[Begun]) -> None:
        """Say in every round what is waited for, and when that will be given up."""
        texts = [f"operation {each.id} of {each.item}" for each in waiting]
        left = max(each.deadline for each in waiting) - self._run.clock.monotonic()
        self._run.emit(
            WaitingFor(what=first_few(texts, 1), seconds_left=max(left, 0.0))
        )

    def _look_after(self, begun: Begun) -> None:
        """Ask for one operation's progress; end it where that cannot go on."""
        run, name = self._run, begun.action.name
        given = self._input(begun, self._cluster)
        try:
            call = partial(calls.progress, begun.action, given, hide=begun.hide)
            status = call_action(run, name, begun.item, call, hide=begun.hide)
        except KBackupError as exc:
            self._bear(begun, str(exc))
            return
        begun.faults = 0
        self._learn(begun, status)
        if begun.is_open and self._is_overdue(begun):
            self._give_up(begun, f"not done within {self._timeout.total_seconds():g} s")

    def _bear(self, begun: Begun, text: str) -> None:
        """Take a fault of progress for one that passes, unless it cannot be one."""
        run, name = self._run, begun.action.name
        begun.faults += 1
        lasts = begun.faults >= _FAULTS or name in run.stuck
        if lasts or self._is_overdue(begun):
            self._give_up(begun, text)
        else:
            run.logger.warning("operation %s is asked for again: %s", begun.id, text)

    def _is_overdue(self, begun: Begun) -> bool:
        return self._run.clock.monotonic() >= begun.deadline

    def _give_up(self, begun: Begun, text: str) -> None:
        """Stop an operation that may well go on, and end it badly."""
        self._cancel(begun, self._cluster, self._run.cancel)
        self._fail(begun, text)

    def _learn(self, begun: Begun, status: OperationStatus) -> None:
        if status.phase is OperationPhase.FAILED:
            self._fail(begun, status.error, status)
        elif status != begun.operation.status:
            begun.operation = attrs.evolve(begun.operation, status=status)
            self._keep_ended(begun)
            self._tell(begun)

    def _keep_ended(self, begun: Begun) -> None:
        if self._keeper is not None and not begun.is_open:
            self._keeper.keep(begun.operation)

    def _fail(
        self, begun: Begun, text: str, status: OperationStatus | None = None
    ) -> None:
        """End an operation badly."""
        status = status or begun.operation.status
        status = attrs.evolve(status, phase=OperationPhase.FAILED, error=text)
        begun.operation = attrs.evolve(begun.operation, status=status)
        self._tell_failure(begun)
        self._keep_ended(begun)
        self._tell(begun)

    def _tell_failure(self, begun: Begun) -> None:
        self._run.error(
            f"operation {begun.id} failed: {begun.operation.status.error}",
            item=begun.item,
            plugin=begun.action.name,
        )

    def _tell(self, begun: Begun) -> None:
        status = begun.operation.status
        self._run.emit(
            OperationProgressed(
                identifier=begun.item,
                action=begun.action.name,
                operation_id=begun.id,
                phase=status.phase or OperationPhase.NEW,
                n_completed=status.n_completed,
                n_total=status.n_total,
                units=status.operation_units,
                description=status.description,
            )
        )

    # --- give up ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what is still open: nobody will ask about it any more."""
        if not self._is_ours():
            return
        until = time.monotonic() + _GRACE.total_seconds()
        token = CancelToken().after(_GRACE)  # the run's own may be cancelled
        late = {one.outcome: one for one in self._book.beginning}
        self._cancel_open(token)
        with suppress(TimeoutError):
            for outcome in as_completed(late, max(0.0, until - time.monotonic())):
                if outcome.exception() is None:
                    self._settle(late[outcome], outcome.result())
                    self._cancel_open(token)
        for one in self._book.beginning:
            self._book.settle(one, None)
            self._run.warning(
                "begin was left behind; what it began may go on",
                item=one.item,
                plugin=one.action.name,
            )

    def _is_ours(self) -> bool:
        """Tell whether nobody else follows what is open: it would be cancelled there."""
        if self._keeper is None or not (self._book.open or self._book.beginning):
            return True
        try:
            self._keeper.check()
        except KBackupError:
            return False
        return True

    def _cancel_open(self, token: CancelToken) -> None:
        cluster = self._cluster.for_run(token)
        for each in self._book.open:
            try:
                self._cancel(each, cluster, token)
            except Cancelled as late:  # the grace is over
                self._warn_uncancelled(each, late)
            self._fail(each, "the run ended before it")

    def _cancel(self, begun: Begun, cluster: ActingCluster, token: CancelToken) -> None:
        """Ask the action to stop an operation; that it cannot is a warning."""
        run, name, writer = self._run, begun.action.name, cluster.writer()
        given = self._input(begun, cluster)
        try:
            call = partial(calls.cancel, begun.action, given, writer)
            call_action(run, name, begun.item, call, hide=begun.hide, cancel=token)
        except KBackupError as exc:
            self._warn_uncancelled(begun, exc)
        finally:
            writer.revoke()

    def _warn_uncancelled(self, begun: Begun, exc: BaseException) -> None:
        text = str(exc)
        message = f"operation {begun.id} was not cancelled and may go on: {text}"
        self._run.warning(message, item=begun.item, plugin=begun.action.name)

    def _input(self, begun: Begun, cluster: ActingCluster) -> OperationInput:
        return OperationInput(
            operation=begun.operation,
            cluster=cluster.reader(),
            logger=self._run.logger,
            backup=begun.backup,
            restore=begun.restore,
            run=self._run,
        )
