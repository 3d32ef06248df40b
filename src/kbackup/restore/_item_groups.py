"""The items that a plan looks at together: those of one type that go to one namespace.

What lives at their places in the target is found by one LIST. Asked by the planner, type
by type.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from kbackup.archive import ArchiveContents
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._request import RestoreRequest

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

    def first_of(self, resource: GroupResource | None) -> list[ResourceIdentifier]:
        """Some items of the first group of a type, as far as that is known before its turn.

        No more of them than it takes to know that they are listed.
        """
        found: list[ResourceIdentifier] = []
        if resource is None or self._covers(resource):
            return found
        for ref in self._contents.identifiers(resource):
            if found and ref.namespace != found[0].namespace:
                break
            if found or self._filters.wants_scope(ref):
                found.append(ref)
            if len(found) > FEW:
                break
        return found
