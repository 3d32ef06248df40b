"""What becomes of the claims and volumes of one restore, one item at a time.

`_plan.claims` decides by values; here are the values: what the backup has, what is planned so
far, what the target has. Reads only; asked by the item planner.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from kbackup._kits.nested import value_at
from kbackup.archive import ArchiveContents
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._making.desired import Desired
from kbackup.restore._making.reset import is_labelled
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._plan.claims import (
    MADE_BEFORE,
    ClaimLine,
    ClaimVerdict,
    VolumeFacts,
    keeps_claim,
    plan_claim,
    plan_own_claim,
    plan_volume,
)
from kbackup.restore._plan.disks import DiskUsers
from kbackup.restore._plan.state import PlanState
from kbackup.restore._plan_entry import PlanAction
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._volumes.claim_sources import ClaimSources

Content = Mapping[str, Any]

Refusal = tuple[PlanAction, str]
"""Skip or conflict, and why."""

_LEFT_AS_IT_IS = "exists; it is left as it is"
_STAYS = "exists in the target; its volume stays"
_PENDING = "exists in the target, Pending: it has no volume"


_NOT_READ = VolumeFacts()


class VolumePlanner:
    """Decides about the claims and volumes of one restore; claims come first."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        state: PlanState,
        book: NoticeBook,
    ) -> None:
        self._request = request
        self._contents = contents
        self._state = state
        self._sources = ClaimSources(request, contents, state, book)
        self._disks = DiskUsers()  # of this restore's volumes, by their name

    @property
    def facts(self) -> VolumeFacts:
        """The target's volumes; of a restore without claims nobody read them."""
        return self._state.facts or _NOT_READ

    # --- claims -----------------------------------------------------------------------

    def line_of(
        self,
        ref: ResourceIdentifier,
        content: Content,
        target: ResourceIdentifier,
        *,
        live: Content | None,
    ) -> ClaimLine:
        """Decide about a claim, and note its line.

        Args:
            ref: Its identity in the backup.
            content: As it is in the backup.
            target: Its identity in the target.
            live: What the target has in its place, and what stays there.
        """
        if live is None:
            line = self._line_of_new(ref, content, target)
        else:
            line = self._line_of_own(ref, content, target, live) or ClaimLine(
                claim=ref,
                target=target,
                verdict=ClaimVerdict.EXISTS,
                text=_PENDING if _is_pending(live) else _STAYS,
            )
        self._state.lines[ref] = line
        return line

    def move(
        self, line: ClaimLine, target: ResourceIdentifier, live: Content | None
    ) -> None:
        """Note that a claim goes elsewhere than its line says.

        Args:
            line: Of a claim that comes back empty.
            target: Where a transform put it.
            live: What the target has there, and what stays.
        """
        line = attrs.evolve(line, target=target)
        if live is not None and self._is_own(live):
            text = f"{line.text}, {MADE_BEFORE}"
            line = attrs.evolve(line, verdict=ClaimVerdict.MADE_BEFORE, text=text)
        self._state.lines[line.claim] = line

    def _line_of_own(
        self,
        ref: ResourceIdentifier,
        content: Content,
        target: ResourceIdentifier,
        live: Content,
    ) -> ClaimLine | None:
        if not self._is_own(live):
            return None
        return plan_own_claim(content, live, ref, target, self.facts)

    def _is_own(self, live: Content) -> bool:
        return is_labelled(live["metadata"].get("labels"), self._request.restore_label)

    def _line_of_new(
        self, ref: ResourceIdentifier, content: Content, target: ResourceIdentifier
    ) -> ClaimLine:
        name = (content.get("spec") or {}).get("volumeName", "")
        volume = ResourceIdentifier(well_known.PERSISTENT_VOLUMES, "", name)
        # In the backup, also where the selection leaves it out.
        stored = self._contents.get(volume) if name else None
        archived = stored.content if stored is not None else None
        line = plan_claim(content, ref, target, archived, self.facts)
        if line.verdict is ClaimVerdict.NEVER_BOUND:
            problems = self._sources.problems(content, ref, target)
            line = attrs.evolve(line, problems=(*line.problems, *problems))
        if line.verdict is ClaimVerdict.REUSE:
            if reason := self._used_before(name, archived or {}):
                verdict = ClaimVerdict.CONFLICT
                return attrs.evolve(line, verdict=verdict, text=reason, problems=())
            self._state.want(ref, volume)
        return line

    # --- volumes ----------------------------------------------------------------------

    def refused_at_once(
        self, ref: ResourceIdentifier, content: Content, *, exists: bool
    ) -> Refusal | None:
        """Why a volume is not written, whatever is made of it; None: that decides.

        Args:
            ref: Its identity in the backup.
            content: As it is in the backup.
            exists: The target has one of its name.
        """
        if not exists:
            return self._unwanted(ref, content)
        if self._is_changed(ref) or self._request.may_move_items:
            return None
        return PlanAction.SKIP, _LEFT_AS_IT_IS

    def refused(
        self,
        ref: ResourceIdentifier,
        content: Content,
        desired: Desired,
        live: Content | None,
        *,
        existed: bool,
    ) -> Refusal | None:
        """Why a volume is not written as it would be; None: it may be.

        Args:
            ref: Its identity in the backup.
            content: Of the backup; it was given away to make the desired one of it.
            desired: As it would be written.
            live: What the target has in that place.
            existed: `refused_at_once` was told that the target has one of its name.
        """
        if live is not None and not self._is_changed(desired.target):
            return PlanAction.SKIP, _LEFT_AS_IT_IS
        if live is not None and not live["metadata"].get("deletionTimestamp"):
            reason = keeps_claim(live, desired.content)
            return (PlanAction.CONFLICT, reason) if reason else None
        if existed and (unwanted := self._unwanted(ref, content)):
            return unwanted
        reason = self.facts.disks.in_use(desired.content, desired.target.name)
        reason = reason or self._used_before(ref.name, desired.content)
        return (PlanAction.CONFLICT, reason) if reason else None

    def _is_changed(self, target: ResourceIdentifier) -> bool:
        return self._request.policies.of(target).update_cluster

    def _used_before(self, name: str, volume: Content) -> str:
        """Which volume of this restore has the disk already; empty: this one, from now.

        Args:
            name: Of the volume in the backup.
            volume: In the backup, or as it would be written.
        """
        if other := self._disks.other(name, volume):
            return f"conflict: PV {other} of this restore has that disk"
        self._disks.add(name, volume)
        return ""

    def _unwanted(self, ref: ResourceIdentifier, content: Content) -> Refusal | None:
        """Why a volume of the backup does not come again; None: it was asked for."""
        if self._request.spec.restore_pvs is False:
            return PlanAction.SKIP, "restorePVs is false"
        lines = tuple(self._state.lines.values())
        refusal = plan_volume(content, ref.name, self.facts, lines)
        if refusal is None:
            return None
        action = PlanAction.CONFLICT if refusal.conflicts else PlanAction.SKIP
        return action, refusal.reason


def _is_pending(claim: Content) -> bool:
    return bool(value_at(claim, "status", "phase") == "Pending")
