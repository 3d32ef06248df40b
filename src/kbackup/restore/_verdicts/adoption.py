"""ReplicaSets that wait without Pods for their Deployment, and what waits in vain.

A ReplicaSet is written before its Deployment, so that it is adopted. Were the Deployment
then refused, the set would run Pods that nobody rules. So it is created with no replicas,
and its Deployment scales it up, as it does with any set of its own template. Asked by the
planner, by what writes, and at the end.
"""

from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec.structs import replace

from kbackup._kits.controlled import Owner
from kbackup._kits.differences import changes
from kbackup._kits.kinds import is_of
from kbackup.archive import ArchiveContents
from kbackup.errors import ClusterError, KBackupError
from kbackup.models import ItemOutcome, ResourceIdentifier, well_known
from kbackup.plugins.engine import ODD
from kbackup.restore._attempt import CREATED, FAILED, RECREATED, UNCHANGED
from kbackup.restore._making.desired import Desired, DesiredMaker
from kbackup.restore._owners.owners import Key, key_of
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.reads import bears_on_everything
from kbackup.restore._verdicts.namespaces import is_terminating

Content = Mapping[str, Any]

ADOPTED_BY = "adopted by"
_SCALED_BY = "adopted and scaled up by"
_HASH = "pod-template-hash"
_SET, _DEPLOYMENT = ("apps", "ReplicaSet"), ("apps", "Deployment")
_encode = msgspec.json.Encoder().encode


def runs_pods(content: Content) -> bool:
    """Whether an object is a ReplicaSet that would start Pods at once."""
    return is_of(content, _SET) and _replicas_of(content) != 0


def adopter_of(owner: Owner) -> str:
    """How a line of a plan names who adopts its object, such as ``Deployment.apps/web``."""
    group, kind = owner.group_kind
    return f"{kind}.{group}/{owner.name}" if group else str(owner)


def made_idle(desired: Desired) -> Desired:
    """The same ReplicaSet without replicas."""
    content = _with_replicas(desired.content, 0)
    return replace(desired, content=content, body=_encode(content))


def as_scaled(content: Content, live: Content) -> Content:
    """A ReplicaSet with the replicas of the live one, which its Deployment chooses."""
    return _with_replicas(content, _replicas_of(live))


def awaits_owner(live: Content) -> bool:
    """Whether a live object is a ReplicaSet without Pods that nobody has adopted."""
    is_idle = is_of(live, _SET) and _replicas_of(live) == 0
    return is_idle and not live["metadata"].get("ownerReferences")


def waits_in_vain(
    entries: Sequence[PlanEntry], outcomes: Sequence[ItemOutcome]
) -> Iterator[tuple[ResourceIdentifier, str]]:
    """What is there and waits for an owner that was not restored, and why it matters.

    Yields:
        The object's place in the target, and the sentence.
    """
    done = {outcome.identifier: outcome.action for outcome in outcomes}
    lost = {key_of(entry) for entry in entries if done.get(entry.target) == FAILED}
    for entry in entries if lost else ():
        is_there = done.get(entry.target) in (CREATED, RECREATED, UNCHANGED)
        if entry.adopter and is_there and _owner_key(entry) in lost:
            idle = "; it has no replicas, and runs nothing" if entry.idle else ""
            owner = f"{_short(entry.adopter)}, which was not restored"
            yield entry.target, f"stays without its owner {owner}{idle}"


