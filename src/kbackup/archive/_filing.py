"""Is an item of the type that an archive files it under?

A restore selects by the path and writes what the body says: where the two differ, what
is written is not what was selected. The planner asks with what the target serves, verify
with the archive alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kbackup._kits.kinds import fits, is_built_in
from kbackup.archive._contents import ArchiveContents, TypeItems
from kbackup.errors import ArchiveCorruptError
from kbackup.models import GroupResource, ResourceIdentifier, well_known

TWINS = {
    # One object that the API server shows under two groups.
    GroupResource.parse("ingresses.extensions"): well_known.INGRESSES,
}


_Head = tuple[str, str]  # apiVersion and kind, as a body says


def misfiled(stored: GroupResource, own: GroupResource, head: _Head) -> str:
    """Why an item is not of the type it is filed under; empty: it is.

    Args:
        stored: Its type in the archive.
        own: The type that its body is of.
        head: The apiVersion and the kind that its body says.
    """
    if TWINS.get(own, own) == TWINS.get(stored, stored):
        return ""
    return f"the archive files it under {stored}, it is a {head[1]} of {head[0]}"


def find_misfiled(
    contents: ArchiveContents,
) -> Iterator[tuple[ResourceIdentifier, str]]:
    """Yield what an archive files under another type than its own, each with why.

    Which kind a type has is known of Kubernetes' own types by their names, and of others
    where the archive has their definition; else it is the one that most items have.
    """
    for stored in contents.resources():
        held = contents.of_type(stored)
        kinds = _kinds(contents, stored, held)
        reasons = {head: _reason(stored, head, kinds) for head in _heads(held)}
        if not any(reasons.values()):
            continue
        for identifier in contents.identifiers(stored):
            key = (identifier.namespace, identifier.name)
            if reason := reasons[held.others.get(key, held.head)]:
                yield identifier, reason


def _heads(held: TypeItems) -> Counter[_Head]:
    """Count the items of each API version and kind."""
    heads = Counter(held.others.values())
    if usual := len(held.places) - len(held.others):
        heads[held.head] += usual
    return heads


def _reason(stored: GroupResource, head: _Head, kinds: set[str]) -> str:
    api_version, kind = head
    resource = stored.resource if kind in kinds else ""  # some other one
    own = GroupResource(api_version.rpartition("/")[0], resource)
    return misfiled(stored, own, head)


def _kinds(
    contents: ArchiveContents, stored: GroupResource, held: TypeItems
) -> set[str]:
    """Return the kinds that items of a type may have."""
    if defined := _defined(contents, stored):
        return {defined}
    found = Counter[str]()
    for (_, kind), items in _heads(held).items():
        found[kind] += items
    if is_built_in(stored.group):
        return {kind for kind in found if fits(kind, stored.resource)}
    return {kind for kind, _ in found.most_common(1)}


def _defined(contents: ArchiveContents, stored: GroupResource) -> str:
    """Return the kind that the archive's definition of a type names, or nothing."""
    item = contents.get(ResourceIdentifier(well_known.CRDS, "", str(stored)))
    value: Any = None
    with suppress(ArchiveCorruptError):  # that is told elsewhere
        value = item.content if item is not None else None
    for key in ("spec", "names", "kind"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
