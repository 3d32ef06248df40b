"""What counts as a difference between two Kubernetes objects.

One closed table by kind says which fields a server or a controller writes by itself
and a comparison therefore leaves out; everything that is not in the table counts.
The restore plan, comparisons and the tests all look through this one pair of glasses.
How two objects differ is for `differences` to find.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from kbackup._kits.differences import Difference, changes
from kbackup._kits.equality import equal_objects
from kbackup._kits.kinds import is_of
from kbackup._kits.later_fields import without_lone_defaults
from kbackup._kits.service_tokens import (
    ACCOUNT_UID,
    TOKEN_NOTES,
    is_generated_name,
    is_token,
)

Content: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Callable[[Content, Any], bool]

METADATA_IGNORED = (
    "generateName",  # used up: the object has its name
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
)
RESTORE_LABELS = ("velero.io/backup-name", "velero.io/restore-name")
# Both are the uid of a Job in its cluster, written by the API server.
CONTROLLER_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_ANNOTATIONS = (
    "pv.kubernetes.io/bind-completed",
    BOUND_BY_CONTROLLER,
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
)
ARCHIVE_NOTES = (
    "velero.io/data-upload-name",
    "velero.io/volume-snapshot-name",
    "backup.velero.io/must-include-additional-items",
    "backup.velero.io/skipped-no-csi-pv",
)
"""What Velero notes on a claim in its archives, as annotations; no cluster has them."""
CLAIM_SOURCES = ("dataSource", "dataSourceRef", "selector")
"""What a claim says about the volume it wants: once bound, nobody asks any more."""
AUTOSCALER_STATUS = (
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
)
# Written on a Pod when it is bound to a node: the node's, since 1.35.
TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
METADATA_NAME = "kubernetes.io/metadata.name"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@attrs.frozen(kw_only=True)
class Ignored:
    """One row of the table: a field that is left out of a comparison.

    Attributes:
        path: Keys from the object's root; ``*`` stands for every element of a list.
        when: Asked with the whole object and the value; without it, always.
        prune: Parents that this leaves empty go too: a server that was given none
            does not write them either.
    """

    path: tuple[str, ...]
    when: Condition | None = None
    prune: bool = False


def _cluster_ip_was_chosen(_item: Content, value: Any) -> bool:
    return bool(value not in ("None", ["None"]))


def _node_port_was_chosen(item: Content, value: Any) -> bool:
    return value not in asked_node_ports(item)


def _health_port_was_chosen(item: Content, value: Any) -> bool:
    spec = _last_applied(item).get("spec") or {}
    return not (isinstance(spec, Mapping) and spec.get("healthCheckNodePort") == value)


def _bound_by_controller(item: Content, _value: Any) -> bool:
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    return BOUND_BY_CONTROLLER in annotations


def _is_bound(claim: Content, _value: Any = None) -> bool:
    return bool((claim.get("spec") or {}).get("volumeName"))


def _is_token(item: Content, _value: Any) -> bool:
    return is_token(item)


def _is_aggregated(item: Content, _value: Any) -> bool:
    return bool(item.get("aggregationRule"))


def _is_made_token(item: Content, value: Any) -> bool:
    name = (item.get("metadata") or {}).get("name", "")
    return _has_generated_name(value, f"{name}-token-")


def _is_token_volume(item: Content, value: Any) -> bool:
    account = (item.get("spec") or {}).get("serviceAccountName") or "default"
    return _has_generated_name(value, f"{account}-token-", "kube-api-access-")


def _has_generated_name(value: Any, *prefixes: str) -> bool:
    name = str(value.get("name", "")) if isinstance(value, Mapping) else ""
    return is_generated_name(name, *prefixes)


def _labels(*path: str) -> tuple[Ignored, ...]:
    return tuple(
        Ignored(path=(*path, label), prune=True) for label in CONTROLLER_UID_LABELS
    )


def _mounts(containers: str) -> Ignored:
    return Ignored(
        path=("spec", containers, "*", "volumeMounts", "*"),
        when=_is_token_volume,
        prune=True,
    )


def _rollout(*names: str) -> tuple[Ignored, ...]:
    """Annotations by which the Deployment controller counts its rollouts."""
    prefix = "deployment.kubernetes.io/"
    return tuple(
        Ignored(path=("metadata", "annotations", prefix + name), prune=True)
        for name in names
    )


IGNORED_EVERYWHERE: tuple[Ignored, ...] = (
    *(Ignored(path=("metadata", field)) for field in METADATA_IGNORED),
    *(Ignored(path=("metadata", "labels", x), prune=True) for x in RESTORE_LABELS),
    Ignored(path=("metadata", "ownerReferences", "*", "uid")),
    Ignored(path=("status",)),
)
"""The rows that hold for objects of every kind."""

IGNORED_BY_KIND: Mapping[tuple[str, str], tuple[Ignored, ...]] = {
    ("", "Namespace"): (
        # The API server writes its name there, since 1.21.
        Ignored(path=("metadata", "labels", METADATA_NAME), prune=True),
    ),
    ("", "Service"): (
        Ignored(path=("spec", "clusterIP"), when=_cluster_ip_was_chosen),
        Ignored(path=("spec", "clusterIPs"), when=_cluster_ip_was_chosen),
        Ignored(path=("spec", "ports", "*", "nodePort"), when=_node_port_was_chosen),
        Ignored(path=("spec", "healthCheckNodePort"), when=_health_port_was_chosen),
    ),
    ("", "PersistentVolumeClaim"): (
        Ignored(path=("spec", "volumeName"), when=_bound_by_controller),
        *(Ignored(path=("spec", x), when=_is_bound) for x in CLAIM_SOURCES),
        *(
            Ignored(path=("metadata", "annotations", x), prune=True)
            for x in (*BIND_ANNOTATIONS, *ARCHIVE_NOTES)
        ),
    ),
    ("", "PersistentVolume"): (
        Ignored(path=("spec", "claimRef", "uid")),
        Ignored(path=("spec", "claimRef", "resourceVersion")),
        Ignored(path=("metadata", "annotations", BOUND_BY_CONTROLLER), prune=True),
    ),
    ("", "Secret"): (
        Ignored(path=("data",), when=_is_token),
        Ignored(
            path=("metadata", "annotations", ACCOUNT_UID),
            when=_is_token,
            prune=True,
        ),
        *(
            Ignored(path=("metadata", "labels", x), when=_is_token, prune=True)
            for x in TOKEN_NOTES
        ),
    ),
    ("", "ServiceAccount"): (
        Ignored(path=("secrets", "*"), when=_is_made_token, prune=True),
    ),
    ("", "Pod"): (
        Ignored(path=("spec", "nodeName")),
        Ignored(path=("spec", "priority")),
        _mounts("containers"),
        _mounts("initContainers"),
        Ignored(path=("spec", "volumes", "*"), when=_is_token_volume, prune=True),
        *_labels("metadata", "labels"),
        *(Ignored(path=("metadata", "labels", x), prune=True) for x in TOPOLOGY_LABELS),
    ),
    ("batch", "Job"): (
        *_labels("metadata", "labels"),
        *_labels("spec", "selector", "matchLabels"),
        *_labels("spec", "template", "metadata", "labels"),
    ),
    ("apps", "Deployment"): _rollout("revision"),
    ("apps", "ReplicaSet"): _rollout(
        "revision", "revision-history", "desired-replicas", "max-replicas"
    ),
    ("rbac.authorization.k8s.io", "ClusterRole"): (
        # A controller writes into it what the roles that it aggregates allow.
        Ignored(path=("rules",), when=_is_aggregated),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): tuple(
        # autoscaling/v1 shows what later versions have in the status
        Ignored(path=("metadata", "annotations", x), prune=True)
        for x in AUTOSCALER_STATUS
    ),
}
"""The rows by (API group, kind); a kind that is not here has none of its own."""

_NODE_PORTS = (("spec", "ports", "*", "nodePort"), ("spec", "healthCheckNodePort"))


def normalise(item: Content, *, keep_node_ports: bool = False) -> dict[str, Any]:
    """Return *item* without what the table ignores; *item* itself is not changed.

    The result shares every untouched part with *item*: treat it as read-only. With
    *keep_node_ports* node ports count, because the restore preserves them.
    """
    result = dict(item)
    result.pop("status", None)
    metadata = item.get("metadata")
    if isinstance(metadata, Mapping):
        result["metadata"] = _plain_metadata(metadata)
    for row in _rows(item):
        if keep_node_ports and row.path in _NODE_PORTS:
            continue
        result = _without(result, row.path, row, item)
    return result


def same(left: Content, right: Content, *, keep_node_ports: bool = False) -> bool:
    """Whether the two objects are equal but for what the table ignores."""
    a, b = _normalised_pair(left, right, keep_node_ports=keep_node_ports)
    return equal_objects(a, b)


def differences(
    left: Content, right: Content, *, keep_node_ports: bool = False, hide: bool = False
) -> list[Difference]:
    """Name every field in which the two objects differ, sorted by path.

    The values of a Secret are hidden, and with *hide* those of any object: only the key
    and that it differs come out.
    """
    a, b = _normalised_pair(left, right, keep_node_ports=keep_node_ports)
    return changes(a, b, hide=hide)


def asked_node_ports(service: Content) -> frozenset[int]:
    """The node ports that the user wrote down (kubectl's last-applied annotation)."""
    spec = _last_applied(service).get("spec")
    ports = spec.get("ports") if isinstance(spec, Mapping) else None
    if not isinstance(ports, list):
        return frozenset()
    asked = (port.get("nodePort") for port in ports if isinstance(port, Mapping))
    return frozenset(port for port in asked if isinstance(port, int) and port)


def _rows(item: Content) -> tuple[Ignored, ...]:
    version = item.get("apiVersion", "")
    group = version.partition("/")[0] if "/" in version else ""
    return IGNORED_BY_KIND.get((group, item.get("kind", "")), ())


def _plain_metadata(metadata: Content) -> dict[str, Any]:
    """The rows of `IGNORED_EVERYWHERE` by hand: it runs for each of 100,000 items."""
    result = {k: v for k, v in metadata.items() if k not in METADATA_IGNORED}
    labels = result.get("labels")
    if labels and any(label in labels for label in RESTORE_LABELS):
        result["labels"] = {k: v for k, v in labels.items() if k not in RESTORE_LABELS}
    owners = result.get("ownerReferences")
    if isinstance(owners, list):
        result["ownerReferences"] = [
            {k: v for k, v in owner.items() if k != "uid"} for owner in owners
        ]
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        if field in result and not result[field]:
            del result[field]
    return result


def _normalised_pair(
    left: Content, right: Content, *, keep_node_ports: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    a = normalise(left, keep_node_ports=keep_node_ports)
    b = normalise(right, keep_node_ports=keep_node_ports)
    if is_of(a, ("", "PersistentVolumeClaim")):
        if _is_bound(left) or _is_bound(right):
            a, b = _without_both(a, b, CLAIM_SOURCES)
        if not (_is_bound(a) and _is_bound(b)):
            # A claim that names no volume is content with the one it was given.
            a, b = _without_both(a, b, ("volumeName",))
    return (a, b) if a == b else without_lone_defaults(a, b)


def _without_both(
    a: dict[str, Any], b: dict[str, Any], fields: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    for field in fields:
        row = Ignored(path=("spec", field))
        a, b = _without(a, row.path, row, a), _without(b, row.path, row, b)
    return a, b


def _without(value: Any, path: tuple[str, ...], row: Ignored, item: Content) -> Any:
    """Return *value* without what *row* ignores below *path*; copies on the way."""
    key, rest = path[0], path[1:]
    if key == "*":
        return _without_elements(value, rest, row, item)
    if not isinstance(value, Mapping) or key not in value:
        return value
    inner = value[key]
    if rest:
        left = _without(inner, rest, row, item)
        gone = row.prune and not left
        if left is inner and not gone:
            return value
    else:
        gone = row.when is None or row.when(item, inner)
        left = inner
        if not gone:
            return value
    kept = {k: v for k, v in value.items() if k != key or not gone}
    return kept if gone else {**kept, key: left}


def _without_elements(
    value: Any, rest: tuple[str, ...], row: Ignored, item: Content
) -> Any:
    if not isinstance(value, list):
        return value
    if rest:
        changed = [_without(element, rest, row, item) for element in value]
        untouched = all(a is b for a, b in zip(changed, value, strict=True))
        return value if untouched else changed
    kept = [x for x in value if row.when is None or not row.when(item, x)]
    return kept if len(kept) != len(value) else value


def _last_applied(item: Content) -> Content:
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    text = annotations.get(LAST_APPLIED)
    if not text:
        return {}
    try:
        applied = json.loads(text)
    except ValueError:
        return {}
    return applied if isinstance(applied, Mapping) else {}
