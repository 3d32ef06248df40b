"""Which action wants which item.

Most actions name their types, so an item's type alone settles it for nearly all of
them: the engines look up by type first and ask further only where something is left to
ask. Called by both engines for every item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

import attrs

from kbackup._kits.globs import IncludesExcludes
from kbackup.models import APIResource, GroupResource, LabelSelector, ResourceSelector


class SelectingAction(Protocol):
    """What all item actions have in common."""

    name: str
    applies_to: ResourceSelector


A = TypeVar("A", bound=SelectingAction)

Resolve = Callable[[str], "GroupResource | APIResource | None"]

_EVERYTHING = frozenset({(), ("*",)})


@attrs.frozen(kw_only=True)
class ResolvedAction(Generic[A]):
    """An action whose type is settled, and what is left to ask of an item.

    Attributes:
        action: The action.
        namespaces: Which namespaces it wants, or None: any item.
        labels: Which labels it wants, or None: whatever they are.
    """

    action: A
    namespaces: IncludesExcludes | None = None
    labels: LabelSelector | None = None

    def wants(self, namespace: str, labels: Mapping[str, str] | None) -> bool:
        """Tell whether an item of the settled type is for the action.

        Args:
            namespace: Empty for a cluster-scoped item, which an action with any filter
                of namespaces does not get (as in Velero).
            labels: The item's labels; None is none.
        """
        if self.namespaces is not None and not (
            namespace and self.namespaces.wants(namespace)
        ):
            return False
        return self.labels is None or self.labels.matches(labels or {})


@attrs.frozen
class _Prepared(Generic[A]):
    """An action with its types resolved."""

    resolved: ResolvedAction[A]
    included: frozenset[GroupResource] | None  # None: every type
    excluded: frozenset[GroupResource]

    def is_for(self, group_resource: GroupResource) -> bool:
        included = self.included is None or group_resource in self.included
        return included and group_resource not in self.excluded


class ActionIndex(Generic[A]):
    """The actions of one run by the type of item; may be asked from any thread."""

    def __init__(self, actions: Iterable[A], resolve: Resolve) -> None:
        """Resolve the types that the actions name.

        Args:
            actions: In the order in which they run.
            resolve: From a plural, short or full name to the type that the cluster
                serves; a name that it does not know is taken as written.
        """
        self._prepared = tuple(_prepare(action, resolve) for action in actions)
        self._by_type: dict[GroupResource, tuple[ResolvedAction[A], ...]] = {}

    def for_type(self, group_resource: GroupResource) -> tuple[ResolvedAction[A], ...]:
        """Return the actions that may want items of a type, in their order."""
        known = self._by_type.get(group_resource)
        if known is None:  # two threads may both work it out: the answer is the same
            known = tuple(
                p.resolved for p in self._prepared if p.is_for(group_resource)
            )
            self._by_type[group_resource] = known
        return known


def _prepare(action: A, resolve: Resolve) -> _Prepared[A]:
    selector = action.applies_to
    namespaces = IncludesExcludes(
        selector.included_namespaces, selector.excluded_namespaces
    )
    resolved = ResolvedAction(
        action=action,
        namespaces=None if namespaces.includes_everything else namespaces,
        labels=(
            LabelSelector.parse(selector.label_selector)
            if selector.label_selector
            else None
        ),
    )
    included = (
        None
        if selector.included_resources in _EVERYTHING
        else _types(selector.included_resources, resolve)
    )
    return _Prepared(resolved, included, _types(selector.excluded_resources, resolve))


def _types(names: Iterable[str], resolve: Resolve) -> frozenset[GroupResource]:
    return frozenset(_type(name, resolve) for name in names)


def _type(name: str, resolve: Resolve) -> GroupResource:
    found = resolve(name)
    if found is None:
        return GroupResource.parse(name)
    return found.group_resource if isinstance(found, APIResource) else found
