"""What to do about an object that the target has already.

Pure: the desired item and the live one in, a verdict out. Asked by the planner, and by
the writer when an object appeared meanwhile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import msgspec

from kbackup._kits.controlled import ownership
from kbackup._kits.differences import Difference
from kbackup._kits.equality import equal_objects
from kbackup._kits.kinds import CRD, GroupKind, is_of, kind_of
from kbackup._kits.later_fields import without_lone_defaults
from kbackup._kits.normalise import differences, normalise, same
from kbackup._kits.patches import create_merge_patch
from kbackup._kits.words import first_few
from kbackup.models import labels
from kbackup.restore._comparing.merging import (
    goal_of,
    is_account,
    is_binding,
    missing_subjects,
    subject_name,
)
from kbackup.restore._plan_entry import PlanAction, Precondition

Content = Mapping[str, Any]

_METADATA = "metadata"
MADE_BEFORE = (
    "this restore made it before, and it changed since: it is not deleted again"
)
_OWNERS = "ownerReferences"
_POLICY = "--existing-resource-policy"
_MERGED = "merged: what the live one lacks is added"
_POD = ("", "Pod")

_IMMUTABLE: Mapping[GroupKind, tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "ReplicaSet"): ("spec.selector",),
    ("apps", "ControllerRevision"): ("data",),
    ("batch", "Job"): (
        "spec.selector",
        "spec.template",
        "spec.completions",
        "spec.completionMode",
        "spec.podFailurePolicy",
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("scheduling.k8s.io", "PriorityClass"): ("value", "preemptionPolicy"),
    ("networking.k8s.io", "IngressClass"): ("spec.controller",),
    CRD: (
        "spec.group",
        "spec.names.kind",
        "spec.scope",
    ),
    ("discovery.k8s.io", "EndpointSlice"): ("addressType",),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("node.k8s.io", "RuntimeClass"): ("handler",),
    ("resource.k8s.io", "ResourceClaim"): ("spec",),
    ("", "Secret"): ("type",),
    ("storage.k8s.io", "CSIDriver"): (
        "spec.attachRequired",
        "spec.fsGroupPolicy",
        "spec.volumeLifecycleModes",
    ),
    ("storage.k8s.io", "StorageClass"): (
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): ("driverName", "parameters"),
}
"""Fields that the API server refuses to change, by group and kind."""

_MUTABLE_SPEC: Mapping[GroupKind, tuple[str, ...]] = {
    ("apps", "StatefulSet"): (
        "spec.replicas",
        "spec.template",
        "spec.updateStrategy",
        "spec.persistentVolumeClaimRetentionPolicy",
        "spec.minReadySeconds",
        "spec.ordinals",
        "spec.revisionHistoryLimit",
    ),
    ("", "PersistentVolumeClaim"): (
        "spec.resources.requests",
        "spec.volumeAttributesClassName",
    ),
    ("", "PersistentVolume"): (
        "spec.accessModes",
        "spec.capacity",
        "spec.claimRef",
        "spec.mountOptions",
        "spec.persistentVolumeReclaimPolicy",
    ),
    _POD: ("spec.activeDeadlineSeconds", "spec.tolerations"),
}
"""Kinds of which only these parts of the spec may change."""

_SERVICE = ("", "Service")
_KEPT_ADDRESSES = ("spec.clusterIP", "spec.clusterIPs")


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What becomes of an existing object.

    Attributes:
        action: unchanged, update, recreate, skip or conflict.
        reason: Why.
        differences: From the live object to the desired one.
    """

    action: PlanAction
    reason: str = ""
    differences: tuple[Difference, ...] = ()


@attrs.frozen(kw_only=True)
class ExistingRules:
    """What the user allows a restore to do to objects that exist.

    Attributes:
        update: Namespaced objects become as in the backup.
        update_cluster: Cluster-scoped ones, too.
        recreate: One that differs is deleted and created anew.
        apply: Only what is applied becomes as in the backup.
        force: What others manage is taken from them.
        keep_node_ports: Node ports of Services count.
        is_copy: Namespaces are restored under other names: of a role binding that
            exists the subjects stay, and those of the copy are added.
    """

    update: bool = False
    update_cluster: bool = False
    recreate: bool = False
    apply: bool = False
    force: bool = False
    keep_node_ports: bool = False
    is_copy: bool = False


