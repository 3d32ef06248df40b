"""Restoring a backup into a cluster: shown before it is done.

`RestoreEngine` plans (reads only) and applies (writes only what the plan says). The
values that it returns are loaded with the first plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbackup._kits.doors import loader
from kbackup.restore._engine import RestoreEngine

if TYPE_CHECKING:
    from kbackup.restore._plan.claims import ClaimLine, ClaimVerdict
    from kbackup.restore._plan.plan import Notice, PlanHead, RestorePlan
    from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
    from kbackup.restore._request.modifier_source import PlanModifiers
    from kbackup.restore._target.serving import unserved_types
    from kbackup.restore.transforms._quiesce import quiesce

_LATER = {
    "ClaimLine": "_plan.claims",
    "ClaimVerdict": "_plan.claims",
    "Notice": "_plan.plan",
    "PlanAction": "_plan_entry",
    "PlanEntry": "_plan_entry",
    "PlanHead": "_plan.plan",
    "PlanModifiers": "_request.modifier_source",
    "Precondition": "_plan_entry",
    "RestorePlan": "_plan.plan",
    "quiesce": "transforms._quiesce",
    "unserved_types": "_target.serving",
}

__all__ = [
    "ClaimLine",
    "ClaimVerdict",
    "Notice",
    "PlanAction",
    "PlanEntry",
    "PlanHead",
    "PlanModifiers",
    "Precondition",
    "RestoreEngine",
    "RestorePlan",
    "quiesce",
    "unserved_types",
]


__getattr__ = loader(__name__, _LATER)


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
