"""What an update undoes that somebody in the target relies on, beside its own object.

A copy must not take anything from its original, nor a restore the replicas that an
autoscaler gave. Called by the item planner with every update; says what it finds in the
notices of the plan.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.differences import HIDDEN, Difference
from kbackup._kits.normalise import differences
from kbackup.errors import ClusterError
from kbackup.models import GroupResource, Item
from kbackup.restore._comparing.existing import ExistingRules
from kbackup.restore._comparing.merging import goal_of
from kbackup.restore._making.reset import cleaned
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.reads import bears_on_everything

Content = Mapping[str, Any]

_AUTOSCALERS = GroupResource("autoscaling", "horizontalpodautoscalers")
_REPLICAS = "spec.replicas"
_DEFAULT_REPLICAS = 1  # what a server writes where an update gives none
_FORMER_GROUP = "extensions"  # some targets still name workloads as it had them


class Undone:
    """Looks at the updates of one restore."""

    def __init__(self, request: RestoreRequest, book: NoticeBook) -> None:
        self._request = request
        self._book = book

    def see(
        self, entry: PlanEntry, item: Item, desired: Content, live: Content
    ) -> None:
        """Look at an item that is written where there is one.

        Args:
            entry: The line of the plan.
            item: As the backup has it.
            desired: As it would be written.
            live: As the target has it, reset as the desired one was.
        """
        if entry.action is not PlanAction.UPDATE:
            return
        rules = self._request.policies.of(entry.target)
        if entry.cluster_wide and rules.is_copy:
            stored = cleaned(item.content)
            if is_changed_for_copy(stored, desired, live, rules):
                self._book.see_taken(entry.target)
        for change in entry.differences:
            if change.path == _REPLICAS and entry.target.namespace:
                self._see_replicas(entry, change)

    def _see_replicas(self, entry: PlanEntry, change: Difference) -> None:
        """Look who scales what an update scales; whom nobody may read is not told."""
        reader, target = self._request.reader, entry.target
        try:
            found = reader.list(_AUTOSCALERS, namespace=target.namespace)
        except ClusterError as exc:
            if bears_on_everything(exc):
                raise
            return
        for autoscaler in found:
            if scales(autoscaler, entry):
                name = autoscaler["metadata"]["name"]
                self._book.see_scaled(target, name, _told(change))


def is_changed_for_copy(
    stored: Content, desired: Content, live: Content, rules: ExistingRules
) -> bool:
    """Whether an update changes what the live object has just as the backup does.

    Then it is not the backup that says so, but the other names of the namespaces.
    """
    of_backup = {change.path for change in differences(live, stored)}
    goal = goal_of(desired, live, add_subjects=rules.is_copy)
    return any(
        change.op != "add" and change.path not in of_backup
        for change in differences(live, goal)
    )


def scales(autoscaler: Content, entry: PlanEntry) -> bool:
    """Whether a HorizontalPodAutoscaler of its namespace scales a planned object."""
    ref = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    if (ref.get("kind"), ref.get("name")) != (entry.kind, entry.target.name):
        return False
    group, slash, _ = str(ref.get("apiVersion") or "").partition("/")
    groups = ("", _FORMER_GROUP, entry.target.group_resource.group)
    return (group if slash else "") in groups


def _told(change: Difference) -> str:
    """What becomes of the replicas, as far as it may be shown."""
    if HIDDEN in (change.left, change.right):
        return "replicas change"
    after = _DEFAULT_REPLICAS if change.right is None else change.right
    return f"replicas {change.left} -> {after}"