_EQUAL = Verdict(action=PlanAction.UNCHANGED)


def decide(
    desired: Content, live: Content, rules: ExistingRules, *, hide: bool = False
) -> Verdict:
    """Decide about an existing object.

    Args:
        desired: As it would be written.
        live: As the cluster has it, reset as the desired one was.
        rules: What the user allows.
        hide: The differences show no values; of a Secret they never do.
    """
    desired = _ownerless(desired)
    # Written by this very restore, the two are mostly equal as they stand: that is
    # found out in a tenth of the time.
    equal = equal_objects(desired, live)
    if equal or same(desired, live, keep_node_ports=rules.keep_node_ports):
        return _EQUAL
    goal = goal_of(desired, live, add_subjects=rules.is_copy)
    reason = _MERGED if goal is not desired else ""
    if reason and same(goal, live):
        return Verdict(action=PlanAction.UNCHANGED, reason="the live one has it all")
    keep = rules.keep_node_ports
    found = tuple(differences(live, goal, keep_node_ports=keep, hide=hide))
    left_alone = _left_alone(desired, live, rules, hide=hide)
    if left_alone:
        return Verdict(action=PlanAction.SKIP, reason=left_alone, differences=found)
    refused = _immutable_field(goal, live, found) or _lost_version(goal, live)
    if rules.recreate and not reason:  # what is merged keeps what only the live one has
        return Verdict(action=PlanAction.RECREATE, reason=refused, differences=found)
    if refused:
        return Verdict(action=PlanAction.CONFLICT, reason=refused, differences=found)
    return Verdict(action=PlanAction.UPDATE, reason=reason, differences=found)


def _ownerless(desired: Content) -> Content:
    """An item without owners, which actions and transforms may have given it.

    Who owns an object that is there is none of a restore's business: the live one is
    compared without its owners, too.
    """
    metadata = desired.get(_METADATA) or {}
    if _OWNERS not in metadata:
        return desired
    kept = {key: value for key, value in metadata.items() if key != _OWNERS}
    return {**desired, _METADATA: kept}


def _left_alone(
    desired: Content, live: Content, rules: ExistingRules, *, hide: bool
) -> str:
    """Why an object that differs is not changed; empty: it may be."""
    if is_account(desired):
        return ""
    if is_of(desired, ("", "Namespace")):
        return "exists and differs; a Namespace that exists is never changed"
    namespaced = bool((desired.get(_METADATA) or {}).get("namespace"))
    if rules.update if namespaced else rules.update_cluster:
        return ""
    lacking = ""
    if rules.is_copy and not hide:
        lacking = _lacking(desired, live, cluster_wide=not namespaced)
    return lacking or "exists and differs; it is left as it is"


def can_be_applied(desired: Content) -> bool:
    """Whether the policy `apply` makes a difference: accounts are merged anyway."""
    return not is_account(desired) and not is_of(desired, ("", "Namespace"))


def update_patch(
    desired: Content, live: Content, seen: Precondition, rules: ExistingRules
) -> dict[str, Any]:
    """The merge patch that makes the live object the desired one, or both of them.

    It touches only what counts as a difference: a cluster IP or a bound volume that
    only the live object has stays. UID and resourceVersion make the server refuse it
    once the object has moved.
    """
    goal = goal_of(_ownerless(desired), live, add_subjects=rules.is_copy)
    keep_node_ports = rules.keep_node_ports
    before = normalise(live, keep_node_ports=keep_node_ports)
    after = normalise(goal, keep_node_ports=keep_node_ports)
    patch: dict[str, Any] = create_merge_patch(*without_lone_defaults(before, after))
    metadata = patch.setdefault(_METADATA, {})
    metadata["labels"] = _label_changes(desired, before, metadata)
    metadata["uid"] = seen.uid
    metadata["resourceVersion"] = seen.resource_version
    return patch


def _label_changes(
    desired: Content, before: Content, metadata: Content
) -> dict[str, str | None]:
    """What the patch says about labels, those of the restore among them.

    An object that had none in the backup loses all of the live ones that count: a null
    for the whole field, which has to become a null for each beside those that are added.
    """
    changes = metadata.get("labels", {})
    if changes is None:
        changes = dict.fromkeys((before.get(_METADATA) or {}).get("labels") or {})
    given = (desired.get(_METADATA) or {}).get("labels") or {}
    ours = (labels.BACKUP_NAME, labels.RESTORE_NAME)
    return {**changes, **{name: given[name] for name in ours if name in given}}


