"""An object is created, or met: there is one of its name already.

Each is written once; what may follow is in `second_writes`. Whether a create whose answer
was lost took place is found by our label.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kbackup.archive import ArchiveContents
from kbackup.errors import AlreadyExistsError, ClusterError, ForbiddenError
from kbackup.models import APIResource, ResourceIdentifier, well_known
from kbackup.plugins import Run
from kbackup.restore._attempt import (
    CREATED,
    FAILED,
    SKIPPED,
    UNCHANGED,
    UPDATED,
    Attempt,
)
from kbackup.restore._comparing.existing import Verdict, decide
from kbackup.restore._making.desired import Desired
from kbackup.restore._making.reset import cleaned, is_labelled
from kbackup.restore._owners.owners import (
    STILL_OWNERLESS,
    OwnerLinks,
    forbids_blocks,
    lacking,
    tied,
    without_blocks,
)
from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
from kbackup.restore._request.policies import Policies
from kbackup.restore._target.answers import Answer, leaving, may_pass
from kbackup.restore._verdicts.adoption import as_scaled
from kbackup.restore._writes.dropped import warn_of_dropped, warn_of_dropped_status
from kbackup.restore._writes.second_writes import SecondWrites, goes_along
from kbackup.restore._writes.server import Server
from kbackup.restore._writes.updating import DONE, GONE, MOVED, Updater

_APPEARED = "an object of this name appeared since the plan was made"
_UNSEEN = "an object of this name exists"
OURS_CHANGED = "this restore made it before, and it changed since"
_DEFERRALS = 3  # for an owner that waits itself; it is tried before what it owns
_OWNERS = "ownerReferences"


class Creator:
    """Creates single objects; may be called from any thread."""

    def __init__(
        self,
        server: Server,
        updater: Updater,
        *,
        contents: ArchiveContents,
        owners: OwnerLinks,
        policies: Policies,
        restore_label: str,
        run: Run,
    ) -> None:
        self._server = server
        self._updater = updater
        self._second = SecondWrites(server, contents, run)
        self._owners = owners
        self._policies = policies
        self._label = restore_label
        self._run = run
        self._deferred: Counter[ResourceIdentifier] = Counter()

    def create(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        """Try to create an object, tied to those of its owners that are there."""
        body: Mapping[str, Any] | bytes = desired.body
        lost = ""
        if desired.owners and not self._server.dry_run:
            owners = self._owners.resolve(desired.owners, entry.target.namespace)
            lost = ", ".join(owners.lost)
            if owners.may_come and self._deferred[entry.identifier] < _DEFERRALS:
                self._deferred[entry.identifier] += 1
                return Attempt(reason=f"its owner {lost} is not there")
            body = tied(desired.content, owners) if owners.found else body
        if with_status := goes_along(entry, resource, desired):
            content = desired.content if isinstance(body, bytes) else body
            body = {**content, "status": desired.status}
        try:
            stored = self._post(entry, resource, body)
        except ClusterError as exc:
            return self._after_create(entry, resource, desired, exc)
        self._second.follow(entry, resource, desired, stored)
        if lost:
            self._run.warning(f"restored without its owner {lost}", item=entry.target)
        warn_of_dropped(self._run, entry, desired.content, stored)
        if with_status:
            warn_of_dropped_status(self._run, entry, desired.status, stored)
        return Attempt(action=CREATED, reason=entry.reason)

    def _post(
        self, entry: PlanEntry, resource: APIResource, body: Mapping[str, Any] | bytes
    ) -> dict[str, Any]:
        """Create it; an owner whose deletion we may not hold up is not held up."""
        try:
            return self._server.create(entry, resource, body)
        except ForbiddenError as exc:
            if isinstance(body, bytes) or _OWNERS not in body["metadata"]:
                raise
            if not forbids_blocks(exc):
                raise
        stored = self._server.create(entry, resource, without_blocks(body))
        message = "restored without blockOwnerDeletion: the server forbids it"
        self._run.warning(message, item=entry.target)
        return stored

    def _after_create(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        error: ClusterError,
    ) -> Attempt:
        answer, reason = self._server.take(entry, error, create=True)
        if answer is Answer.RETRY:
            return Attempt(reason=reason)
        if answer is Answer.FAIL:
            return Attempt(action=FAILED, reason=reason)
        try:
            live = self._server.look(entry, resource)
        except ClusterError as exc:
            reason = f"{reason}; {self._server.explain_look(entry, exc)}"
            is_over = answer is Answer.EXISTS and not may_pass(exc)
            # Otherwise the next create tells as much as the look would have.
            return Attempt(action=FAILED if is_over else "", reason=reason)
        if live is None:
            # Whose name is not taken lacks a port; else it went in between.
            fails = answer is Answer.EXISTS and not isinstance(
                error, AlreadyExistsError
            )
            return Attempt(action=FAILED if fails else "", reason=reason)
        if live["metadata"].get("deletionTimestamp"):
            return Attempt(reason=_why_leaving(live))
        return self.meet(entry, resource, desired, live)

    def meet(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        live: dict[str, Any],
    ) -> Attempt:
        """An object of that name is there, though the plan saw none."""
        ours = is_labelled(live["metadata"].get("labels"), self._label)
        seen = Precondition.of(live)  # before it is cleaned, which is done in place
        due = self._second.due(entry, resource, desired, live) if ours else None
        if ours and (lost := lacking(desired.owners, live)):
            message = f"without owner {', '.join(lost)}; {STILL_OWNERLESS}"
            self._run.warning(message, item=entry.target)
        verdict = self._decide(entry, desired, live)
        is_as_desired = verdict.action is PlanAction.UNCHANGED
        answered = not self._server.lost_an_answer(entry)
        if due and (is_as_desired or not answered):
            self._second.make_up(entry, resource, desired, due)
        if ours and not answered:
            return Attempt(action=CREATED, reason=entry.reason)
        if is_as_desired:
            return Attempt(action=UNCHANGED, reason=DONE if ours else verdict.reason)
        if entry.target.group_resource == well_known.NAMESPACES:
            return Attempt(action=SKIPPED, reason=verdict.reason)
        if entry.target.group_resource == well_known.SERVICE_ACCOUNTS and not ours:
            # The target makes `default` by itself.
            return self._updater.patch(entry, resource, desired, live, seen)
        reason = _UNSEEN if entry.action is PlanAction.UNKNOWN else _APPEARED
        reason = OURS_CHANGED if ours else reason
        return Attempt(action=SKIPPED, reason=reason, moved=True)

    def _decide(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> Verdict:
        """Hold it against the live one, which is cleaned; an owner may have scaled it."""
        wanted = as_scaled(desired.content, live) if entry.idle else desired.content
        return decide(wanted, cleaned(live), self._policies.of(entry.target))

    def complete(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        """Send the second writes that an earlier run of the restore did not come to."""
        live = self._server.look(entry, resource)
        if live is None:
            return Attempt(action=SKIPPED, reason=GONE, moved=True)
        ours = is_labelled(live["metadata"].get("labels"), self._label)
        due = self._second.due(entry, resource, desired, live)
        verdict = self._decide(entry, desired, live)
        if not ours or verdict.action is not PlanAction.UNCHANGED:
            return Attempt(action=SKIPPED, reason=MOVED, moved=True)
        if due.parts:
            return self._second.complete(entry, resource, desired, due)
        answered = not self._server.lost_an_answer(entry)
        return Attempt(action=UNCHANGED if answered else UPDATED, reason=DONE)


def _why_leaving(live: Mapping[str, Any]) -> str:
    """Why an object is still there; of a namespace that is told at the end, by a look."""
    return "it is Terminating" if live.get("kind") == "Namespace" else leaving(live)
