"""Values inside nested JSON objects that may be odd: what is no object has no fields."""

from collections.abc import Mapping
from typing import Any


def value_at(value: Any, *path: str) -> Any:
    """Return the value of the fields *path*, one inside the other; None: no such field."""
    for key in path:
        # What most values are first: to ask an abstract class takes five times as long.
        if value is None:
            return None
        if type(value) is dict or isinstance(value, Mapping):
            value = value.get(key)
        else:
            return None
    return value


def mapping_at(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the object at *path*; an empty one where there is none."""
    found = value_at(value, *path)
    if found is None:
        return {}
    return found if type(found) is dict or isinstance(found, Mapping) else {}


def objects_at(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """Return the objects in the list at *path*; none where there is no list."""
    found = value_at(value, *path)
    if not isinstance(found, list | tuple):
        return []
    return [x for x in found if type(x) is dict or isinstance(x, Mapping)]


def text_at(value: Any, *path: str) -> str:
    """Return the text at *path*; an empty one where there is none."""
    found = value_at(value, *path)
    return found if isinstance(found, str) else ""
