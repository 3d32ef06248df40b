"""Item actions, run where a hanging one does no harm.

The item backupper hands over batches of items; a daemon worker runs each item's actions
in order, and the calling thread watches the time of the one that runs. An action that
does not come back costs its item, is not called again in the run, and whatever it
returns later is thrown away.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.backup._items import Candidate
from kbackup.errors import ActionError, ActionTimeoutError, PluginError
from kbackup.models import Backup, ResourceIdentifier
from kbackup.plugins import (
    BackupInput,
    BackupItemAction,
    BackupOutput,
    ClusterReader,
    Run,
)
from kbackup.plugins.engine import ActionIndex, execute_action, is_built_in

_LOOK_EVERY = 0.2  # seconds: how late a cancel or an overdue action may be seen


@attrs.frozen(kw_only=True)
class ActionCall:
    """One item and the actions that want it."""

    identifier: ResourceIdentifier
    item: Mapping[str, Any]
    actions: tuple[BackupItemAction, ...]


@attrs.define(kw_only=True)
class ActionOutcome:
    """What the actions of one item came to.

    Attributes:
        item: To be stored; the very mapping given where nothing changed.
        additional: What else is wanted, each with whether the filters do not count, and
            the action that asks for it.
        changed_by: The last action that returned another one; empty: none did.
        asked: The actions of others that were asked: each may have changed the item in
            place, which it must not.
        skip: Why it is not to be stored; empty: it is.
        error: What an action failed with; the item is then not stored.
        begins: Actions that want to act once it is stored, each with what it wants to
            be stored again afterwards.
    """

    item: Mapping[str, Any]
    changed_by: str = ""
    asked: tuple[str, ...] = ()
    additional: list[tuple[ResourceIdentifier, bool, str]] = attrs.field(factory=list)
    skip: str = ""
    error: PluginError | None = None
    begins: list[tuple[BackupItemAction, tuple[ResourceIdentifier, ...]]] = attrs.field(
        factory=list
    )


class _Batch:
    """What one worker is busy with; the watching thread reads it without a lock."""

    def __init__(self, calls: Sequence[ActionCall]) -> None:
        self.calls = calls
        self.done: list[ActionOutcome] = []
        self.abandoned = False
        self.since = time.monotonic()
        self.action = ""


class ActionRunner:
    """Runs the item actions of one run; used by one thread at a time.

    Attributes:
        passed_over: By action, how many items it was not called for after it hung.
    """

    def __init__(self, run: Run, backup: Backup, cluster: ClusterReader) -> None:
        self._run = run
        self._backup = backup
        self._cluster = cluster
        self._limit = run.settings.action_timeout.total_seconds()
        self._pool: WorkerPool | None = None
        self.passed_over: Counter[str] = Counter()

    def execute(self, calls: Sequence[ActionCall]) -> list[ActionOutcome]:
        """Run the actions of each call's item; the outcomes are in the same order.

        Raises:
            Cancelled: The run is to stop; a running action is left behind.
        """
        outcomes: list[ActionOutcome] = []
        while len(outcomes) < len(calls):
            outcomes += self._until_hung(calls[len(outcomes) :])
        return outcomes

    def close(self) -> None:
        """Let the worker end; one that hangs is a daemon and keeps nothing alive."""
        if self._pool is not None:
            self._pool.close(wait=False)
            self._pool = None

    def _until_hung(self, calls: Sequence[ActionCall]) -> list[ActionOutcome]:
        """Return the outcomes up to the first action that did not come back."""
        if self._pool is None:
            self._pool = WorkerPool(1, f"kbackup-actions-{self._run.uid[:8]}")
        batch = _Batch(calls)
        future = self._pool.submit(self._work, batch)
        while True:
            with suppress(TimeoutError):
                future.result(timeout=_LOOK_EVERY)
            if future.done():
                future.result()
                return batch.done
            self._check_cancel(batch)
            position = len(batch.done)  # read before its time: never blame the next
            if time.monotonic() - batch.since >= self._limit:
                return self._abandon(batch, position)

    def _check_cancel(self, batch: _Batch) -> None:
        if self._run.cancel.cancelled:
            batch.abandoned = True
            self.close()
            self._run.cancel.check()

    def _abandon(self, batch: _Batch, position: int) -> list[ActionOutcome]:
        """Give up on the item at *position*; a fresh worker takes over after it."""
        batch.abandoned = True
        self.close()
        done = batch.done[:position]  # what the late worker still adds is not ours
        name = batch.action
        self._run.stuck.add(name)
        self._run.spent(name, time.monotonic() - batch.since)
        call = batch.calls[position]
        error = ActionTimeoutError(name, str(call.identifier), self._limit)
        return [*done, ActionOutcome(item=call.item, error=error)]

    def _work(self, batch: _Batch) -> None:
        for call in batch.calls:
            outcome = self._chain(batch, call)
            if batch.abandoned:
                return
            batch.done.append(outcome)

    def _chain(self, batch: _Batch, call: ActionCall) -> ActionOutcome:
        """Run one item's actions, each on what the one before returned."""
        outcome = ActionOutcome(item=call.item)
        for action in call.actions:
            if action.name in self._run.stuck:
                self.passed_over[action.name] += 1
                continue
            batch.action, batch.since = action.name, time.monotonic()
            if not is_built_in(action):
                outcome.asked += (action.name,)
            try:
                given = self.given(call.identifier, outcome.item)
                output = execute_action(self._run, action, given, apart=False)
            except ActionError as exc:
                outcome.error = exc
            else:
                _take(outcome, action, output)
            if outcome.error is not None or outcome.skip or batch.abandoned:
                break
        batch.since = time.monotonic()
        return outcome

    def given(
        self, identifier: ResourceIdentifier, item: Mapping[str, Any]
    ) -> BackupInput:
        """Return what an action is given about an item."""
        return BackupInput(
            item=item,
            identifier=identifier,
            backup=self._backup,
            cluster=self._cluster,
            logger=self._run.logger,
            run=self._run,
        )


