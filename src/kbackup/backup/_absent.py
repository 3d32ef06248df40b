"""Refusing a specification of which the cluster has nothing, before anything is published.

What exists and holds nothing makes an empty backup and a warning; what does not exist at
all is a slip, and a backup of it would only occupy the name.
"""

from __future__ import annotations

from kbackup._kits.words import nearest, suggestion
from kbackup.backup._filters import Filters
from kbackup.backup._namespaces import Namespaces
from kbackup.backup._request import BackupRequest
from kbackup.cluster import Discovery
from kbackup.errors import ClusterError, InvalidSpecError
from kbackup.models import BackupSpec


def refuse_unknown_types(request: BackupRequest) -> None:
    """Raise `InvalidSpecError` if the cluster serves none of the included types."""
    unknown = request.filters.unknown
    if not unknown or not _is_all(request.selection, request.filters):
        return
    raise InvalidSpecError(
        [
            f"included resource {text!r}: the cluster serves no such type"
            for text in unknown
        ],
        hint=suggestion("type", (_nearest_type(t, request.discovery) for t in unknown)),
    )


def _is_all(spec: BackupSpec, filters: Filters) -> bool:
    """Tell whether includes leave nothing beside the types that nobody knows."""
    namespaced = spec.included_namespace_scoped_resources
    cluster_scoped = spec.included_cluster_scoped_resources
    if cluster_scoped and not namespaced:
        return False  # without includes of their own all namespaced types are wanted
    included = (*spec.included_resources, *namespaced, *cluster_scoped)
    return set(included) <= set(filters.unknown)


def _nearest_type(text: str, discovery: Discovery) -> str:
    """Return the full name of the type that was probably meant, or nothing."""
    name = text.partition(".")[0].lower()
    names = {each.resource: str(each) for each in reversed(discovery.resources)}
    return names.get(nearest(name, names), "")


def refuse_missing_namespaces(request: BackupRequest, found: Namespaces) -> None:
    """Raise `InvalidSpecError` if no included namespace exists, and nothing else is wanted."""
    if not found.missing or any(not each.namespaced for each in request.types):
        return
    absent = {*found.missing, *found.empty_patterns}
    if not request.filters.named_namespaces <= absent:
        return
    raise InvalidSpecError(
        [f"included namespace {name!r} does not exist" for name in found.missing],
        hint=suggestion("namespace", _nearest_namespaces(request, found)),
    )


def _nearest_namespaces(request: BackupRequest, found: Namespaces) -> list[str]:
    """Return the namespaces that were probably meant; none where they cannot be listed."""
    if found.resource is None:
        return []
    try:
        listing = request.cluster.list(found.resource)
        names = [item.name for page in listing.pages() for item in page.items]
    except ClusterError:
        return []
    return [nearest(missing, names) for missing in found.missing]
