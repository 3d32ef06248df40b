"""The items that a plan looks at together: those of one type that go to one namespace.

What lives at their places in the target is found by one LIST. Asked by the planner, type
by type.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from kbackup.archive import ArchiveContents
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._request.request import RestoreRequest

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
