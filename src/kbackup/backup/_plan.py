"""What a backup would store, by type and namespace: counted, printed, sent as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from kbackup._kits.views import Table, html_of
from kbackup._kits.words import first_few, plural
from kbackup.backup._actions import backup_actions
from kbackup.backup._coverage import report_end
from kbackup.backup._request import make_request
from kbackup.backup._storing import store_selected
from kbackup.catalog import MissingReference, NotCovered, VolumeRecord
from kbackup.cluster import Cluster
from kbackup.models import API_VERSION, Backup, BackupOptions, GroupResource, Results
from kbackup.plugins import PluginManager, Run

_HEADERS = ("TYPE", "NAMESPACE", "COUNT")


@attrs.frozen(kw_only=True)
class PlannedType:
    """How many objects of one type in one namespace would be stored.

    Attributes:
        namespace: Empty for cluster-scoped types.
    """

    resource: GroupResource
    namespace: str = ""
    count: int


@attrs.frozen(kw_only=True, repr=False)
class BackupPlan:
    """What a backup would store if it ran now; nothing was written anywhere.

    Attributes:
        items: By type, then by namespace.
        not_covered: What was selected and could not be read.
        missing: What the stored objects would refer to and the backup would not hold.
        volumes: Of each claim whether the backup would hold its data, and what a
            resource policy says of it.
        results: The warnings and errors that the backup would have.
        holds_nothing: Nothing that was asked for would be in it, at most Namespaces
            that come along.
        hooked_pods: In how many Pods hooks would run commands.
    """

    items: tuple[PlannedType, ...] = ()
    not_covered: tuple[NotCovered, ...] = ()
    missing: tuple[MissingReference, ...] = ()
    volumes: tuple[VolumeRecord, ...] = ()
    results: Results = attrs.field(factory=Results)
    holds_nothing: bool = False
    hooked_pods: int = 0

    @property
    def total(self) -> int:
        """How many objects would be stored."""
        return sum(planned.count for planned in self.items)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON document."""
        return {
            "apiVersion": API_VERSION,
            "kind": "BackupPlan",
            "total": self.total,
            "items": [
                {
                    "resource": str(planned.resource),
                    "namespace": planned.namespace,
                    "count": planned.count,
                }
                for planned in self.items
            ],
            "notCovered": [str(gap) for gap in self.not_covered],
            "missing": [str(gap) for gap in self.missing],
            "volumes": [attrs.asdict(volume) for volume in self.volumes],
            "results": self.results.to_json(),
            "hookedPods": self.hooked_pods,
        }

    def __str__(self) -> str:
        rows = [_HEADERS, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>6}" for row in rows
        ]
        return "\n".join([*lines, self._told(), *self._skipped(), *self._trouble()])

    def __repr__(self) -> str:
        warnings, errors = len(self.results.warnings), len(self.results.errors)
        return f"BackupPlan({self.total} objects, {warnings} warnings, {errors} errors)"

    def _repr_html_(self) -> str:
        """The plan in a notebook; of each type the first namespaces."""
        lines = [*self._skipped(), *self._trouble()]
        return html_of(self._told(), lines, Table(_HEADERS, self._rows()))

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (str(planned.resource), planned.namespace or "-", str(planned.count))
            for planned in self.items
        ]

    def _told(self) -> str:
        told = f"{plural(self.total, 'object')} would be stored"
        if self.hooked_pods:
            told = f"{told}; hooks would run in {plural(self.hooked_pods, 'Pod')}"
        return told

    def _skipped(self) -> list[str]:
        skipped = [x.claim for x in self.volumes if x.is_skipped]
        if not skipped:
            return []
        are = "volume is" if len(skipped) == 1 else "volumes are"
        names = first_few(skipped)
        return [f"{len(skipped)} {are} skipped by a resource policy: {names}"]

    def _trouble(self) -> list[str]:
        return [
            *(f"not covered: {gap}" for gap in self.not_covered),
            *(f"warning: {entry}" for entry in self.results.warnings),
            *(f"error: {entry}" for entry in self.results.errors),
        ]


def planned_types(
    counts: Mapping[tuple[GroupResource, str], int],
) -> tuple[PlannedType, ...]:
    """Return the counts in the order in which a plan shows them."""
    return tuple(
        PlannedType(resource=resource, namespace=namespace, count=count)
        for (resource, namespace), count in sorted(counts.items())
    )


def plan_backup(
    run: Run,
    record: Backup,
    options: BackupOptions,
    *,
    cluster: Cluster,
    plugins: PluginManager,
) -> BackupPlan:
    """Read what a backup would read, and only count it.

    Raises:
        Cancelled: The run is to stop.
        KBackupError: The cluster cannot be read at all.
    """
    with run.phase("discovery"):
        request = make_request(record, options, cluster)
    sink = _CountingSink()
    actions = backup_actions(request, plugins)
    stored = store_selected(request, run, sink, actions)
    report_end(stored.missing, stored.ledger, run)
    return BackupPlan(
        items=planned_types(sink.counts),
        not_covered=tuple(stored.ledger.not_covered),
        missing=stored.missing,
        volumes=tuple(stored.ledger.volumes),
        results=run.results,
        holds_nothing=stored.ledger.holds_nothing,
        hooked_pods=stored.ledger.hooked_pods,
    )


class _CountingSink:
    """Takes items as an archive does, and only counts them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[GroupResource, str]] = Counter()

    def add(
        self,
        *,
        resource: str,
        version: str,  # noqa: ARG002 - an archive needs it
        namespace: str,
        name: str,  # noqa: ARG002 - an archive needs it
        body: bytes,  # noqa: ARG002 - an archive needs it
        preferred: bool = True,
    ) -> None:
        """Count one item; further versions of it are no more items."""
        self.counts[GroupResource.parse(resource), namespace] += preferred
