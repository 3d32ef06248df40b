"""Change nested JSON without touching what one was given.

Actions and transforms must not change their input: every function here returns a new
object that shares what did not change, or the very object given where nothing did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kbackup._kits.nested import mapping_at

JSONObject = Mapping[str, Any]
Path = tuple[str, ...]


def replaced(item: JSONObject, path: Sequence[str], value: Any) -> JSONObject:
    """Return *item* with *value* at *path*, making the objects on the way."""
    key, *rest = path
    if rest:
        value = replaced(mapping_at(item, key), rest, value)
    return {**item, key: value}


def without(item: JSONObject, path: Sequence[str], keys: Iterable[str]) -> JSONObject:
    """Return *item* without *keys* in the object at *path*."""
    parent = mapping_at(item, *path)
    gone = [key for key in keys if key in parent]
    if not gone:
        return item
    rest = {key: value for key, value in parent.items() if key not in gone}
    return replaced(item, path, rest) if path else rest


def with_list(item: JSONObject, path: Sequence[str], elements: list[Any]) -> JSONObject:
    """Return *item* with a list at *path*, or without that key where it is empty."""
    if not elements:
        return without(item, path[:-1], path[-1:])
    return replaced(item, path, elements)


def each_changed(
    item: JSONObject, path: Sequence[str], change: Callable[[JSONObject], JSONObject]
) -> JSONObject:
    """Return *item* with *change* done to each object in the list at *path*."""
    *parents, key = path
    before = mapping_at(item, *parents).get(key)
    if not isinstance(before, list | tuple):
        return item
    after = [change(e) if isinstance(e, Mapping) else e for e in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return item
    return replaced(item, path, after)


POD_SPECS: tuple[Path, ...] = (
    ("spec", "jobTemplate", "spec", "template", "spec"),  # CronJob
    ("spec", "template", "spec"),  # Deployment, StatefulSet, Job, ...
    ("template", "spec"),  # PodTemplate
    ("data", "spec", "template", "spec"),  # ControllerRevision
    ("spec",),  # Pod
)
"""Where an object may hold the spec of a Pod."""


def pod_spec_paths(item: JSONObject) -> Iterator[Path]:
    """Yield where *item* holds the spec of a Pod: its own, or one that it makes."""
    for path in POD_SPECS:
        if mapping_at(item, *path).get("containers"):
            yield path
