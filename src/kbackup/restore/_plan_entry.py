"""One line of a plan: what a restore would do about one item, and why.

A value, without a body: of what would be written the digest, of the live object what was
seen.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from kbackup._kits.differences import Difference as FieldDifference
from kbackup._kits.views import Row
from kbackup._kits.words import one_line
from kbackup.models import ResourceIdentifier

StatusWrite = Literal["", "create", "second"]
ApplyWrite = Literal["", "apply", "force"]
ALONG: Final = "create"
BY_SECOND: Final = "second"


class PlanAction(StrEnum):
    """What a restore would do about one item."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    SKIP = "skip"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    RECREATE = "recreate"

    @property
    def makes(self) -> bool:
        """Whether what is there afterwards is a new object."""
        return self in _MAKING

    @property
    def writes(self) -> bool:
        """Whether applying the entry sends a write."""
        return self in _WRITING


# Tuples, the most frequent first: to hash a member takes three times as long.
_WRITING = (
    PlanAction.CREATE,
    PlanAction.UPDATE,
    PlanAction.RECREATE,
    PlanAction.UNKNOWN,
)
_MAKING = (PlanAction.CREATE, PlanAction.RECREATE)
PROBLEMS = (PlanAction.CONFLICT, PlanAction.UNKNOWN)
ACTION_WIDTH = max(map(len, PlanAction))


class Precondition(msgspec.Struct, frozen=True, gc=False):
    """The live object that a plan saw; its update is refused once it has moved."""

    uid: str
    resource_version: str

    @classmethod
    def of(cls, live: Mapping[str, Any]) -> "Precondition":
        """What is seen of a live object."""
        metadata = live["metadata"]
        return cls(metadata["uid"], metadata["resourceVersion"])


class PlanEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a plan.

    A msgspec value: there may be 300,000, and made by attrs each took 1 us more.

    Attributes:
        identifier: The item in the backup; for a Namespace that the backup lacks, and
            for a live volume that is bound again, the one in the target.
        target: Where it is written.
        wave: Waves are written one after the other, from 0.
        action: What is done.
        reason: Why, or what to know about it.
        differences: From the live object to the desired one.
        changes: What differs in an item that is created from what kbackup makes of the
            backup's: what actions of others, hooks and transforms changed, and the
            replicas of a ReplicaSet that waits for its Deployment.
        changed_by: The actions of others, or with settings, hooks, transforms and resource
            modifiers that changed it; none in a saved plan of an earlier version.
        errors: Which resource modifiers are not applied to it, and why: it is written
            without them, and the restore ends with these errors.
        digest: SHA-256 of what is sent: the desired item, or the patch that offers a
            volume again; empty where nothing is written.
        precondition: The live object that was seen; None: there was none.
        cluster_wide: It changes something that is not confined to a namespace.
        second_write: A second request gives the object its managedFields back.
        status: How the object gets the backup's status: ``create``, along with the
            create, for its type has no status sub-resource; ``second``, by a second
            request. Empty: it does not. What the target serves by then decides.
        apply: An update by server-side apply: ``apply``, or ``force`` where it takes
            fields from other managers. Empty: it is none.
        api_version: In which version it is written.
        converted_from: In which version the backup has it, where that is another one.
        kind: The item's kind.
        waits: Which actions wait before it is written, for what, and how long.
        adopter: Who is to adopt what is written without its owner, as ``Deployment.apps/web``.
        ties: Owners to which what stays is tied again once they are created anew, as
            ``Widget/one``.
        idle: A ReplicaSet without replicas, until its adopter scales it up.
        hooks: The commands that are run in a Pod, once its containers are up: of each its
            hook, its container and the first word.
        failed_by: The action, or other code of plugins and users, whose failure keeps it
            from being written; none in a saved plan of an earlier version.
    """

    identifier: ResourceIdentifier
    target: ResourceIdentifier
    action: PlanAction
    wave: int = 0
    reason: str = ""
    differences: tuple[FieldDifference, ...] = ()
    changes: tuple[FieldDifference, ...] = ()
    changed_by: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    digest: str = ""
    precondition: Precondition | None = None
    cluster_wide: bool = False
    second_write: bool = False
    status: StatusWrite = ""
    apply: ApplyWrite = ""
    api_version: str = ""
    kind: str = ""
    adopter: str = ""
    ties: tuple[str, ...] = ()
    idle: bool = False
    converted_from: str = ""
    hooks: tuple[str, ...] = ()
    failed_by: str = ""

    @property
    def only_second_writes(self) -> bool:
        """Whether nothing but second writes is left to do, of an earlier run."""
        follows = self.second_write or self.status == BY_SECOND
        return follows and self.action is PlanAction.UPDATE

    @property
    def only_ties(self) -> bool:
        """Whether it is tied to owners again, and nothing else is done to it."""
        changes = self.differences or self.second_write or self.status
        return bool(self.ties) and not changes

    @property
    def told(self) -> str:
        """What to know about it: the reason, and from which version it is converted."""
        if not self.converted_from:
            return self.reason
        converted = f"converted from {self.converted_from} to {self.api_version}"
        return f"{self.reason}; {converted}" if self.reason else converted

    def __str__(self) -> str:
        return row_of(self).text(width=ACTION_WIDTH)


def row_of(entry: PlanEntry) -> Row:
    """The line as a row of a table."""
    what = str(entry.target)
    if entry.target != entry.identifier:
        what = f"{entry.identifier} -> {one_line(entry.target.qualified_name)}"
    mark = " [cluster-wide]" if entry.cluster_wide else ""
    mark += _STATUS_MARKS[entry.status] + _APPLY_MARKS[entry.apply]
    found = (*entry.differences, *entry.changes)
    details = [f"! {error}" for error in entry.errors]
    details += [f"waits {what}" for what in entry.waits]
    details += map(str, found)
    details += [f"> {hook}" for hook in entry.hooks]
    return Row(entry.action, f"{what}{mark}", entry.told, details)


_STATUS_MARKS: Mapping[StatusWrite, str] = {
    "": "",
    ALONG: " [status, with the create]",
    BY_SECOND: " [status]",
}


_APPLY_MARKS: Mapping[ApplyWrite, str] = {
    "": "",
    "apply": " [apply]",
    "force": " [apply, forced]",
}


def is_changed(entry: PlanEntry) -> bool:
    """Whether others changed an item that is created, and nothing stands in its way."""
    by_others = len(entry.changes) > entry.idle  # its replicas are our own change
    return by_others and not is_problem(entry)


def is_problem(entry: PlanEntry) -> bool:
    """Whether an item is not restored, or not as it was asked for."""
    return entry.action in PROBLEMS or bool(entry.errors)
