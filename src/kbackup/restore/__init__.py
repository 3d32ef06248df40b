"""Restoring a backup into a cluster: shown before it is done.

`RestoreEngine` plans (reads only) and applies (writes only what the plan says).
"""

from kbackup.restore._claims import ClaimLine, ClaimVerdict
from kbackup.restore._compare import ChangedItem, Difference
from kbackup.restore._engine import RestoreEngine
from kbackup.restore._plan import (
    Notice,
    PlanAction,
    PlanEntry,
    PlanHead,
    Precondition,
    RestorePlan,
)

__all__ = [
    "ChangedItem",
    "ClaimLine",
    "ClaimVerdict",
    "Difference",
    "Notice",
    "PlanAction",
    "PlanEntry",
    "PlanHead",
    "Precondition",
    "RestoreEngine",
    "RestorePlan",
]
