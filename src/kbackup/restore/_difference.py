"""A backup held against the live cluster: what is missing, what differs, what is new.

Values only; `_comparer` finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from kbackup._kits.normalise import Difference as FieldDifference
from kbackup._kits.views import Row, Table, html_of
from kbackup.models import API_VERSION, ResourceIdentifier

_WORDS = {
    "-": "only in backup",
    "+": "only in cluster",
    "~": "changed",
    "?": "unknown",
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


@attrs.frozen(kw_only=True, repr=False)
class Difference:
    """A backup and the live cluster.

    Whatever exists in the backup and not in the cluster is named, also what a restore
    would leave alone: PersistentVolumes, finished Jobs, what lives in kube-system.
    ServiceAccounts are compared like everything else, not merged.

    Left out is what nobody put there, for it comes, goes and changes by itself: what
    controllers make out of objects that the backup or the cluster has (ReplicaSets,
    ControllerRevisions, Pods, the Jobs of a CronJob, generated tokens, Endpoints and
    their slices), and what the cluster keeps for itself (Nodes, Events, Leases and the
    like). Nor do fields count that a server or a controller writes by itself.

    New is what the backup would have taken: it lies where the backup read all objects
    of its type, and its namespace and labels are those that the backup was asked for.
    Where a function chose the objects nobody can tell, and nothing is called new.

    Attributes:
        only_in_backup: What the cluster lacks.
        only_in_cluster: What is new.
        changed: What both have, differently; of Secrets only which keys differ.
        same: How many objects are equal.
        left_out: How many items of the backup are not compared.
        unknown: What could not be compared, with why; the name ``*`` stands for all
            that may be there.
    """

    only_in_backup: tuple[ResourceIdentifier, ...] = ()
    only_in_cluster: tuple[ResourceIdentifier, ...] = ()
    changed: tuple[ChangedItem, ...] = ()
    same: int = 0
    left_out: int = 0
    unknown: tuple[tuple[ResourceIdentifier, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether backup and cluster agree in everything that could be compared."""
        found = self.only_in_backup or self.only_in_cluster or self.changed
        return not (found or self.unknown)

    def __str__(self) -> str:
        lines = []
        for row in self._rows():
            lines += [row.text(), *(f"    {detail}" for detail in row.details)]
        return "\n".join([*lines, self._told()])

    def __repr__(self) -> str:
        return f"Difference({self._numbers()})"

    def _repr_html_(self) -> str:
        """The comparison in a notebook; of each kind of row the first."""
        rows = (row._replace(kind=_WORDS[row.kind]).cells() for row in self._rows())
        numbers = self._numbers()
        return html_of(numbers, Table(("WHERE", "ITEM", "WHAT"), rows), [self._told()])

    def _rows(self) -> Iterator[Row]:
        yield from (Row("-", str(ref)) for ref in self.only_in_backup)
        yield from (Row("+", str(ref)) for ref in self.only_in_cluster)
        for item in self.changed:
            details = [f"{x.op} {x.path}" for x in item.differences]
            yield Row("~", str(item.identifier), details=details)
        yield from (Row("?", str(ref), reason) for ref, reason in self.unknown)

    def _numbers(self) -> str:
        counts = Counter(row.kind for row in self._rows())
        parts = [f"{counts[mark]} {word}" for mark, word in _WORDS.items()]
        return ", ".join([*parts, f"{self.same} the same"])

    def _told(self) -> str:
        told = f"{self.same} objects are the same"
        if self.left_out:
            told += f"; {self.left_out} that the cluster makes by itself are left out"
        return told

    def to_json(self) -> dict[str, Any]:
        """The comparison as a document."""
        return {
            "apiVersion": API_VERSION,
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
            "leftOut": self.left_out,
            "unknown": {str(ref): reason for ref, reason in self.unknown},
        }
