"""The door to the backup engine: what a cluster holds, into a store.

What `BackupEngine.plan` returns is loaded with the first plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbackup._kits.doors import loader
from kbackup.backup._engine import BackupEngine

if TYPE_CHECKING:
    from kbackup.backup._plan import BackupPlan, PlannedType

__all__ = ["BackupEngine", "BackupPlan", "PlannedType"]


__getattr__ = loader(__name__, {"BackupPlan": "_plan", "PlannedType": "_plan"})


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
