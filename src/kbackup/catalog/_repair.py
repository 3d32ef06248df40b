"""Carrying out a repair: step by step, each looked at once more before it is done.

A step that fails, or that was overtaken by somebody else, keeps no other from being
done. Whatever is broken off is found again by the next plan.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from itertools import groupby
from typing import Any

import attrs

from kbackup._kits.clock import Clock
from kbackup.catalog._claim import BackupClaim, NameClaim, RestoreClaim
from kbackup.catalog._claim_record import RESTORES, read_claims
from kbackup.catalog._copies import expected_digests
from kbackup.catalog._publish import sweep
from kbackup.catalog._repair_plan import (
    RepairKind,
    RepairPlan,
    RepairStep,
    in_lines,
    is_leftover,
    is_log_alone,
    is_safe,
    newest_of,
)
from kbackup.catalog._restores import delete_restore, is_half_deleted
from kbackup.catalog._trust import read_manifest, read_record
from kbackup.errors import (
    BackupError,
    BackupInProgressError,
    KBackupError,
    RestoreInProgressError,
)
from kbackup.plugins import ObjectStore
from kbackup.stores import BackupFiles, RepairableStore, TidyStore, layout

_IN_PROGRESS = (BackupInProgressError, RestoreInProgressError)


class RepairResult(StrEnum):
    """How a step ended."""

    DONE = "done"
    SKIPPED = "skipped"  # it is not as it was when it was planned
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class RepairOutcome:
    """What became of one step.

    Attributes:
        message: Why it was not done; empty: it was.
    """

    step: RepairStep
    result: RepairResult
    message: str = ""

    def __str__(self) -> str:
        why = f": {self.message}" if self.message else ""
        return f"{self.result}: {self.step}{why}"

    def to_json(self) -> dict[str, str]:
        """Return what a document tells of it: the step, and how it ended."""
        ended = {"result": str(self.result), "message": self.message}
        return {**self.step.to_json(), **ended}


@attrs.frozen(kw_only=True)
class RepairReport:
    """What a repair did; text says it.

    Attributes:
        outcomes: One for each step of the plan, in the order in which they were done.
        damage: What cannot be repaired, as the plan says it.
        left: What was left alone, likewise.
    """

    outcomes: tuple[RepairOutcome, ...] = ()
    damage: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing is left that is damaged."""
        failed = any(each.result is RepairResult.FAILED for each in self.outcomes)
        return not failed and not self.damage

    def __str__(self) -> str:
        return in_lines(self.outcomes, self.damage, self.left)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a document."""
        return {
            "outcomes": [each.to_json() for each in self.outcomes],
            "damage": list(self.damage),
            "left": list(self.left),
        }


class _OvertakenError(Exception):
    """What was planned is not so any more."""


class Repairer:
    """Carries out one plan."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._acts: Mapping[RepairKind, Callable[[RepairStep], None]] = {
            RepairKind.APPLY_DELETION: self._apply_deletion,
            RepairKind.DISCARD: self._discard,
            RepairKind.SWEEP: self._sweep,
            RepairKind.FREE: self._free,
            RepairKind.REMOVE: self._remove,
            RepairKind.COPY: self._copy,
        }

    def run(self, plan: RepairPlan) -> Iterator[RepairOutcome]:
        """Do the steps and yield what became of each."""
        # Deletions are applied ahead of every copy, or the deleted would come back.
        order = list(RepairKind)
        steps = sorted(plan.steps, key=lambda step: order.index(step.kind))
        for (kind, name), grouped in groupby(steps, key=_kind_and_backup):
            group = iter(list(grouped))  # what it yields, no handler yields again
            if kind is not RepairKind.COPY or not name:
                yield from map(self._do, group)
                continue
            try:  # while the claim is ours nobody deletes what is copied
                with self._claim(name):
                    yield from map(self._do, group)
            except BackupInProgressError as exc:
                yield from (_ended(step, RepairResult.SKIPPED, exc) for step in group)
            except KBackupError as exc:
                yield from (_ended(step, RepairResult.FAILED, exc) for step in group)

    def _do(self, step: RepairStep) -> RepairOutcome:
        try:
            self._acts[step.kind](step)
        except (_OvertakenError, *_IN_PROGRESS) as exc:
            return _ended(step, RepairResult.SKIPPED, exc)
        except KBackupError as exc:
            return _ended(step, RepairResult.FAILED, exc)
        return RepairOutcome(step=step, result=RepairResult.DONE)

    # --- the acts ---------------------------------------------------------------------

    def _apply_deletion(self, step: RepairStep) -> None:
        del step  # all of them at once; for the others nothing is left to do
        if isinstance(self._store, RepairableStore):
            self._store.apply_deletions()

    def _discard(self, step: RepairStep) -> None:
        if step.write is not None and isinstance(self._store, TidyStore):
            self._store.discard(step.write)

    def _sweep(self, step: RepairStep) -> None:
        if name := layout.restore_of(step.key):
            self._sweep_restore(name)
            return
        name = layout.backup_of(step.key)
        with self._claim(name):
            objects = {i.key: i for i in self._store.list(BackupFiles(name).directory)}
            if not objects:
                return  # an earlier repair was broken off just here
            newest = newest_of(objects.values())
            if (
                not is_leftover(name, objects)
                or is_log_alone(name, objects)
                or not is_safe(newest, self._clock.now())
            ):
                raise _OvertakenError("it was written to in the meantime")
            sweep(self._store, name)

    def _sweep_restore(self, name: str) -> None:
        claims = read_claims(self._store, RESTORES, name.__eq__)
        if not any(claims) or not is_half_deleted(self._store, name):
            raise _OvertakenError("it was deleted, or completed, in the meantime")
        delete_restore(self._store, name, clock=self._clock)

    def _free(self, step: RepairStep) -> None:
        if step.key.startswith(layout.RESTORE_CLAIMS):
            held = self._claim(
                step.key.removeprefix(layout.RESTORE_CLAIMS), RestoreClaim
            )
        else:
            held = self._claim(step.key.removeprefix(layout.CLAIMS))
        with held:
            return  # ours for a moment, then nobody's

    def _remove(self, step: RepairStep) -> None:
        for info in list(self._store.list(step.key)):
            if not is_safe(info.modified, self._clock.now()):
                raise _OvertakenError("it was written to in the meantime")
            self._store.delete(info.key)

    def _copy(self, step: RepairStep) -> None:
        if step.digest is None or not isinstance(self._store, RepairableStore):
            return
        if (name := layout.backup_of(step.key)) and self._is_other(name, step):
            raise _OvertakenError("the backup is another one now")
        if not self._store.make_copy(step.key, step.digest, step.path):
            raise _OvertakenError("it was deleted, or copied already")

    # --- inside -----------------------------------------------------------------------

    def _is_other(self, name: str, step: RepairStep) -> bool:
        """Tell whether the object is not to be what was planned any more."""
        try:
            record = read_record(self._store, name)
            manifest = read_manifest(self._store, record)
        except BackupError:
            return True
        if manifest is None:
            return False
        return expected_digests(record, manifest).get(step.key) != step.digest

    @contextmanager
    def _claim(self, name: str, kind: type[NameClaim] = BackupClaim) -> Iterator[None]:
        """Hold the name as a run does, and leave no stale claim on it behind.

        Raises:
            BackupInProgressError: A run that lives holds it; for a restore's name
                `RestoreInProgressError`.
        """
        claim = kind(self._store, name, run_uid=str(uuid.uuid4()), clock=self._clock)
        with _acquired(claim):
            yield
            now = self._clock.now()
            for key, record in list(read_claims(self._store, kind.of, name.__eq__)):
                if record.run != claim.run_uid and record.is_stale(now):
                    self._store.delete(key)


def _acquired(claim: NameClaim) -> NameClaim:
    try:
        return claim.acquire()
    except _IN_PROGRESS:  # a take-over that was broken off is cleared by that
        return claim.acquire()


def _kind_and_backup(step: RepairStep) -> tuple[RepairKind, str]:
    return step.kind, layout.backup_of(step.key)


def _ended(step: RepairStep, result: RepairResult, exc: BaseException) -> RepairOutcome:
    return RepairOutcome(step=step, result=result, message=str(exc))
