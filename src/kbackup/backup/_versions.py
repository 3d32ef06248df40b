"""In which version each type is read: the preferred one, but for converted types.

Where a webhook converts between the versions of a custom type, every object that is
read in another version than the stored one costs a call of that webhook, and while it
is down such objects cannot be read at all. A new cluster has no webhook yet either, so
the storage version is also the one that can be written there.
"""

from __future__ import annotations

from collections import Counter

from kbackup._kits.crds import conversion_webhook, storage_version
from kbackup._kits.workers import map_ordered
from kbackup.backup._crds import definitions_of
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import ClusterError
from kbackup.models import APIResource, GroupResource, ResourceIdentifier, well_known

_READERS = 8  # GETs of definitions in flight


def at_storage_versions(cluster: Cluster, discovery: Discovery) -> Discovery:
    """Return the types, those behind a conversion webhook in their storage version.

    Only types that are served in several versions are asked about. One whose definition
    may not be read, or whose storage version is not served, stays at its preferred one.
    """
    crds = discovery.get(well_known.CRDS)
    asked = definitions_of(_with_several_versions(discovery))
    if crds is None or not asked:
        return discovery

    def stored_at(definition: ResourceIdentifier) -> str:
        return _stored_behind_webhook(cluster, crds, definition.name)

    workers = min(_READERS, len(asked))
    versions = map_ordered(stored_at, asked, workers=workers, name="kbackup-crds")
    chosen = {
        GroupResource.parse(definition.name): version
        for definition, version in zip(asked, versions, strict=True)
        if version
    }
    return discovery.preferring(chosen)


def _with_several_versions(discovery: Discovery) -> list[GroupResource]:
    served = Counter(each.group_resource for each in discovery.all_versions)
    return [resource for resource, count in served.items() if count > 1]


def _stored_behind_webhook(cluster: Cluster, crds: APIResource, name: str) -> str:
    """Return the storage version of a type that a webhook converts, else nothing."""
    try:
        definition = cluster.get(crds, name).content
    except ClusterError:  # no rights, or no definition: it is an aggregated API's
        return ""
    return storage_version(definition) if conversion_webhook(definition) else ""
