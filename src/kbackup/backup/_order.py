"""Which types are backed up, and in which order. Pure; asked once a run.

Source: Velero's order: groups as discovery names them, ``extensions`` last; of the core
group Pods, claims and volumes first, because they move most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kbackup.backup._filters import NEVER_STORED_ALONE, Filters
from kbackup.models import APIResource, GroupResource, well_known

_CORE_FIRST = ("pods", "persistentvolumeclaims", "persistentvolumes")
_LAST_GROUP = "extensions"

# A type that cannot be created again or deleted is a view of something else.
_STORABLE = ("list", "get", "create", "delete")

# The same objects under two groups; the first one met is stored.
_COHABITING: tuple[frozenset[GroupResource], ...] = (
    *(
        frozenset({GroupResource("apps", name), GroupResource("extensions", name)})
        for name in ("deployments", "daemonsets", "replicasets")
    ),
    frozenset(
        {
            GroupResource("networking.k8s.io", "networkpolicies"),
            GroupResource("extensions", "networkpolicies"),
        }
    ),
    frozenset({GroupResource("", "events"), GroupResource("events.k8s.io", "events")}),
)


def plan_types(
    served: Iterable[APIResource], filters: Filters
) -> tuple[APIResource, ...]:
    """Return the types to list, in their order; Namespaces are not among them.

    Namespace objects are chosen by what was stored in them, so they come at the end.
    """
    wanted = [
        resource
        for resource in served
        if resource.supports(*_STORABLE)
        and resource.group_resource != well_known.NAMESPACES
        and filters.lists(resource)
    ]
    return tuple(_without_twins(_ordered(wanted)))


def other_versions(
    types: Iterable[APIResource], served: Iterable[APIResource]
) -> Mapping[GroupResource, tuple[APIResource, ...]]:
    """Return the versions of *types* that are served beside the one that is read."""
    read = {each.group_resource: each.version for each in types}
    found: dict[GroupResource, tuple[APIResource, ...]] = {}
    for each in served:
        known = each.group_resource
        if known in NEVER_STORED_ALONE or not each.supports(*_STORABLE):
            continue
        if read.get(known, each.version) != each.version:
            found[known] = (*found.get(known, ()), each)
    return found


def _ordered(resources: list[APIResource]) -> list[APIResource]:
    groups = {resource.group: None for resource in resources}
    ranks = {group: rank for rank, group in enumerate(groups)}
    ranks[_LAST_GROUP] = len(ranks)

    def rank(resource: APIResource) -> tuple[int, int]:
        return ranks[resource.group], _rank_in_core(resource)

    return sorted(resources, key=rank)  # stable: else as discovery has them


def _rank_in_core(resource: APIResource) -> int:
    if resource.group or resource.resource not in _CORE_FIRST:
        return len(_CORE_FIRST)
    return _CORE_FIRST.index(resource.resource)


def _without_twins(resources: Iterable[APIResource]) -> Iterable[APIResource]:
    met: set[frozenset[GroupResource]] = set()
    for resource in resources:
        twins = next((t for t in _COHABITING if resource.group_resource in t), None)
        if twins is not None:
            if twins in met:
                continue
            met.add(twins)
        yield resource
