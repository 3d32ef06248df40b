"""Patches of JSON documents, as Kubernetes' API server applies them.

Three kinds: the merge patch of RFC 7386, the strategic merge patch (lists of built-in
types merged by a key), and the JSON patch of RFC 6902. Nothing here changes what it is
given. The restore engine makes patches and applies those of its user, the simulated
cluster applies them all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kbackup._kits._json_patch import (
    JSONPatchError,
    JSONPatchTestError,
    holds,
    json_patch,
    pointer_fault,
    same_json,
)
from kbackup._kits._strategic import StrategicPatchError, strategic_merge

__all__ = [
    "JSONPatchError",
    "JSONPatchTestError",
    "StrategicPatchError",
    "create_merge_patch",
    "holds",
    "json_patch",
    "merge_patch",
    "pointer_fault",
    "strategic_merge",
]


def merge_patch(target: Any, patch: Any) -> Any:
    """Return *target* with the merge patch *patch* applied.

    Source: RFC 7386, section 2.
    """
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def create_merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """Return the merge patch that turns *before* into *after*.

    A null inside *after* cannot be said by a merge patch: it means removal there. So a
    key whose value is null in *after* is absent once the patch was applied.
    """
    patch: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        if key not in after:
            patch[key] = None
        elif key not in before:
            patch[key] = copy.deepcopy(after[key])
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            if inner := create_merge_patch(before[key], after[key]):
                patch[key] = inner
        elif not same_json(before[key], after[key]):
            patch[key] = copy.deepcopy(after[key])
    return patch