class IdleSets:
    """Tells which ReplicaSets of a plan are created without replicas.

    Only where the Deployment will scale up that very set: it has the Deployment's
    template, and is the only one with replicas. In the middle of a rollout the old set
    serves until the new one does, and both are created as they were.
    """

    def __init__(
        self, request: RestoreRequest, contents: ArchiveContents, maker: DesiredMaker
    ) -> None:
        self._request = request
        self._contents = contents
        self._maker = maker
        self._unowned: dict[str, frozenset[str] | None] = {}

    def hold(
        self,
        entries: MutableSequence[PlanEntry],
        active: AbstractSet[ResourceIdentifier],
    ) -> None:
        """Change the lines of the sets that are created without replicas.

        Args:
            entries: Of the plan.
            active: The ReplicaSets in it that would start Pods.
        """
        # Pods that are restored themselves are to be adopted, not to be ended.
        if not active or self._request.options.controlled == "adopt":
            return
        sets: dict[Key, list[int]] = {}
        for index, entry in enumerate(entries):
            if entry.identifier in active:
                sets.setdefault(_owner_key(entry), []).append(index)
        keepers = {key: x for x in entries if (key := key_of(x)) in sets}
        for key, indexes in sets.items():
            keeper = keepers.get(key)
            if keeper is not None and len(indexes) == 1:
                entries[indexes[0]] = self._held(entries[indexes[0]], keeper)

    def _held(self, entry: PlanEntry, keeper: PlanEntry) -> PlanEntry:
        """The line of a set, without replicas if its Deployment will scale it up."""
        if {entry.action, keeper.action} != {PlanAction.CREATE}:
            return entry
        try:
            desired, owner = self._made(entry), self._made(keeper)
            if desired is None or owner is None:
                return entry
            if not _is_current_of(desired.content, owner.content):
                return entry
            pods_hash = _labels_of(desired.content["spec"]["template"]).get(_HASH)
        except (KBackupError, *ODD):
            return entry  # what is wrong with it is told when it is written
        unowned = self._unowned_in(entry.target.namespace)
        if unowned is None or pods_hash in unowned:
            return entry
        return self._as_idle(entry, desired)

    def _as_idle(self, entry: PlanEntry, desired: Desired) -> PlanEntry:
        idle = made_idle(desired)
        hide = self._request.redaction.hides(
            entry.identifier.group_resource, entry.kind
        )
        found = changes(desired.content, idle.content, hide=hide)
        return replace(
            entry,
            idle=True,
            digest=idle.digest,
            reason=entry.reason.replace(ADOPTED_BY, _SCALED_BY),
            changes=(*entry.changes, *found),
        )

    def _made(self, entry: PlanEntry) -> Desired | None:
        item = self._contents.get(entry.identifier)
        return None if item is None else self._maker.make(item, item.content)

    def _unowned_in(self, namespace: str) -> AbstractSet[str] | None:
        """The template hashes of Pods that nobody owns; None: they may not be read.

        Such as those of a Deployment that was deleted without what it owned: a set
        without replicas would adopt and end them.
        """
        if namespace not in self._unowned:
            self._unowned[namespace] = self._look_into(namespace)
        return self._unowned[namespace]

    def _look_into(self, namespace: str) -> frozenset[str] | None:
        request = self._request
        where = ResourceIdentifier(well_known.NAMESPACES, "", namespace)
        found = request.reader.find(where)
        is_absent = found.content is None and not found.unreadable
        pods = request.discovery.get(well_known.PODS)
        if is_absent or pods is None or is_terminating(request.reader, namespace):
            return frozenset()
        try:
            listed = request.cluster.list(
                pods, namespace=namespace, label_selector=_HASH
            )
            contents = (msgspec.json.decode(pod.json()) for pod in listed)
            return frozenset(
                _labels_of(content)[_HASH]
                for content in contents
                if not content["metadata"].get("ownerReferences")
            )
        except ClusterError as exc:
            if bears_on_everything(exc):
                raise
            return None


def _is_current_of(replica_set: Content, deployment: Content) -> bool:
    """Whether the Deployment's controller will find this set to be its current one.

    It compares the templates but for the label that it adds itself, and scales the set
    of its own template up, also while it is paused.
    Source: kubernetes ``pkg/controller/deployment``, ``FindNewReplicaSet``, ``scale``.
    """
    is_deployment = is_of(deployment, _DEPLOYMENT)
    return is_deployment and _template_of(replica_set) == _template_of(deployment)


def _template_of(content: Content) -> Content:
    template = content["spec"].get("template") or {}
    metadata = {
        key: value
        for key, value in (template.get("metadata") or {}).items()
        if value is not None  # a creationTimestamp that old servers write
    }
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _with_replicas(content: Content, replicas: int) -> Content:
    return {**content, "spec": {**content["spec"], "replicas": replicas}}


def _replicas_of(content: Content) -> int:
    replicas = content["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _labels_of(content: Content) -> Content:
    return (content.get("metadata") or {}).get("labels") or {}


def _owner_key(entry: PlanEntry) -> Key:
    full, _, name = entry.adopter.partition("/")
    kind, _, group = full.partition(".")
    return (group, kind), entry.target.namespace, name


def _short(adopter: str) -> str:
    """Such as ``Deployment/web``, as other owners are named."""
    full, _, name = adopter.partition("/")
    return f"{full.partition('.')[0]}/{name}"
