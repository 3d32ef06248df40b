"""A backup held against the live cluster: what is missing, what differs, what is new.

Values and one pure function over the lines of a plan: whoever plans to make the cluster
as it was in the backup knows in what it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs

from kbackup._kits.normalise import Difference as FieldDifference
from kbackup.models import ResourceIdentifier
from kbackup.restore._plan import PlanAction, PlanEntry

_FLIPPED: Mapping[str, Literal["add", "remove", "change"]] = {
    "add": "remove",
    "remove": "add",
    "change": "change",
}


@attrs.frozen(kw_only=True)
class ChangedItem:
    """An object that is not as it was.

    Attributes:
        identifier: The object.
        differences: From the backup (left) to the cluster (right).
    """

    identifier: ResourceIdentifier
    differences: tuple[FieldDifference, ...]


@attrs.frozen(kw_only=True)
class Difference:
    """A backup and the live cluster.

    What belongs to the cluster, what controllers make by themselves, what is finished,
    and volumes that a restore would not bring back are in none of the lists. A
    ServiceAccount counts as the same when it has all that the backup's has.

    Attributes:
        only_in_backup: What the cluster lacks.
        only_in_cluster: What the backup lacks, of its types and namespaces.
        changed: What both have, differently.
        same: How many objects are equal.
        unknown: What could not be compared, with why.
    """

    only_in_backup: tuple[ResourceIdentifier, ...] = ()
    only_in_cluster: tuple[ResourceIdentifier, ...] = ()
    changed: tuple[ChangedItem, ...] = ()
    same: int = 0
    unknown: tuple[tuple[ResourceIdentifier, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether backup and cluster agree in everything that could be compared."""
        found = self.only_in_backup or self.only_in_cluster or self.changed
        return not (found or self.unknown)

    def __str__(self) -> str:
        lines = [f"- {ref}" for ref in self.only_in_backup]
        lines += [f"+ {ref}" for ref in self.only_in_cluster]
        for item in self.changed:
            lines.append(f"~ {item.identifier}")
            lines += [f"    {x.op} {x.path}" for x in item.differences]
        lines += [f"? {ref}: {reason}" for ref, reason in self.unknown]
        return "\n".join([*lines, f"{self.same} objects are the same"])

    def to_json(self) -> dict[str, Any]:
        """The comparison as a document."""
        return {
            "apiVersion": "kbackup.io/v1",
            "kind": "ClusterDifference",
            "onlyInBackup": [str(ref) for ref in self.only_in_backup],
            "onlyInCluster": [str(ref) for ref in self.only_in_cluster],
            "changed": [
                {
                    "item": str(item.identifier),
                    "differences": [
                        {"path": x.path, "op": x.op, "from": x.left, "to": x.right}
                        for x in item.differences
                    ],
                }
                for item in self.changed
            ],
            "same": self.same,
            "unknown": {str(ref): reason for ref, reason in self.unknown},
        }


def difference_of(
    entries: Iterable[PlanEntry], extras: Iterable[ResourceIdentifier]
) -> Difference:
    """Read a comparison out of the plan that would undo every difference."""
    missing, changed, unknown, same = [], [], [], 0
    for entry in entries:
        if entry.action is PlanAction.UNCHANGED:
            same += 1
        elif entry.differences:
            flipped = tuple(_flip(difference) for difference in entry.differences)
            changed.append(
                ChangedItem(identifier=entry.identifier, differences=flipped)
            )
        elif entry.action is PlanAction.CREATE:
            missing.append(entry.identifier)
        elif entry.action is not PlanAction.SKIP:
            unknown.append((entry.identifier, entry.reason))
    return Difference(
        only_in_backup=tuple(missing),
        only_in_cluster=tuple(extras),
        changed=tuple(changed),
        same=same,
        unknown=tuple(unknown),
    )


def _flip(difference: FieldDifference) -> FieldDifference:
    return FieldDifference(
        path=difference.path,
        op=_FLIPPED[difference.op],
        left=difference.right,
        right=difference.left,
    )
