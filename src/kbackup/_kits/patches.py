"""Patches of JSON documents, as Kubernetes' API server applies them.

Three kinds: the merge patch of RFC 7386, the strategic merge patch (lists of built-in
types merged by a key), and the JSON patch of RFC 6902 through the ``jsonpatch``
library. Nothing here changes what it is given. The restore engine makes patches, the
simulated cluster applies them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jsonpatch  # type: ignore[import-untyped,unused-ignore] # it has no types

from kbackup._kits._strategic import StrategicPatchError, strategic_merge

__all__ = [
    "JSONPatchError",
    "StrategicPatchError",
    "create_merge_patch",
    "json_patch",
    "merge_patch",
    "strategic_merge",
]


class JSONPatchError(ValueError):
    """A JSON patch is malformed, or does not fit the document."""


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
        elif not _same(before[key], after[key]):
            patch[key] = copy.deepcopy(after[key])
    return patch


def json_patch(target: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """Return *target* with the JSON patch *operations* applied.

    Raises:
        JSONPatchError: An operation is malformed, points nowhere, or is a test that
            does not hold.
    """
    try:
        patch = jsonpatch.JsonPatch(list(operations))
        return patch.apply(target)
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
    ) as exc:
        raise JSONPatchError(str(exc) or type(exc).__name__) from exc


def _same(left: Any, right: Any) -> bool:
    """Whether two values are one JSON value; in Python ``True == 1``, in JSON not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            _same(left[key], right[key]) for key in left
        )
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
