"""The books of a run's operations: what is being begun, what has begun, what was recalled.

`Operations` keeps them from all its threads, and decides nothing here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import attrs

from kbackup.models import (
    Backup,
    ItemOperation,
    OperationPhase,
    ResourceIdentifier,
    Restore,
)
from kbackup.plugins._item_actions import BackupInput, RestoreInput

_ENDED = (OperationPhase.COMPLETED, OperationPhase.FAILED)


@attrs.define(eq=False, kw_only=True)
class Begun:
    """One operation; the run follows it while it is open.

    Attributes:
        deadline: On the run's monotonic clock.
        hide: Nothing is told that might quote the item.
        faults: Of progress, in a row.
    """

    action: Any
    item: ResourceIdentifier
    backup: Backup
    restore: Restore | None
    operation: ItemOperation
    deadline: float
    hide: bool
    faults: int = 0

    @property
    def id(self) -> str:
        """As the action names it."""
        return self.operation.spec.operation_id

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.operation.status.phase not in _ENDED

    @property
    def has_failed(self) -> bool:
        """Whether it ended badly."""
        return self.operation.status.phase is OperationPhase.FAILED


@attrs.define(eq=False, kw_only=True)
class Beginning:
    """One call of begin, until it is known what it began.

    Attributes:
        again: What is to be stored again once the operation has ended.
        hide: Nothing is told that might quote the item.
        outcome: What the call returns, also after nobody waits for it any more.
    """

    action: Any
    given: BackupInput | RestoreInput
    item: ResourceIdentifier
    again: tuple[ResourceIdentifier, ...]
    hide: bool
    outcome: Future[ItemOperation | None] = attrs.field(factory=Future)


class OperationBook:
    """What one run began; any thread may write it."""

    def __init__(self) -> None:
        self._begun: list[Begun] = []
        self._beginning: list[Beginning] = []
        self._recalled: dict[tuple[str, ResourceIdentifier], Begun] = {}
        self._lock = threading.Lock()  # of all three

    def __len__(self) -> int:
        return len(self._begun)

    @property
    def records(self) -> tuple[ItemOperation, ...]:
        """What was begun, as it is now, in the order of items."""
        ordered = sorted(self._begun, key=lambda each: (each.item, each.id))
        return tuple(each.operation for each in ordered)

    @property
    def open(self) -> list[Begun]:
        """What has begun and not ended."""
        return [each for each in self._begun if each.is_open]

    @property
    def beginning(self) -> Sequence[Beginning]:
        """The calls of begin that are not settled."""
        return tuple(self._beginning)

    @property
    def failed_before(self) -> list[Begun]:
        """What was recalled as failed, and not begun again since."""
        return [each for each in self._recalled.values() if each.has_failed]

    def begin(self, one: Beginning) -> None:
        """Note a call of begin before it is made."""
        with self._lock:
            self._beginning.append(one)

    def settle(self, one: Beginning, begun: Begun | None) -> bool:
        """Note what a call of begin led to, unless that is noted already.

        Returns:
            Whether *begun* is in the books by this.
        """
        with self._lock:
            if one not in self._beginning:
                return False
            self._beginning.remove(one)
            if begun is not None:
                self._begun.append(begun)
        return begun is not None

    def recall(self, begun: Begun) -> None:
        """Take over what an earlier process of the run began."""
        with self._lock:
            self._begun.append(begun)
            self._recalled[begun.action.name, begun.item] = begun

    def goes_on(self, action: str, item: ResourceIdentifier) -> bool:
        """Tell whether an action has begun for an item; forget that where it failed."""
        with self._lock:
            known = self._recalled.get((action, item))
            if known is None or not known.has_failed:
                return known is not None
            del self._recalled[action, item]
            self._begun.remove(known)
            return False