class ActionRunners:
    """Runners for the threads of one run: each is used by one of them at a time.

    Attributes:
        main: The first one.
    """

    def __init__(
        self,
        run: Run,
        backup: Backup,
        cluster: ClusterReader,
        actions: ActionIndex[BackupItemAction],
    ) -> None:
        self._make = partial(ActionRunner, run, backup, cluster)
        self._actions = actions
        self.main = self._make()
        self._all = [self.main]
        self._idle = [self.main]

    @property
    def passed_over(self) -> Counter[str]:
        """By action, how many items it was not called for after it hung."""
        return sum((each.passed_over for each in self._all), Counter[str]())

    def outcomes(self, batch: Sequence[Candidate]) -> list[ActionOutcome]:
        """Run the actions of a batch; return what came of each item.

        Raises:
            Cancelled: The run is to stop; a running action is left behind.
        """
        calls = [
            ActionCall(
                identifier=candidate.identifier,
                item=candidate.item,
                actions=self._actions_for(candidate),
            )
            for candidate in batch
        ]
        outcomes: Iterator[ActionOutcome] = iter(())
        if with_actions := [call for call in calls if call.actions]:
            with self._one() as runner:
                outcomes = iter(runner.execute(with_actions))
        return [
            next(outcomes) if call.actions else ActionOutcome(item=call.item)
            for call in calls
        ]

    def _actions_for(self, candidate: Candidate) -> tuple[BackupItemAction, ...]:
        identifier = candidate.identifier
        return tuple(
            resolved.action
            for resolved in self._actions.for_type(identifier.group_resource)
            if resolved.wants(identifier.namespace, candidate.labels)
        )

    @contextmanager
    def _one(self) -> Iterator[ActionRunner]:
        """Lend a runner that nobody else has meanwhile."""
        try:
            runner = self._idle.pop()
        except IndexError:
            runner = self._make()
            self._all.append(runner)
        try:
            yield runner
        finally:
            self._idle.append(runner)

    def close(self) -> None:
        """Let the workers of all runners end."""
        for runner in self._all:
            runner.close()


def _take(
    outcome: ActionOutcome, action: BackupItemAction, output: BackupOutput
) -> None:
    """Add one action's output to the outcome of the item."""
    if output.item is not outcome.item:
        outcome.item, outcome.changed_by = output.item, action.name
    outcome.skip = output.skip
    outcome.additional += [
        (identifier, output.must_include_additional_items, action.name)
        for identifier in output.additional_items
    ]
    if output.wants_begin:
        outcome.begins.append((action, output.post_operation_items))
