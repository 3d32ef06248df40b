"""The strategic merge patch: what `kbackup._kits.patches` offers of it.

Source: Kubernetes' API conventions and the ``patchStrategy`` and ``patchMergeKey`` of
its built-in types. Those keys are a table here, by the last two field names of a path.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Path = tuple[str, ...]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")

# The merge key by (parent field, field); a parent of "" is the document itself.
MERGE_KEYS: dict[tuple[str, str], str] = {
    ("metadata", "ownerReferences"): "uid",
    **{("spec", field): "name" for field in _CONTAINERS},
    ("spec", "volumes"): "name",
    ("spec", "imagePullSecrets"): "name",
    ("spec", "resourceClaims"): "name",
    ("spec", "schedulingGates"): "name",
    ("spec", "hostAliases"): "ip",
    ("spec", "topologySpreadConstraints"): "topologyKey",
    **{(parent, "env"): "name" for parent in _CONTAINERS},
    **{(parent, "ports"): "containerPort" for parent in _CONTAINERS},
    **{(parent, "volumeMounts"): "mountPath" for parent in _CONTAINERS},
    **{(parent, "volumeDevices"): "devicePath" for parent in _CONTAINERS},
    ("spec", "ports"): "port",
    ("status", "conditions"): "type",
    ("status", "addresses"): "type",
    ("status", "podIPs"): "ip",
    ("spec", "drivers"): "name",
    ("spec", "evictionResponders"): "name",
    ("spec", "matchConditions"): "name",
    ("spec", "variables"): "name",
    ("", "secrets"): "name",
    ("", "webhooks"): "name",
    ("webhooks", "matchConditions"): "name",
}
# Lists of plain values that are merged as sets.
SETS = {("metadata", "finalizers"), ("spec", "podCIDRs")}
# What a patch replaces in these kinds, by parent and field, though others merge it.
_REPLACED = {
    "PodDisruptionBudget": ("spec", "selector"),
    "MutatingAdmissionPolicy": ("spec", "variables"),
}


class StrategicPatchError(ValueError):
    """A strategic merge patch is malformed."""


def strategic_merge(
    target: Mapping[str, Any], patch: Mapping[str, Any]
) -> dict[str, Any]:
    """Return *target* with the strategic merge patch *patch* applied.

    Raises:
        StrategicPatchError: A directive is unknown, or an element of a list that is
            merged lacks the key.
    """
    merged = _merge_map(target, patch, ())
    parent, field = _REPLACED.get(str(target.get("kind")), ("", ""))
    given = patch.get(parent)
    if isinstance(given, Mapping) and given.get(field) is not None and parent in merged:
        merged[parent][field] = copy.deepcopy(given[field])
    return merged


def merge_key(path: Path) -> str | None:
    """Return the key by which the list at *path* is merged; None replaces it."""
    parent = path[-2] if len(path) > 1 else ""
    return MERGE_KEYS.get((parent, path[-1]))


def is_set(path: Path) -> bool:
    """Whether the list at *path* is a set of plain values."""
    return path[-2:] in SETS


def _merge_map(target: Any, patch: Mapping[str, Any], path: Path) -> dict[str, Any]:
    directive = patch.get(_DIRECTIVE, "merge")
    if directive == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive != "merge":
        raise StrategicPatchError(f"unknown directive {directive!r}")
    merged = dict(target) if isinstance(target, Mapping) else {}
    if (kept := patch.get(_RETAIN)) is not None:
        merged = {key: value for key, value in merged.items() if key in kept}
    for key, value in patch.items():
        if key.startswith(_DELETE_PRIMITIVES):
            field = key.removeprefix(_DELETE_PRIMITIVES)
            merged[field] = [v for v in merged.get(field) or [] if v not in value]
        elif not key.startswith("$"):
            _merge_field(merged, key, value, path)
    before = target if isinstance(target, Mapping) else {}
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(merged.get(field), list):
            by = merge_key((*path, field))
            live = before.get(field) or []
            merged[field] = _in_order(merged[field], order, live, by)
    return merged


def _merge_field(merged: dict[str, Any], key: str, value: Any, path: Path) -> None:
    inner = (*path, key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, Mapping):
        if value.get(_DIRECTIVE) == "delete":
            merged.pop(key, None)
        else:
            merged[key] = _merge_map(merged.get(key), value, inner)
    elif isinstance(value, list):
        merged[key] = _merge_list(merged.get(key), value, inner)
    else:
        merged[key] = value


def _merge_list(target: Any, patch: list[Any], path: Path) -> list[Any]:
    live = list(target) if isinstance(target, list) else []
    if is_set(path):
        added = [value for value in patch if value not in live]
        return _in_order(live + added, patch, live, None)
    by = merge_key(path)
    if by is None or not all(isinstance(element, Mapping) for element in patch):
        return copy.deepcopy(patch)
    elements = [element for element in patch if element != {_DIRECTIVE: "replace"}]
    live = [] if len(elements) < len(patch) else live
    merged = list(live)
    for element in elements:
        if by not in element:
            raise StrategicPatchError(
                f"an element of {'.'.join(path)} does not contain the merge key {by}"
            )
        _merge_element(merged, element, by, path)
    named = [element for element in elements if _DIRECTIVE not in element]
    return _in_order(merged, named, live, by)


def _merge_element(
    merged: list[Any], element: Mapping[str, Any], by: str, path: Path
) -> None:
    key = element[by]
    found = [i for i, old in enumerate(merged) if _identity(old, by) == key]
    if element.get(_DIRECTIVE) == "delete":
        for index in reversed(found):
            del merged[index]
    elif found:
        merged[found[0]] = _merge_map(merged[found[0]], element, path)
    else:
        merged.append(_merge_map({}, element, path))


def _in_order(
    elements: list[Any], order: Sequence[Any], live: Sequence[Any], by: str | None
) -> list[Any]:
    """Sort a merged list as the API server does.

    What *order* names comes in that order, what it does not name keeps its own; the
    live list tells which of the two is first, and what is new there comes first.

    Source: apimachinery, ``strategicpatch``, ``normalizeElementOrder``.
    """
    ranks = [_identity(element, by) for element in order]
    places = [_identity(element, by) for element in live]
    others = [x for x in elements if _identity(x, by) not in ranks]
    named = [x for x in elements if _identity(x, by) in ranks]
    named.sort(key=lambda element: ranks.index(_identity(element, by)))
    result: list[Any] = []
    for element in named:
        place = _identity(element, by)
        if place in places:
            while others and _stands_before(others[0], place, places, by):
                result.append(others.pop(0))
        result.append(element)
    return result + others


def _stands_before(
    element: Any, place: Any, places: Sequence[Any], by: str | None
) -> bool:
    identity = _identity(element, by)
    return identity in places and places.index(identity) < places.index(place)


def _identity(element: Any, by: str | None) -> Any:
    """By what an element of a list is known."""
    if by is None:
        return element
    return element.get(by) if isinstance(element, Mapping) else None
