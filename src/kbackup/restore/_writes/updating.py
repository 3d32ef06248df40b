"""An object that is there is changed as the plan shows, or found to be so, or left alone.

An update names the version that it was made for. What moved since counts as planned
where the same fields would change in the same way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kbackup.errors import ClusterError
from kbackup.models import APIResource, ResourceIdentifier
from kbackup.plugins import Run
from kbackup.restore._attempt import FAILED, SKIPPED, UNCHANGED, UPDATED, Attempt
from kbackup.restore._comparing.existing import decide, update_patch
from kbackup.restore._making.desired import Desired
from kbackup.restore._making.reset import cleaned
from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
from kbackup.restore._request.policies import Policies
from kbackup.restore._target.answers import Answer
from kbackup.restore._volumes.rebinding import is_offered, rebind_digest, rebind_patch
from kbackup.restore._writes.dropped import warn_of_dropped
from kbackup.restore._writes.nulls import means_nulls, replacing
from kbackup.restore._writes.saved import SavedObjects
from kbackup.restore._writes.server import Server

MOVED = "the live object changed since the plan was made"
GONE = "the live object went since the plan was made"
DONE = "done already"
OTHER_DIGEST = "the item would be written differently than planned"


def other_digest(planned: Sequence[str], now: Sequence[str]) -> str:
    """Say that an item would be written differently, and who changed and changes it.

    Args:
        planned: The actions, transforms and modifiers that the plan names.
        now: Those that change the item now.
    """
    by = [f"when planned it was changed by {', '.join(planned)}"] if planned else []
    if [*now] != [*planned]:
        by.append(f"now it is changed by {', '.join(now) or 'nobody'}")
    return "; ".join([OTHER_DIGEST, *by])


class Updater:
    """Updates single objects; may be called from any thread."""

    def __init__(
        self,
        server: Server,
        policies: Policies,
        run: Run,
        saved: SavedObjects,
    ) -> None:
        self._server = server
        self._saved = saved
        self._run = run
        self._policies = policies

    def update(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        """Try to update the object that the plan saw."""
        live = self._server.look(entry, resource)
        if live is None:
            return Attempt(action=SKIPPED, reason=GONE, moved=True)
        seen = Precondition.of(live)  # before it is cleaned, which is done in place
        if unfit := self.why_unfit(entry, desired, live):
            return unfit
        return self.patch(entry, resource, desired, live, seen)

    def patch(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        live: dict[str, Any],
        seen: Precondition,
    ) -> Attempt:
        """Make the desired object of the live one, given `cleaned` and as seen."""
        rules = self._policies.of(entry.target)
        patch = update_patch(desired.content, live, seen, rules)
        if means_nulls(patch, desired.content):
            sent = replacing(patch, desired.content, live)
            return self._send(entry, resource, patch, desired, sent=sent)
        return self._send(entry, resource, patch, desired)

    def rebind(
        self, entry: PlanEntry, resource: APIResource, claim: ResourceIdentifier
    ) -> Attempt:
        """Offer a volume that is there to the claim that will have it again."""
        if rebind_digest(claim) != entry.digest:
            return Attempt(action=FAILED, reason=OTHER_DIGEST)
        live = self._server.look(entry, resource)
        if live is not None and is_offered(live, claim):
            return self._done(entry)
        if live is None or not _is_as_seen(entry, live):
            reason = GONE if live is None else MOVED
            return Attempt(action=SKIPPED, reason=reason, moved=True)
        seen = live["metadata"]
        patch = rebind_patch(claim)
        patch["metadata"] = {
            "uid": seen["uid"],
            "resourceVersion": seen["resourceVersion"],
        }
        return self._send(entry, resource, patch, None)

    def _send(
        self,
        entry: PlanEntry,
        resource: APIResource,
        patch: dict[str, Any],
        desired: Desired | None,
        *,
        sent: list[dict[str, Any]] | None = None,
    ) -> Attempt:
        try:
            stored = self._server.patch(entry, resource, sent or patch)
        except ClusterError as exc:
            return self._after_patch(entry, resource, desired, exc)
        warn_of_dropped(self._run, entry, patch, stored)
        return Attempt(action=UPDATED, reason=entry.reason)

    def _after_patch(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired | None,
        error: ClusterError,
    ) -> Attempt:
        answer, reason = self._server.take(entry, error, create=False)
        if answer is Answer.FAIL:
            return Attempt(action=FAILED, reason=reason)
        # A volume that is bound again has no body: its next try looks first.
        if answer is Answer.RETRY or desired is None:
            return Attempt(reason=reason)
        live = self._server.look(entry, resource)
        if entry.action is not PlanAction.UPDATE:
            return self._after_merge(entry, desired, live, reason)
        if live is None:
            return Attempt(action=SKIPPED, reason=GONE, moved=True)
        untouched = answer is Answer.LOOK and _is_as_seen(entry, live)
        if untouched or self._is_as_planned(entry, desired, live):
            return Attempt(reason=reason)  # or only its status moved: once more
        return self._moved(entry, desired, live)

    def _after_merge(
        self,
        entry: PlanEntry,
        desired: Desired,
        live: dict[str, Any] | None,
        reason: str,
    ) -> Attempt:
        """What a create met was not changed: the plan saw nothing that could move.

        The next create meets what is there by then.
        """
        if live is not None:
            verdict = decide(
                desired.content, cleaned(live), self._policies.of(entry.target)
            )
            if verdict.action is PlanAction.UNCHANGED:
                return self._done(entry)
        return Attempt(reason=reason)

    # --- what is there ----------------------------------------------------------------

    def why_unfit(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> Attempt | None:
        """What ends an entry whose live object is not to be changed; None: it is.

        *live* is cleaned in place.
        """
        if not self.fits(entry, desired, live):
            return self._moved(entry, desired, live)
        rules = self._policies.of(entry.target)
        verdict = decide(desired.content, cleaned(live), rules, hide=True)
        if verdict.action is entry.action:
            return None
        reason = f"the plan says {entry.action}, which it does not allow"
        return Attempt(
            action=FAILED, reason=f"{reason}: {verdict.reason or verdict.action}"
        )

    def fits(self, entry: PlanEntry, desired: Desired, live: dict[str, Any]) -> bool:
        """Whether what the plan says may be done to what is there now."""
        return _is_as_seen(entry, live) or self._is_as_planned(entry, desired, live)

    def _is_as_planned(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> bool:
        """Whether it would change just what the plan shows, and nothing else.

        A controller that writes a status gives an object a new resourceVersion, often
        because of what this very restore wrote before. Of a Secret, or what else is
        redacted, a plan does not show its values: only what was saved can tell.
        """
        seen = entry.precondition
        if self._server.hides(entry):
            return self._saved.has(entry.target, live)
        if seen is None or not entry.differences:
            return False
        if live["metadata"]["uid"] != seen.uid:
            return False
        verdict = decide(
            desired.content, cleaned(live), self._policies.of(entry.target)
        )
        return (
            verdict.action is entry.action and verdict.differences == entry.differences
        )

    def _moved(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> Attempt:
        """The live object is another than the plan saw: done, or left alone."""
        verdict = decide(
            desired.content, cleaned(live), self._policies.of(entry.target)
        )
        if verdict.action is PlanAction.UNCHANGED:
            return self._done(entry)
        return Attempt(action=SKIPPED, reason=MOVED, moved=True)

    def _done(self, entry: PlanEntry) -> Attempt:
        """An update that is there: by a write whose answer was lost, or from before."""
        if self._server.lost_an_answer(entry):
            return Attempt(action=UPDATED, reason=entry.reason)
        return Attempt(action=UNCHANGED, reason=DONE)


def _is_as_seen(entry: PlanEntry, live: Mapping[str, Any]) -> bool:
    return Precondition.of(live) == entry.precondition
