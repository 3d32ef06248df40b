"""What an API server serves: types, versions, names, and what it could not tell.

Asks for aggregated discovery (v2, then v2beta1), which is two requests, and falls back
to one request for each group and version. Called by the facade, which keeps the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from kbackup._kits.workers import map_ordered
from kbackup.cluster._errors import Subject
from kbackup.cluster._transport import Answer, Bound, Call, Transport
from kbackup.errors import ClusterError, ServerFaultError, UnsupportedByServerError
from kbackup.models import APIResource, GroupResource

_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_ACCEPT = f"{_AGGREGATED},application/json"
_WORKERS = 8
_TRIES = 3  # a broken aggregated API shall not hold up the others


@attrs.frozen
class DiscoveryFailure:
    """A group version that exists and could not be read.

    Attributes:
        group_version: Such as ``metrics.k8s.io/v1beta1``.
        reason: What the server said.
    """

    group_version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.group_version}: {self.reason}"


class Discovery:
    """The types of one API server, as read at one moment.

    Never changed, so that threads may share it.

    Attributes:
        resources: Each type in its preferred version: the core group first,
            ``extensions`` last, the others in the server's order.
        all_versions: Each type in each version.
        failures: What could not be read; these types may exist.
    """

    def __init__(
        self,
        all_versions: Iterable[APIResource],
        failures: Iterable[DiscoveryFailure] = (),
    ) -> None:
        self.all_versions: tuple[APIResource, ...] = tuple(all_versions)
        self.failures: tuple[DiscoveryFailure, ...] = tuple(failures)
        self.resources = tuple(r for r in self.all_versions if r.preferred)
        self._by_type = {r.group_resource: r for r in self.resources}
        self._by_version = {(r.group_resource, r.version): r for r in self.all_versions}
        self._by_kind = {(r.api_version, r.kind): r for r in self.all_versions}
        self._names = _index_names(self.resources)

    def get(
        self, group_resource: GroupResource, version: str = ""
    ) -> APIResource | None:
        """Return a type in its preferred version, or in the one that is named."""
        if not version:
            return self._by_type.get(group_resource)
        return self._by_version.get((group_resource, version))

    def preferring(self, versions: Mapping[GroupResource, str]) -> Discovery:
        """Return the same types, but those of *versions* preferred in these.

        A version in which a type is not served changes nothing for it.
        """
        chosen = {
            (each.group_resource, each.version)
            for each in self.all_versions
            if versions.get(each.group_resource) == each.version
        }
        moved = {group_resource for group_resource, _ in chosen}
        if not moved:
            return self
        marked = (
            attrs.evolve(each, preferred=(each.group_resource, each.version) in chosen)
            if each.group_resource in moved
            else each
            for each in self.all_versions
        )
        return Discovery(marked, self.failures)

    def by_kind(self, api_version: str, kind: str) -> APIResource | None:
        """Return the type of objects that say this of themselves."""
        return self._by_kind.get((api_version, kind))

    def resolve(self, text: str) -> APIResource | None:
        """Return the type that people mean by *text*.

        A plural, singular or short name or a kind; or one of these with a group
        (``deployments.apps``) or with version and group (``deployments.v1.apps``).
        Where groups share a name, the first group has it.
        """
        name, _, rest = text.strip().lower().partition(".")
        found = self._names.get(name, ())
        if not rest:
            return found[0] if found else None
        for resource in found:
            if resource.group == rest:
                return resource
        version, _, group = rest.partition(".")
        for resource in found:
            for other in self.all_versions:
                if (other.group_resource, other.version, other.group) == (
                    resource.group_resource,
                    version,
                    group,
                ):
                    return other
        return None


def _index_names(
    resources: Sequence[APIResource],
) -> Mapping[str, tuple[APIResource, ...]]:
    """Map what people type to types; plurals win over singulars, kinds, short names."""
    names: dict[str, dict[GroupResource, APIResource]] = {}

    def add(name: str, resource: APIResource) -> None:
        if name:
            names.setdefault(name.lower(), {}).setdefault(
                resource.group_resource, resource
            )

    for resource in resources:
        add(resource.resource, resource)
    for resource in resources:
        add(resource.singular, resource)
        add(resource.kind, resource)
    for resource in resources:
        for short in resource.short_names:
            add(short, resource)
    return {name: tuple(found.values()) for name, found in names.items()}


# --- asking ---------------------------------------------------------------------------


# What reading raises where keys are missing or of another kind; Go writes null for none.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)


@attrs.frozen(kw_only=True)
class _Version:
    """A group version: its types, or where to read them, or why they are unknown."""

    group: str
    version: str
    types: tuple[APIResource, ...] = ()
    path: str = ""
    failure: str = ""

    @property
    def name(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@attrs.frozen
class _Group:
    name: str
    preferred: str
    versions: tuple[_Version, ...]


def discover(transport: Transport, bound: Bound) -> Discovery:
    """Read what the server serves.

    Raises:
        ClusterError: The server cannot be asked at all.
    """
    groups = [
        *_read_groups(transport, bound, "/api", is_core=True),
        *_read_groups(transport, bound, "/apis", is_core=False),
    ]
    groups.sort(key=lambda g: 0 if not g.name else 2 if g.name == "extensions" else 1)
    pending = [v for group in groups for v in group.versions if v.path]
    read = map_ordered(
        lambda version: _read_version(transport, bound, version),
        pending,
        workers=min(_WORKERS, max(1, len(pending))),
        name="kbackup-discovery",
    )
    by_name = {version.name: version for version in read}
    found: list[APIResource] = []
    failures: list[DiscoveryFailure] = []
    for group in groups:
        versions = [by_name.get(v.name, v) for v in group.versions]
        found += mark_preferred(group.preferred, versions)
        failures += (DiscoveryFailure(v.name, v.failure) for v in versions if v.failure)
    return Discovery(found, failures)


def mark_preferred(preferred: str, versions: Sequence[_Version]) -> list[APIResource]:
    """Mark each type of a group in one version: the group's, or the first that has it.

    Pure. A type may exist only in a version that its group does not prefer.
    """
    ordered = sorted(versions, key=lambda v: v.version != preferred)
    seen: set[str] = set()
    result = []
    for version in ordered:
        for resource in version.types:
            is_first = resource.resource not in seen
            seen.add(resource.resource)
            result.append(attrs.evolve(resource, preferred=is_first))
    return result


def _read_groups(
    transport: Transport, bound: Bound, path: str, *, is_core: bool
) -> list[_Group]:
    call = Call(
        method="GET", path=path, accept=_ACCEPT, subject=Subject("discover", path)
    )
    try:
        answer = transport.send(call, bound)
    except UnsupportedByServerError as exc:
        if exc.status != 406:  # noqa: PLR2004 - HTTP: cannot answer in these forms
            raise
        plain = attrs.evolve(call, accept="application/json")
        answer = transport.send(plain, bound)
    body = _decode(answer, call.subject)
    try:
        return _groups_of(body, is_core=is_core)
    except _MALFORMED as exc:  # a failure, or of something else than an API server
        text = "the answer is no list of API groups"
        raise ServerFaultError("discover", path, "", text) from exc


def _groups_of(body: Mapping[str, Any], *, is_core: bool) -> list[_Group]:
    if body.get("kind") == "APIGroupDiscoveryList":
        return [_aggregated_group(group) for group in body["items"] or ()]
    if is_core:
        versions = [str(v) for v in body["versions"] or ()]
        preferred = versions[0] if versions else ""
        pending = [_Version(group="", version=v, path=f"/api/{v}") for v in versions]
        return [_Group("", preferred, tuple(pending))]
    return [_classic_group(group) for group in body["groups"] or ()]


def _decode(answer: Answer, subject: Subject) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.data, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise ServerFaultError(
            subject.verb, subject.resource, "", "the answer is not JSON"
        ) from exc


def _classic_group(group: Mapping[str, Any]) -> _Group:
    name = str(group["name"])
    versions = tuple(
        _Version(
            group=name, version=str(v["version"]), path=f"/apis/{v['groupVersion']}"
        )
        for v in group.get("versions") or ()
    )
    preferred = (group.get("preferredVersion") or {}).get("version", "")
    return _Group(name, str(preferred), versions)


def _read_version(transport: Transport, bound: Bound, version: _Version) -> _Version:
    call = Call(
        method="GET",
        path=version.path,
        subject=Subject("discover", version.path),
        tries=_TRIES,
    )
    try:
        body = _decode(transport.send(call, bound), call.subject)
    except ClusterError as exc:
        return attrs.evolve(version, failure=exc.reason or str(exc))
    try:
        types = _classic_types(version, body["resources"] or ())
    except _MALFORMED:
        return attrs.evolve(version, failure="the answer is no list of types")
    return attrs.evolve(version, types=types)


def _classic_types(
    version: _Version, entries: Sequence[Mapping[str, Any]]
) -> tuple[APIResource, ...]:
    below: dict[str, set[str]] = {}
    for entry in entries:
        name, _, subresource = str(entry["name"]).partition("/")
        if subresource:
            below.setdefault(name, set()).add(subresource)
    return tuple(
        APIResource(
            group=version.group,
            version=version.version,
            resource=entry["name"],
            kind=entry["kind"],
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
            short_names=tuple(entry.get("shortNames") or ()),
            singular=entry.get("singularName") or "",
            categories=tuple(entry.get("categories") or ()),
            subresources=frozenset(below.get(entry["name"], ())),
        )
        for entry in entries
        if "/" not in entry["name"]
    )


def _aggregated_group(group: Mapping[str, Any]) -> _Group:
    name = str((group.get("metadata") or {}).get("name") or "")
    versions = tuple(
        _aggregated_version(name, version) for version in group.get("versions") or ()
    )
    # The server puts the preferred version first.
    return _Group(name, versions[0].version if versions else "", versions)


def _aggregated_version(group: str, version: Mapping[str, Any]) -> _Version:
    name = str(version["version"])
    # Stale: the aggregated API server did not answer when it was last asked.
    stale = version.get("freshness") == "Stale"
    types = [
        APIResource(
            group=group,
            version=name,
            resource=entry["resource"],
            kind=entry["responseKind"]["kind"],
            namespaced=entry.get("scope") == "Namespaced",
            verbs=frozenset(entry.get("verbs") or ()),
            short_names=tuple(entry.get("shortNames") or ()),
            singular=entry.get("singularResource") or "",
            categories=tuple(entry.get("categories") or ()),
            subresources=frozenset(
                below["subresource"] for below in entry.get("subresources") or ()
            ),
        )
        for entry in version.get("resources") or ()
        if (entry.get("responseKind") or {}).get("kind")
    ]
    failure = "its API server does not answer (stale discovery)" if stale else ""
    return _Version(group=group, version=name, types=tuple(types), failure=failure)
