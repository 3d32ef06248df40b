"""Which objects of two sides are compared, and what those of the one are in the other.

Pure. Made once for a comparison by `select`, which refuses names that mean nothing: a
slip of the pen must not look like two sides that agree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.words import nearest, suggestion
from kbackup.archive import ArchiveContents, TypeWords
from kbackup.errors import InvalidSpecError
from kbackup.models import (
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    well_known,
)

Content = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Wanted:
    """What was asked to be compared, in the caller's words.

    Attributes:
        namespaces: Names and globs, of the left side; none: all, and what is in none.
        resources: Types, by any name that means one; none: all.
        selector: What has such labels on either side; None: all.
        namespace_mapping: What namespaces of the left side are called on the right.
        redact: Types whose values are not shown, as those of Secrets; ``*``: all.
    """

    namespaces: Sequence[str] = ()
    resources: Sequence[str] = ()
    selector: LabelSelector | None = None
    namespace_mapping: Mapping[str, str] = attrs.field(factory=dict)
    redact: Sequence[str] = ()

    @property
    def names_types(self) -> bool:
        """Whether any word means a type."""
        return bool(self.resources or self.redact)

    def __attrs_post_init__(self) -> None:
        """Refuse a text, which would be taken for its letters."""
        for name in ("namespaces", "resources", "redact"):
            if isinstance(getattr(self, name), str):
                msg = f"{name}: expected a sequence of names, got a str"
                raise TypeError(msg)


@attrs.frozen(kw_only=True)
class Selection:
    """What is compared with what.

    Attributes:
        namespaces: Of the left side.
        types: None for all.
        selector: An object with such labels on either side; None selects all.
        mapping: Namespaces of the left side to those of the right, where they differ.
        hidden: Types whose values are not shown, beside Secrets; None: all of them.
    """

    namespaces: IncludesExcludes = attrs.field(factory=IncludesExcludes)
    types: frozenset[GroupResource] | None = None
    selector: LabelSelector | None = None
    mapping: Mapping[str, str] = attrs.field(factory=dict)
    hidden: frozenset[GroupResource] | None = frozenset()
    _back: Mapping[str, str] = attrs.field(init=False, repr=False)

    @_back.default
    def _inverted(self) -> Mapping[str, str]:
        return {right: left for left, right in self.mapping.items()}

    def wants_type(self, resource: GroupResource) -> bool:
        """Whether objects of a type are compared."""
        return self.types is None or resource in self.types

    def wants(self, ref: ResourceIdentifier) -> bool:
        """Whether the namespaces let an object of the left side through.

        A Namespace passes under its own name.
        """
        if ref.namespace:
            return self.namespaces.wants(ref.namespace)
        if self.namespaces.includes_everything:
            return True
        is_namespace = ref.group_resource == well_known.NAMESPACES
        return is_namespace and self.namespaces.wants(ref.name)

    def wants_labels(self, *contents: Content) -> bool:
        """Whether the labels that an object has on any side let it through."""
        if self.selector is None:
            return True
        given = (content["metadata"].get("labels") or {} for content in contents)
        return any(map(self.selector.matches, given))

    def hides(self, resource: GroupResource, *kinds: str) -> bool:
        """Whether the values of an object may not be shown."""
        if self.hidden is None or resource in self.hidden:
            return True
        return any(well_known.is_secret(resource, kind) for kind in kinds)

    def target(self, ref: ResourceIdentifier) -> ResourceIdentifier:
        """What an object of the left side is called on the right."""
        return _renamed(ref, self.mapping) if self.mapping else ref

    def source(self, ref: ResourceIdentifier) -> ResourceIdentifier | None:
        """What an object of the right side is called on the left; None: nothing is."""
        if not self.mapping:
            return ref
        source = _renamed(ref, self._back)
        return source if self.target(source) == ref else None


def _renamed(ref: ResourceIdentifier, names: Mapping[str, str]) -> ResourceIdentifier:
    if ref.namespace in names:
        return ResourceIdentifier(ref.group_resource, names[ref.namespace], ref.name)
    if ref.group_resource == well_known.NAMESPACES and ref.name in names:
        return ResourceIdentifier(ref.group_resource, "", names[ref.name])
    return ref


def namespaces_in(contents: ArchiveContents) -> set[str]:
    """Return the namespaces of which an archive has the object, or anything in them."""
    named = {ref.name for ref in contents.identifiers(well_known.NAMESPACES)}
    return named.union(contents.namespaces())


def select(
    wanted: Wanted,
    *,
    left: Collection[str],
    words: TypeWords,
    served: Callable[[str], Collection[GroupResource]] = lambda _word: (),
    is_there: Callable[[str], bool] = lambda _name: False,
) -> Selection:
    """Resolve what was asked for.

    Args:
        wanted: In the caller's words.
        left: The namespaces of the left side.
        words: For the types of what is stored.
        served: The types that a cluster means by a word.
        is_there: Whether the right side has a namespace.

    Raises:
        InvalidSpecError: A name means nothing on either side, or two namespaces would be
            one.
    """
    named = _Named(words, served)
    types = named.types("resources", wanted.resources)
    hides_all = "*" in wanted.redact
    hidden = None if hides_all else named.types("redact", wanted.redact)
    chosen = IncludesExcludes(wanted.namespaces)
    mapping = {a: b for a, b in wanted.namespace_mapping.items() if a != b}
    broken = [
        *named.broken,
        *chosen.violations("namespaces"),
        *_absent(wanted, left, is_there),
        *_collisions(mapping, [x for x in sorted(left) if chosen.wants(x)]),
    ]
    if broken:
        names = [*wanted.namespaces, *wanted.namespace_mapping]
        slips = [nearest(name, left) for name in names if name not in left]
        hints = suggestion("type", named.near), suggestion("namespace", slips)
        raise InvalidSpecError(broken, hint="; ".join(filter(None, hints)))
    return Selection(
        namespaces=chosen,
        types=types if wanted.resources else None,
        selector=wanted.selector,
        mapping=mapping,
        hidden=hidden,
    )


@attrs.define
class _Named:
    """The types that words mean, and which words mean none."""

    words: TypeWords
    served: Callable[[str], Collection[GroupResource]]
    broken: list[str] = attrs.field(factory=list)
    near: list[str] = attrs.field(factory=list)

    def types(self, what: str, named: Sequence[str]) -> frozenset[GroupResource]:
        types: set[GroupResource] = set()
        for word in named:
            meant = {*self.words.meant_by(word), *self.served(word)}
            types |= meant
            if not meant:
                self.broken.append(f"{what}: neither side has a type {word!r}")
                self.near.append(self.words.near(word))
        return frozenset(types)


def _absent(
    wanted: Wanted, left: Collection[str], is_there: Callable[[str], bool]
) -> Iterator[str]:
    for name in wanted.namespaces:
        there = wanted.namespace_mapping.get(name, name)
        if not is_glob(name) and name not in left and not is_there(there):
            yield f"namespaces: neither side has one called {name!r}"
    for name in wanted.namespace_mapping:
        if name not in left:
            yield f"namespace mapping: the left side has no namespace {name!r}"


def _collisions(mapping: Mapping[str, str], left: Sequence[str]) -> Iterator[str]:
    """Say which namespaces of the left side would be one on the right."""
    taken: dict[str, str] = {}
    for name in left:
        first = taken.setdefault(mapping.get(name, name), name)
        if first != name:
            yield (
                f"namespace mapping: {first} and {name} would both be "
                f"{mapping.get(name, name)}; choose one of them with namespaces"
            )
