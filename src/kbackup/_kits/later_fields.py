"""Fields that a newer API server writes into every object and an older one did not know.

A backup of the older one, restored into the newer one, is the same object: where only
one side has such a field, and the default in it, that is no difference. A closed table,
for the kinds that live longest; where both sides have the field, it counts.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

Content: TypeAlias = Mapping[str, Any]

_ANY = object()


@attrs.frozen
class Later:
    """One row of the table.

    Attributes:
        path: Keys from the object's root; ``*`` stands for every element of a list.
        default: What the server writes where nothing was asked for; `_ANY`: it
            depends on the cluster.
    """

    path: tuple[str, ...]
    default: Any = _ANY


def _template(*above: str) -> Later:
    """Up to 1.33 servers write a null into the metadata of every template."""
    return Later((*above, "metadata", "creationTimestamp"), None)


_POD_TEMPLATE = _template("spec", "template")

LATER_FIELDS: Mapping[tuple[str, str], tuple[Later, ...]] = {
    ("", "PodTemplate"): (_template("template"),),
    ("", "ReplicationController"): (_POD_TEMPLATE,),
    ("", "Service"): (
        Later(("spec", "allocateLoadBalancerNodePorts"), default=True),
        Later(("spec", "internalTrafficPolicy"), "Cluster"),
        Later(("spec", "ipFamilies")),
        Later(("spec", "ipFamilyPolicy"), "SingleStack"),
    ),
    ("apps", "ControllerRevision"): (_template("data", "spec", "template"),),
    ("apps", "DaemonSet"): (
        _POD_TEMPLATE,
        Later(("spec", "updateStrategy", "rollingUpdate", "maxSurge"), 0),
    ),
    ("apps", "Deployment"): (_POD_TEMPLATE,),
    ("apps", "ReplicaSet"): (_POD_TEMPLATE,),
    ("apps", "StatefulSet"): (
        _POD_TEMPLATE,
        _template("spec", "volumeClaimTemplates", "*"),
        Later(
            ("spec", "persistentVolumeClaimRetentionPolicy"),
            {"whenDeleted": "Retain", "whenScaled": "Retain"},
        ),
    ),
    ("batch", "CronJob"): (
        _template("spec", "jobTemplate"),
        _template("spec", "jobTemplate", "spec", "template"),
        Later(("spec", "suspend"), default=False),
    ),
    ("batch", "Job"): (
        _POD_TEMPLATE,
        Later(("spec", "completionMode"), "NonIndexed"),
        Later(("spec", "manualSelector"), default=False),
        Later(("spec", "podReplacementPolicy"), "TerminatingOrFailed"),
        Later(("spec", "suspend"), default=False),
        Later(
            ("spec", "template", "metadata", "labels", "batch.kubernetes.io/job-name")
        ),
    ),
    ("storage.k8s.io", "CSIDriver"): (
        Later(("spec", "requiresRepublish"), default=False),
        Later(("spec", "seLinuxMount"), default=False),
        Later(("spec", "storageCapacity"), default=False),
    ),
}
"""The rows by (API group, kind)."""


def without_lone_defaults(
    a: dict[str, Any], b: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave out of each side what only it has and only because of its server's age.

    Neither argument is changed; the results share their untouched parts with them.
    """
    group, _, _ = str(a.get("apiVersion", "")).rpartition("/")
    for row in LATER_FIELDS.get((group, a.get("kind", "")), ()):
        a, b = _without_lone(a, b, row.path, row.default)
    return a, b


def _without_lone(a: Any, b: Any, path: tuple[str, ...], default: Any) -> Any:
    key, rest = path[0], path[1:]
    if key == "*":
        return _in_elements(a, b, rest, default)
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return a, b
    if not rest:
        return _without_key(a, b, key, default), _without_key(b, a, key, default)
    if key not in a or key not in b:
        return a, b
    inner_a, inner_b = _without_lone(a[key], b[key], rest, default)
    if inner_a is a[key] and inner_b is b[key]:
        return a, b
    return {**a, key: inner_a}, {**b, key: inner_b}


def _in_elements(a: Any, b: Any, rest: tuple[str, ...], default: Any) -> Any:
    both = isinstance(a, list) and isinstance(b, list)
    if not both or not a or len(a) != len(b):
        return a, b
    pairs = [_without_lone(*pair, rest, default) for pair in zip(a, b, strict=True)]
    return [left for left, _ in pairs], [right for _, right in pairs]


def _without_key(side: Content, other: Content, key: str, default: Any) -> Content:
    if key not in side or key in other:
        return side
    if default is not _ANY and side[key] != default:
        return side
    return {k: v for k, v in side.items() if k != key}
