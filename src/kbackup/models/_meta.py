"""What every room says about Kubernetes objects: types, identities, selectors, items.

Values only; nothing here speaks to a cluster or a store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.words import one_line, qualified
from kbackup.errors import ArchiveCorruptError
from kbackup.models._model import Model, naming, sequence, strings


class GroupResource(msgspec.Struct, frozen=True, order=True, gc=False):
    """An API endpoint without its version, such as ``deployments.apps``.

    Attributes:
        group: The API group; empty for the core group.
        resource: The plural, lower-case resource name; it holds no dot.
    """

    group: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> GroupResource:
        """Read ``resource`` or ``resource.group``; the first dot separates."""
        resource, _, group = text.partition(".")
        return cls(group, resource)

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


@attrs.frozen(order=True)
class GroupVersionResource:
    """An API endpoint with its version.

    Attributes:
        group: The API group; empty for the core group.
        version: The version within the group, such as ``v1beta1``.
        resource: The plural, lower-case resource name.
    """

    group: str
    version: str
    resource: str

    @property
    def group_resource(self) -> GroupResource:
        """The endpoint without its version."""
        return GroupResource(self.group, self.resource)

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.group_resource} ({self.version})"


class ResourceIdentifier(msgspec.Struct, frozen=True, order=True, gc=False):
    """One object: its type, its namespace and its name.

    Attributes:
        group_resource: The type.
        namespace: Empty for cluster-scoped objects.
        name: As the API server knows it; may hold ``:`` for RBAC objects.
    """

    group_resource: GroupResource
    namespace: str
    name: str

    def __str__(self) -> str:
        return one_line(f"{self.group_resource}/{self.qualified_name}")

    @property
    def qualified_name(self) -> str:
        """``namespace/name``, or ``name`` for cluster-scoped objects."""
        return qualified(self.namespace, self.name)


@attrs.frozen(kw_only=True)
class APIResource:
    """A type as one API server serves it.

    Attributes:
        group: The API group; empty for the core group.
        version: The version that this record describes.
        resource: The plural name.
        kind: The objects' ``kind``.
        namespaced: Whether its objects live in namespaces.
        verbs: What the endpoint can do: ``get``, ``list``, ``create``...
        short_names: What people type, such as ``deploy``.
        singular: The singular name, or empty.
        categories: Groups of types such as ``all``.
        subresources: Names below an object, such as ``status`` and ``scale``.
        preferred: Whether the server prefers this version of the type.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    short_names: tuple[str, ...] = ()
    singular: str = ""
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    preferred: bool = True

    @property
    def group_resource(self) -> GroupResource:
        """The endpoint without its version."""
        return GroupResource(self.group, self.resource)

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def supports(self, *verbs: str) -> bool:
        """Tell whether the endpoint can do all of *verbs*."""
        return self.verbs.issuperset(verbs)

    def __str__(self) -> str:
        return str(self.group_resource)


@attrs.frozen
class ServerVersion:
    """The version that an API server reports.

    Attributes:
        git_version: Such as ``v1.20.2``; empty when it could not be read.
        major: Such as ``1``.
        minor: Such as ``20`` or ``20+``.
    """

    git_version: str = ""
    major: str = ""
    minor: str = ""


@attrs.frozen(kw_only=True, field_transformer=naming)
class ResourceSelector:
    """Which items an action is for; empty lists and an empty selector are everything.

    Attributes:
        included_namespaces: Names and globs; cluster-scoped items match only when
            this and the excluded ones leave nothing out.
        excluded_namespaces: Names and globs.
        included_resources: ``resource`` or ``resource.group``, resolved by discovery.
        excluded_resources: Alike.
        label_selector: In kubectl's notation, such as ``app=web,tier in (a,b)``.
    """

    included_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    label_selector: str = ""


@attrs.frozen(kw_only=True, field_transformer=naming)
class LabelRequirement(Model):
    """One expression of a label selector.

    Attributes:
        key: The label.
        operator: ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``.
        values: For the first two; empty for the others.
    """

    key: str
    operator: str
    values: tuple[str, ...] = attrs.field(default=(), converter=strings)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with *labels* satisfies this expression."""
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":  # as the API: an absent label is not in
            return labels.get(self.key) not in self.values
        return (self.key in labels) is (self.operator == "Exists")

    def to_query(self) -> str:
        """Write the expression as the API server's query takes it."""
        values = f"({','.join(self.values)})"
        return {
            "In": f"{self.key} in {values}",
            "NotIn": f"{self.key} notin {values}",
            "Exists": self.key,
            "DoesNotExist": f"!{self.key}",
        }[self.operator]


