"""What controllers make out of other objects, and who owns what.

Pure. Restoring what a controller makes means doing its work twice: the Pods of a
restored ReplicaSet are deleted again, a Job runs a second time. Asked by the planner.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from kbackup._kits.kinds import GroupKind, group_kind, is_of, kind_of
from kbackup._kits.service_tokens import generated_for, is_token

_POD, _NODE, _CLAIM = ("", "Pod"), ("", "Node"), ("", "PersistentVolumeClaim")
_JOB, _CRON_JOB = ("batch", "Job"), ("batch", "CronJob")
_CLAIMS_OF_PODS = frozenset({_CLAIM, ("resource.k8s.io", "ResourceClaim")})
_CHILDREN_FIRST = frozenset({("apps", "ReplicaSet"), ("apps", "ControllerRevision")})
# The first two: how it ends is decided, and its last Pods are going.
_STATEFUL_SET, _DAEMON_SET = ("apps", "StatefulSet"), ("apps", "DaemonSet")
_ENDING = frozenset({"Pod", "Job"})
TOLD_BY_STATUS = _ENDING | {"StatefulSet", "DaemonSet"}
"""Kinds of which `finished` or `is_mid_rollout` may say something."""
_OVER = frozenset({"SuccessCriteriaMet", "FailureTarget", "Complete", "Failed"})


class Role(StrEnum):
    """How an item stands to the objects that own it."""

    FREE = "free"
    """Nobody owns it."""
    MADE = "made"
    """Its controller makes it anew wherever the controller is."""
    NEVER = "never"
    """Its controller makes it anew, and a second one would do harm."""
    ADOPTED = "adopted"
    """Created before its owner and without it; the owner's controller adopts it."""
    OWNED = "owned"
    """Somebody else's child, such as a custom resource's: tied to it again."""


@attrs.frozen
class Owner:
    """An owner as the backup knew it; its old UID is never used again.

    Attributes:
        api_version: Such as ``apps/v1``.
        kind: Such as ``ReplicaSet``.
        name: In the item's namespace, or cluster-scoped.
    """

    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def group_kind(self) -> GroupKind:
        """What it is, whatever version the reference has."""
        return group_kind(self.api_version, self.kind)


@attrs.frozen(kw_only=True)
class Ownership:
    """What an item's owner references mean for its restore.

    Attributes:
        role: What to do with the item.
        maker: The controller that makes or adopts it.
        owners: Every owner; none of their old UIDs is ever written.
    """

    role: Role = Role.FREE
    maker: Owner | None = None
    owners: tuple[Owner, ...] = ()

    @property
    def is_of_pods(self) -> bool:
        """Whether it was made for Pods: it comes and goes with them.

        Such as what a network keeps about a Pod.
        """
        return self.role is Role.OWNED and all(map(_is_pod, self.owners))

    @property
    def is_of_nodes(self) -> bool:
        """Whether it was made for Nodes, as what a network keeps about each of them."""
        return self.role is Role.OWNED and all(map(_is_node, self.owners))


FREE = Ownership()


def ownership(content: Mapping[str, Any]) -> Ownership:
    """Tell how an item of the backup, not yet reset, stands to its owners."""
    if is_token(content):
        return _token_ownership(content)
    references = content["metadata"].get("ownerReferences")
    if not references:
        return FREE
    owners = tuple(_owner(reference) for reference in references)
    kind = kind_of(content)
    if kind == _CLAIM:
        # With a retention policy. Were the StatefulSet first, it would make an empty one;
        # so would those of other groups, such as OpenKruise's.
        keeper = next((owner for owner in owners if owner.kind == "StatefulSet"), None)
        if keeper is not None:
            return Ownership(role=Role.ADOPTED, maker=keeper, owners=owners)
    controller = next((x for x in references if x.get("controller")), None)
    if controller is None:
        return Ownership(role=Role.OWNED, owners=owners)
    maker = _owner(controller)
    return Ownership(role=_role(kind, maker.group_kind), maker=maker, owners=owners)


def finished(content: Mapping[str, Any]) -> str:
    """Why a Pod or Job has nothing left to do; empty when it has, or is neither."""
    if content.get("kind") not in _ENDING:
        return ""
    is_pod = is_of(content, _POD)
    if not is_pod and not is_of(content, _JOB):
        return ""
    status = content.get("status") or {}
    if is_pod:
        phase = status.get("phase")
        return f"finished: {phase}" if phase in ("Succeeded", "Failed") else ""
    for condition in status.get("conditions") or ():
        over = condition.get("type") in _OVER
        if over and condition.get("status") == "True":
            return f"finished: {condition['type']}"
    return "finished: Complete" if status.get("completionTime") else ""


def is_mid_rollout(content: Mapping[str, Any]) -> bool:
    """Whether Pods of an older version ran when the backup was made, by the status.

    Their controller knows the older version by that status only, which the target's
    sets anew: it makes all Pods in the newer one, whatever a partition says.
    """
    status = content.get("status") or {}
    if is_of(content, _STATEFUL_SET):
        current, update = status.get("currentRevision"), status.get("updateRevision")
        return bool(current) and bool(update) and current != update
    if is_of(content, _DAEMON_SET):
        running = status.get("currentNumberScheduled") or 0
        return bool((status.get("updatedNumberScheduled") or 0) < running)
    return False


def _role(kind: GroupKind, maker: GroupKind) -> Role:
    if kind == _POD:
        return Role.NEVER if maker == _JOB else Role.MADE
    if kind == _JOB and maker == _CRON_JOB:
        return Role.MADE
    if kind in _CLAIMS_OF_PODS and maker == _POD:
        # A generic ephemeral volume lives and dies with its Pod, and a Pod whose claim
        # exists already, owned by nobody, never starts. A claim of devices that is made
        # out of a template gets another name each time.
        return Role.NEVER
    if kind in _CHILDREN_FIRST:
        return Role.ADOPTED
    return Role.OWNED


def _is_pod(owner: Owner) -> bool:
    return owner.group_kind == _POD


def _is_node(owner: Owner) -> bool:
    return owner.group_kind == _NODE


def _owner(reference: Mapping[str, Any]) -> Owner:
    return Owner(
        str(reference.get("apiVersion", "")),
        str(reference.get("kind", "")),
        str(reference.get("name", "")),
    )


def _token_ownership(secret: Mapping[str, Any]) -> Ownership:
    account = generated_for(secret)
    if not account:
        return FREE
    maker = Owner("v1", "ServiceAccount", account)
    return Ownership(role=Role.MADE, maker=maker)
