"""One item while it is decided about: what is known of it, and the line it gets.

Filled step by step by the `ItemPlanner`; read by nobody else.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from kbackup._kits.controlled import FREE, Owner, Ownership, Role
from kbackup.models import Item, ResourceIdentifier
from kbackup.restore._making.desired import Desired
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan_entry import PlanAction, PlanEntry, StatusWrite
from kbackup.restore._target.converting import ConvertedItem
from kbackup.restore._target.seen import LiveObject, TypeView
from kbackup.restore._verdicts.adoption import ADOPTED_BY, adopter_of

_NOWHERE = "which is neither in this restore nor in the target"
_decode = msgspec.json.decode


class ItemCase(msgspec.Struct):
    """One item while it is decided about; a msgspec value as `PlanEntry`."""

    item: Item
    content: dict[str, Any]
    view: TypeView
    live: LiveObject | None
    target: ResourceIdentifier
    owned: Ownership = FREE
    line: ClaimLine | None = None
    had_status: bool = False
    mid_rollout: bool = False
    second_write: bool = False
    status: StatusWrite = ""
    relinks: bool = False
    orphan: bool = False
    met: dict[str, Any] | None = None
    untied: Sequence[str] = ()
    tied_earlier: Mapping[str, str] = MappingProxyType({})
    unhooked: Desired | None = None
    ours: bool = False

    @property
    def lives(self) -> bool:
        """Whether the target has it, and it stays."""
        return self.live is not None and not self.live.deleting

    @property
    def staying(self) -> Mapping[str, Any] | None:
        """What the target has in its place, where that stays."""
        if self.live is None or self.live.deleting:
            return None
        content: dict[str, Any] = _decode(self.live.json())
        return content

    @property
    def ref(self) -> ResourceIdentifier:
        """The item in the backup."""
        return self.item.identifier

    @property
    def adopter(self) -> str:
        """Who adopts it, as `PlanEntry` has it; empty: nobody does, or it has an owner."""
        is_adopted = self.owned.role in (Role.ADOPTED, Role.MADE)
        maker = self.owned.maker if self.owned.owners and not self.orphan else None
        return adopter_of(maker) if is_adopted and maker is not None else ""

    @property
    def lost_owners(self) -> tuple[Owner, ...]:
        """Owners that the item will not have again, whatever else the plan has."""
        if self.relinks or not (self.orphan or self.owned.role is Role.OWNED):
            return ()
        return self.owned.owners

    def entry(self, action: PlanAction, reason: str = "", **more: Any) -> PlanEntry:
        """The line of the plan."""
        return PlanEntry(
            identifier=self.item.identifier,
            target=self.target,
            action=action,
            reason=reason,
            wave=self.view.wave,
            api_version=self.item.api_version,
            kind=self.item.kind,
            **more,
        )

    def unconverted(self) -> PlanEntry | None:
        """The line of an item that the target has no version for; None: it has one."""
        if not isinstance(self.item, ConvertedItem) or not self.item.refusal:
            return None
        return self.entry(PlanAction.CONFLICT, self.item.refusal)

    def reason(self, action: PlanAction, first: str) -> str:
        """What to know about an item that is written."""
        conversion = self.view.conversion
        if self.line is None and not self.owned.owners and not conversion:
            return first
        parts = [part for part in (first, conversion) if part]
        if self.line is not None:
            parts += [self.line.text, *self.line.problems]
        if self.owned.owners and action.makes and not self.relinks:
            named = ", ".join(str(owner) for owner in self.owned.owners)
            adopted = self.owned.role in (Role.ADOPTED, Role.MADE)
            if self.orphan:
                parts.append(f"without owner {named}, {_NOWHERE}")
            elif adopted:
                parts.append(f"without owner, {ADOPTED_BY} {named}")
            else:
                parts.append(f"without owner {named}")
        return "; ".join(parts)
