"""Is this item of the backup wanted, and under which namespace?

Velero's rules: filters look at the source namespace, excludes win, cluster-scoped items
follow ``includeClusterResources``, labels select collected but not additional items.
Pure; made once for a restore by `make_filters`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

import attrs

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.kinds import is_built_in
from kbackup._kits.words import nearest
from kbackup.models import (
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    RestoreSpec,
    well_known,
)


@attrs.frozen(kw_only=True)
class Filters:
    """What of the backup a restore takes.

    Attributes:
        namespaces: Looked up by source namespace.
        included_types: None for all.
        excluded_types: Win over the included ones.
        cluster_scoped: ``includeClusterResources``; None leaves it to the namespaces.
        selectors: An item with labels that match any of them; none selects all.
        mapping: Source namespace to target namespace.
    """

    namespaces: IncludesExcludes = attrs.field(factory=IncludesExcludes)
    included_types: frozenset[GroupResource] | None = None
    excluded_types: frozenset[GroupResource] = frozenset()
    cluster_scoped: bool | None = None
    selectors: tuple[LabelSelector, ...] = ()
    mapping: Mapping[str, str] = attrs.field(factory=dict)

    def wants_type(self, resource: GroupResource) -> bool:
        """Whether the resource filter lets a type through."""
        if resource in self.excluded_types:
            return False
        return self.included_types is None or resource in self.included_types

    def wants_scope(self, ref: ResourceIdentifier, *, additional: bool = False) -> bool:
        """Whether namespace and cluster scope let an item through.

        Args:
            ref: The item in the backup.
            additional: An action asked for it: then a cluster-scoped item passes
                unless cluster-scoped items are switched off.
        """
        if ref.namespace:
            return self.namespaces.wants(ref.namespace)
        if self.cluster_scoped is not None:
            return self.cluster_scoped
        return additional or self.namespaces.includes_everything

    def wants_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether any selector takes an object with these labels."""
        if not self.selectors:
            return True
        return any(selector.matches(labels) for selector in self.selectors)

    def target(self, ref: ResourceIdentifier) -> ResourceIdentifier:
        """Where an item goes; a Namespace is renamed by the mapping itself."""
        if ref.namespace:
            mapped = self.mapping.get(ref.namespace)
            if mapped is None:
                return ref
            return ResourceIdentifier(ref.group_resource, mapped, ref.name)
        if self.mapping and ref.group_resource == well_known.NAMESPACES:
            name = self.mapping.get(ref.name, ref.name)
            return ResourceIdentifier(ref.group_resource, "", name)
        return ref


class TypeNames:
    """Turns what users write for a type into group and resource.

    Args:
        served: What the target serves, by every name it answers to.
        stored: The types in the archive: a type may exist in the backup only.
        moved: Those of them that are written as another type, and as which: its own
            name and theirs mean the same.
    """

    def __init__(
        self,
        served: Mapping[str, GroupResource],
        stored: Iterable[GroupResource],
        moved: Mapping[GroupResource, GroupResource] = MappingProxyType({}),
    ) -> None:
        self._served = served
        self._stored: dict[str, GroupResource] = {}
        self._in_full: dict[str, GroupResource] = {}
        # A plural without group means Kubernetes' own type before one of a definition.
        for resource in sorted(stored, key=lambda type_: not is_built_in(type_.group)):
            meant = moved.get(resource, resource)
            self._stored.setdefault(resource.resource, meant)
            for name in (str(resource), str(meant)):
                self._stored[name] = self._in_full[name] = meant

    def resolve(self, name: str) -> GroupResource:
        """The type that *name* means; an unknown one is taken as it is written."""
        stored, served = self._stored.get(name), self._served.get(name)
        if served is None:
            return stored or GroupResource.parse(name)
        if stored is None or str(served) in self._stored:
            return served
        # The target may serve it under another group, but not as something else.
        is_other = is_built_in(served.group) and not is_built_in(stored.group)
        return served if is_other else stored

    def all_of(self, name: str) -> frozenset[GroupResource]:
        """Every type that *name* may mean; without a group those of all groups."""
        found = {self._stored.get(name), self._served.get(name)} - {None}
        if "." not in name:
            plurals = {type_.resource for type_ in found if type_ is not None}
            found |= {x for x in self._stored.values() if x.resource in plurals}
        return frozenset(type_ for type_ in found if type_ is not None)

    def nearest(self, name: str) -> str:
        """The name of a type that *name* may be a slip for, or nothing."""
        return nearest(name, {*self._stored, *self._served})

    def matching(self, pattern: str) -> Iterator[GroupResource]:
        """The types in the archive whose full name a pattern with wildcards matches."""
        for name, resource in self._in_full.items():
            if fnmatchcase(name, pattern):
                yield resource


def make_filters(spec: RestoreSpec, names: TypeNames) -> Filters:
    """Resolve the filters of *spec* for one restore."""
    selectors = tuple(spec.or_label_selectors)
    if spec.label_selector is not None:
        selectors = (spec.label_selector,)
    return Filters(
        namespaces=IncludesExcludes(spec.included_namespaces, spec.excluded_namespaces),
        included_types=types_of(spec.included_resources, names),
        excluded_types=types_of(spec.excluded_resources, names) or frozenset(),
        cluster_scoped=spec.include_cluster_resources,
        selectors=selectors,
        mapping=dict(spec.namespace_mapping),
    )


def named_types(spec: RestoreSpec, names: TypeNames) -> frozenset[GroupResource]:
    """Return the types that are included by a name of their own, and by no wildcard."""
    listed = (name for name in spec.included_resources if not is_glob(name))
    return frozenset(names.resolve(name) for name in listed)


def keeps_despite_where(resource: GroupResource) -> bool:
    """Whether a selection by function never drops items of this type.

    Without its CRD or Namespace what the function kept could not be written.
    """
    return resource in (well_known.CRDS, well_known.NAMESPACES)


def types_of(names: Sequence[str], types: TypeNames) -> frozenset[GroupResource] | None:
    """Return the types that a list of names means; None: all."""
    if not names or "*" in names:
        return None
    found: set[GroupResource] = set()
    for name in names:
        if is_glob(name):
            found.update(types.matching(name))
        else:
            found.add(types.resolve(name))
    return frozenset(found)
