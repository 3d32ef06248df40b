"""The JSON patch (RFC 6902): what `kbackup._kits.patches` offers of it.

As Kubernetes' library for Go applies it: an index below zero counts from the end of a
list. The ``jsonpatch`` library makes the changes; where they go is found here, and so is
what a test compares. To it True is 1, and its errors quote the whole object.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jsonpatch  # type: ignore[import-untyped,unused-ignore] # it has no types

Operation = Mapping[str, Any]

_FROM_THE_END = re.compile(r"-[1-9][0-9]*")
_INDEX = re.compile(r"0|[1-9][0-9]*")
_NOTHING: Any = object()


class JSONPatchError(ValueError):
    """A JSON patch is malformed, or does not fit the document; it quotes no value."""


class JSONPatchTestError(JSONPatchError):
    """A test of a JSON patch does not hold."""


def json_patch(target: Any, operations: Iterable[Operation]) -> Any:
    """Return *target* with the JSON patch *operations* applied.

    Raises:
        JSONPatchTestError: A test does not hold.
        JSONPatchError: An operation is malformed, or does not fit.
    """
    document = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise JSONPatchError("an operation is no object")
        try:
            document = _applied(document, operation)
        except _UnfitError as exc:
            words = (operation.get("op"), operation.get("path"), f"fails: {exc}")
            raise JSONPatchError(" ".join(map(str, words))) from exc
    return document


def holds(document: Any, path: str, value: Any) -> bool:
    """Whether *document* has *value* at *path*, a JSON pointer.

    A key that an object lacks is null.
    """
    try:
        if parts := _parts(path):
            _, parent = _resolved(document, path.rpartition("/")[0])
            if isinstance(parent, Mapping) and parts[-1] not in parent:
                return value is None
        return same_json(_resolved(document, path)[1], value)
    except _UnfitError:
        return False


def pointer_fault(text: str) -> str:
    """Say what is wrong with a JSON pointer (RFC 6901); empty: nothing."""
    if text and not text.startswith("/"):
        return f"{text!r} does not begin with '/'"
    if re.search("~(?![01])", text):
        return f"{text!r} has a '~' that is neither '~0' nor '~1'"
    return ""


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are one JSON value; in Python ``True == 1``, in JSON not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            same_json(left[key], right[key]) for key in left
        )
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


class _UnfitError(ValueError):
    """Why an operation cannot be applied."""


def _applied(document: Any, operation: Operation) -> Any:
    op, path = operation.get("op"), _pointer(operation, "path")
    if op == "test":
        if not holds(document, path, _value(operation)):
            raise JSONPatchTestError(f"test {path} does not hold")
        return document
    if op in ("move", "copy"):
        source, value = _resolved(document, _pointer(operation, "from"))
        if op == "move":
            document = _changed(document, {"op": "remove", "path": source})
        op = "add"
    else:
        value = None if op == "remove" else _value(operation)
    plain, _ = _resolved(document, path, is_new=op == "add")
    # A copy: the value must not be shared with the next document, and older versions of
    # the library put it in as it is.
    change = {"op": op, "path": plain, "value": copy.deepcopy(value)}
    return _changed(document, change)


def _changed(document: Any, operation: Operation) -> Any:
    """Let the library change *document*, in place where it can."""
    try:
        return jsonpatch.apply_patch(document, [operation], in_place=True)
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
    ) as exc:
        raise _UnfitError("it does not fit what is there") from exc


def _pointer(operation: Operation, key: str) -> str:
    text = operation.get(key)
    if not isinstance(text, str):
        raise _UnfitError(f"it has no {key!r}")
    if fault := pointer_fault(text):
        raise _UnfitError(fault)
    return text


def _value(operation: Operation) -> Any:
    if "value" not in operation:
        raise _UnfitError("it has no 'value'")
    return operation["value"]


def _parts(pointer: str) -> list[str]:
    parts = pointer.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _resolved(document: Any, pointer: str, *, is_new: bool = False) -> tuple[str, Any]:
    """Return a pointer whose indexes count from the start, and what is there.

    With *is_new* the last part need not be there, and what is returned is its parent.
    """
    parts, found = _parts(pointer), document
    for number, part in enumerate(parts):
        comes = is_new and number == len(parts) - 1
        if isinstance(found, list) and _FROM_THE_END.fullmatch(part):
            parts[number] = str(len(found) + comes + int(part))
        if not comes:
            found = _child(found, parts[number])
            if found is _NOTHING:
                raise _UnfitError(f"there is nothing at {pointer}")
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped), found


def _child(parent: Any, part: str) -> Any:
    if isinstance(parent, Mapping) and part in parent:
        return parent[part]
    is_index = isinstance(parent, list) and _INDEX.fullmatch(part)
    if is_index and int(part) < len(parent):
        return parent[int(part)]
    return _NOTHING


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
