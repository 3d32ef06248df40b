"""Single objects from the cluster, several at a time; what fails is an answer as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kbackup._kits.workers import map_ordered
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import ClusterError
from kbackup.models import APIResource, Item, ResourceIdentifier
from kbackup.plugins import Run

_MAX_READERS = 8  # GETs in flight

Answer = Item | ClusterError


class Reads:
    """Reads what a run asks for by name; any thread may."""

    def __init__(self, cluster: Cluster, discovery: Discovery, run: Run) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._run = run

    def each(
        self, identifiers: Iterable[ResourceIdentifier]
    ) -> Iterator[tuple[ResourceIdentifier, Answer]]:
        """Yield every object, or why there is none, in the order asked for.

        Args:
            identifiers: Of types that the cluster serves.
        """
        chosen = list(identifiers)
        if len(chosen) <= 1:  # threads would take longer than the answer
            yield from ((each, self.one(each)) for each in chosen)
            return
        workers = min(_MAX_READERS, self._run.settings.workers, len(chosen))
        answers = map_ordered(self.one, chosen, workers=workers, name="kbackup-items")
        yield from zip(chosen, answers, strict=True)

    def one(self, identifier: ResourceIdentifier) -> Answer:
        """Return an object, or why there is none."""
        try:
            return self._cluster.get(
                self.resource(identifier), identifier.name, identifier.namespace
            )
        except ClusterError as exc:
            return exc

    def resource(self, identifier: ResourceIdentifier) -> APIResource:
        """Return an object's type, which the cluster serves."""
        resource = self._discovery.get(identifier.group_resource)
        if resource is None:  # pragma: no cover - asked before
            raise KeyError(identifier)
        return resource
