"""Where a backup looked, and what of the objects there it would have taken.

Pure: whatever lies there elsewhere and is not in the backup is missing in it. Asked when
a backup is compared with a cluster or another backup.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import attrs

from kbackup._kits.globs import IncludesExcludes
from kbackup.archive import ArchiveContents
from kbackup.catalog._manifest import Manifest
from kbackup.models import (
    Backup,
    BackupSpec,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    labels,
    well_known,
)

EVERYWHERE = ""


@attrs.frozen(kw_only=True)
class Scopes:
    """What one backup covers.

    Attributes:
        listed: By type, the namespaces of which the backup read all objects;
            `EVERYWHERE` is all of them, and all of a cluster-scoped type.
        namespaces: Those that the backup was asked for.
        selectors: An object with labels that match any of them; none selects all.
        by_function: A function chose the objects: of others nobody can tell whether
            it would have taken them.
    """

    listed: Mapping[GroupResource, frozenset[str]]
    namespaces: IncludesExcludes
    selectors: tuple[LabelSelector, ...] = ()
    by_function: bool = False

    @classmethod
    def of(
        cls, backup: Backup, manifest: Manifest | None, contents: ArchiveContents
    ) -> Scopes:
        """Read it from the backup's records.

        Velero does not write down what it has listed. There it is taken to be what it
        found something of: each type in each namespace of its items.
        """
        spec, records = backup.spec, manifest.lists if manifest is not None else ()
        options = manifest.options if manifest is not None else {}
        chosen = spec.or_label_selectors
        if spec.label_selector is not None:
            chosen = (spec.label_selector,)
        listed: defaultdict[GroupResource, set[str]] = defaultdict(set)
        for record in records:
            listed[record.resource].add(record.namespace)
        return cls(
            listed=_frozen(listed) if records else _found(spec, contents),
            namespaces=_namespaces(spec),
            selectors=tuple(chosen),
            by_function=bool(options.get("where")),
        )

    def of_a_part(self) -> Scopes:
        """Return those of a backup of which not all can be read.

        Nobody can tell what it lacks: so it has read all objects of no place.
        """
        return attrs.evolve(self, listed={})

    def listed_all(self, resource: GroupResource, namespace: str) -> bool:
        """Whether the backup read all of one place, not only what others refer to."""
        listed = self.listed.get(resource, frozenset())
        return EVERYWHERE in listed or namespace in listed

    def cover(self, ref: ResourceIdentifier, found: Mapping[str, str]) -> bool:
        """Whether the backup would have an object with such labels, had it been there."""
        looked = self.listed_all(ref.group_resource, ref.namespace)
        return looked and self.takes(ref, found)

    def takes(self, ref: ResourceIdentifier, found: Mapping[str, str] | None) -> bool:
        """Whether the backup would have taken an object of a list that it read.

        Args:
            ref: The object.
            found: Its labels.
        """
        given = found or {}
        if self.by_function or labels.is_excluded(given):
            return False
        is_namespace = ref.group_resource == well_known.NAMESPACES
        namespace = ref.name if is_namespace else ref.namespace
        if namespace and not self.namespaces.wants(namespace):
            return False
        return not self.selectors or any(x.matches(given) for x in self.selectors)


def _found(
    spec: BackupSpec, contents: ArchiveContents
) -> Mapping[GroupResource, frozenset[str]]:
    """What was listed, judged by what is there.

    Of a cluster-scoped type there may only be what the namespaced items refer to.
    """
    whole = spec.include_cluster_resources
    if whole is None:
        whole = _namespaces(spec).includes_everything
    listed: defaultdict[GroupResource, set[str]] = defaultdict(set)
    for resource in contents.resources():
        for namespace, _ in contents.of_type(resource).places:
            if namespace or whole:
                listed[resource].add(namespace)
    return _frozen(listed)


def _namespaces(spec: BackupSpec) -> IncludesExcludes:
    return IncludesExcludes(spec.included_namespaces, spec.excluded_namespaces)


def _frozen(
    listed: Mapping[GroupResource, set[str]],
) -> Mapping[GroupResource, frozenset[str]]:
    return {resource: frozenset(found) for resource, found in listed.items()}
