"""Which namespaces a backup is of, and which of their objects it stores.

`resolve_namespaces` reads them once, before anything is listed; the answer is a value.
With plain names no request needs rights beyond those namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.workers import map_ordered
from kbackup.backup._candidates import (
    BEING_DELETED,
    EXCLUDED_BY_LABEL,
    OTHER_NAMESPACE,
)
from kbackup.backup._filters import Filters
from kbackup.backup._request import BackupRequest
from kbackup.cluster import Cluster
from kbackup.errors import (
    ClusterError,
    ClusterUnreachableError,
    ForbiddenError,
    ItemNotFoundError,
    UnauthorizedError,
)
from kbackup.models import (
    APIResource,
    LabelSelector,
    ListRecord,
    labels,
    well_known,
)

_MAX_READERS = 8


@attrs.frozen(kw_only=True, repr=False)
class NamespaceObject:
    """One Namespace as the cluster gave it."""

    name: str
    body: bytes
    labels: Mapping[str, str] = attrs.field(factory=dict)
    deleting: bool = False

    @property
    def is_excluded(self) -> bool:
        """Whether its owner keeps it and all that is in it out of backups."""
        return labels.is_excluded(self.labels)


@attrs.frozen(kw_only=True)
class Namespaces:
    """The namespaces of one backup.

    Attributes:
        listed: Names to list one by one; None: one LIST for the whole cluster.
        objects: Those that could be read, by name.
        missing: Named, but not there.
        unread: Named, but the caller may not read the object.
        refused: Why the objects cannot be read, if they cannot.
        failed: Named, and reading the object failed: with what.
        empty_patterns: Wildcards that no namespace fits.
        idle_excludes: Excludes, names and wildcards, that leave nothing out.
        record: Of the LIST of namespaces, where there was one.
        resource: How the cluster serves namespaces; None: not at all.
    """

    listed: tuple[str, ...] | None = None
    objects: Mapping[str, NamespaceObject] = attrs.field(factory=dict)
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    refused: ForbiddenError | None = None
    failed: Mapping[str, ClusterError] = attrs.field(factory=dict)
    empty_patterns: tuple[str, ...] = ()
    idle_excludes: tuple[str, ...] = ()
    record: ListRecord | None = None
    resource: APIResource | None = None

    @property
    def excluded_by_label(self) -> frozenset[str]:
        """The namespaces that a label keeps out, with all that is in them."""
        return frozenset(n for n, found in self.objects.items() if found.is_excluded)


def resolve_namespaces(request: BackupRequest) -> Namespaces:
    """Find out which namespaces are selected.

    Raises:
        ForbiddenError: Wildcards are to be expanded and namespaces cannot be listed.
        ClusterError: Reading all of them failed, or the server is gone.
    """
    resource = request.discovery.get(well_known.NAMESPACES)
    wanted = request.filters.namespaces
    includes = tuple(name for name in wanted.includes if name and name != "*")
    if resource is None:
        return Namespaces(listed=includes or None)
    if includes and not any(is_glob(name) for name in includes):
        return _read_each(request.cluster, resource, request.filters, includes)
    try:
        found = _list_all(request, resource)
    except ForbiddenError as exc:
        if includes:
            raise
        return Namespaces(refused=exc, resource=resource)
    if not includes:
        return found
    return _matching(found, request.filters, includes)


def _list_all(request: BackupRequest, resource: APIResource) -> Namespaces:
    listing = request.cluster.list(resource)
    objects: dict[str, NamespaceObject] = {}
    for page in listing.pages():
        for item in page.items:
            objects[item.name] = NamespaceObject(
                name=item.name,
                body=item.json(),
                labels=dict(item.labels or {}),
                deleting=bool(item.deleting),
            )
    return Namespaces(
        objects=objects,
        idle_excludes=_idle(request.filters, objects),
        record=listing.record,
        resource=resource,
    )


def _matching(
    found: Namespaces, filters: Filters, includes: tuple[str, ...]
) -> Namespaces:
    """Narrow all namespaces down to those that the includes name or fit."""
    names = sorted(filters.namespaces.expand(found.objects))
    plain = [name for name in includes if not is_glob(name)]
    patterns = [name for name in includes if is_glob(name)]
    return attrs.evolve(
        found,
        listed=tuple(n for n in names if not found.objects[n].is_excluded),
        missing=tuple(sorted(set(plain) - set(found.objects))),
        empty_patterns=tuple(p for p in patterns if not _fits_any(p, found.objects)),
    )


def _idle(filters: Filters, names: Iterable[str]) -> tuple[str, ...]:
    known = list(names)
    excludes = filters.namespaces.excludes
    return tuple(each for each in excludes if each and not _fits_any(each, known))


def _fits_any(pattern: str, names: Iterable[str]) -> bool:
    # Without the excludes: whether anything was excluded is another question.
    return bool(IncludesExcludes((pattern,)).expand(names))


def _read_each(
    cluster: Cluster,
    resource: APIResource,
    filters: Filters,
    includes: tuple[str, ...],
) -> Namespaces:
    """Read the namespaces that were named, and no others."""
    names = sorted({name for name in includes if filters.namespaces.wants(name)})
    objects: dict[str, NamespaceObject] = {}
    missing: list[str] = []
    unread: list[str] = []
    failed: dict[str, ClusterError] = {}
    refused: ForbiddenError | None = None
    workers = min(_MAX_READERS, max(1, len(names)))

    def read(name: str) -> NamespaceObject | ClusterError:
        try:
            return _parsed(name, cluster.get(resource, name).raw)
        except (ClusterUnreachableError, UnauthorizedError):
            raise
        except ClusterError as exc:
            return exc

    answers = map_ordered(read, names, workers=workers, name="kbackup-namespaces")
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, NamespaceObject):
            objects[name] = answer
        elif isinstance(answer, ForbiddenError):
            unread.append(name)
            refused = answer
        elif isinstance(answer, ItemNotFoundError):
            missing.append(name)
        else:
            failed[name] = answer
    return Namespaces(
        listed=tuple(
            name
            for name in names
            if name not in missing
            and not (name in objects and objects[name].is_excluded)
        ),
        objects=objects,
        missing=tuple(missing),
        unread=tuple(unread),
        refused=refused,
        failed=failed,
        idle_excludes=_idle(filters, includes),
        resource=resource,
    )


def _parsed(name: str, body: bytes) -> NamespaceObject:
    metadata: dict[str, Any] = msgspec.json.decode(body)["metadata"]
    return NamespaceObject(
        name=name,
        body=body,
        labels=metadata.get("labels") or {},
        deleting="deletionTimestamp" in metadata,
    )


def chosen_objects(
    namespaces: Namespaces,
    filters: Filters,
    selectors: tuple[LabelSelector, ...],
    in_use: frozenset[str] | set[str],
) -> tuple[list[NamespaceObject], dict[str, int]]:
    """Return the Namespace objects to store, and how many are left out by reason.

    A namespace in which something was stored always comes along. Else the filter of
    namespaces decides, and, where that leaves nothing out, the label selectors. One
    that is being deleted is never stored.
    """
    chosen: list[NamespaceObject] = []
    skipped: dict[str, int] = {}
    for name in sorted(namespaces.objects):
        found = namespaces.objects[name]
        reason = _unwanted(found, filters, selectors, in_use=name in in_use)
        if reason:
            skipped[reason] = skipped.get(reason, 0) + 1
        else:
            chosen.append(found)
    return chosen, skipped


def _unwanted(
    found: NamespaceObject,
    filters: Filters,
    selectors: tuple[LabelSelector, ...],
    *,
    in_use: bool,
) -> str:
    if found.is_excluded:
        return EXCLUDED_BY_LABEL
    if found.deleting:
        return BEING_DELETED
    if in_use:
        return ""
    if not filters.namespaces.wants(found.name):
        return OTHER_NAMESPACE
    if not selectors or not filters.all_namespaces:
        return ""
    return "" if _is_matched(found, selectors) else "not selected by label"


def _is_matched(found: NamespaceObject, selectors: tuple[LabelSelector, ...]) -> bool:
    return any(selector.matches(found.labels) for selector in selectors)


def was_meant(
    found: NamespaceObject, filters: Filters, selectors: tuple[LabelSelector, ...]
) -> bool:
    """Tell whether a Namespace with nothing in it is what a backup was asked for.

    Of a named namespace the object is stored even if the labels find nothing in it, as by
    Velero: that a slip in a label or a type found nothing may not hide behind it.
    """
    if selectors:
        return _is_matched(found, selectors)
    return not filters.narrow_types or filters.names(well_known.NAMESPACES)
