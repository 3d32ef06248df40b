"""The API server as the single writes of a restore see it.

Here is how it is asked, and what is remembered of its answers: whether it has too much to
do, and whose write may have taken place though the answer was lost. What to do about an
answer is decided where the write is: `creating`, `updating`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kbackup._kits.workers import Cancelled
from kbackup.cluster import Cluster, PatchKind
from kbackup.errors import ClusterError, ItemNotFoundError
from kbackup.models import APIResource, ResourceIdentifier
from kbackup.restore._plan_entry import PlanEntry, Precondition
from kbackup.restore._request.redaction import Redaction
from kbackup.restore._target.answers import (
    Answer,
    explain,
    is_about_conversion,
    is_push_back,
    meaning,
)
from kbackup.restore._writes.dropped import is_taken_whole
from kbackup.restore._writes.gate import Gate

_UNTOLD = "it may have been written: the server did not say"


class Server:
    """What writes ask of one target; may be called from any thread.

    Attributes:
        dry_run: It is asked what it would answer, and nothing is stored.
    """

    def __init__(
        self, cluster: Cluster, *, gate: Gate, redaction: Redaction, dry_run: bool
    ) -> None:
        self.dry_run = dry_run
        self._cluster = cluster
        self._gate = gate
        self._redaction = redaction
        self._unanswered: set[ResourceIdentifier] = set()

    def look(self, entry: PlanEntry, resource: APIResource) -> dict[str, Any] | None:
        """The live object of an entry; None: there is none."""
        target = entry.target
        try:
            item = self._cluster.get(resource, target.name, target.namespace)
        except ItemNotFoundError:
            return None
        return item.content

    def create(
        self, entry: PlanEntry, resource: APIResource, body: Mapping[str, Any] | bytes
    ) -> dict[str, Any]:
        """Create the object of an entry; what the server stored, or its metadata."""
        with self._noting_an_end(entry):
            return self._cluster.create(
                resource,
                body,
                namespace=entry.target.namespace,
                dry_run=self.dry_run,
                metadata_only=is_taken_whole(resource.group_resource, body),
            )

    def try_create(
        self, entry: PlanEntry, resource: APIResource, body: Mapping[str, Any] | bytes
    ) -> None:
        """Ask whether the object of an entry would be created; nothing is stored."""
        self._cluster.create(
            resource, body, namespace=entry.target.namespace, dry_run=True
        )

    def delete(
        self, entry: PlanEntry, resource: APIResource, seen: Precondition, how: str
    ) -> None:
        """Delete the object of an entry, as it was seen and no other.

        Args:
            entry: Of the plan.
            resource: Its type.
            seen: What is there now.
            how: What becomes of the objects that it owns, in the API's word.
        """
        self._cluster.delete(
            resource,
            entry.target.name,
            namespace=entry.target.namespace,
            uid=seen.uid,
            resource_version=seen.resource_version,
            propagation=how,
            dry_run=self.dry_run,
        )

    def patch(
        self,
        entry: PlanEntry,
        resource: APIResource,
        patch: Mapping[str, Any] | list[dict[str, Any]],
    ) -> dict[str, Any]:
        """Send a merge patch, or a JSON patch, to the object of an entry.

        Returns:
            What the server stored.
        """
        kind = PatchKind.JSON if isinstance(patch, list) else PatchKind.MERGE
        with self._noting_an_end(entry):
            return self._cluster.patch(
                resource,
                entry.target.name,
                patch,
                namespace=entry.target.namespace,
                kind=kind,
                dry_run=self.dry_run,
            )

    def apply(
        self,
        entry: PlanEntry,
        resource: APIResource,
        body: Mapping[str, Any],
        *,
        force: bool,
    ) -> dict[str, Any]:
        """Apply fields to the object of an entry; what the server stored."""
        with self._noting_an_end(entry):
            return self._cluster.patch(
                resource,
                entry.target.name,
                body,
                namespace=entry.target.namespace,
                kind=PatchKind.APPLY,
                dry_run=self.dry_run,
                force=force,
            )

    def patch_status(
        self,
        entry: PlanEntry,
        resource: APIResource,
        operations: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Send a JSON patch to the status of an entry's object; what is stored then."""
        with self._noting_an_end(entry):
            return self._cluster.patch(
                resource,
                entry.target.name,
                operations,
                namespace=entry.target.namespace,
                kind=PatchKind.JSON,
                subresource="status",
                dry_run=self.dry_run,
            )

    @contextmanager
    def _noting_an_end(self, entry: PlanEntry) -> Iterator[None]:
        """A cancelled run does not learn what became of a write that was sent."""
        try:
            yield
        except Cancelled as exc:
            if exc.unanswered:
                self._unanswered.add(entry.identifier)
            raise

    def take(
        self, entry: PlanEntry, error: ClusterError, *, create: bool
    ) -> tuple[Answer, str]:
        """What a failed write means, and what the result is to say of it."""
        if is_push_back(error):
            self._gate.push_back()
        answer = meaning(error, create=create)
        if answer is Answer.LOOK:
            self._unanswered.add(entry.identifier)
        return answer, self._last_answer(entry, error)

    def _last_answer(self, entry: PlanEntry, error: ClusterError) -> str:
        """What the server said; of a conversion the plan knows more than it says."""
        reason = self.explain(entry, error)
        if is_about_conversion(error) and entry.reason:
            return f"{reason}; {entry.reason}"
        return reason

    def lost_an_answer(self, entry: PlanEntry) -> bool:
        """Whether a write of the entry may have taken place though nobody said so."""
        return entry.identifier in self._unanswered

    def explain(self, entry: PlanEntry, error: ClusterError) -> str:
        """An error in words that may be shown."""
        return explain(error, hide=self.hides(entry))

    def explain_look(self, entry: PlanEntry, error: ClusterError) -> str:
        """Why nobody knows what is there; it may be what this restore wrote."""
        reason = self.explain(entry, error)
        return f"{reason}; {_UNTOLD}" if self.lost_an_answer(entry) else reason

    def hides(self, entry: PlanEntry) -> bool:
        """Whether the values of an entry's object may not be shown."""
        return self._redaction.hides(entry.identifier.group_resource, entry.kind)
