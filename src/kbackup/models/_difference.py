"""What differs between two backups, a backup and a cluster, or a plan and its target.

Values only. The catalog finds what two backups have, the restore engine what a cluster
has; a plan says by itself what it would change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kbackup._kits.differences import Difference as FieldDifference
from kbackup._kits.views import Row, Table, html_of
from kbackup._kits.words import inside
from kbackup.models._documents import API_VERSION
from kbackup.models._meta import ResourceIdentifier

_WORDS = {"-": "removed", "+": "added", "~": "changed", "?": "unknown"}
_APART = 3  # as many unknown ones of which the same is said have a line each
EXIT_SAME, EXIT_INCOMPLETE, EXIT_DIFFERS = 0, 3, 4


@attrs.frozen(kw_only=True)
class ChangedItem:
    """An object that both sides have, differently.

    Attributes:
        identifier: The object, on the left side.
        differences: The fields, from left to right; of a Secret no values. Of a line of
            a plan there may be none, as where a volume is offered again.
        target: The object on the right side: its namespace may have another name there.
        reason: What a plan says about it.
    """

    identifier: ResourceIdentifier
    differences: tuple[FieldDifference, ...] = ()
    target: ResourceIdentifier = attrs.field(
        default=attrs.Factory(lambda self: self.identifier, takes_self=True)
    )
    reason: str = ""

    def _row(self) -> Row:
        what = str(self.identifier)
        if self.target != self.identifier:
            what += f" -> {self.target.qualified_name}"
        return Row("~", what, self.reason, [*map(str, self.differences)])

    def to_json(self) -> dict[str, Any]:
        """The object as a part of a document."""
        document: dict[str, Any] = {"item": str(self.identifier)}
        if self.target != self.identifier:
            document["target"] = str(self.target)
        if self.reason:
            document["reason"] = self.reason
        return document | {"differences": [x.to_json() for x in self.differences]}


@attrs.frozen(kw_only=True, repr=False)
class Difference:
    """What happened to the objects on the way from the left side to the right one.

    From one backup to another, from a backup to the cluster as it is, or from the
    cluster as it is to what a plan would make of it. Sorted by type, namespace, name.

    Whatever exists on one side and not on the other is named, also what a restore would
    leave alone: PersistentVolumes, finished Jobs, what lives in kube-system.
    ServiceAccounts are compared like everything else, not merged.

    Left out is what nobody put there, for it comes, goes and changes by itself: what
    controllers make out of objects that either side has (ReplicaSets,
    ControllerRevisions, Pods, the Jobs of a CronJob, generated tokens, Endpoints and
    their slices), and what the cluster keeps for itself (Nodes, Events, Leases and the
    like). Nor do fields count that a server or a controller writes by itself.

    Added is what the left backup would have taken, and removed what the right one would
    have: it lies where that backup read all objects of its type, and its namespace and
    labels are those that the backup was asked for. Where a function chose the objects
    nobody can tell, and nothing counts as lacking there.

    Attributes:
        left: What was compared, such as ``backup shop-1``.
        right: With what.
        removed: What only the left side has.
        added: What only the right side has.
        changed: What both have, differently; of Secrets only which keys differ.
        unknown: What could not be compared, with why; the name ``*`` stands for all
            that may be there.
        same: How many objects are equal.
        left_out: How many objects that are not the same byte for byte were not compared,
            or left alone by the plan.
        not_covered: How many are in one backup where the other did not look.
        damage: What could not be read of a damaged backup. It then counts nowhere as
            having looked: what it lacks may have been lost.
    """

    left: str
    right: str
    removed: tuple[ResourceIdentifier, ...] = ()
    added: tuple[ResourceIdentifier, ...] = ()
    changed: tuple[ChangedItem, ...] = ()
    unknown: tuple[tuple[ResourceIdentifier, str], ...] = ()
    same: int = 0
    left_out: int = 0
    not_covered: int = 0
    damage: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether both sides agree in everything that could be compared."""
        found = self.removed or self.added or self.changed or self.unknown
        return not (found or self.damage)

    @property
    def exit_code(self) -> int:
        """0: nothing differs; 3: some could not be compared; 4: something differs."""
        if self.unknown or self.damage:
            return EXIT_INCOMPLETE
        return EXIT_SAME if self.is_empty else EXIT_DIFFERS

    def __str__(self) -> str:
        lines = [f"from {self.left} to {self.right}:"]
        for row in self._rows():
            lines += [row.text(), *(f"    {detail}" for detail in row.details)]
        return "\n".join([*lines, *self.damage, self._told()])

    def __repr__(self) -> str:
        return f"Difference({self._numbers()})"

    def _repr_html_(self) -> str:
        """The comparison in a notebook; of each kind of row the first."""
        rows = (row._replace(kind=_WORDS[row.kind]).cells() for row in self._rows())
        table = Table(("", "ITEM", "WHAT"), rows)
        way = f"from {self.left} to {self.right}"
        return html_of(self._numbers(), [way], table, [*self.damage, self._told()])

    def _rows(self) -> Iterator[Row]:
        yield from (Row("-", str(ref)) for ref in self.removed)
        yield from (Row("+", str(ref)) for ref in self.added)
        yield from (item._row() for item in self.changed)  # noqa: SLF001 - of this module
        yield from self._unknown_rows()

    def _unknown_rows(self) -> Iterator[Row]:
        """What holds for all objects of a type and place is said once."""
        alike: dict[tuple[Any, ...], list[ResourceIdentifier]] = {}
        for ref, reason in self.unknown:
            key = (ref.group_resource, ref.namespace, reason)
            alike.setdefault(key, []).append(ref)
        for (resource, namespace, reason), refs in alike.items():
            if len(refs) > _APART:
                yield Row("?", f"{len(refs)} {resource}{inside(namespace)}", reason)
            else:
                yield from (Row("?", str(ref), reason) for ref in refs)

    def _numbers(self) -> str:
        found = (self.removed, self.added, self.changed, self.unknown)
        parts = [
            f"{len(each)} {word}"
            for each, word in zip(found, _WORDS.values(), strict=True)
        ]
        return ", ".join([*parts, f"{self.same} the same"])

    def _told(self) -> str:
        told = self._numbers()
        if self.left_out:
            told += f"; {self.left_out} left out"
        if self.not_covered:
            told += f"; {self.not_covered} where only one of them looked"
        return told

    def to_json(self) -> dict[str, Any]:
        """The comparison as a document."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Difference",
            "from": self.left,
            "to": self.right,
            "removed": [str(ref) for ref in self.removed],
            "added": [str(ref) for ref in self.added],
            "changed": [item.to_json() for item in self.changed],
            "unknown": {str(ref): reason for ref, reason in self.unknown},
            "same": self.same,
            "leftOut": self.left_out,
            "notCovered": self.not_covered,
            "damage": list(self.damage),
        }
