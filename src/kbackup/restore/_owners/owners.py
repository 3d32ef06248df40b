"""Owner references, tied anew to the objects of the target.

What a custom resource owns comes back owned: by the new UID of an owner that this
restore created, updated or found equal, in the same namespace or cluster-scoped. A UID
of the backup is never written: the target's garbage collector would delete the object
half a second later. `link_plan` is pure and called by the planner; the writer asks
`OwnerLinks` just before it creates an object.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from msgspec.structs import replace

from kbackup._kits.controlled import Owner
from kbackup._kits.kinds import GroupKind, group_kind
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError, ItemNotFoundError
from kbackup.models import APIResource, ResourceIdentifier
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._target.answers import may_pass

T = TypeVar("T")
Reference = Mapping[str, Any]
Find = Callable[[str, str], APIResource | None]
Key = tuple[GroupKind, str, str]
"""Kind, namespace and name: what an owner reference and a maker are known by."""

STILL_OWNERLESS = (
    "made by this restore before, and not tied to that owner: delete it and restore it "
    "again with the owner, or add the reference"
)

_BLOCKS = "blockOwnerDeletion"


@attrs.frozen(kw_only=True)
class LinkedPlan:
    """A plan whose owned items know their owners.

    Attributes:
        entries: The entries; the reasons of owned items say what becomes of the link.
        edges: (item, owner) in the backup: the owner is written first.
        ownerless: Targets that lose an owner.
    """

    entries: tuple[PlanEntry, ...]
    edges: tuple[tuple[ResourceIdentifier, ResourceIdentifier], ...]
    ownerless: tuple[ResourceIdentifier, ...]


def link_plan(
    entries: Sequence[PlanEntry],
    owned: Mapping[ResourceIdentifier, tuple[Owner, ...]],
) -> LinkedPlan:
    """Find the owners of the items in *owned*, which the plan makes."""
    known = {key_of(entry): entry.identifier for entry in entries if is_usable(entry)}
    linked: list[PlanEntry] = []
    edges: list[tuple[ResourceIdentifier, ResourceIdentifier]] = []
    ownerless: list[ResourceIdentifier] = []
    for entry in entries:
        owners = owned.get(entry.identifier, ())
        if not owners or not entry.action.makes:
            linked.append(entry)
            continue
        found, lost = [], []
        for owner in owners:
            ref = find_owner(known, owner, entry.target.namespace)
            if ref is None or ref == entry.identifier:
                lost.append(str(owner))
            else:
                found.append(str(owner))
                edges.append((entry.identifier, ref))
        if lost:
            ownerless.append(entry.target)
        linked.append(replace(entry, reason=_reason(entry.reason, found, lost)))
    return LinkedPlan(
        entries=tuple(linked), edges=tuple(edges), ownerless=tuple(ownerless)
    )


def is_usable(entry: PlanEntry) -> bool:
    """Whether an entry's object is as in the backup once the restore is done."""
    return entry.action.writes or entry.action is PlanAction.UNCHANGED


def references_of(content: Mapping[str, Any]) -> tuple[Reference, ...]:
    """The owner references of an item of the backup, without the old UIDs."""
    return tuple(
        {key: value for key, value in reference.items() if key != "uid"}
        for reference in content["metadata"].get("ownerReferences") or ()
    )


def lacking(references: Iterable[Reference], live: Mapping[str, Any]) -> list[str]:
    """Which owners an object of the target is not tied to, as ``Kind/name``.

    Args:
        references: Of the owners that it is to have.
        live: As the target has it.
    """
    there = {owner_key(each) for each in live["metadata"].get("ownerReferences") or ()}
    return [owner_name(x) for x in references if owner_key(x) not in there]


def owner_name(reference: Reference) -> str:
    """How an owner is named, such as ``Foo/a``."""
    return f"{reference.get('kind')}/{reference.get('name')}"


def forbids_blocks(error: ClusterError) -> bool:
    """Whether the server forbids the caller to hold up an owner's deletion."""
    return _BLOCKS.lower() in str(error).lower()


def without_blocks(body: Mapping[str, Any]) -> dict[str, Any]:
    """The object with owner references that do not hold up their owner's deletion."""
    metadata = {**body["metadata"]}
    metadata["ownerReferences"] = [
        {key: value for key, value in reference.items() if key != _BLOCKS}
        for reference in metadata["ownerReferences"]
    ]
    return {**body, "metadata": metadata}


@attrs.frozen(kw_only=True)
class Resolved:
    """Owner references as they can be written now.

    Attributes:
        found: With the UIDs of the target.
        lost: Owners that are not there, as ``Kind/name``.
        may_come: One of those is part of the restore and may still be written.
    """

    found: tuple[dict[str, Any], ...]
    lost: tuple[str, ...]
    may_come: bool