def _lacking(desired: Content, live: Content, *, cluster_wide: bool) -> str:
    """What a copy lacks where a binding is left as it is; empty: nothing, or more."""
    lacking = missing_subjects(desired, live) if is_binding(desired) else []
    if not lacking or desired.get("roleRef") != live.get("roleRef"):
        return ""
    noun, them = ("subject", "it") if len(lacking) == 1 else ("subjects", "them")
    names = first_few([subject_name(subject) for subject in lacking])
    option = "--existing-cluster-resource-policy" if cluster_wide else _POLICY
    return (
        f"exists without {noun} {names}: it is left as it is; "
        f"{option} update adds {them}"
    )


def _immutable_field(
    desired: Content, live: Content, found: Sequence[Difference]
) -> str:
    key = kind_of(desired)
    if key in (("", "Secret"), ("", "ConfigMap")) and live.get("immutable") is True:
        touched = [x for x in found if not x.path.startswith(f"{_METADATA}.")]
        return "the live one is immutable" if touched else ""
    if key == _POD and (refused := _refused_of_pod(desired, live)):
        return refused
    kept = _KEPT_ADDRESSES if key == _SERVICE and _keeps_address(desired, live) else ()
    for difference in found:
        path = difference.path
        if _is_immutable(key, path) or any(_below(path, prefix) for prefix in kept):
            return f"immutable field {path}"
    return ""


def _refused_of_pod(desired: Content, live: Content) -> str:
    """Why a Pod takes no such change of what may change; empty: it does.

    Source: Kubernetes, ``ValidatePodUpdate``: to tolerations some may be added, or last
    for another time, and a deadline can only come nearer.
    """
    specs = [content.get("spec") or {} for content in (desired, live)]
    wanted, there = (list(map(_lasting, x.get("tolerations") or ())) for x in specs)
    if any(toleration not in wanted for toleration in there):
        return "spec.tolerations: a Pod loses none"
    later, sooner = (spec.get("activeDeadlineSeconds") for spec in specs)
    if sooner is not None and (later is None or later > sooner):
        return "spec.activeDeadlineSeconds: a Pod takes an earlier one only"
    return ""


def _lasting(toleration: Content) -> Content:
    """A toleration, for however long."""
    return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}


def _keeps_address(desired: Content, live: Content) -> bool:
    """Whether a Service stays with its address, or headless, for good."""
    specs = [content.get("spec") or {} for content in (desired, live)]
    aliases = any(spec.get("type") == "ExternalName" for spec in specs)
    return bool(specs[1].get("clusterIP")) and not aliases


def _is_immutable(key: GroupKind, path: str) -> bool:
    if any(_below(path, prefix) for prefix in _IMMUTABLE.get(key, ())):
        return True
    mutable = _MUTABLE_SPEC.get(key)
    if mutable is None or not _below(path, "spec"):
        return False
    if key == _POD and path.endswith(".image"):
        return False
    return not any(_below(path, prefix) for prefix in mutable)


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))


def _lost_version(desired: Content, live: Content) -> str:
    """Why a CRD may not be changed: objects are stored in a version it would lose."""
    if not is_of(desired, CRD):
        return ""
    stored = (live.get("status") or {}).get("storedVersions") or ()
    spec = desired.get("spec") or {}
    offered = {version.get("name") for version in spec.get("versions") or ()}
    offered.add(spec.get("version"))  # v1beta1 had a single one
    lost = [version for version in stored if version not in offered]
    if not lost:
        return ""
    return f"objects are stored as {', '.join(lost)}, which the backup's CRD lacks"


def why_not(live: Content) -> str:
    """Why a live object is not deleted, whatever was asked for; empty: it may be."""
    maker = ownership(live).maker
    if maker is not None:
        return f"it is {maker}'s, which would make it anew at once"
    volumes = (live.get("spec") or {}).get("volumes") or ()
    if is_of(live, _POD) and any("ephemeral" in volume for volume in volumes):
        return "its ephemeral volumes would go with it, and their data"
    return ""
