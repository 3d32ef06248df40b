"""What two sides of a comparison have, object by object; the one way to hold them.

Pure but for what `LeftOut` looks up. Told of every object by whoever walks through two
archives, or through an archive and a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.differences import Difference as FieldDifference
from kbackup._kits.moved import moved
from kbackup._kits.normalise import differences
from kbackup.catalog._left_out import LeftOut
from kbackup.catalog._scopes import Scopes
from kbackup.catalog._selection import Selection
from kbackup.errors import ArchiveCorruptError
from kbackup.models import ChangedItem, Difference, Item, ResourceIdentifier
from kbackup.plugins.engine import ODD, oddity

_ANY_VERSION = ("kind", "metadata")  # the same in all versions of a type
_decode = msgspec.json.decode


@attrs.define(kw_only=True)
class Comparison:
    """What has been found so far; for one thread.

    Attributes:
        left: What is compared.
        right: With what.
        selection: What of it.
        left_out: What of the left side is not compared.
        same: How many objects are equal.
        skipped: How many are not compared.
        not_covered: How many are on one side where the other did not look.
        damage: What of either side could not be read; sentences.
    """

    left: str
    right: str
    selection: Selection
    left_out: LeftOut
    same: int = 0
    skipped: int = 0
    not_covered: int = 0
    damage: tuple[str, ...] = ()
    _removed: list[ResourceIdentifier] = attrs.field(factory=list)
    _added: list[ResourceIdentifier] = attrs.field(factory=list)
    _changed: list[ChangedItem] = attrs.field(factory=list)
    _unknown: list[tuple[ResourceIdentifier, str]] = attrs.field(factory=list)

    def meet(self, item: Item, body: bytes) -> None:
        """Hold an object of the left side against the one of its name on the right."""
        ref = item.identifier
        try:
            self._meet(item, body)
        except ArchiveCorruptError as exc:
            self.cannot_tell(ref, str(exc))
        except ODD as exc:
            self.cannot_tell(ref, oddity(exc))

    def lose(self, item: Item, there: Scopes | None = None) -> None:
        """Note an object that only the left side has.

        Args:
            item: The object.
            there: Where the right side looked; None: everywhere.
        """
        there_called = self.selection.target(item.identifier)
        if self._counts(item, self.left_out, there, there_called):
            self._removed.append(item.identifier)

    def gain(self, item: Item, left_out: LeftOut, there: Scopes) -> None:
        """Note an object that only the right side has.

        Args:
            item: The object.
            left_out: What of the right side is not compared.
            there: Where the left side looked.
        """
        there_called = self.selection.source(item.identifier) or item.identifier
        if self._counts(item, left_out, there, there_called):
            self._added.append(item.identifier)

    def add(self, ref: ResourceIdentifier) -> None:
        """Note an object that only the right side has, and that counts."""
        self._added.append(ref)

    def miss(self, item: Item, reason: str) -> bool:
        """Note an object of the left side whose counterpart cannot be read.

        Returns:
            Whether it counts; what is left out does not.
        """
        counts = self._counts(item, self.left_out, None, item.identifier)
        if counts:
            self.cannot_tell(item.identifier, reason)
        return counts

    def cannot_tell(self, ref: ResourceIdentifier, reason: str) -> None:
        """Note what cannot be compared."""
        self._unknown.append((ref, reason))

    def result(self) -> Difference:
        """Return what was found, sorted."""
        changed = {item.identifier: item for item in self._changed}
        return Difference(
            left=self.left,
            right=self.right,
            removed=tuple(sorted(self._removed, key=_rank)),
            added=tuple(sorted(self._added, key=_rank)),
            changed=tuple(changed[ref] for ref in sorted(changed, key=_rank)),
            unknown=tuple(sorted(self._unknown, key=lambda told: _rank(told[0]))),
            same=self.same,
            left_out=self.skipped,
            not_covered=self.not_covered,
            damage=self.damage,
        )

    def _counts(
        self,
        item: Item,
        left_out: LeftOut,
        there: Scopes | None,
        there_called: ResourceIdentifier,
    ) -> bool:
        """Whether the other side lacks an object that it might have."""
        given: Mapping[str, str] = {}
        try:
            content = item.content
            if not self.selection.wants_labels(content):
                return False
            if left_out.covers(item.identifier, content):
                self.skipped += 1
                return False
            given = content["metadata"].get("labels") or {}
        except (ArchiveCorruptError, *ODD):
            pass  # it is on this side, and not on the other, whatever it is
        if there is None or there.cover(there_called, given):
            return True
        self.not_covered += 1
        return False

    def _meet(self, item: Item, body: bytes) -> None:
        ref, selects = item.identifier, self.selection.selector is not None
        mapping = self.selection.mapping
        if item.raw == body and not mapping:  # most objects, and none is parsed
            if not selects or self.selection.wants_labels(item.content):
                self.same += 1
            return
        stored = item.content
        if self.left_out.covers(ref, stored):
            self.skipped += 1
            return
        found: dict[str, Any] = _decode(body)
        if not self.selection.wants_labels(stored, found):
            return
        target = self.selection.target(ref)
        if mapping:
            stored = moved(stored, mapping)
        changes = self._changes(ref, stored, found)
        if changes:
            changed = ChangedItem(identifier=ref, target=target, differences=changes)
            self._changed.append(changed)
        elif changes is not None:
            self.same += 1

    def _changes(
        self, ref: ResourceIdentifier, stored: Mapping[str, Any], found: dict[str, Any]
    ) -> tuple[FieldDifference, ...] | None:
        """The fields that differ; None: none of those that can be compared.

        Of two versions of a type these are the metadata: what another field says in
        another version, and what it is where it is not given, only the server knows.
        """
        versions = stored.get("apiVersion"), found.get("apiVersion")
        kinds = str(stored.get("kind")), str(found.get("kind"))
        hide = self.selection.hides(ref.group_resource, *kinds)
        if versions[0] == versions[1]:
            return tuple(differences(stored, found, hide=hide))
        reason = (
            f"{self.left} has {versions[0]}, {self.right} has {versions[1]}: "
            f"only the metadata is compared"
        )
        self.cannot_tell(ref, reason)
        parts = [
            {"apiVersion": versions[0], **{key: each[key] for key in _ANY_VERSION}}
            for each in (stored, found)
        ]
        return tuple(differences(*parts, hide=hide)) or None


def _rank(ref: ResourceIdentifier) -> tuple[str, str, str]:
    return str(ref.group_resource), ref.namespace, ref.name
