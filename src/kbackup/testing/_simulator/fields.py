"""Who manages which field: managedFields, and server-side apply in a simple form.

A field is a path of steps as FieldsV1 writes them: ``f:spec``, ``k:{"name":"web"}``,
``v:"finalizer"``. Lists are maps, sets or atoms by the table of strategic merges; in
custom resources, whose schemas are not read, every list is an atom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kbackup._kits._strategic import is_set, merge_key
from kbackup.testing._simulator.status import ApiError
from kbackup.testing._simulator.storage import decode, encode

Path = tuple[str, ...]
Fields = dict[Path, Any]
ListKeys = Callable[[Path], tuple[str, ...]]

_IGNORED_METADATA = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "generateName",
}


def built_in_list_keys(names: Path) -> tuple[str, ...]:
    """Return the keys of a list in a built-in type; none means an atom."""
    key = merge_key(names)
    if key in {"port", "containerPort"}:
        return (key, "protocol")
    return (key,) if key else ()


def custom_list_keys(names: Path) -> tuple[str, ...]:
    """Return the keys of a list in a custom resource: only metadata is known."""
    return built_in_list_keys(names) if names[:1] == ("metadata",) else ()


def fields_of(obj: Mapping[str, Any], keys: ListKeys) -> Fields:
    """Return every leaf of *obj* that can be managed, with its value."""
    found: Fields = {}
    for name, value in obj.items():
        if name in {"apiVersion", "kind"}:
            continue
        if name == "metadata":
            kept = {k: v for k, v in value.items() if k not in _IGNORED_METADATA}
            if kept:
                _collect(kept, ("f:metadata",), ("metadata",), keys, found)
        else:
            _collect(value, (f"f:{name}",), (name,), keys, found)
    return found


def _collect(
    value: Any, path: Path, names: Path, keys: ListKeys, found: Fields
) -> None:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            _collect(inner, (*path, f"f:{name}"), (*names, name), keys, found)
    elif isinstance(value, list) and value and is_set(names):
        for element in value:
            found[*path, f"v:{encode(element).decode()}"] = element
    elif isinstance(value, list) and value and (by := keys(names)):
        for element in value:
            step = _key_step(element, by)
            found[*path, step, "."] = None
            for name, inner in element.items():
                _collect(inner, (*path, step, f"f:{name}"), (*names, name), keys, found)
    else:
        found[path] = value


def _key_step(element: Mapping[str, Any], by: tuple[str, ...]) -> str:
    defaults = {"protocol": "TCP"}
    key = {name: element.get(name, defaults.get(name)) for name in by}
    return f"k:{encode(key).decode()}"


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """Return paths as the tree that managedFields holds."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def from_fields_v1(tree: Mapping[str, Any], prefix: Path = ()) -> set[Path]:
    """Return the paths of such a tree."""
    if not tree:
        return {prefix} if prefix else set()
    paths: set[Path] = set()
    for step, inner in tree.items():
        paths |= from_fields_v1(inner, (*prefix, step))
    return paths


