"""What the simulated cluster serves: `ServedType` values, by group, version, resource.

Built-in types come from the table in `resources`, the others from
CustomResourceDefinitions while these exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from kbackup._kits.crds import conversion_webhook
from kbackup.testing._simulator.resources import BUILT_IN, SUBRESOURCES

StorageKey = tuple[str, str]

_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@attrs.frozen(kw_only=True)
class Subresource:
    """A path below an object.

    Attributes:
        api_version: The version of its kind; empty: that of the object's type.
    """

    name: str
    kind: str
    verbs: tuple[str, ...]
    api_version: str = ""


@attrs.frozen(kw_only=True)
class ServedType:
    """One resource type as one version serves it.

    Attributes:
        counts_generations: Whether metadata.generation follows the spec.
        unconditional: Whether an update may come without resourceVersion.
        custom: Whether a CustomResourceDefinition defines it.
        columns: What a table shows of it, as the definition says.
        converter: Why its objects cannot be converted to this version; empty: nothing
            has to be converted.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _VERBS
    subresources: tuple[Subresource, ...] = ()
    counts_generations: bool = False
    unconditional: bool = True
    custom: bool = False
    columns: tuple[Mapping[str, Any], ...] = ()
    converter: str = ""
    list_kind: str = attrs.field(
        default=attrs.Factory(lambda self: f"{self.kind}List", takes_self=True)
    )

    @property
    def storage_key(self) -> StorageKey:
        """Where its objects are kept: all versions in one place."""
        # Events have two groups and one storage.
        if self.resource == "events" and self.group == "events.k8s.io":
            return ("", "events")
        return (self.group, self.resource)

    @property
    def api_version(self) -> str:
        """The version as an object says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """The resource as a message says it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def has_status(self) -> bool:
        """Whether the status is written by a sub-resource only."""
        return any(sub.name == "status" for sub in self.subresources)

    def subresource(self, name: str) -> Subresource | None:
        """Return one of its sub-resources."""
        return next((sub for sub in self.subresources if sub.name == name), None)


class Registry:
    """All types that are served now."""

    def __init__(self) -> None:
        self._types: dict[tuple[str, str, str], ServedType] = {}
        for served in _built_in_types():
            self.add(served)

    def __iter__(self) -> Iterator[ServedType]:
        return iter(self._types.values())

    def add(self, served: ServedType) -> None:
        """Serve a type."""
        self._types[served.group, served.version, served.resource] = served

    def find(self, group: str, version: str, resource: str) -> ServedType | None:
        """Return the type at a path."""
        return self._types.get((group, version, resource))

    def by_key(self, key: StorageKey) -> ServedType | None:
        """Return the preferred version of a type."""
        return next((each for each in self if each.storage_key == key), None)

    def by_kind(self, api_version: str, kind: str) -> ServedType | None:
        """Return the type that objects of that kind belong to."""
        matching = (each for each in self if each.api_version == api_version)
        return next((each for each in matching if each.kind == kind), None)

    def groups(self) -> dict[str, list[str]]:
        """Return the versions of each group, preferred first."""
        found: dict[str, list[str]] = {}
        for served in self:
            versions = found.setdefault(served.group, [])
            if served.version not in versions:
                versions.append(served.version)
        return found

    def define(self, definition: Mapping[str, Any]) -> None:
        """Serve what a CustomResourceDefinition defines, and only that."""
        self.forget(definition)
        for served in types_of_definition(definition):
            self.add(served)

    def forget(self, definition: Mapping[str, Any]) -> None:
        """Serve what a CustomResourceDefinition defined no longer."""
        spec = definition["spec"]
        group, plural = spec["group"], spec["names"]["plural"]
        for key in [k for k in self._types if (k[0], k[2]) == (group, plural)]:
            del self._types[key]


def types_of_definition(definition: Mapping[str, Any]) -> list[ServedType]:
    """Return the types that a CustomResourceDefinition defines, preferred first."""
    spec = definition["spec"]
    names = spec["names"]
    versions = sorted(spec["versions"], key=lambda v: version_rank(v["name"]))
    found = []
    for version in versions:
        if not version.get("served", True):
            continue
        subresources = version.get("subresources") or {}
        found.append(
            ServedType(
                group=spec["group"],
                version=version["name"],
                resource=names["plural"],
                kind=names["kind"],
                list_kind=names.get("listKind") or f"{names['kind']}List",
                namespaced=spec.get("scope", "Namespaced") == "Namespaced",
                singular=names.get("singular") or names["kind"].lower(),
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=_status(names["kind"], "status" in subresources),
                counts_generations=True,
                unconditional=False,
                custom=True,
                columns=tuple(version.get("additionalPrinterColumns") or ()),
                converter="" if version.get("storage") else _absent_webhook(definition),
            )
        )
    return found


def _absent_webhook(definition: Mapping[str, Any]) -> str:
    """Return what asking the definition's webhook ends with; empty: there is none."""
    called = conversion_webhook(definition)
    if not called:
        return ""
    if "://" in called:
        return f'Post "{called}?timeout=30s": dial tcp: no such host'
    namespace, _, name = called.partition("/")
    url = f"https://{name}.{namespace}.svc:443/?timeout=30s"
    return f'Post "{url}": service "{name}" not found'


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Order versions as Kubernetes prefers them: v2, v1, v1beta2, v1alpha1, others."""
    import re  # noqa: PLC0415 - only definitions need it

    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    rank = {None: 0, "beta": 1, "alpha": 2}[stage]
    return (rank, -int(major), -int(minor or 0), "")


def _status(kind: str, present: bool) -> tuple[Subresource, ...]:  # noqa: FBT001 - a fact
    if not present:
        return ()
    return (Subresource(name="status", kind=kind, verbs=("get", "patch", "update")),)


def _built_in_types() -> Iterator[ServedType]:
    for group, rows in BUILT_IN.items():
        for versions, resource, kind, short_names, flags, categories in rows:
            for version in versions.split():
                yield ServedType(
                    group=group,
                    version=version,
                    resource=resource,
                    kind=kind,
                    namespaced="n" in flags,
                    singular=kind.lower(),
                    short_names=tuple(short_names.split()),
                    categories=tuple(categories.split()),
                    verbs=("create",) if "c" in flags else _VERBS,
                    subresources=_subresources(group, resource, kind, flags),
                    counts_generations="g" in flags,
                    unconditional="u" in flags,
                )


def _subresources(
    group: str, resource: str, kind: str, flags: str
) -> tuple[Subresource, ...]:
    others: Sequence[tuple[str, str, str]] = SUBRESOURCES.get((group, resource), ())
    return (
        *(
            _subresource(name, sub_kind, tuple(verbs.split()))
            for name, sub_kind, verbs in others
        ),
        *_status(kind, "s" in flags),
    )


def _subresource(name: str, kind: str, verbs: tuple[str, ...]) -> Subresource:
    api_version, _, kind = kind.rpartition(" ")
    return Subresource(name=name, kind=kind, verbs=verbs, api_version=api_version)
