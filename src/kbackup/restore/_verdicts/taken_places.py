"""What becomes of an item whose place in the target is taken.

Held against the object that is there: nothing, an update, what an earlier run of the same
restore still owes it, or a wait until it is gone. Called by the item planner; writes
nothing.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.controlled import Role, ownership
from kbackup.hooks import has_init_containers
from kbackup.restore._comparing.existing import (
    MADE_BEFORE,
    Verdict,
    can_be_applied,
    decide,
    why_not,
)
from kbackup.restore._making.desired import Desired, DesiredMaker
from kbackup.restore._making.reset import cleaned, is_labelled
from kbackup.restore._owners.earlier_ties import tied_earlier
from kbackup.restore._owners.owners import lacking
from kbackup.restore._plan_entry import (
    BY_SECOND,
    ApplyWrite,
    PlanAction,
    PlanEntry,
    Precondition,
)
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._request.statuses import lacks_status
from kbackup.restore._target.converting import as_stored
from kbackup.restore._target.field_managers import lacks_managers
from kbackup.restore._verdicts.adoption import awaits_owner, made_idle
from kbackup.restore._verdicts.hooked_pods import unhooked
from kbackup.restore._verdicts.item_case import ItemCase
from kbackup.restore._verdicts.judging import judge

_GIVEN_BACK = "its field managers are given back"
_STATUS_BACK = "its status is restored"


class TakenPlaces:
    """Decides about the items of one restore that the target has already."""

    def __init__(self, request: RestoreRequest, maker: DesiredMaker) -> None:
        self._request = request
        self._maker = maker

    def meet(self, case: ItemCase, desired: Desired, live: dict[str, Any]) -> PlanEntry:
        """Decide about an item whose place is taken."""
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            return self._follow(case, desired)
        seen = Precondition(
            metadata.get("uid", ""), metadata.get("resourceVersion", "")
        )
        is_kept = case.owned.role is Role.ADOPTED and not case.view.is_claim
        keeper = ownership(live).maker if is_kept else None
        ours = is_labelled(metadata.get("labels"), self._request.restore_label)
        case.ours = ours
        if desired.owners:
            self._note_ties(case, desired, live)
        due = self._due(case, desired, live) if ours else {}
        waits: dict[str, Any] = {}
        if ours and is_kept and awaits_owner(live):  # and its owner was refused then
            desired, waits = made_idle(desired), {"adopter": case.adopter, "idle": True}
        rules = self._request.policies.of(case.target)
        refused = why_not(live) if rules.recreate else ""
        case.met = live  # which is cleaned below, when it was judged
        new = desired  # as it is without what the live one has
        if not has_init_containers(live, desired.init_containers):
            desired = case.unhooked = unhooked(self._maker, case)
        verdict, apply = self._judge(case, desired, live)
        if verdict.action is PlanAction.RECREATE and keeper is None:
            return self._recreate(case, new, seen, MADE_BEFORE if ours else refused)
        if verdict.action is PlanAction.UNCHANGED:
            if due:  # an earlier run ended between its writes
                waits |= {"digest": desired.digest, **due}
            action = PlanAction.UPDATE if due else verdict.action
            reason = _told_due(due) if due else verdict.reason
            return case.entry(action, reason, precondition=seen, **waits)
        writes = verdict.action.writes
        if keeper is not None:
            # To scale a live Deployment's ReplicaSet is to work against the Deployment.
            reason = f"exists; it is left to {keeper}"
            return case.entry(PlanAction.SKIP, reason, precondition=seen)
        return case.entry(
            verdict.action,
            case.reason(verdict.action, verdict.reason) if writes else verdict.reason,
            differences=verdict.differences,
            digest=desired.digest if writes else "",
            precondition=seen,
            cluster_wide=writes and not case.target.namespace,
            apply=apply if writes else "",
            **waits,
        )

    def _note_ties(
        self, case: ItemCase, desired: Desired, live: Mapping[str, Any]
    ) -> None:
        """Note which owners it had, and which it never had from this restore."""
        known, owners = self._request.earlier_ties(), desired.owners
        had = tied_earlier(known, case.target, live["metadata"], owners)
        lost = [owner for owner in lacking(owners, live) if owner not in had]
        case.tied_earlier, case.untied = had, lost if case.ours else ()

    def _judge(
        self, case: ItemCase, desired: Desired, live: dict[str, Any]
    ) -> tuple[Verdict, ApplyWrite]:
        """Hold an item against the live object, which is cleaned in place."""
        rules = self._request.policies.of(case.target)
        hide = self._request.hides(case.item)
        if not rules.apply or not can_be_applied(desired.content):
            return decide(desired.content, cleaned(live), rules, hide=hide), ""
        stored = as_stored(case.item).content
        found = judge(desired.content, stored, live, rules, hide=hide)
        return found.verdict, "force" if found.forces else "apply"

    def _recreate(
        self, case: ItemCase, desired: Desired, seen: Precondition, refused: str
    ) -> PlanEntry:
        """The line of an item whose live object is deleted, or may not be."""
        rules = self._request.policies.of(case.target)
        hide = self._request.hides(case.item)
        case.unhooked = None  # it is a new Pod, with all that a new one gets
        verdict = decide(desired.content, case.met or {}, rules, hide=hide)
        if refused:
            is_ours = refused == MADE_BEFORE
            action = PlanAction.SKIP if is_ours else PlanAction.CONFLICT
            reason = refused if is_ours else f"not deleted: {refused}"
            return case.entry(
                action, reason, differences=verdict.differences, precondition=seen
            )
        return case.entry(
            PlanAction.RECREATE,
            case.reason(PlanAction.RECREATE, verdict.reason),
            differences=verdict.differences,
            digest=desired.digest,
            precondition=seen,
            cluster_wide=not case.target.namespace,
            second_write=case.second_write,
            status=case.status,
            adopter=case.adopter,
        )

    def _due(
        self, case: ItemCase, desired: Desired, live: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the line of an object that this restore made says of second writes."""
        due: dict[str, Any] = {}
        if case.second_write and lacks_managers(case.item, live):
            due["second_write"] = True
        if case.status == BY_SECOND and lacks_status(desired.status, live):
            due["status"] = BY_SECOND
        return due

    def _follow(self, case: ItemCase, desired: Desired) -> PlanEntry:
        """The line of an item whose place is about to be free."""
        reason = "the live one is being deleted: written when it is gone"
        action = PlanAction.CREATE
        return case.entry(
            action,
            case.reason(action, reason),
            digest=desired.digest,
            cluster_wide=not case.target.namespace,
            second_write=case.second_write,
            status=case.status,
            adopter=case.adopter,
        )


def _told_due(due: Mapping[str, Any]) -> str:
    told = [_STATUS_BACK] * ("status" in due) + [_GIVEN_BACK] * ("second_write" in due)
    return f"{' and '.join(told)}, nothing else"