class Managers:
    """The managedFields of one object, entry by entry."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._entries = [dict(entry) for entry in entries if entry.get("manager")]
        self._paths = [from_fields_v1(e.get("fieldsV1") or {}) for e in self._entries]

    def owned_by(
        self, manager: str, operation: str, subresource: str = ""
    ) -> set[Path]:
        """Return what one manager owns."""
        index = self._index(manager, operation, subresource)
        return set() if index is None else self._paths[index]

    def others(self, manager: str, operation: str) -> dict[Path, str]:
        """Return which other manager owns a path."""
        return {
            path: entry["manager"]
            for entry, paths in zip(self._entries, self._paths, strict=True)
            if (entry["manager"], entry.get("operation")) != (manager, operation)
            for path in paths
        }

    def assign(
        self,
        entry: Mapping[str, Any],
        paths: set[Path],
        *,
        taken: set[Path],
        present: set[Path],
    ) -> None:
        """Let the manager of *entry* own *paths*, and nobody else what was *taken*."""
        for owned in self._paths:
            owned.difference_update(taken)
            owned.intersection_update(present)
        index = self._index(
            entry["manager"], entry["operation"], entry.get("subresource", "")
        )
        if index is None:
            self._entries.append(dict(entry))
            self._paths.append(paths)
        else:
            self._entries[index] = dict(entry)
            self._paths[index] = paths

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries that own something."""
        return [
            {**entry, "fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(paths)}
            for entry, paths in zip(self._entries, self._paths, strict=True)
            if paths
        ]

    def _index(self, manager: str, operation: str, subresource: str) -> int | None:
        wanted = (manager, operation, subresource)
        for index, entry in enumerate(self._entries):
            is_subresource = entry.get("subresource", "")
            if (entry["manager"], entry.get("operation"), is_subresource) == wanted:
                return index
        return None


def merge_applied(
    live: Mapping[str, Any],
    applied: Mapping[str, Any],
    managers: Managers,
    manager: str,
    keys: ListKeys,
    *,
    force: bool,
) -> tuple[dict[str, Any], set[Path]]:
    """Return *live* with *applied* in it, and the paths taken from other managers.

    Raises:
        ApiError: Another manager owns a field with another value, without *force*.
    """
    wanted = fields_of(applied, keys)
    current = fields_of(live, keys)
    others = managers.others(manager, "Apply")
    clashes = {
        path: others[path]
        for path, value in wanted.items()
        if path in others and path in current and current[path] != value
    }
    if clashes and not force:
        raise _apply_conflict(clashes)
    merged = _merge(live, applied, (), keys)
    for path in managers.owned_by(manager, "Apply") - wanted.keys():
        if path not in others:
            _remove(merged, path)
    return merged, set(clashes)


def _apply_conflict(clashes: Mapping[Path, str]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{owner}"',
            "field": "".join(
                f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]"
                for step in path
            ),
        }
        for path, owner in sorted(clashes.items())
    ]
    told = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    plural = "conflict" if len(causes) == 1 else "conflicts"
    return ApiError(
        409,
        f"Apply failed with {len(causes)} {plural}: {told}",
        details={"causes": causes},
    )


def _merge(live: Any, applied: Any, names: Path, keys: ListKeys) -> Any:
    if isinstance(live, Mapping) and isinstance(applied, Mapping):
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = _merge(live.get(name), value, (*names, name), keys)
        return merged
    if isinstance(live, list) and isinstance(applied, list):
        if is_set(names):
            return live + [value for value in applied if value not in live]
        if by := keys(names):
            return _merge_elements(live, applied, names, by, keys)
    return copy.deepcopy(applied)


def _merge_elements(
    live: list[Any],
    applied: list[Any],
    names: Path,
    by: tuple[str, ...],
    keys: ListKeys,
) -> list[Any]:
    merged = {_key_step(element, by): element for element in live}
    for element in applied:
        step = _key_step(element, by)
        merged[step] = _merge(merged.get(step), element, names, keys)
    return list(merged.values())


def _remove(obj: Any, path: Path) -> None:
    """Remove the leaf at *path*, and the maps that it leaves empty."""
    step, *rest = path
    if step.startswith("f:") and isinstance(obj, dict):
        name = step[2:]
        if rest and name in obj:
            _remove(obj[name], tuple(rest))
            if obj[name] in ({}, []):
                del obj[name]
        else:
            obj.pop(name, None)
    elif step.startswith("v:") and isinstance(obj, list):
        value = decode(step[2:])
        if value in obj:
            obj.remove(value)
    elif step.startswith("k:") and isinstance(obj, list):
        key = decode(step[2:])
        for element in [e for e in obj if _key_step(e, tuple(key)) == step]:
            if rest == ["."]:
                obj.remove(element)
            elif rest:
                _remove(element, tuple(rest))
