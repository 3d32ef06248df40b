"""In which fields two Kubernetes objects differ, all that they hold taken into account.

What of that counts is for `normalise` to say. Values of Secrets never come out of here:
a difference names the key and hides both sides.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from kbackup._kits.equality import same_json

Content: TypeAlias = Mapping[str, Any]

HIDDEN = "(hidden)"
"""Stands in a difference where the value of a Secret would be."""

_ABSENT = object()
_WIDTH = 80  # of a value in a line


@attrs.frozen(kw_only=True)
class Difference:
    """One field in which two objects differ.

    Attributes:
        path: Such as ``spec.containers[web].image``: lists whose elements all have a
            name are compared by it, others by position.
        op: What happens on the way from left to right.
        left: None when absent; `HIDDEN` where values are not shown, as in a Secret.
    """

    path: str
    op: Literal["add", "remove", "change"]
    left: Any = None
    right: Any = None

    def __str__(self) -> str:
        if self.op == "add":
            return f"+ {self.path}: {_short(self.right)}"
        if self.op == "remove":
            return f"- {self.path}: {_short(self.left)}"
        if self.left == self.right and same_json(self.left, self.right):  # hidden
            return f"~ {self.path}: differs"
        return f"~ {self.path}: {_short(self.left)} -> {_short(self.right)}"

    def to_json(self) -> dict[str, Any]:
        """The difference as a part of a document."""
        document: dict[str, Any] = {"path": self.path, "op": self.op}
        if self.op != "add":
            document["from"] = self.left
        if self.op != "remove":
            document["to"] = self.right
        return document


def changes(before: Content, after: Content, *, hide: bool = False) -> list[Difference]:
    """Name every field in which an object differs from what it was, sorted by path.

    The values of a Secret are hidden, and with *hide* those of any object: only the key
    and that it differs come out.
    """
    found = sorted(_walk(before, after, ""), key=lambda difference: difference.path)
    if hide or "Secret" in (before.get("kind"), after.get("kind")):
        return [_hide(difference) for difference in found]
    return found


def _walk(a: Any, b: Any, path: str) -> Iterator[Difference]:
    if a is b or (type(a) is type(b) and a == b and same_json(a, b)):
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted({*a, *b}):
            left, right = a.get(key, _ABSENT), b.get(key, _ABSENT)
            yield from _walk(left, right, _join(path, key))
    elif isinstance(a, list) and isinstance(b, list):
        yield from _walk_lists(a, b, path)
    elif a is _ABSENT:
        yield Difference(path=path, op="add", right=b)
    elif b is _ABSENT:
        yield Difference(path=path, op="remove", left=a)
    else:
        yield Difference(path=path, op="change", left=a, right=b)


def _walk_lists(a: Sequence[Any], b: Sequence[Any], path: str) -> Iterator[Difference]:
    names_a, names_b = _names(a), _names(b)
    if names_a is None or names_b is None:
        for index in range(max(len(a), len(b))):
            left = a[index] if index < len(a) else _ABSENT
            right = b[index] if index < len(b) else _ABSENT
            yield from _walk(left, right, f"{path}[{index}]")
        return
    by_name_a = dict(zip(names_a, a, strict=True))
    by_name_b = dict(zip(names_b, b, strict=True))
    for name in sorted({*names_a, *names_b}):
        left, right = by_name_a.get(name, _ABSENT), by_name_b.get(name, _ABSENT)
        yield from _walk(left, right, f"{path}[{name}]")
    if names_a != names_b and sorted(names_a) == sorted(names_b):
        yield Difference(path=path, op="change", left=names_a, right=names_b)


def _names(elements: Sequence[Any]) -> list[str] | None:
    """The elements' names when each has its own, else None."""
    names = [x.get("name") for x in elements if isinstance(x, Mapping)]
    if len(names) != len(elements) or len(set(map(str, names))) != len(names):
        return None
    return [x for x in names if isinstance(x, str)] if all(names) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _join(path: str, key: str) -> str:
    if not key.replace("-", "").replace("_", "").isalnum():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _hide(difference: Difference) -> Difference:
    """Keep where a Secret differs; its keys are no secret, its values are."""
    path, left, right = difference.path, difference.left, difference.right
    return attrs.evolve(difference, path=path, left=_hidden(left), right=_hidden(right))


def _hidden(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _hidden(inner) for key, inner in value.items()}
    return HIDDEN
