"""What is to be stored first of its type, as ``orderedResources`` says it.

Each such object is read by a list of its own, by name, at the resourceVersion of all
lists, before its type is listed; where the type's list names it again, it is counted and
not stored twice. So no more than one of them is ever held, and no list waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from kbackup._kits.words import first_few, qualified
from kbackup.backup._filters import Resolve
from kbackup.errors import InvalidSpecError
from kbackup.models import APIResource, GroupResource

Name = tuple[str, str]  # namespace and name


@attrs.frozen(kw_only=True)
class OrderedNames:
    """Which objects come first.

    Attributes:
        names: By type, in the order asked for.
        idle: Types that were named and of which nothing is listed.
    """

    names: Mapping[GroupResource, tuple[Name, ...]] = attrs.field(factory=dict)
    idle: tuple[str, ...] = ()


def ordered_names(
    asked: Mapping[str, str], types: Sequence[APIResource], resolve: Resolve
) -> OrderedNames:
    """Resolve what was asked for against the types that are listed. Pure.

    A type is named as Velero has it, by its plural, which may be several types'; or with
    its group, or by any name that kubectl takes.

    Raises:
        InvalidSpecError: A name has a namespace and may not, or lacks it; all are told.
    """
    names: dict[GroupResource, tuple[Name, ...]] = {}
    idle: list[str] = []
    broken: list[str] = []
    for key, text in asked.items():
        meant = _meant(key.strip(), types, resolve)
        if not meant:
            idle.append(key)
        for resource in meant:
            listed = [_split(part.strip()) for part in text.split(",")]
            broken += _misplaced(key, resource, listed)
            type_ = resource.group_resource
            names[type_] = tuple(dict.fromkeys((*names.get(type_, ()), *listed)))
    if broken:
        raise InvalidSpecError(broken)
    return OrderedNames(names=names, idle=tuple(idle))


def _meant(
    key: str, types: Iterable[APIResource], resolve: Resolve
) -> list[APIResource]:
    found = [each for each in types if key in (each.resource, str(each))]
    if found:
        return found
    other = resolve(key)
    return [each for each in types if other and str(each) == str(other)]


def _split(text: str) -> Name:
    namespace, _, name = text.rpartition("/")
    return namespace, name


def _misplaced(key: str, resource: APIResource, names: Iterable[Name]) -> Iterable[str]:
    for namespace, name in names:
        text = qualified(namespace, name)
        if resource.namespaced and not namespace:
            yield f"orderedResources.{key}: expected namespace/name, got {text!r}"
        elif namespace and not resource.namespaced:
            yield f"orderedResources.{key}: {resource} have no namespace, got {text!r}"


def absent_names(
    ordered: OrderedNames, met: Mapping[GroupResource, Iterable[Name]]
) -> list[str]:
    """Return a sentence for each type of which something was not met."""
    told = []
    for type_, names in ordered.names.items():
        found = set(met.get(type_, ()))
        absent = [qualified(*name) for name in names if name not in found]
        if absent:
            told.append(
                f"orderedResources: no such {type_} selected: {first_few(absent)}"
            )
    return told
