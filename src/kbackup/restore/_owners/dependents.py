"""What is there and stays, while its owner is deleted and created anew.

The deletion unties it, and it is tied again; or it would go with its owner. Pure; called
by the planner, once all is planned. `_writes.tying` carries it out.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import attrs
from msgspec.structs import replace

from kbackup._kits.controlled import Owner
from kbackup._kits.kinds import GroupKind
from kbackup.models import ResourceIdentifier
from kbackup.restore._owners.live_dependents import Taken, why_kept
from kbackup.restore._owners.owners import Key, find_owner, is_usable, key_of
from kbackup.restore._plan_entry import PlanAction, PlanEntry

_POD, _JOB = ("", "Pod"), ("batch", "Job")
_TIED = (PlanAction.UNCHANGED, PlanAction.UPDATE)


class Dependent(NamedTuple):
    """What is there and has owners in the backup.

    Attributes:
        owners: Those.
        digest: Of the item as it would be written; empty: owners are not tied again.
        earlier: Those of which an earlier run of the restore untied it: the UID that
            each had, by name.
    """

    owners: tuple[Owner, ...]
    digest: str
    earlier: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class DependentsPlan:
    """A plan that says what becomes of what recreated owners have.

    Attributes:
        entries: The entries.
        edges: (item, owner) in the backup: the owner is written first.
        untied: Targets that lose an owner.
        taken: Targets that go with their owner.
        outside: What goes with its owner and is no target.
        refused: Targets that are not deleted, for what would go with them.
    """

    entries: tuple[PlanEntry, ...]
    edges: tuple[tuple[ResourceIdentifier, ResourceIdentifier], ...] = ()
    untied: tuple[ResourceIdentifier, ...] = ()
    taken: tuple[ResourceIdentifier, ...] = ()
    outside: tuple[ResourceIdentifier, ...] = ()
    refused: tuple[ResourceIdentifier, ...] = ()


def tie_dependents(
    entries: Sequence[PlanEntry],
    dependents: Mapping[ResourceIdentifier, Dependent],
    live: Mapping[ResourceIdentifier, Taken] = MappingProxyType({}),
) -> DependentsPlan:
    """Tie what stays again to those of its owners that are deleted and created anew.

    Args:
        entries: Of the plan.
        dependents: Items that are there, as far as the backup has owners of them.
        live: What goes in the target with items that are created anew.
    """
    recreates = any(x.action is PlanAction.RECREATE for x in entries)
    if not recreates and not any(x.earlier for x in dependents.values()):
        return DependentsPlan(entries=tuple(entries))
    lost = _losses(entries, dependents, live)
    refused = tuple(x.target for x in entries if x.identifier in lost)
    entries = [_refused(x, lost.get(x.identifier, ())) for x in entries]
    recreated = _recreated(entries)
    planned = {key_of(entry): entry for entry in entries}
    linked: list[PlanEntry] = []
    edges: list[tuple[ResourceIdentifier, ResourceIdentifier]] = []
    untied: list[ResourceIdentifier] = []
    taken: list[ResourceIdentifier] = []
    for entry in entries:
        dependent = dependents.get(entry.identifier)
        again, is_lost = _recreated_earlier(planned, entry, dependent)
        found = _found(recreated, entry, dependent) | again
        if not dependent or not (found or is_lost):
            linked.append(entry)
        elif any(owner.group_kind == _POD for owner in found):
            taken.append(entry.target)
            linked.append(entry)
        elif found and dependent.digest and entry.action in _TIED:
            edges += [(entry.identifier, ref) for ref in found.values()]
            linked.append(_tied_again(entry, tuple(map(str, found)), dependent.digest))
        else:
            untied.append(entry.target)
            linked.append(entry)
    return DependentsPlan(
        entries=tuple(linked),
        edges=tuple(edges),
        untied=tuple(untied),
        taken=tuple(taken),
        outside=_outside(entries, live),
        refused=refused,
    )


def _recreated(entries: Sequence[PlanEntry]) -> dict[Key, ResourceIdentifier]:
    return {
        key_of(entry): entry.identifier
        for entry in entries
        if entry.action is PlanAction.RECREATE
    }


def _recreated_earlier(
    planned: Mapping[Key, PlanEntry], entry: PlanEntry, dependent: Dependent | None
) -> tuple[dict[Owner, ResourceIdentifier], bool]:
    """The owners of what is there that an earlier run of the restore deleted.

    They are created anew since, or will be: under another UID. Told is also whether one
    of them is not as in the backup, so that nothing is tied to it.
    """
    found, lost = {}, False
    earlier = dependent.earlier if dependent else {}
    for owner in dependent.owners if dependent and earlier else ():
        old = earlier.get(str(owner))
        its = find_owner(planned, owner, entry.target.namespace)
        if old is None or its is None:
            continue
        if its.precondition is not None and its.precondition.uid == old:
            continue  # nobody deleted it
        if is_usable(its):
            found[owner] = its.identifier
        else:
            lost = True
    return found, lost


def _found(
    recreated: Mapping[Key, ResourceIdentifier],
    entry: PlanEntry,
    dependent: Dependent | None,
) -> dict[Owner, ResourceIdentifier]:
    """The owners of what is there that are created anew."""
    return {
        owner: ref
        for owner in (dependent.owners if dependent else ())
        if (ref := find_owner(recreated, owner, entry.target.namespace))
    }


def _losses(
    entries: Sequence[PlanEntry],
    dependents: Mapping[ResourceIdentifier, Dependent],
    live: Mapping[ResourceIdentifier, Taken],
) -> Mapping[ResourceIdentifier, Sequence[ResourceIdentifier]]:
    """What would go with items that were deleted, and must not.

    With the Pods of a Job goes all that it owns.
    """
    lost = {ref: list(found.kept) for ref, found in live.items() if found.kept}
    jobs = {key: ref for key, ref in _recreated(entries).items() if _is_of(key, _JOB)}
    for entry in entries if jobs else ():
        for ref in _found(jobs, entry, dependents.get(entry.identifier)).values():
            known = lost.setdefault(ref, [])
            if entry.target not in known:
                known.append(entry.target)
    return lost


def _outside(
    entries: Sequence[PlanEntry], live: Mapping[ResourceIdentifier, Taken]
) -> tuple[ResourceIdentifier, ...]:
    """What goes with what is created anew, and is no part of the restore."""
    going = [
        ref
        for entry in entries
        if entry.action is PlanAction.RECREATE and entry.identifier in live
        for ref in live[entry.identifier].others
    ]
    targets = {entry.target for entry in entries} if going else set()
    return tuple(ref for ref in going if ref not in targets)


def _is_of(key: Key, kind: GroupKind) -> bool:
    return key[0] == kind


def _refused(entry: PlanEntry, lost: Sequence[ResourceIdentifier]) -> PlanEntry:
    if not lost:
        return entry
    return replace(
        entry,
        action=PlanAction.CONFLICT,
        reason=why_kept(lost),
        digest="",
        second_write=False,
        status="",
    )


def _tied_again(entry: PlanEntry, owners: tuple[str, ...], digest: str) -> PlanEntry:
    told = f"tied again to {', '.join(owners)}, created anew"
    if entry.action is PlanAction.UNCHANGED:
        told = f"{told}; nothing else is changed"
    return replace(
        entry,
        action=PlanAction.UPDATE,
        reason="; ".join(filter(None, (entry.reason, told))),
        digest=digest,
        ties=owners,
        cluster_wide=not entry.target.namespace,
    )
