"""The items that a plan looks at together: those of one type that go to one namespace.

What lives at their places in the target is found by one LIST. Asked by the planner, type
by type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property

from kbackup.archive import ArchiveContents
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.live_objects import Expected, Place
from kbackup.restore._verdicts.namespaces import is_absent, is_terminating

FEW = 3
"""Up to so many single GETs cost less than the LIST of a big namespace."""

Group = dict[str, ResourceIdentifier]
"""Items by the name that they have in the target."""

_Collide = Callable[[ResourceIdentifier, ResourceIdentifier], None]


class ItemGroups:
    """Groups the items of one restore.

    Args:
        request: Which of them are wanted.
        contents: The backup.
        asked_for: Items that others asked for, whatever the filters say; grows.
        collide: Told of an item whose place another one has already, and of that one.
    """

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        asked_for: Container[ResourceIdentifier],
        collide: _Collide,
    ) -> None:
        self._request = request
        self._filters = request.filters
        self._contents = contents
        self._asked_for = asked_for
        self._collide = collide
        self._covers = request.system.covers_type

    def of(self, resource: GroupResource) -> Iterator[Group]:
        """Yield the wanted items of a type, one group for each target namespace."""
        groups: dict[str, Group] = {}
        filters, asked_for = self._filters, self._asked_for
        namespace, wanted = None, False
        members: Group = {}
        for ref in self._contents.identifiers(resource):
            if ref.namespace != namespace:
                namespace = ref.namespace
                wanted = filters.wants_scope(ref)
                members = groups.setdefault(filters.target(ref).namespace, {})
            if not wanted and ref not in asked_for:
                continue
            name = ref.name if namespace else filters.target(ref).name
            first = members.setdefault(name, ref)
            if first is not ref:
                self._collide(ref, first)
        yield from filter(None, groups.values())

    def expected(self, types: Iterable[GroupResource]) -> Iterator[Expected]:
        """Yield what is to be listed for the items of *types*, in the order of `of`."""
        for resource in types:
            item = self._contents.get(next(self._contents.identifiers(resource)))
            if item is None or self._covers(resource):
                continue
            served = self._request.discovery.by_kind(item.api_version, item.kind)
            if served is None:
                continue
            size = self._sizes[resource] / len(self._contents.of_type(resource).places)
            for namespace, count in self._wanted_in(resource).items():
                if count > FEW and self._is_readable(namespace):
                    yield Expected(Place(served, namespace), size)

    def _wanted_in(self, resource: GroupResource) -> Mapping[str, int]:
        """How many items of a type go to each namespace of the target."""
        wanted: Counter[str] = Counter()
        for namespace, count in self._contents.counts(resource).items():
            ref = next(self._contents.identifiers(resource, namespace))
            if self._filters.wants_scope(ref):
                wanted[self._filters.target(ref).namespace] += count
        return wanted

    def _is_readable(self, namespace: str) -> bool:
        """Whether what lives in a namespace is looked at."""
        reader = self._request.reader
        return not (is_absent(reader, namespace) or is_terminating(reader, namespace))

    @cached_property
    def _sizes(self) -> Mapping[GroupResource, int]:
        return self._contents.sizes
