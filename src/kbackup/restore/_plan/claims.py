"""Volumes that have no data in the backup: one line for every claim.

Pure: what the backup and the target hold goes in, a verdict for each claim and each
volume comes out. Nothing is bound to an old disk unless the user asked for it, and
never while another volume of the target has the same disk.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import attrs

from kbackup._kits.storage_classes import storage_class_of
from kbackup.models import ResourceIdentifier
from kbackup.restore._plan.disks import (
    LiveDisks,
    another_disk,
    are_one,
    conflict_text,
    disk_of,
    local_nodes,
)

Content = Mapping[str, Any]


MADE_BEFORE = "made by this restore before"


class ClaimVerdict(StrEnum):
    """What becomes of a claim's data."""

    NONE = "none"
    """A new, empty volume."""
    NEVER_BOUND = "never bound"
    """The claim had no volume when it was backed up: nothing is missing."""
    REATTACH = "reattach"
    REUSE = "reuse"
    CONFLICT = "conflict"
    EXISTS = "exists"
    """The target has the claim already; its volume stays."""
    MADE_BEFORE = "made before"
    """This very restore made it before, with a new and empty volume."""


@attrs.frozen(kw_only=True)
class ClaimLine:
    """What the plan says about one claim.

    Attributes:
        claim: In the backup.
        target: In the target cluster.
        verdict: What becomes of its data.
        volume: The volume's name in the backup; empty when it had none.
        text: The line, for people.
        problems: What will keep the claim from being bound.
        loses_data: The claim had data when it was backed up and comes back empty.
    """

    claim: ResourceIdentifier
    target: ResourceIdentifier
    verdict: ClaimVerdict
    volume: str = ""
    text: str = ""
    problems: tuple[str, ...] = ()
    loses_data: bool = False

    @property
    def is_provisioned(self) -> bool:
        """Whether the claim waits for a volume that its storage class makes."""
        return self.verdict in (ClaimVerdict.NONE, ClaimVerdict.NEVER_BOUND)

    @property
    def keeps_volume(self) -> bool:
        """Whether the claim is written with the name of its old volume."""
        return self.verdict in (ClaimVerdict.REATTACH, ClaimVerdict.REUSE)


@attrs.frozen(kw_only=True)
class VolumeFacts:
    """What the target has, and what the user asked for.

    Attributes:
        volumes: The live PersistentVolumes by name.
        storage_classes: Live ones and those of this restore; None: not readable.
        nodes: Live node names; None: not readable.
        reattach: Bind Released volumes again (``--released-volumes``).
        reuse: Point at the original disks again (``--retained-volumes``).
        takes_volumes: The restore takes PersistentVolumes of the backup.
        refused: Volumes are not wanted at all (``restorePVs: false``).
        same_cluster: Whether the backup is of this very cluster; None: unknown.
        data: What the backup says it has, by ``namespace/claim``.
        volume_data: The same by volume: a provider's snapshots know no claim.
        data_unknown: What the backup has cannot be read.
        disks: Those of the live volumes.
    """

    volumes: Mapping[str, Content] = attrs.field(factory=dict)
    storage_classes: frozenset[str] | None = None
    nodes: frozenset[str] | None = None
    reattach: bool = False
    reuse: bool = False
    takes_volumes: bool = True
    refused: bool = False
    same_cluster: bool | None = None
    data: Mapping[str, str] = attrs.field(factory=dict)
    volume_data: Mapping[str, str] = attrs.field(factory=dict)
    data_unknown: bool = False
    disks: LiveDisks = attrs.field(init=False, repr=False, eq=False)

    @disks.default
    def _disks_of_volumes(self) -> LiveDisks:
        return LiveDisks(self.volumes)


def plan_claim(
    claim: Content,
    source: ResourceIdentifier,
    target: ResourceIdentifier,
    archived: Content | None,
    facts: VolumeFacts,
) -> ClaimLine:
    """Decide what becomes of a claim that the target does not have.

    Args:
        claim: As it is in the backup.
        source: Its identity in the backup.
        target: Its identity in the target.
        archived: Its PersistentVolume in the backup, or None.
        facts: What the target has.
    """
    name = (claim.get("spec") or {}).get("volumeName", "")
    if not name:
        text = "it had no volume when it was backed up"
        line = ClaimLine(
            claim=source, target=target, verdict=ClaimVerdict.NEVER_BOUND, text=text
        )
        waits = (*class_problems(claim, facts), *_selector_problems(claim))
        return attrs.evolve(line, problems=waits)
    live = facts.volumes.get(name)
    if facts.reattach and live is not None and not _is_bound(live):
        verdict, text = _try_reattach(name, live, archived, source, target, facts=facts)
    elif facts.reuse and _is_retained(archived):
        verdict, text = _try_reuse(name, archived or {}, live, target, facts)
    else:
        verdict, text = ClaimVerdict.NONE, _empty_text(source, name, archived, facts)
    problems: tuple[str, ...] = ()
    if verdict is ClaimVerdict.NONE:
        problems = class_problems(claim, facts)
    elif verdict is not ClaimVerdict.CONFLICT:
        problems = _node_problems(live or archived or {}, facts)
    return ClaimLine(
        claim=source,
        target=target,
        verdict=verdict,
        volume=name,
        text=text,
        problems=problems,
        loses_data=verdict is ClaimVerdict.NONE,
    )


