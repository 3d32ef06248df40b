"""What stays is tied again to an owner that was deleted and created anew.

Deleting the owner untied it. By the rules of `_owners.owners`, and nothing else is changed: of
what is there, only the reference to that owner. Called where single entries are written.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kbackup.errors import ClusterError
from kbackup.models import APIResource
from kbackup.plugins import Run
from kbackup.restore._attempt import FAILED, SKIPPED, UNCHANGED, UPDATED, Attempt
from kbackup.restore._comparing.existing import decide
from kbackup.restore._making.desired import Desired
from kbackup.restore._making.reset import cleaned
from kbackup.restore._owners.owners import (
    OwnerLinks,
    forbids_blocks,
    lacking,
    owner_name,
    without_blocks,
)
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.policies import Policies
from kbackup.restore._target.answers import Answer
from kbackup.restore._writes.server import Server
from kbackup.restore._writes.updating import DONE, GONE, MOVED

_OWNERS = "ownerReferences"


class Tier:
    """Ties single objects to their owners; may be called from any thread."""

    def __init__(
        self, server: Server, policies: Policies, owners: OwnerLinks, run: Run
    ) -> None:
        self._server = server
        self._policies = policies
        self._owners = owners
        self._run = run

    def tie(self, entry: PlanEntry, resource: APIResource, desired: Desired) -> Attempt:
        """Try to tie what is there to the owners that the plan names."""
        if self._server.dry_run:  # whose new owner is not there yet
            return Attempt(action=UPDATED, reason=entry.reason)
        live = self._server.look(entry, resource)
        if live is None:
            return Attempt(action=SKIPPED, reason=GONE, moved=True)
        wanted = [each for each in desired.owners if owner_name(each) in entry.ties]
        resolved = self._owners.resolve(wanted, entry.target.namespace)
        if resolved.may_come:
            return Attempt(reason=f"its owner {', '.join(resolved.lost)} is not there")
        # An owner that was not deleted, after all, has it still.
        lost = ", ".join(
            each for each in lacking(wanted, live) if each in resolved.lost
        )
        patch = _patch(live, resolved.found)
        if not self._is_as_planned(entry, desired, live):
            return Attempt(action=SKIPPED, reason=MOVED, moved=True)
        if lost:
            self._run.warning(f"no longer tied to its owner {lost}", item=entry.target)
        if patch is None:
            return Attempt(action=UNCHANGED, reason="" if lost else DONE)
        return self._send(entry, resource, patch)

    def _is_as_planned(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> bool:
        """Whether the object is the one that was seen, and as the plan says it is.

        It was written since by whoever untied it. *live* is cleaned in place.
        """
        seen = entry.precondition
        if seen is None or live["metadata"]["uid"] != seen.uid:
            return False
        rules = self._policies.of(entry.target)
        verdict = decide(desired.content, cleaned(live), rules, hide=True)
        return verdict.action is PlanAction.UNCHANGED or not entry.only_ties

    def _send(
        self, entry: PlanEntry, resource: APIResource, patch: dict[str, Any]
    ) -> Attempt:
        try:
            try:
                self._server.patch(entry, resource, patch)
            except ClusterError as exc:
                if not forbids_blocks(exc):
                    raise
                self._server.patch(entry, resource, without_blocks(patch))
                message = "tied without blockOwnerDeletion: the server forbids it"
                self._run.warning(message, item=entry.target)
        except ClusterError as exc:
            answer, reason = self._server.take(entry, exc, create=False)
            if answer is not Answer.FAIL:
                return Attempt(reason=reason)  # it moved: it is looked at again
            names = ", ".join(entry.ties)
            return Attempt(action=FAILED, reason=f"not tied again to {names}: {reason}")
        return Attempt(action=UPDATED, reason=entry.reason)


def _patch(
    live: Mapping[str, Any], due: Iterable[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The merge patch that adds references to what is there; None: it has them."""
    metadata = live["metadata"]
    there = list(metadata.get(_OWNERS) or ())
    uids = [each.get("uid") for each in there]
    added = [each for each in due if each["uid"] not in uids]
    if not added:
        return None
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            _OWNERS: [*there, *added],
        }
    }
