"""Two backups, object by object: two indexes joined, and only what differs is parsed.

Reads archives only. Called by `BackupStore`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import attrs

from kbackup._kits.kinds import GroupKind, group_kind
from kbackup._kits.workers import Cancelled, CancelToken, call_watched
from kbackup.archive import TWINS, ArchiveContents, TypeWords
from kbackup.catalog._comparison import Comparison
from kbackup.catalog._left_out import LeftOut
from kbackup.catalog._lost import damage_of
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._scopes import Scopes
from kbackup.catalog._selection import Selection, Wanted, namespaces_in, select
from kbackup.errors import ArchiveCorruptError, RunCancelledError
from kbackup.models import Backup, Difference, GroupResource, ResourceIdentifier

_Elsewhere = Callable[[ResourceIdentifier], ResourceIdentifier | None]


@attrs.frozen(kw_only=True)
class Stored:
    """One of two backups.

    Attributes:
        name: Of the backup.
        contents: Its items.
        scopes: Where it looked.
        damage: What of it could not be read.
    """

    name: str
    contents: ArchiveContents
    scopes: Scopes
    damage: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, backup: Backup, manifest: Manifest | None, contents: ArchiveContents
    ) -> Stored:
        """Put together what is known of a backup."""
        name, scopes = backup.name, Scopes.of(backup, manifest, contents)
        lost = damage_of(contents, manifest)
        damage = tuple(f"backup {name} is damaged: {each}" for each in lost)
        if damage:
            scopes = scopes.of_a_part()
        return cls(name=name, contents=contents, scopes=scopes, damage=damage)


def compare_stored(
    opened: Callable[[str], Stored],
    names: tuple[str, str],
    wanted: Wanted,
    cancel: CancelToken,
) -> Difference:
    """Open two backups and compare what *wanted* selects.

    Args:
        opened: Opens one; a cancel leaves the store, which may be slow, behind.
        names: Of the left one and the right one.
        wanted: Which of their items.
        cancel: Ends it early.

    Raises:
        InvalidSpecError: It names what neither of them has.
        RunCancelledError: *cancel* was used.
    """
    try:
        with ExitStack() as stack:
            sides = []
            for name in names:
                side = call_watched(partial(opened, name), math.inf, cancel)
                stack.enter_context(side.contents)
                sides.append(side)
            left, right = sides
            return diff_backups(left, right, wanted, cancel)
    except Cancelled as exc:
        raise RunCancelledError(exc.reason) from exc


def diff_backups(
    left: Stored, right: Stored, wanted: Wanted, cancel: CancelToken
) -> Difference:
    """Compare what *wanted* selects.

    Raises:
        InvalidSpecError: It names what neither of them has.
        Cancelled: *cancel* was used.
    """
    archives = left.contents, right.contents
    selection = select(
        wanted,
        left=namespaces_in(left.contents),
        words=TypeWords.of(*archives) if wanted.names_types else TypeWords(),
        is_there=namespaces_in(right.contents).__contains__,
    )
    return _Join(left, right, selection, cancel).run()


class _Join:
    """Walks through both indexes, type by type; used once."""

    def __init__(
        self, left: Stored, right: Stored, selection: Selection, cancel: CancelToken
    ) -> None:
        self._left, self._right, self._selection = left, right, selection
        self._cancel = cancel
        named = selection.types or frozenset()
        ours, theirs = left.contents, right.contents
        self._comparison = Comparison(
            left=f"backup {left.name}",
            right=f"backup {right.name}",
            selection=selection,
            left_out=LeftOut(_Around(ours, theirs, selection.target), named),
            damage=(*left.damage, *right.damage),
        )
        self._right_left_out = LeftOut(_Around(theirs, ours, selection.source), named)
        self._bodies, self._right_bodies = ours.in_order(), theirs.in_order()

    def run(self) -> Difference:
        """Compare all that is selected."""
        types = {*self._left.contents.resources(), *self._right.contents.resources()}
        covers_type = self._right_left_out.covers_type
        for resource in sorted(filter(self._selection.wants_type, types), key=str):
            if covers_type(resource):
                self._skip(resource)
            else:
                self._meet_or_lose(resource)
                self._gain(resource)
        return self._comparison.result()

    def _skip(self, resource: GroupResource) -> None:
        """Pass over a type that belongs to the cluster, unread: events may be many."""
        found = self._left.contents.identifiers(resource)
        self._comparison.skipped += sum(map(self._selection.wants, found))

    def _meet_or_lose(self, resource: GroupResource) -> None:
        comparison, selection = self._comparison, self._selection
        for ref in self._left.contents.identifiers(resource):
            self._cancel.check()
            if not selection.wants(ref):
                continue
            item = self._bodies.get(ref)
            other = self._right_bodies.get(selection.target(ref))
            if item is None:
                continue
            if other is not None:
                comparison.meet(item, other.raw)
            else:
                comparison.lose(item, self._right.scopes)

    def _gain(self, resource: GroupResource) -> None:
        held = self._left.contents.of_type(resource).places
        for ref in self._right.contents.identifiers(resource):
            self._cancel.check()
            source = self._selection.source(ref)
            if source is None or (source.namespace, source.name) in held:
                continue
            if not self._selection.wants(source):
                continue
            item = self._right_bodies.get(ref)
            if item is not None:
                self._comparison.gain(item, self._right_left_out, self._left.scopes)


class _Around:
    """What lies around the items of one backup: `Surroundings`.

    Args:
        own: Its items.
        other: Those of the other one.
        elsewhere: What an object is called there.
    """

    def __init__(
        self, own: ArchiveContents, other: ArchiveContents, elsewhere: _Elsewhere
    ) -> None:
        self._own, self._other, self._elsewhere = own, other, elsewhere
        self._kinds = {**_kinds_of(other), **_kinds_of(own)}

    def find(self, ref: ResourceIdentifier) -> Mapping[str, Any] | None:
        """What there is of a name."""
        item = self._own.get(ref)
        if item is None:
            there = self._elsewhere(ref)
            item = self._other.get(there) if there is not None else None
        try:
            return item.content if item is not None else None
        except ArchiveCorruptError:
            return None

    def type_of(self, api_version: str, kind: str) -> tuple[GroupResource, bool] | None:
        """The type of a kind, as far as either backup has objects of it."""
        return self._kinds.get(group_kind(api_version, kind))

    def has_twin(self, ref: ResourceIdentifier) -> bool:
        """Whether the same object is compared under a newer type, too.

        It is not where the other backup has it under the older type alone.
        """
        newer = TWINS.get(ref.group_resource)
        if newer is None or _as(newer, ref) not in self._own:
            return False
        there = self._elsewhere(ref)
        return (
            there is None
            or _as(newer, there) in self._other
            or (there not in self._other)
        )


def _as(resource: GroupResource, ref: ResourceIdentifier) -> ResourceIdentifier:
    return ResourceIdentifier(resource, ref.namespace, ref.name)


def _kinds_of(
    contents: ArchiveContents,
) -> dict[GroupKind, tuple[GroupResource, bool]]:
    """Which type each kind is; of one that two groups have, the newer group's."""
    found: dict[GroupKind, tuple[GroupResource, bool]] = {}
    for resource in sorted(contents.resources(), key=lambda x: x not in TWINS):
        held = contents.of_type(resource)
        namespace, _ = next(iter(held.places))
        for head in {held.head, *held.others.values()}:
            found[group_kind(*head)] = resource, bool(namespace)
    return found