@attrs.frozen(kw_only=True, field_transformer=naming)
class LabelSelector(Model):
    """Kubernetes' label selector; all parts must hold, an empty one selects all.

    Attributes:
        match_labels: Labels that must have exactly these values.
        match_expressions: Further requirements.
    """

    match_labels: Mapping[str, str] = attrs.field(factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = attrs.field(
        default=(), converter=sequence
    )

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Read kubectl's notation: ``a=b,c!=d,e in (f,g),h,!i``.

        Raises:
            ValueError: *text* cannot be read as a selector.
        """
        labels: dict[str, str] = {}
        expressions: list[LabelRequirement] = []
        for term in _terms(text):
            requirement = _parse_term(term)
            if requirement.operator != "=":
                expressions.append(requirement)
            elif requirement.key not in labels:
                labels[requirement.key] = requirement.values[0]
            else:  # both must hold: of one key a mapping would keep the last only
                expressions.append(attrs.evolve(requirement, operator="In"))
        return cls(match_labels=labels, match_expressions=tuple(expressions))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with *labels* is selected."""
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )

    def to_query(self) -> str:
        """Write the selector as the API server's ``labelSelector`` query takes it."""
        equal = [f"{key}={value}" for key, value in self.match_labels.items()]
        return ",".join(equal + [r.to_query() for r in self.match_expressions])


_KEY = r"(?P<key>(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_EQUALITY = re.compile(rf"{_KEY}\s*(?P<operator>!=|==|=)\s*(?P<value>{_VALUE})")
_SET = re.compile(
    rf"{_KEY}\s+(?P<operator>in|notin)\s*"
    rf"\(\s*(?P<values>{_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)"
)
_EXISTENCE = re.compile(rf"(?P<absent>!\s*)?{_KEY}")


def _terms(text: str) -> list[str]:
    """Split *text* at the commas outside parentheses."""
    if not text.strip():
        return []
    return [term.strip() for term in re.split(r",(?![^(]*\))", text)]


def _parse_term(term: str) -> LabelRequirement:
    """Read one term; plain equality comes back with the operator ``=``."""
    if match := _EQUALITY.fullmatch(term):
        operator = "NotIn" if match["operator"] == "!=" else "="
        values: tuple[str, ...] = (match["value"],)
        return LabelRequirement(key=match["key"], operator=operator, values=values)
    if match := _SET.fullmatch(term):
        operator = "In" if match["operator"] == "in" else "NotIn"
        values = tuple(value.strip() for value in match["values"].split(","))
        return LabelRequirement(key=match["key"], operator=operator, values=values)
    if match := _EXISTENCE.fullmatch(term):
        operator = "DoesNotExist" if match["absent"] else "Exists"
        return LabelRequirement(key=match["key"], operator=operator)
    raise ValueError(f"{term!r} is not a label selector such as app=web or tier in (a)")


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One Kubernetes object as kbackup handles it.

    Attributes:
        identifier: Its type, namespace and name.
        raw: The whole object: one JSON object with ``apiVersion`` and ``kind``.
        api_version: Of the body, which is what counts.
        kind: Of the body.
    """

    identifier: ResourceIdentifier
    raw: bytes
    api_version: str
    kind: str

    @property
    def content(self) -> dict[str, Any]:
        """The parsed object: a new dict at every access, the caller's to keep.

        Raises:
            ArchiveCorruptError: A value in it is none that JSON can hold.
        """
        try:
            content: dict[str, Any] = msgspec.json.decode(self.raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            reason = "it is not a JSON object"
            raise ArchiveCorruptError(reason, entry=str(self.identifier)) from exc
        return content

    def __repr__(self) -> str:  # never the body: it may be a Secret
        return f"Item({self.api_version} {self.identifier}, {len(self.raw)} bytes)"
