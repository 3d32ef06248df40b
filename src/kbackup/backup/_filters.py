"""What a specification wants: types, namespaces, items that actions ask for.

Pure: made of a `BackupSpec` and of what the cluster serves, asked by the collector and
by the item backupper. Source: Velero's filters, "old" (included and excluded resources,
cluster resources in three states) and by scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import attrs

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup.models import (
    APIResource,
    BackupSpec,
    GroupResource,
    LabelSelector,
    well_known,
)

# They are listed, and only counted: an action brings in those of a backup's own volumes,
# and restoring any other would take new snapshots.
NEVER_STORED_ALONE = frozenset(
    {
        well_known.VOLUME_SNAPSHOTS,
        well_known.VOLUME_SNAPSHOT_CONTENTS,
    }
)

Resolve = Callable[[str], "APIResource | None"]

_EXCLUDED = "its type is excluded"
_NOT_INCLUDED = "its type is not included"
_NO_CLUSTER_SCOPE = "cluster-scoped objects are left out"
_OTHER_NAMESPACE = "its namespace is not selected"


class _TypeRules(Protocol):
    """One of the two ways to say which types are wanted."""

    def lists(self, resource: APIResource) -> bool:
        """Tell whether the objects of a type are listed."""
        ...

    def refusal(self, resource: APIResource) -> str:
        """Say why an additional item of a type is not stored; empty: it is."""
        ...

    @property
    def wants_unnamed(self) -> bool:
        """Whether a type nobody named, perhaps unknown, could be wanted."""
        ...


@attrs.frozen(kw_only=True)
class _OldRules:
    """Included and excluded resources, and cluster resources in three states."""

    resources: IncludesExcludes
    cluster_resources: bool | None
    all_namespaces: bool

    def lists(self, resource: APIResource) -> bool:
        if not self.resources.wants(str(resource)):
            return False
        if resource.namespaced:
            return True
        if resource.group_resource == well_known.NAMESPACES:
            return self.cluster_resources is not False
        if self.cluster_resources is None:
            return self.all_namespaces
        return self.cluster_resources

    def refusal(self, resource: APIResource) -> str:
        if not resource.namespaced and self.cluster_resources is False:
            return _NO_CLUSTER_SCOPE
        if _excludes(self.resources, resource):
            return _EXCLUDED
        if not resource.namespaced and self.cluster_resources:
            return ""  # asked for all that is cluster-scoped: only excludes count
        return "" if self.resources.wants(str(resource)) else _NOT_INCLUDED

    @property
    def wants_unnamed(self) -> bool:
        return _is_open(self.resources)


@attrs.frozen(kw_only=True)
class _ScopedRules:
    """Includes and excludes of namespaced and of cluster-scoped types."""

    namespaced: IncludesExcludes
    cluster: IncludesExcludes
    all_namespaces: bool

    def lists(self, resource: APIResource) -> bool:
        if resource.namespaced:
            return self.namespaced.wants(str(resource))
        if _excludes(self.cluster, resource):
            return False
        if resource.group_resource == well_known.NAMESPACES or self._whole_cluster:
            return True
        return bool(self.cluster.includes) and self.cluster.wants(str(resource))

    def refusal(self, resource: APIResource) -> str:
        if resource.namespaced:
            wanted = self.namespaced.wants(str(resource))
            return "" if wanted else _NOT_INCLUDED
        return _EXCLUDED if _excludes(self.cluster, resource) else ""

    @property
    def wants_unnamed(self) -> bool:
        return _is_open(self.namespaced) or (
            bool(self.cluster.includes) and _is_open(self.cluster)
        )

    @property
    def _whole_cluster(self) -> bool:
        return (
            not self.cluster.includes
            and not self.cluster.excludes
            and self.all_namespaces
            and self.namespaced.includes_everything
        )


class Filters:
    """The filters of one backup; immutable, so any thread may ask.

    Attributes:
        namespaces: The specification's own lists, unexpanded.
        selectors: Label queries, one LIST each; one empty query where all is wanted.
        unknown: Names of included types that the cluster does not serve.
        unknown_excludes: Names of excluded ones.
        misplaced: Names in the list of the other scope; Velero ignores them.
        narrow_types: Whether lists of types leave anything namespaced out.
    """

    def __init__(self, spec: BackupSpec, resolve: Resolve) -> None:
        self.namespaces = IncludesExcludes(
            spec.included_namespaces, spec.excluded_namespaces
        )
        self.selectors = _queries(spec)
        self._resolve = resolve
        self._named: set[GroupResource] = set()
        self.unknown: tuple[str, ...] = ()
        self.unknown_excludes: tuple[str, ...] = ()
        self.misplaced: tuple[str, ...] = ()
        self.narrow_types = _has_type_filters(spec)
        self._rules: _TypeRules = (
            self._scoped_rules(spec) if has_scoped_filters(spec) else _old(self, spec)
        )

    @property
    def named_namespaces(self) -> frozenset[str]:
        """The includes, names and globs, unless they are all namespaces."""
        return frozenset(n for n in self.namespaces.includes if n not in ("", "*"))

    @property
    def all_namespaces(self) -> bool:
        """Whether the lists of namespaces leave nothing out."""
        return self.namespaces.includes_everything

    def lists(self, resource: APIResource) -> bool:
        """Tell whether the objects of a type are to be listed."""
        return self._rules.lists(resource)

    def refusal(self, resource: APIResource, namespace: str) -> str:
        """Say why an item that an action asks for is not stored; empty: it is.

        Label selectors do not count here: what belongs to a selected item is wanted.
        """
        if namespace and not self.namespaces.wants(namespace):
            return _OTHER_NAMESPACE
        return self._rules.refusal(resource)

    def excludes_crds(self, crds: APIResource | None) -> bool:
        """Tell whether CRDs shall not even be added for stored custom resources.

        Includes that leave CRDs out do not count: custom resources without their CRD
        would be a gap that nobody asked for.
        """
        return crds is not None and self._rules.refusal(crds) in {
            _EXCLUDED,
            _NO_CLUSTER_SCOPE,
        }

    def names(self, group_resource: GroupResource) -> bool:
        """Tell whether an include names this very type."""
        return group_resource in self._named

    @property
    def wants_unnamed(self) -> bool:
        """Whether types that could not be discovered may be among the wanted ones."""
        return bool(self.unknown) or self._rules.wants_unnamed

    def full_names(self, texts: Iterable[str], *, named: bool) -> tuple[str, ...]:
        """Return ``resource.group`` of each name; unknown ones and globs verbatim."""
        found = []
        for text in texts:
            resource = None if is_glob(text) else self._resolve(text)
            if resource is None:
                found.append(text)
                if text and not is_glob(text):
                    self._keep_unknown(text, named=named)
                continue
            found.append(str(resource))
            if named:
                self._named.add(resource.group_resource)
        return tuple(found)

    def _keep_unknown(self, text: str, *, named: bool) -> None:
        if named:
            self.unknown += (text,)
        else:
            self.unknown_excludes += (text,)

    def _scoped_rules(self, spec: BackupSpec) -> _ScopedRules:
        namespaced = (
            spec.included_namespace_scoped_resources,
            spec.excluded_namespace_scoped_resources,
        )
        cluster = (
            spec.included_cluster_scoped_resources,
            spec.excluded_cluster_scoped_resources,
        )
        self.misplaced = tuple(
            text
            for texts, scope in ((namespaced, True), (cluster, False))
            for text in texts[0] + texts[1]
            if self._has_scope(text, not scope)
        )
        return _ScopedRules(
            namespaced=self._of_scope(*namespaced),
            cluster=self._of_scope(*cluster),
            all_namespaces=self.all_namespaces,
        )

    def _of_scope(
        self, includes: tuple[str, ...], excludes: tuple[str, ...]
    ) -> IncludesExcludes:
        return IncludesExcludes(
            self.full_names(includes, named=True),
            self.full_names(excludes, named=False),
        )

    def _has_scope(self, text: str, namespaced: bool) -> bool:  # noqa: FBT001 - private
        resource = None if is_glob(text) else self._resolve(text)
        return resource is not None and resource.namespaced is namespaced


def has_scoped_filters(spec: BackupSpec) -> bool:
    """Tell whether a specification uses the lists by scope."""
    return bool(
        spec.included_cluster_scoped_resources
        or spec.excluded_cluster_scoped_resources
        or spec.included_namespace_scoped_resources
        or spec.excluded_namespace_scoped_resources
    )


def _has_type_filters(spec: BackupSpec) -> bool:
    """Tell whether a specification says of which types namespaced objects are."""
    included = spec.included_resources or spec.included_namespace_scoped_resources
    excluded = spec.excluded_resources or spec.excluded_namespace_scoped_resources
    return bool(excluded) or not set(included) <= {"", "*"}


def _old(filters: Filters, spec: BackupSpec) -> _OldRules:
    return _OldRules(
        resources=IncludesExcludes(
            filters.full_names(spec.included_resources, named=True),
            filters.full_names(spec.excluded_resources, named=False),
        ),
        cluster_resources=spec.include_cluster_resources,
        all_namespaces=filters.all_namespaces,
    )


def label_selectors(spec: BackupSpec) -> tuple[LabelSelector, ...]:
    """Return the selectors of which an object has to fit one; none: labels are free."""
    if spec.label_selector is not None:
        return (spec.label_selector,)
    return spec.or_label_selectors


def _queries(spec: BackupSpec) -> tuple[str, ...]:
    return tuple(x.to_query() for x in label_selectors(spec)) or ("",)


def _excludes(lists: IncludesExcludes, resource: APIResource) -> bool:
    """Tell whether the excludes alone, whatever is included, are against a type."""
    return not attrs.evolve(lists, includes=()).wants(str(resource))


def _is_open(lists: IncludesExcludes) -> bool:
    """Tell whether a type that nobody named could be included."""
    return not lists.includes or any(is_glob(name) for name in lists.includes)