def plan_own_claim(
    claim: Content,
    live: Content,
    source: ResourceIdentifier,
    target: ResourceIdentifier,
    facts: VolumeFacts,
) -> ClaimLine | None:
    """Tell what this very restore made of a claim before; None: nothing is lost.

    The run that made it may have been killed, and have told nobody.

    Args:
        claim: As it is in the backup.
        live: As an earlier run made it, and the target has it now.
        source: Its identity in the backup.
        target: Its identity in the target.
        facts: What the target has.
    """
    name = (claim.get("spec") or {}).get("volumeName", "")
    bound = (live.get("spec") or {}).get("volumeName", "")
    if not name or bound == name:
        return None
    return ClaimLine(
        claim=source,
        target=target,
        verdict=ClaimVerdict.MADE_BEFORE,
        volume=name,
        text=f"{_data_text(source, name, facts)}, {MADE_BEFORE}",
        problems=() if bound else class_problems(live, facts),
        loses_data=True,
    )


def class_problems(claim: Content, facts: VolumeFacts) -> tuple[str, ...]:
    """What its storage class keeps a claim that has no volume waiting for.

    Args:
        claim: As the backup has it, or as it would be written.
        facts: What the target has.
    """
    wanted = storage_class_of(claim)
    if wanted == "":
        return ("no storage class: it waits for a volume made by hand",)
    known = facts.storage_classes
    if wanted is None or known is None or wanted in known:
        return ()
    return (f"storage class {wanted} not in target",)


def with_class(
    line: ClaimLine, stored: Sequence[str], desired: Sequence[str]
) -> ClaimLine:
    """The line of a claim that is written with another storage class, maybe.

    Args:
        line: As the backup has the claim.
        stored: The `class_problems` of that.
        desired: Those of the claim as it would be written.
    """
    if not line.is_provisioned or stored == desired:
        return line
    others = [problem for problem in line.problems if problem not in stored]
    return attrs.evolve(line, problems=(*desired, *others))


def with_volume_of_class(
    line: ClaimLine, claim: Content, facts: VolumeFacts
) -> ClaimLine:
    """The line of a claim that asks for a live volume by name, and maybe in vain.

    A volume that is nobody's is bound to no claim of another class; one that names the
    claim is, whatever the classes are.
    Source: Kubernetes ``pv_controller.go``, ``checkVolumeSatisfyClaim``.

    Args:
        line: As the backup has the claim.
        claim: As it would be written.
        facts: What the target has.
    """
    volume = facts.volumes.get(line.volume)
    if line.verdict is not ClaimVerdict.REATTACH or volume is None:
        return line
    wanted, found = storage_class_of(claim), storage_class_of(volume) or ""
    is_named = bool((volume.get("spec") or {}).get("claimRef"))
    if is_named or wanted in (None, found):
        return line
    problem = (
        f"PV {line.volume} has storage class {found or 'none'}, not {wanted or 'none'}"
    )
    return attrs.evolve(line, problems=(*line.problems, f"waits: {problem}"))


@attrs.frozen
class VolumeRefusal:
    """Why a PersistentVolume of the backup is not created.

    Attributes:
        reason: For people.
        conflicts: The target has something in its way; otherwise nobody asked for it.
    """

    reason: str
    conflicts: bool = False


def plan_volume(
    volume: Content, name: str, facts: VolumeFacts, lines: Sequence[ClaimLine]
) -> VolumeRefusal | None:
    """Why a PersistentVolume of the backup is not created; None: it is."""
    uses = [line for line in lines if line.volume == name]
    if any(line.verdict is ClaimVerdict.REUSE for line in uses):
        return None
    conflict = next((x for x in uses if x.verdict is ClaimVerdict.CONFLICT), None)
    if conflict is not None:
        return VolumeRefusal(conflict.text, conflicts=True)
    if unwanted := _unwanted(volume, facts):
        return VolumeRefusal(unwanted)
    used = facts.disks.in_use(volume, name)
    return VolumeRefusal(used, conflicts=True) if used else None


def _unwanted(volume: Content, facts: VolumeFacts) -> str:
    """Why nobody asked for a volume of the backup; empty: somebody did."""
    if not _is_retained(volume):
        return "its disk goes with its claim (reclaim policy Delete)"
    is_bound = bool((volume.get("spec") or {}).get("claimRef"))
    if not facts.reuse:
        disk = "the original" if is_bound else "an existing"
        return f"it points at {disk} disk; --retained-volumes reuse takes it"
    if is_bound:
        return (
            "it points at the original disk, and the claim that had it is not created"
        )
    return ""


