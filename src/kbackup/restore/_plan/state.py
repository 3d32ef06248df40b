"""What the items planned so far mean for those that follow.

Written by the planners, read by whoever decides about the next item; one for each plan.
"""

import attrs

from kbackup._kits.controlled import Owner
from kbackup._kits.kinds import CRD
from kbackup.models import ResourceIdentifier
from kbackup.restore._owners.dependents import Dependent
from kbackup.restore._owners.owners import Key, key_of
from kbackup.restore._plan.claims import ClaimLine, VolumeFacts
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._target.seen import LiveObject

_NEVER_OWNERS = frozenset({("v1", "Secret"), ("v1", "ConfigMap")})


@attrs.define
class PlanState:
    """What a plan knows while it is made.

    Attributes:
        entries: The lines of the plan, in the order of planning.
        present: What the target will have.
        living: What the target has by now, as far as it is in the restore.
        unsure: What is written although nobody knows whether the target has it.
        brought: The custom types whose definition is written as the backup has it.
        left: What is not created because something else makes it.
        lines: What becomes of each claim, by its identity in the backup.
        edges: (item, additional item that it asked for), in the backup.
        wanted: Additional items, each with the item and the action that asked for it.
        facts: The target's volumes, for the claims; None until a claim is met.
        left_out: How many items the user's function left out.
        taken: Targets of items that were renamed or merged into one namespace.
        owned: Items that are created and tied to their owners again.
        dependents: Items that are there and have owners in the backup.
        waiting: Items that Pods own, with the live ones, until the Pods are planned.
        pods_planned: The Pods of the restore are planned.
        active_sets: ReplicaSets that are created and would start Pods.
        rules: The resource modifiers that some item is for, by number.
    """

    entries: list[PlanEntry] = attrs.field(factory=list)
    present: set[Key] = attrs.field(factory=set)
    living: set[Key] = attrs.field(factory=set)
    unsure: set[Key] = attrs.field(factory=set)
    brought: set[str] = attrs.field(factory=set)
    left: set[Key] = attrs.field(factory=set)
    lines: dict[ResourceIdentifier, ClaimLine] = attrs.field(factory=dict)
    edges: list[tuple[ResourceIdentifier, ResourceIdentifier]] = attrs.field(
        factory=list
    )
    wanted: dict[ResourceIdentifier, tuple[ResourceIdentifier, str]] = attrs.field(
        factory=dict
    )
    facts: VolumeFacts | None = None
    left_out: int = 0
    taken: dict[ResourceIdentifier, ResourceIdentifier] = attrs.field(factory=dict)
    owned: dict[ResourceIdentifier, tuple[Owner, ...]] = attrs.field(factory=dict)
    dependents: dict[ResourceIdentifier, Dependent] = attrs.field(factory=dict)
    waiting: list[tuple[ResourceIdentifier, LiveObject | None]] = attrs.field(
        factory=list
    )
    pods_planned: bool = False
    active_sets: set[ResourceIdentifier] = attrs.field(factory=set)
    rules: set[int] = attrs.field(factory=set)

    def want(
        self, asks: ResourceIdentifier, wanted: ResourceIdentifier, action: str = ""
    ) -> None:
        """Note that *asks* needs *wanted* written before it; an action says so, or we."""
        self.edges.append((asks, wanted))
        self.wanted.setdefault(wanted, (asks, action))

    def remember(self, entry: PlanEntry) -> None:
        """Note what a line means for those whose owner or maker the item is."""
        if (entry.api_version, entry.kind) in _NEVER_OWNERS:  # most of most clusters
            return
        key, action, target = key_of(entry), entry.action, entry.target
        if key[0] == CRD and action.writes:
            self.brought.add(target.name)
        if entry.precondition is not None:
            self.present.add(key)
            if action is not PlanAction.RECREATE:
                self.living.add(key)
        elif action.writes or action is PlanAction.UNCHANGED:
            self.present.add(key)
            if action is PlanAction.UNKNOWN:
                self.unsure.add(key)
