"""What follows the create of an object: its status, then the managers of its fields.

In this order, so that what kbackup manages for having written the status can be given to
whom the backup names. A second request that fails is a warning: the object is there. One
that a killed run did not come to is made up for by the next run of the same restore.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from kbackup._kits.workers import Cancelled
from kbackup.archive import ArchiveContents
from kbackup.errors import ClusterError
from kbackup.models import APIResource
from kbackup.plugins import Run
from kbackup.restore._attempt import UNCHANGED, UPDATED, Attempt
from kbackup.restore._making.desired import Desired
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._request.statuses import lacks_status, status_patch
from kbackup.restore._target.answers import Answer
from kbackup.restore._target.field_managers import lacks_managers, ownership_patch
from kbackup.restore._writes.dropped import warn_of_dropped_status
from kbackup.restore._writes.server import Server

Content = Mapping[str, Any]


class Part(StrEnum):
    """What a second request is about, as warnings name it."""

    STATUS = "status"
    MANAGERS = "managedFields"


@attrs.frozen(kw_only=True)
class Due:
    """What an object is still to get.

    Attributes:
        live: The object as the server has it.
        parts: Which requests, in the order in which they are sent.
    """

    live: Content
    parts: tuple[Part, ...]


class SecondWrites:
    """Sends what follows a create; may be called from any thread."""

    def __init__(self, server: Server, contents: ArchiveContents, run: Run) -> None:
        self._server = server
        self._contents = contents
        self._run = run

    def follow(
        self, entry: PlanEntry, resource: APIResource, desired: Desired, stored: Content
    ) -> None:
        """Send what follows the create of an object, which the server answered so.

        A controller may have written a status in between: the restore was asked for that
        of the backup.
        """
        if not (entry.second_write or entry.status):
            return  # most objects are written once
        if self._server.dry_run:
            return  # there is no object to try it with
        parts = [Part.STATUS] if has_its_own_request(entry, resource, desired) else []
        if entry.second_write:
            parts.append(Part.MANAGERS)
        due = Due(live=stored, parts=tuple(parts))
        self._send(entry, resource, desired, due, unmoved=False)

    def due(
        self, entry: PlanEntry, resource: APIResource, desired: Desired, live: Content
    ) -> Due:
        """Tell what an object that this restore made before still lacks.

        Args:
            entry: Of the plan.
            resource: Its type.
            desired: As it was to be written.
            live: As the target has it, before it is reset, which is done in place.
        """
        parts = []
        apart = has_its_own_request(entry, resource, desired)
        if apart and lacks_status(desired.status, live):
            parts.append(Part.STATUS)
        item = self._contents.get(entry.identifier) if entry.second_write else None
        if item is not None and lacks_managers(item, live):
            parts.append(Part.MANAGERS)
        live = {**live, "metadata": {**live["metadata"]}}
        return Due(live=live, parts=tuple(parts))

    def make_up(
        self, entry: PlanEntry, resource: APIResource, desired: Desired, due: Due
    ) -> None:
        """Send what is due, unless somebody writes the object at this moment."""
        self._send(entry, resource, desired, due, unmoved=True)

    def complete(
        self, entry: PlanEntry, resource: APIResource, desired: Desired, due: Due
    ) -> Attempt:
        """Carry out a line that is about nothing else than what is due."""
        live, done, refused = due.live, False, ""
        for part in due.parts:
            try:
                live = self._write(part, entry, resource, desired, live, unmoved=True)
                done = True
            except ClusterError as exc:
                answer, refused = self._server.take(entry, exc, create=False)
                if answer is not Answer.FAIL:
                    return Attempt(reason=refused)  # it is looked at again, then tried
                self._warn(entry, part, refused)
        if done:
            return Attempt(action=UPDATED, reason=entry.reason)
        return Attempt(action=UNCHANGED, reason=refused)

    def _send(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        due: Due,
        *,
        unmoved: bool,
    ) -> None:
        live = due.live
        for part in due.parts:
            try:
                live = self._write(
                    part, entry, resource, desired, live, unmoved=unmoved
                )
            except ClusterError as exc:
                self._warn(entry, part, self._server.explain(entry, exc))
            except Cancelled as exc:  # the object is there, and must be told of
                self._warn(entry, part, exc.reason)

    def _write(
        self,
        part: Part,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        live: Content,
        *,
        unmoved: bool,
    ) -> Content:
        """Send one request; the object as it is then."""
        if part is Part.STATUS:
            operations = status_patch(desired.status, live, unmoved=unmoved)
            stored = self._server.patch_status(entry, resource, operations)
            warn_of_dropped_status(self._run, entry, desired.status, stored)
            return stored
        item = self._contents.get(entry.identifier)
        if item is None:
            return live
        patch = ownership_patch(item, live)
        if unmoved:
            patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return self._server.patch(entry, resource, patch)

    def _warn(self, entry: PlanEntry, part: Part, reason: str) -> None:
        message = f"restored without its {part}: {reason}"
        self._run.warning(message, item=entry.target)


def has_its_own_request(
    entry: PlanEntry, resource: APIResource, desired: Desired
) -> bool:
    """Whether the status of an item is written by a request of its own."""
    return is_with_status(entry, desired) and "status" in resource.subresources


def goes_along(entry: PlanEntry, resource: APIResource, desired: Desired) -> bool:
    """Whether the status of an item is sent with the create."""
    return is_with_status(entry, desired) and "status" not in resource.subresources


def is_with_status(entry: PlanEntry, desired: Desired) -> bool:
    """Whether an item gets its status, and the plan says so."""
    return bool(entry.status) and desired.status is not None