def keeps_claim(live: Content, desired: Content) -> str:
    """Why a live volume is not made the desired one; empty: it may be.

    Args:
        live: As the target has it.
        desired: As it would be written.
    """
    bound = (live.get("spec") or {}).get("claimRef")
    if not bound:
        return ""
    wanted = (desired.get("spec") or {}).get("claimRef") or {}
    namespace, name = bound.get("namespace"), bound.get("name")
    if (wanted.get("namespace"), wanted.get("name")) == (namespace, name):
        return ""
    return (
        f"conflict: it belongs to claim {namespace}/{name}, and would be taken from it"
    )


def _try_reattach(
    name: str,
    live: Content,
    archived: Content | None,
    source: ResourceIdentifier,
    target: ResourceIdentifier,
    *,
    facts: VolumeFacts,
) -> tuple[ClaimVerdict, str]:
    if other := another_disk(name, live, archived):
        return ClaimVerdict.CONFLICT, other
    if used := facts.disks.in_use(live, name):
        return ClaimVerdict.CONFLICT, used
    reference = (live.get("spec") or {}).get("claimRef") or {}
    owner = f"{reference.get('namespace', '')}/{reference.get('name', '')}"
    # Without a uid it was never bound to that claim: this very restore, killed since,
    # has offered it.
    offered = owner == target.qualified_name and not reference.get("uid")
    if reference and owner != source.qualified_name and not offered:
        text = f"conflict: PV {name} was bound to another claim, {owner}"
        return ClaimVerdict.CONFLICT, text
    if not _is_retained(live):
        text = f"conflict: PV {name} is being deleted (its reclaim policy is Delete)"
        return ClaimVerdict.CONFLICT, text
    phase = (live.get("status") or {}).get("phase", "unbound")
    text = f"reattach: the volume of the live PV {name}, {phase}, is bound again"
    return ClaimVerdict.REATTACH, text + _other_writer(facts)


def _try_reuse(
    name: str,
    archived: Content,
    live: Content | None,
    target: ResourceIdentifier,
    facts: VolumeFacts,
) -> tuple[ClaimVerdict, str]:
    if live is not None and not _is_made_for(live, target, archived):
        return ClaimVerdict.CONFLICT, conflict_text(name, live)
    if used := facts.disks.in_use(archived, name):
        return ClaimVerdict.CONFLICT, used
    disk = disk_of(archived) or "of unknown kind"
    text = f"reuse: PV {name} points at the original disk ({disk})"
    return ClaimVerdict.REUSE, text + _other_writer(facts)


def _is_made_for(live: Content, target: ResourceIdentifier, archived: Content) -> bool:
    """Whether a live volume is what a reuse would make: a killed restore has made it.

    One whose claim has a uid was bound to it: to a claim that went, it is Released.
    """
    disk, reference = disk_of(archived), (live.get("spec") or {}).get("claimRef") or {}
    owner = f"{reference.get('namespace', '')}/{reference.get('name', '')}"
    offered = owner == target.qualified_name and not reference.get("uid")
    goes = live["metadata"].get("deletionTimestamp")
    return offered and not goes and are_one(disk, disk_of(live))


def _other_writer(facts: VolumeFacts) -> str:
    if facts.same_cluster is True:
        return ""
    return "; the source cluster may still be writing to it"


def _empty_text(
    source: ResourceIdentifier, name: str, archived: Content | None, facts: VolumeFacts
) -> str:
    text = _data_text(source, name, facts)
    if facts.refused:
        return f"{text} (restorePVs is false)"
    live = facts.volumes.get(name)
    if live is not None and not _is_bound(live) and _is_retained(live):
        phase = (live.get("status") or {}).get("phase", "unbound")
        return f"{text} (PV {name} is {phase}: --released-volumes reattach takes it)"
    if live is None and facts.takes_volumes and _is_retained(archived):
        return f"{text} (--retained-volumes reuse takes the original disk)"
    return text


def _data_text(source: ResourceIdentifier, name: str, facts: VolumeFacts) -> str:
    data = facts.data.get(source.qualified_name) or facts.volume_data.get(name)
    if facts.data_unknown:
        return "data: what this backup has cannot be read, a new empty volume"
    if data in (None, "", "none"):
        return "data: none in this backup, a new empty volume"
    text = f"data: {data} in this backup, not restored by this version"
    return f"{text}, a new empty volume"


def _selector_problems(claim: Content) -> tuple[str, ...]:
    """A claim with a selector is never provisioned for."""
    spec = claim.get("spec") or {}
    if not spec.get("selector") or spec.get("storageClassName") == "":
        return ()
    return ("its selector waits for a volume made by hand",)


def _node_problems(volume: Content, facts: VolumeFacts) -> tuple[str, ...]:
    nodes = local_nodes(volume)
    if not nodes or facts.nodes is None or nodes & facts.nodes:
        return ()
    listed = ", ".join(sorted(nodes))
    return (f"node of a local volume not in target: {listed}",)


def _is_retained(volume: Content | None) -> bool:
    policy = ((volume or {}).get("spec") or {}).get("persistentVolumeReclaimPolicy")
    # The API's default for volumes made by hand is Retain.
    return volume is not None and policy in (None, "Retain", "Recycle")


def _is_bound(live: Content) -> bool:
    return (live.get("status") or {}).get("phase") == "Bound"