def tied(content: Mapping[str, Any], owners: Resolved) -> dict[str, Any]:
    """The object with the new UIDs of its owners."""
    metadata = {**content["metadata"], "ownerReferences": list(owners.found)}
    return {**content, "metadata": metadata}


class OwnerLinks:
    """The new UIDs of owners; may be asked from any thread.

    They are read from the cluster, so that a restore that goes on after a kill finds
    those of the owners that were written before.

    Args:
        cluster: The target.
        find: How the target serves (apiVersion, kind).
        entries: Of the plan: only their targets become owners.
    """

    def __init__(
        self, cluster: Cluster, find: Find, entries: Iterable[PlanEntry]
    ) -> None:
        self._cluster = cluster
        self._find = find
        usable = [entry for entry in entries if is_usable(entry)]
        self._usable = {entry.target for entry in usable}
        self._written = {
            group_kind(x.api_version, x.kind): x.api_version for x in usable
        }
        # Until it is created anew an owner is not the one that this restore makes.
        self._going = {
            x.target: x.precondition.uid
            for x in usable
            if x.action is PlanAction.RECREATE and x.precondition is not None
        }
        # About what is found equal nothing is done: it is there, or went since.
        self._over = {entry.target for entry in usable if not entry.action.writes}
        self._known: dict[ResourceIdentifier, str] = {}
        self._asking = threading.Lock()

    def end(self, owner: ResourceIdentifier) -> None:
        """Take note that nothing more is done about an owner: it is there, or never."""
        with self._asking:
            self._over.add(owner)

    def resolve(self, references: Iterable[Reference], namespace: str) -> Resolved:
        """Look up the owners of an object in *namespace*."""
        found, lost, may_come = [], [], False
        for reference in references:
            resource = self._resource_of(reference)
            uid = self._uid_of(reference, resource, namespace)
            if uid and resource is not None:
                version = resource.api_version
                found.append({**reference, "apiVersion": version, "uid": uid})
                continue
            may_come = may_come or uid is not None
            lost.append(owner_name(reference))
        return Resolved(found=tuple(found), lost=tuple(lost), may_come=may_come)

    def _resource_of(self, reference: Reference) -> APIResource | None:
        """The type of an owner: as the reference names it, or as the owner is written.

        Its user may have moved on to another version, or it was converted to one, and
        the reference stayed.
        """
        version, kind = str(reference.get("apiVersion")), str(reference.get("kind"))
        found = self._find(version, kind)
        written = self._written.get(group_kind(version, kind), version)
        if found is None and written != version:
            found = self._find(written, kind)
        return found

    def _uid_of(
        self, reference: Reference, resource: APIResource | None, namespace: str
    ) -> str | None:
        """The UID of an owner; empty: it is not there; None: it never will be."""
        if resource is None:
            return None
        where = namespace if resource.namespaced else ""
        name = str(reference.get("name"))
        ref = ResourceIdentifier(resource.group_resource, where, name)
        if ref not in self._usable:
            return None
        with self._asking:
            known, is_over = self._known.get(ref, ""), ref in self._over
        if known:
            return known
        try:
            uid = self._ask(resource, ref)
        except ClusterError as exc:
            uid, is_over = "", is_over and not may_pass(exc)
        return uid or (None if is_over else "")

    def _ask(self, resource: APIResource, ref: ResourceIdentifier) -> str:
        try:
            live = self._cluster.get(resource, ref.name, ref.namespace).content
        except ItemNotFoundError:
            return ""
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            return ""
        uid = str(metadata.get("uid", ""))
        if uid == self._going.get(ref):
            return ""
        with self._asking:
            self._known[ref] = uid
        return uid


def key_of(entry: PlanEntry) -> Key:
    """Return what an entry's object is known by in the target."""
    kind = group_kind(entry.api_version, entry.kind)
    return kind, entry.target.namespace, entry.target.name


def owner_key(reference: Reference) -> tuple[GroupKind, Any]:
    """What an owner is known by among those of an object, whatever its version."""
    kind = group_kind(str(reference.get("apiVersion")), str(reference.get("kind")))
    return kind, reference.get("name")


def find_owner(known: Mapping[Key, T], owner: Owner, namespace: str) -> T | None:
    """Return what is known of the owner of an object in *namespace*: one beside it, or cluster-scoped."""
    kind = group_kind(owner.api_version, owner.kind)
    for where in dict.fromkeys((namespace, "")):
        found = known.get((kind, where, owner.name))
        if found is not None:
            return found
    return None


def _reason(first: str, found: Sequence[str], lost: Sequence[str]) -> str:
    parts = [first] if first else []
    if found:
        parts.append(f"owned by {', '.join(found)}")
    if lost:
        parts.append(f"without owner {', '.join(lost)}")
    return "; ".join(parts)
