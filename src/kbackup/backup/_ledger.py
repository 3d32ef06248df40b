"""What a run has stored, failed and still owes; the one place that knows.

Used by the thread that writes the archive. Of each stored object only
``namespace/name`` is kept, as the resource list needs it anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import attrs

from kbackup._kits.words import qualified
from kbackup.catalog import NotCovered, VolumeRecord
from kbackup.cluster import ListedItem
from kbackup.errors import ArchiveError
from kbackup.models import APIResource, GroupResource, HookStatus, ResourceIdentifier

Wanted = dict[ResourceIdentifier, bool]
"""What actions ask for, each with whether the filters do not count."""


def add_wanted(wanted: Wanted, more: Wanted) -> None:
    """Take over what else is asked for: one who asks without filters is enough."""
    for identifier, unfiltered in more.items():
        wanted[identifier] = unfiltered or wanted.get(identifier, False)


@attrs.define(eq=False)
class TypeLedger:
    """The objects of one type.

    Attributes:
        resource: The type, in the version that is stored.
        full_name: Such as ``deployments.apps``.
        stored: As `qualified` names.
        failed: Alike: wanted and not stored.
        renamed: By the name that an action gave, the one that the cluster knows.
        converted: Stored in another version, by the version that an action gave.
        copied: Stored in another version as well, by that.
        ahead: Of what was met before its list, whether it was stored, or failed; until
            the list names it.
    """

    resource: APIResource
    full_name: str
    stored: set[str] = attrs.field(factory=set)
    failed: set[str] = attrs.field(factory=set)
    renamed: dict[str, str] = attrs.field(factory=dict)
    converted: dict[str, set[str]] = attrs.field(factory=dict)
    copied: dict[str, set[str]] = attrs.field(factory=dict)
    ahead: dict[str, bool] = attrs.field(factory=dict)
    _moved: dict[str, str] = attrs.field(factory=dict)  # own name to the given one

    def has_met(self, name: str) -> bool:
        """Tell whether what the cluster has under a name was stored, or has failed."""
        if name in self.stored:
            return name not in self.renamed or name in self._moved
        return name in self.failed or name in self._moved

    def stored_as(self, own: str) -> str:
        """Return under which name the item is stored that the cluster knows as *own*."""
        if own in self._moved:
            return self._moved[own]
        return own if own in self.stored and own not in self.renamed else ""

    def take_name(self, name: str, own: str) -> None:
        """Keep a name for the item that the cluster knows as *own*.

        Raises:
            ArchiveError: Another item is stored under it.
        """
        if name in self.stored:
            other = self.renamed.get(name, name)
            raise ArchiveError(
                f"{other} is stored as {name}: an action gave both one name"
            )
        if name != own:
            self.renamed[name] = own
            self._moved[own] = name

    def note_ahead(self, name: str) -> bool:
        """Keep that an object was stored before its list, or failed; tell whether so."""
        met = self.has_met(name)
        if met:
            self.ahead[name] = name not in self.failed
        return met

    def note_version(self, name: str, api_version: str) -> None:
        """Keep in which version a stored object is, if that is not the type's."""
        if api_version != self.resource.api_version:
            self.converted.setdefault(api_version, set()).add(name)

    def absorb(self, again: TypeLedger) -> None:
        """Take over what became of objects that were looked at once more."""
        for names in (*self.converted.values(), *self.copied.values()):
            names.difference_update(again.stored)  # it was replaced in all versions
        for api_version, moved in again.converted.items():
            self.converted.setdefault(api_version, set()).update(moved)
        self.stored |= again.stored
        self.failed -= again.stored
        self.failed |= again.failed - self.stored

    def by_kind(self) -> Iterator[tuple[str, set[str]]]:
        """Yield ``apps/v1/Deployment``, as Velero's resource list has it, and names.

        They are those of everything stored, or tried and failed.
        """
        kind, converted = self.resource.kind, self.converted
        for api_version, copied in self.copied.items():
            yield f"{api_version}/{kind}", copied
        names = self.stored | self.failed if self.failed else self.stored
        for api_version, moved in converted.items():
            yield f"{api_version}/{kind}", moved
            names = names - moved
        if names:
            yield f"{self.resource.api_version}/{kind}", names


@attrs.define(eq=False)
class Tally:
    """What became of the items of one LIST: listed = stored + skipped + failed."""

    listed: int = 0
    stored: int = 0
    failed: int = 0
    skipped: Counter[str] = attrs.field(factory=Counter)

    @property
    def is_whole(self) -> bool:
        """Whether every listed item is accounted for."""
        return self.listed == self.stored + self.failed + self.skipped.total()

    def settled(
        self, page: TypeLedger, items: Iterable[ListedItem]
    ) -> list[ListedItem]:
        """Count those of *items* that were met before their list; return the others."""
        others = []
        for item in items:
            stored = page.ahead.pop(qualified(item.namespace, item.name), None)
            if stored is None:
                others.append(item)
            else:
                self.stored += stored
                self.failed += not stored
        return others


