"""An update of an object in which a null stands for something.

In a merge patch a null removes a field, so that it cannot make one null, and a list
loses the nulls in it. Custom resources may have both. What such an object becomes is said
by a JSON patch instead, which puts whole fields of the object in place. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup._kits.kinds import is_built_in, kind_of
from kbackup._kits.patches import merge_patch

Content = Mapping[str, Any]

_METADATA = "metadata"
_PRECONDITIONS = frozenset({"uid", "resourceVersion"})


def means_nulls(patch: Content, goal: Content) -> bool:
    """Whether a merge patch is to write a null, and would remove a field instead.

    A server gives no field of a built-in type back as null but one that is not set.
    """
    return not is_built_in(kind_of(goal)[0]) and _means_null(patch, goal)


def _means_null(patch: Any, goal: Any) -> bool:
    if isinstance(patch, Mapping):
        return isinstance(goal, Mapping) and any(
            _means_null(value, goal[key]) for key, value in patch.items() if key in goal
        )
    if isinstance(patch, list):
        return any(_means_null(each, each) for each in patch)
    return patch is None


def replacing(patch: Content, goal: Content, live: Content) -> list[dict[str, Any]]:
    """The JSON patch that does what a merge patch is to do, nulls and all.

    Args:
        patch: The merge patch; in its metadata nothing is null but what is removed.
        goal: What the object is to be, but for its metadata.
        live: The object as it is, reset.
    """
    return [*_of_metadata(patch[_METADATA], live[_METADATA]), *_of_rest(patch, goal)]


def _of_metadata(patch: Content, live: Content) -> Iterator[dict[str, Any]]:
    for key, value in patch.items():
        path = f"/{_METADATA}/{key}"
        if key in _PRECONDITIONS:
            yield {"op": "add", "path": path, "value": value}
            continue
        found = merge_patch(live, {key: value}).get(key)
        if found is not None:
            yield {"op": "add", "path": path, "value": found}
        elif key in live:
            yield {"op": "remove", "path": path}


def _of_rest(patch: Content, goal: Content) -> Iterator[dict[str, Any]]:
    for key in sorted(patch.keys() - {_METADATA}):
        path = f"/{key.replace('~', '~0').replace('/', '~1')}"
        if key in goal:
            yield {"op": "add", "path": path, "value": goal[key]}
        else:
            yield {"op": "remove", "path": path}
