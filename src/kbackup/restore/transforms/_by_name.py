"""From the name of a transform back to the transform: for plans that were saved. Pure."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.errors import InvalidConfigError
from kbackup.models import ItemTransform, qualified_name
from kbackup.restore.transforms._base import DOOR
from kbackup.restore.transforms._classes import storage_class
from kbackup.restore.transforms._drop import drop
from kbackup.restore.transforms._hosts import ingress_hosts
from kbackup.restore.transforms._images import registry
from kbackup.restore.transforms._marks import annotations, labels
from kbackup.restore.transforms._nodes import node_selectors
from kbackup.restore.transforms._quiesce import quiesce
from kbackup.restore.transforms._replicas import replicas

_FACTORIES: Mapping[str, Callable[..., ItemTransform]] = {
    f"{DOOR}.{factory.__name__}": factory
    for factory in (
        annotations,
        drop,
        ingress_hosts,
        labels,
        node_selectors,
        registry,
        replicas,
        storage_class,
    )
}
_LONGEST = 100_000  # characters; a name may come from a file that anybody wrote
_NO_CALL = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


def from_name(name: str) -> ItemTransform:
    """Return the transform of this module that has *name*, as a saved plan states it.

    Nothing of *name* is run: it is one of the functions here, with plain values.

    Raises:
        InvalidConfigError: No transform of this module has that name.
    """
    if name == qualified_name(quiesce):
        return quiesce
    try:
        factory, values, named = _parsed(name)
        found = _FACTORIES[factory](*values, **named)
    except (*_NO_CALL, LookupError, InvalidConfigError) as exc:
        raise InvalidConfigError(f"{_short(name)} is no transform of kbackup") from exc
    if qualified_name(found) != name:  # written otherwise than its own name
        raise InvalidConfigError(f"{_short(name)} is no transform of kbackup")
    return found


def _parsed(name: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return a call's function and its values, which are plain ones."""
    if len(name) > _LONGEST:
        raise ValueError(name[:10])
    call = ast.parse(name, mode="eval").body
    if not isinstance(call, ast.Call):
        raise TypeError(name)
    values = [ast.literal_eval(value) for value in call.args]
    named = {str(x.arg): ast.literal_eval(x.value) for x in call.keywords}
    return ast.unparse(call.func), values, named


def _short(name: str) -> str:
    return name if len(name) < 200 else f"{name[:200]}..."  # noqa: PLR2004 - for people
