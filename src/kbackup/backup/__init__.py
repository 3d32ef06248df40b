"""The door to the backup engine: what a cluster holds, into a store.

What `BackupEngine.plan` returns is loaded with the first plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbackup.backup._engine import BackupEngine

if TYPE_CHECKING:
    from kbackup.backup._plan import BackupPlan, PlannedType

__all__ = ["BackupEngine", "BackupPlan", "PlannedType"]


def __getattr__(name: str) -> Any:
    """Load the plan's classes when they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kbackup.backup import _plan  # noqa: PLC0415 - on demand

    return getattr(_plan, name)


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
