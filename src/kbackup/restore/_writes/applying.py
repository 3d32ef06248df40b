"""A live object gets the applied fields of an item, and keeps all the others.

Who decides is `judge`, asked by the planner, and again right before the write. The server
is asked to force nothing, unless the user did or the field is kbackup's own already.
"""

from kbackup._kits.words import first_few
from kbackup.archive import ArchiveContents
from kbackup.cluster import causes
from kbackup.errors import ClusterError
from kbackup.models import APIResource
from kbackup.plugins import Run
from kbackup.restore._attempt import FAILED, SKIPPED, UNCHANGED, UPDATED, Attempt
from kbackup.restore._making.desired import Desired
from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
from kbackup.restore._request.policies import Policies
from kbackup.restore._target.answers import Answer
from kbackup.restore._target.converting import as_stored
from kbackup.restore._verdicts.judging import Judgement, judge
from kbackup.restore._writes.dropped import warn_of_dropped
from kbackup.restore._writes.saved import SavedObjects
from kbackup.restore._writes.server import Server
from kbackup.restore._writes.updating import DONE, GONE, MOVED

_CONFLICT = "FieldManagerConflict"


class Applier:
    """Applies single items; may be called from any thread."""

    def __init__(
        self,
        server: Server,
        policies: Policies,
        contents: ArchiveContents,
        run: Run,
        saved: SavedObjects,
    ) -> None:
        self._saved = saved
        self._server = server
        self._policies = policies
        self._contents = contents
        self._run = run

    def apply(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        """Try to apply an item to the object that the plan saw."""
        live = self._server.look(entry, resource)
        item = self._contents.get(entry.identifier)
        if live is None or item is None:
            return Attempt(action=SKIPPED, reason=GONE, moved=True)
        seen, rules = Precondition.of(live), self._policies.of(entry.target)
        stored = as_stored(item).content
        is_as_saved = self._saved.has(entry.target, live)  # before it is cleaned
        found = judge(desired.content, stored, live, rules)
        verdict = found.verdict
        if verdict.action is PlanAction.UNCHANGED:
            answered = not self._server.lost_an_answer(entry)
            return Attempt(action=UNCHANGED if answered else UPDATED, reason=DONE)
        if not (is_as_saved or self._is_as_planned(entry, seen, found)):
            return Attempt(action=SKIPPED, reason=MOVED, moved=True)
        if verdict.action is not PlanAction.UPDATE or not rules.apply:
            reason = verdict.reason or str(verdict.action)
            return Attempt(action=FAILED, reason=f"not applied: {reason}")
        return self._send(entry, resource, found, seen)

    def _is_as_planned(
        self, entry: PlanEntry, seen: Precondition, found: Judgement
    ) -> bool:
        """Whether the object is the one of the plan, or the same fields would change."""
        if seen == entry.precondition:
            return True
        if entry.precondition is None or self._server.hides(entry):
            return False
        same = found.verdict.differences == entry.differences
        return seen.uid == entry.precondition.uid and same

    def _send(
        self,
        entry: PlanEntry,
        resource: APIResource,
        found: Judgement,
        seen: Precondition,
    ) -> Attempt:
        body = found.applied.body
        metadata = {"uid": seen.uid, "resourceVersion": seen.resource_version}
        body = {**body, "metadata": {**body["metadata"], **metadata}}
        force = found.forces or found.applied.is_own
        try:
            stored = self._server.apply(entry, resource, body, force=force)
        except ClusterError as exc:
            if told := _conflicts(exc):
                return Attempt(action=FAILED, reason=f"not applied: {told}")
            answer, reason = self._server.take(entry, exc, create=False)
            # What moved in between is looked at again, and held against the plan.
            return Attempt(
                action=FAILED if answer is Answer.FAIL else "", reason=reason
            )
        warn_of_dropped(self._run, entry, found.applied.body, stored)
        return Attempt(action=UPDATED, reason=entry.reason)


def _conflicts(error: ClusterError) -> str:
    """Which fields whose managers do not give them, in the server's words; or nothing."""
    told = [
        f"{cause.get('field', '')}: {cause.get('message', '')}"
        for cause in causes(error)
        if cause.get("reason") == _CONFLICT
    ]
    return first_few(told) if told else ""