class Ledger:
    """The books of one run.

    Attributes:
        wanted: Additional items asked for and not yet looked at; the value tells
            whether the filters do not count for it.
        askers: Who was the first to ask for each of them, an item and its action.
        not_covered: What was selected and could not be read.
        volumes: A record for each claim, once all are stored.
        hooked_pods: Pods with hooks.
        met_hooks: Names of those entries of the spec's hooks that are for a Pod.
        unquiesced: Pods in which a hook failed that is to be heeded, and what belongs to
            them: stored, but nothing may act on it.
        hook_status: How many hooks were tried and failed; None: there was none.
        excluded_namespaces: Kept out by a label, with all that is in them.
        idle_namespaces: Namespace objects that are stored although the filters found
            nothing in them, and chose other things than Namespaces.
        items: Objects stored in all.
        total: Objects met in all.
    """

    def __init__(self) -> None:
        self._types: dict[GroupResource, TypeLedger] = {}
        self.wanted: Wanted = {}
        self.askers: dict[ResourceIdentifier, tuple[ResourceIdentifier, str]] = {}
        self.not_covered: list[NotCovered] = []
        self.volumes: list[VolumeRecord] = []
        self.hooked_pods = 0
        self.met_hooks: set[str] = set()
        self.unquiesced: set[ResourceIdentifier] = set()
        self.hook_status: HookStatus | None = None
        self.excluded_namespaces: frozenset[str] = frozenset()
        self.idle_namespaces: list[str] = []
        self.items = 0
        self.total = 0

    @property
    def holds_nothing(self) -> bool:
        """Whether nothing was stored but Namespaces that merely came along."""
        return self.items == len(self.idle_namespaces)

    @property
    def copies(self) -> int:
        """How many copies there are of what was stored, in other versions."""
        pages = self._types.values()
        return sum(len(names) for page in pages for names in page.copied.values())

    def of_type(self, resource: APIResource) -> TypeLedger:
        """Return the page of a type, new where it is the first time."""
        known = self._types.get(resource.group_resource)
        if known is None:
            known = TypeLedger(resource, str(resource))
            self._types[resource.group_resource] = known
        return known

    def known(self, group_resource: GroupResource) -> TypeLedger | None:
        """Return the page of a type, if something of it was met."""
        return self._types.get(group_resource)

    def has(self, group_resource: GroupResource, namespace: str, name: str) -> bool:
        """Tell whether an object was stored."""
        known = self._types.get(group_resource)
        return known is not None and qualified(namespace, name) in known.stored

    def was_tried(self, identifier: ResourceIdentifier) -> bool:
        """Tell whether an object was stored or failed: it is not tried again."""
        known = self._types.get(identifier.group_resource)
        if known is None:
            return False
        return known.has_met(identifier.qualified_name)

    def absorb(self, again: Ledger) -> None:
        """Take over the books of what was stored once more, or only then."""
        for page in again.types():
            known = self.of_type(page.resource)
            self.items += len(page.stored - known.stored)
            known.absorb(page)
        self.not_covered += again.not_covered

    def any_of(self, group_resource: GroupResource) -> ResourceIdentifier:
        """Return the first object, by name, of a type that something was stored of."""
        first = min(self._types[group_resource].stored)
        namespace, _, name = first.rpartition("/")
        return ResourceIdentifier(group_resource, namespace, name)

    def all_of(self, group_resource: GroupResource) -> list[str]:
        """Return the names of everything that was stored of a cluster-scoped type."""
        known = self._types.get(group_resource)
        return sorted(known.stored) if known is not None else []

    def want(self, identifier: ResourceIdentifier, *, unfiltered: bool) -> None:
        """Note an item that an action asks for."""
        add_wanted(self.wanted, {identifier: unfiltered})

    def note_asker(
        self, wanted: ResourceIdentifier, item: ResourceIdentifier, action: str
    ) -> None:
        """Keep who asks for an item, to be told where it cannot be had."""
        self.askers.setdefault(wanted, (item, action))

    @contextmanager
    def asked_apart(self) -> Iterator[Wanted]:
        """Collect what actions ask for meanwhile in a place of its own."""
        kept, self.wanted = self.wanted, {}
        try:
            yield self.wanted
        finally:
            self.wanted = kept

    def types(self) -> Iterator[TypeLedger]:
        """Yield every type of which something was met, in the order of meeting."""
        yield from self._types.values()

    def stored_types(self) -> tuple[GroupResource, ...]:
        """Return the types of which something was stored."""
        return tuple(gr for gr, page in self._types.items() if page.stored)

    def namespaces_in_use(self) -> set[str]:
        """Return the namespaces in which something was stored."""
        return {
            name.partition("/")[0]
            for page in self._types.values()
            if page.resource.namespaced
            for name in page.stored
        }
