"""What the conversions share: a change of a body, and what has no home in the result.

Pure. A change works in place on a body of its own, and never guesses: what the newer
version has no field for, or would read in another way, it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from kbackup.models import GroupResource

Body = dict[str, Any]
"""An object, or an object in it; the change's own."""


@attrs.frozen
class NoHome:
    """A field whose meaning the newer version cannot hold.

    Attributes:
        field: Such as ``spec.rollbackTo``.
        reason: Why.
    """

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


Lose = Callable[[str, str], None]
"""Notes that a field has no home, and why."""

Change = Callable[[Body, Lose], None]


def unchanged(_: Body, __: Lose) -> None:
    """Two versions of one shape: nothing is to be done."""


@attrs.frozen(kw_only=True)
class Conversion:
    """From one version of a kind to another, without loss.

    Attributes:
        kind: Of the objects.
        plural: Of their type, in both groups.
        source: The apiVersion in which they are stored.
        target: The apiVersion that they get.
        change: What is done to the rest of the body.
        moves: What goes where, and which defaults are written out, for the documentation.
        refuses: What has no home, for the documentation: the reasons, by field.
    """

    kind: str
    plural: str
    source: str
    target: str
    change: Change = unchanged
    moves: tuple[str, ...] = ()
    refuses: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def is_renaming(self) -> bool:
        """Whether both versions have the same fields with the same defaults."""
        return self.change is unchanged

    @property
    def source_type(self) -> GroupResource:
        """The type that the objects are stored under."""
        return GroupResource(_group(self.source), self.plural)

    @property
    def target_type(self) -> GroupResource:
        """The type that they are written as."""
        return GroupResource(_group(self.target), self.plural)

    def apply(self, body: Body) -> tuple[NoHome, ...]:
        """Convert *body* in place.

        Returns:
            What has no home; then the body is of no use.

        Raises:
            TypeError, ValueError, LookupError, AttributeError: It is not as Kubernetes
                has it.
        """
        lost: list[NoHome] = []
        self.change(body, lambda field, reason: lost.append(NoHome(field, reason)))
        body["apiVersion"] = self.target
        self._keep_managers(body)
        return tuple(lost)

    def _keep_managers(self, body: Body) -> None:
        """Let managers keep what they manage where its fields are called the same.

        What they managed by other names the server could not read.
        """
        metadata = body["metadata"]
        entries = metadata.get("managedFields")
        if not entries:
            return
        kept = [
            {**entry, "apiVersion": self.target} if is_old else entry
            for entry in entries
            if not (is_old := entry.get("apiVersion") == self.source)
            or self.is_renaming
        ]
        metadata["managedFields"] = kept


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def rename(body: Body, old: str, new: str) -> None:
    """Call a field by its new name, where it is."""
    if old in body:
        body[new] = body.pop(old)


def fill(body: Body, defaults: Mapping[str, Any]) -> None:
    """Write out what the older version took for granted where a field is not set."""
    for key, value in defaults.items():
        if body.get(key) is None:
            body[key] = value


def part(body: Body, key: str) -> Body:
    """Return an object in *body*, which is made where it is missing."""
    if body.get(key) is None:
        body[key] = {}
    found: Body = body[key]
    return found


def each(body: Body, key: str, path: str = "") -> Iterator[tuple[str, Body]]:
    """Yield the objects of a list, each with where it stands."""
    where = f"{path}.{key}" if path else key
    for index, element in enumerate(body.get(key) or ()):
        yield f"{where}[{index}]", element
