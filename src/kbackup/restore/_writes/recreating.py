"""An object that is there is deleted, and created anew as the backup has it.

What may not be deleted is known to the plan. Before an object is, the server is asked
whether it would take the new one; after that nothing but the create is left to do, by
this run or by the next of the same restore: the body is in the backup.
"""

import threading
from collections.abc import Mapping
from typing import Any

import attrs

from kbackup._kits.kinds import is_of
from kbackup.errors import ClusterError, ItemNotFoundError
from kbackup.models import APIResource, ResourceIdentifier
from kbackup.restore._attempt import CREATED, FAILED, RECREATED, UNCHANGED, Attempt
from kbackup.restore._comparing.existing import why_not
from kbackup.restore._making.desired import Desired
from kbackup.restore._owners.live_dependents import LiveDependents, why_kept
from kbackup.restore._plan_entry import PlanEntry, Precondition
from kbackup.restore._target.answers import Answer, leaving, meaning
from kbackup.restore._writes.creating import Creator
from kbackup.restore._writes.server import Server
from kbackup.restore._writes.updating import Updater

Content = Mapping[str, Any]

DELETED = "deleted, and not created anew yet: the same restore, run again, creates it"
_DELETED = "deleted"
_SAVED = "what was there is in a backup that the log of this restore names"
_NOT_TAKEN = "not deleted, for the server would not take the new one"
NOT_NEEDED = "it is as in the backup"
_POD, _JOB = ("", "Pod"), ("batch", "Job")


# Not by this restore: the object is the one that the plan saw.
_NOTHING_TO_DO = Attempt(action=UNCHANGED, reason=NOT_NEEDED)


def propagation_of(live: Content) -> str:
    """What becomes of the objects that a live one owns, in the API's word.

    They stay, as they do whatever their kind is: those of workloads are adopted by the
    new one, those of a custom resource may hold data. But Pods of a Job would do their
    work beside those of the new Job: they go first. What a Pod owns is made for it.
    """
    if is_of(live, _JOB):
        return "Foreground"
    return "" if is_of(live, _POD) else "Orphan"


class Recreator:
    """Deletes single objects and creates them anew; may be called from any thread."""

    def __init__(
        self,
        server: Server,
        updater: Updater,
        creator: Creator,
        dependents: LiveDependents,
    ) -> None:
        self._server = server
        self._dependents = dependents
        self._updater = updater
        self._creator = creator
        self._deleted: set[ResourceIdentifier] = set()
        self._noting = threading.Lock()

    def has_deleted(self, entry: PlanEntry) -> bool:
        """Whether the object that the plan saw is gone by our doing."""
        return entry.identifier in self._deleted

    def is_gone(self, entry: PlanEntry, resource: APIResource) -> bool:
        """Whether the place of an object that was deleted is free."""
        return self._server.look(entry, resource) is None

    def recreate(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt | None:
        """Take the next step; None: it was deleted, and its end is to be awaited."""
        live = self._server.look(entry, resource)
        if live is None:
            # By us, by a run that was killed in between, or by somebody else: the plan
            # says what is to be here.
            return self._create(entry, resource, desired)
        seen = Precondition.of(live)
        if entry.precondition is None or seen.uid != entry.precondition.uid:
            return _anew(self._creator.meet(entry, resource, desired, live))
        if live["metadata"].get("deletionTimestamp"):
            self._note(entry)
            return Attempt(reason=f"{_DELETED}; {leaving(live)}")
        how, refused = propagation_of(live), why_not(live)
        if unfit := self._updater.why_unfit(entry, desired, live):
            return unfit if unfit.moved or unfit.action == FAILED else _NOTHING_TO_DO
        if refused:
            return Attempt(action=FAILED, reason=f"not deleted: {refused}")
        refusal = self._would_be_refused(entry, resource, desired)
        refusal = refusal or self._takes_along(entry)
        return refusal or self._delete(entry, resource, seen, how)

    def _takes_along(self, entry: PlanEntry) -> Attempt | None:
        """Look once more for what would go with it; None: nothing that must not."""
        if self._server.dry_run:  # the plan has looked a moment ago
            return None
        found = self._dependents.of(entry).kept
        return Attempt(action=FAILED, reason=why_kept(found)) if found else None

    def _would_be_refused(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt | None:
        """Let the server say whether it would take the new object; None: it would.

        It looks at everything else before it says that the name is taken.
        """
        try:
            self._server.try_create(entry, resource, desired.body)
        except ClusterError as exc:
            answer = meaning(exc, create=True)
            if answer is Answer.EXISTS:
                return None
            reason = f"{_NOT_TAKEN}: {self._server.explain(entry, exc)}"
            return Attempt(
                action=FAILED if answer is Answer.FAIL else "", reason=reason
            )
        return None

    def _delete(
        self, entry: PlanEntry, resource: APIResource, seen: Precondition, how: str
    ) -> Attempt | None:
        try:
            self._server.delete(entry, resource, seen, how)
        except ItemNotFoundError:
            pass
        except ClusterError as exc:
            answer, reason = self._server.take(entry, exc, create=False)
            # What moved in between, or may be gone, is looked at again.
            return Attempt(
                action=FAILED if answer is Answer.FAIL else "", reason=reason
            )
        if self._server.dry_run:
            return Attempt(action=RECREATED, reason=entry.reason)
        self._note(entry)
        return None

    def _create(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        attempt = _anew(self._creator.create(entry, resource, desired))
        if attempt.action == FAILED:
            reason = f"{_DELETED}, and not created anew: {attempt.reason}; {_SAVED}"
            return attrs.evolve(attempt, reason=reason)
        if not attempt.is_over:
            return attrs.evolve(attempt, reason=f"{_DELETED}; {attempt.reason}")
        return attempt

    def _note(self, entry: PlanEntry) -> None:
        with self._noting:
            self._deleted.add(entry.identifier)


def _anew(attempt: Attempt) -> Attempt:
    """A create that took the place of what was deleted, maybe by an earlier try."""
    if attempt.action != CREATED:
        return attempt
    return attrs.evolve(attempt, action=RECREATED)
