"""Single objects from the cluster, several at a time; what fails is an answer as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from kbackup._kits.workers import map_ordered
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import ClusterError
from kbackup.models import APIResource, GroupResource, Item, ResourceIdentifier
from kbackup.plugins import Run

_MAX_READERS = 8  # GETs in flight
_WORTH_A_LIST = 50  # GETs of one type and namespace

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

    def together(
        self, identifiers: Iterable[ResourceIdentifier]
    ) -> dict[ResourceIdentifier, Answer]:
        """Return every object, or why there is none, all of them in memory.

        Many of one type and namespace are picked from a list, where that may be read:
        so hundreds of requests are one.
        """
        chosen = list(identifiers)
        by_place: dict[tuple[GroupResource, str], set[ResourceIdentifier]] = {}
        for each in chosen:
            place = (each.group_resource, each.namespace)
            by_place.setdefault(place, set()).add(each)
        found: dict[ResourceIdentifier, Answer] = {}
        for wanted in by_place.values():
            if len(wanted) >= _WORTH_A_LIST:
                with suppress(ClusterError):  # who may not list may perhaps read
                    found.update(self._picked(wanted))
        found.update(self.each(each for each in chosen if each not in found))
        return found

    def _picked(
        self, wanted: set[ResourceIdentifier]
    ) -> Iterator[tuple[ResourceIdentifier, Item]]:
        """Yield those objects of one type and namespace that a list has."""
        first = next(iter(wanted))
        resource, left = self.resource(first), len(wanted)
        listing = self._cluster.list(resource, namespace=first.namespace)
        for page in listing.pages():
            for each in page.items:
                identifier = ResourceIdentifier(
                    first.group_resource, each.namespace, each.name
                )
                if identifier in wanted:
                    left -= 1
                    yield (
                        identifier,
                        Item(
                            identifier=identifier,
                            raw=each.json(),
                            api_version=resource.api_version,
                            kind=resource.kind,
                        ),
                    )
            if left <= 0:
                return

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
