"""Which LISTs of the target a plan will ask for, and how many objects at first.

So that they are begun ahead. Known from the backup's index, before any item is looked at:
what is wrong here is listed once more or in vain, and changes nothing else. Asked by the
planner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from kbackup.archive import ArchiveContents
from kbackup.models import APIResource, GroupResource, ResourceIdentifier
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.live_objects import Expected, Place
from kbackup.restore._verdicts.item_groups import FEW
from kbackup.restore._verdicts.namespaces import is_absent, is_terminating

_MOST_AT_FIRST = 500


@attrs.define
class _Goal:
    """A namespace of the target, and what goes there.

    Attributes:
        first: The item that comes first.
        count: How many there are.
        page: About how many of them fit into a page.
    """

    first: ResourceIdentifier | None = None
    count: int = 0
    page: int = _MOST_AT_FIRST


def expected_lists(
    request: RestoreRequest,
    contents: ArchiveContents,
    types: Iterable[GroupResource],
    page_bytes: int,
) -> Iterator[Expected]:
    """Yield what is to be listed for the items of *types*, in the order of planning."""
    for resource in types:
        if request.system.covers_type(resource):
            continue
        for namespace, goal in _goals(request, contents, resource, page_bytes).items():
            served = _served(request, contents, goal.first)
            if (
                served is not None
                and goal.count > FEW
                and _is_readable(request, namespace)
            ):
                yield Expected(Place(served, namespace), goal.page)


def _goals(
    request: RestoreRequest,
    contents: ArchiveContents,
    resource: GroupResource,
    page_bytes: int,
) -> dict[str, _Goal]:
    """Where the items of a type go, in the order in which their places are planned."""
    goals: dict[str, _Goal] = {}
    for namespace, count in contents.counts(resource).items():
        ref = next(contents.identifiers(resource, namespace))
        goal = goals.setdefault(request.filters.target(ref).namespace, _Goal())
        if request.filters.wants_scope(ref):
            goal.first = goal.first or ref
            goal.count += count
            page = _fitting(contents, resource, namespace, page_bytes)
            goal.page = min(goal.page, page)
    return goals


def _fitting(
    contents: ArchiveContents, resource: GroupResource, namespace: str, page_bytes: int
) -> int:
    """How many of the first items of a namespace make a page.

    A LIST has them in this order: what lives there is about as large.
    """
    taken = number = 0
    for number, ref in enumerate(contents.identifiers(resource, namespace), 1):
        taken += contents.size(ref)
        if taken > page_bytes:
            return max(1, number - 1)
        if number == _MOST_AT_FIRST:
            break
    return max(1, min(_MOST_AT_FIRST, page_bytes * number // max(1, taken)))


def _served(
    request: RestoreRequest, contents: ArchiveContents, ref: ResourceIdentifier | None
) -> APIResource | None:
    """How the target serves what is planned first of a namespace; None: it does not."""
    item = None if ref is None else contents.get(ref)
    if item is None:
        return None
    return request.discovery.by_kind(item.api_version, item.kind)


def _is_readable(request: RestoreRequest, namespace: str) -> bool:
    """Whether what lives in a namespace is looked at."""
    reader = request.reader
    return not (is_absent(reader, namespace) or is_terminating(reader, namespace))
