"""Which items of a backup are converted for one target, and the backup as they are then.

A version that the target serves is left to the target: it converts by itself. Of the
versions it serves one with the same fields is taken before one with other fields. Types
that moved to another group are filed under the target's, so that whatever asks for an
item's type, from filters to the order of writing, is answered by what will be written.
Pure but for the archive; made when a restore is resolved, asked by the planner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs
import msgspec
from msgspec.structs import replace

from kbackup.archive import ArchiveContents, misfiled
from kbackup.cluster import Discovery
from kbackup.errors import ArchiveCorruptError
from kbackup.models import GroupResource, Item
from kbackup.plugins.engine import ODD, oddity
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore.conversions import CONVERSIONS, Conversion

_Head = tuple[str, str]  # apiVersion and kind, as a body says

_encode = msgspec.json.Encoder().encode
_SHOWN = 5  # a schema may have hundreds of fields that are not as they should be


class ConvertedItem(Item, frozen=True, kw_only=True, gc=False):
    """An item in another version than it is stored in, or as it is stored.

    Attributes:
        stored: The item as it is in the backup.
        refusal: Why it cannot be converted, field by field: then it is as it is stored.
    """

    stored: Item
    refusal: str = ""


@attrs.frozen
class Conversions:
    """What is converted for one target; nothing, where it serves all there is.

    Attributes:
        by_head: The conversions by the apiVersion and the kind that they are for.
        moved: Types of the backup, and the types of the target they are written as.
    """

    by_head: Mapping[_Head, Conversion] = attrs.field(factory=dict)
    moved: Mapping[GroupResource, GroupResource] = attrs.field(factory=dict)

    def of(self, item: Item) -> Conversion | None:
        """Return what is done to items like one that is stored; None: nothing."""
        return self.by_head.get((item.api_version, item.kind))

    def applied_to(self, contents: ArchiveContents) -> ArchiveContents:
        """Return the same items, those that need it converted when they are read.

        The original stays open as long as it does.
        """
        if not self.by_head:
            return contents
        changed = frozenset(each.target_type for each in self.by_head.values())
        return contents.refiled(self.moved, self._convert, changed)

    def _convert(self, item: Item) -> Item:
        conversion = self.of(item)
        if conversion is None:
            return item
        try:
            body = item.content
        except ArchiveCorruptError:
            return item  # whoever looks at it is told so
        try:
            lost = conversion.apply(body)
            refusal = _refusal(conversion, [str(each) for each in lost])
        except ODD as exc:
            refusal = oddity(exc)
        changes = not refusal
        return ConvertedItem(
            identifier=item.identifier,
            raw=_encode(body) if changes else item.raw,
            api_version=conversion.target if changes else item.api_version,
            kind=item.kind,
            stored=item,
            refusal=refusal,
        )


def as_stored(item: Item) -> Item:
    """Return an item as the backup has it, before any conversion."""
    return item.stored if isinstance(item, ConvertedItem) else item


def with_conversion(entry: PlanEntry, item: ConvertedItem) -> PlanEntry:
    """Return the line of an item that says from which version it is converted."""
    if item.refusal or entry.action is PlanAction.SKIP:
        return entry
    return replace(entry, converted_from=item.stored.api_version)


def told_conversions(entries: Iterable[PlanEntry]) -> Iterator[str]:
    """Say of each type how many of its items are converted, and how."""
    counts = Counter(
        (entry.target.group_resource, entry.converted_from, entry.api_version)
        for entry in entries
        if entry.converted_from
    )
    for (resource, source, target), number in sorted(counts.items()):
        yield f"converted from {source} to {target}: {number} of {resource}"


def needed_conversions(contents: ArchiveContents, discovery: Discovery) -> Conversions:
    """Find what has to be converted of a backup for a target, from the archive's index.

    Args:
        contents: The backup, as it is.
        discovery: Of the target.
    """
    found: dict[_Head, Conversion] = {}
    moved: dict[GroupResource, GroupResource] = {}
    for resource in contents.resources():
        for head in _heads(contents, resource):
            conversion = conversion_for(resource, head, discovery)
            if conversion is None:
                continue
            found[head] = conversion
            if conversion.target_type != resource:
                moved[resource] = conversion.target_type
    return Conversions(found, moved)


def conversion_for(
    resource: GroupResource, head: _Head, discovery: Discovery
) -> Conversion | None:
    """Return what items of a type and version need; None: nothing, or nothing helps."""
    rows = _BY_HEAD.get(head, ())
    if not rows or discovery.by_kind(*head) is not None:
        return None
    failed = {each.group_version for each in discovery.failures}
    if head[0] in failed or misfiled(resource, rows[0].source_type, head):
        return None  # the target may serve it, or it is another type's
    served = [row for row in rows if discovery.by_kind(row.target, row.kind)]
    same = [row for row in served if row.is_renaming]
    return next(iter([*same[::-1], *served]), None)


def _heads(contents: ArchiveContents, resource: GroupResource) -> Iterator[_Head]:
    held = contents.of_type(resource)
    yield held.head
    yield from set(held.others.values())


def _by_head() -> Mapping[_Head, tuple[Conversion, ...]]:
    rows: dict[_Head, tuple[Conversion, ...]] = {}
    for row in CONVERSIONS:
        head = (row.source, row.kind)
        rows[head] = (*rows.get(head, ()), row)
    return rows


_BY_HEAD = _by_head()


def _refusal(conversion: Conversion, lost: list[str]) -> str:
    """Say what keeps an item from being converted; empty: nothing."""
    if not lost:
        return ""
    more = [f"and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []
    fields = "; ".join([*lost[:_SHOWN], *more])
    return (
        f"not converted from {conversion.source} to {conversion.target}, "
        f"no home there: {fields}"
    )
