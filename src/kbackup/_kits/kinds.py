"""What Kubernetes' names tell of a type: whose it is, which kind it has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# Those of its groups that have a dot. The ending tells nothing: snapshots, gateways and
# metrics are of definitions or of other servers. Source: Kubernetes, k8s.io/api.
_DOTTED_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "checkpoint.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "lifecycle.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)

# Kinds that left ``extensions``, where old clusters still had them, for another group.
_MOVED = {
    "DaemonSet": "apps",
    "Deployment": "apps",
    "HorizontalPodAutoscaler": "autoscaling",
    "Ingress": "networking.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "ReplicaSet": "apps",
}

GroupKind = tuple[str, str]
"""API group and kind: ``("apps", "Deployment")``, and ``("", "Pod")`` of the core group.

A kind alone tells nothing: definitions have Jobs, Roles and Services of their own.
"""

CRD: GroupKind = ("apiextensions.k8s.io", "CustomResourceDefinition")


@lru_cache(maxsize=1024)  # asked several times for each object; kinds are few
def group_kind(api_version: str, kind: str) -> GroupKind:
    """Return what objects are, whatever version they are written in."""
    group = api_version.rpartition("/")[0]
    if group == "extensions":
        group = _MOVED.get(kind, group)
    return group, kind


def kind_of(item: Mapping[str, Any]) -> GroupKind:
    """Return what an object says that it is."""
    return group_kind(str(item.get("apiVersion", "")), str(item.get("kind", "")))


def is_of(item: Mapping[str, Any], kind: GroupKind) -> bool:
    """Tell whether an object says that it is *kind*.

    For most objects their kind alone says no, at a fifth of the cost.
    """
    return item.get("kind") == kind[1] and kind_of(item) == kind


def is_built_in(group: str) -> bool:
    """Tell a group that the API server itself serves from that of a definition.

    Definitions cannot have a group without a dot.
    """
    return "." not in group or group in _DOTTED_GROUPS


def fits(kind: str, plural: str) -> bool:
    """Whether *plural* is one of *kind* as Kubernetes forms its own.

    Other definitions may call the two as they like.
    Source: apimachinery, ``meta.UnsafeGuessKindToResource``.
    """
    word = kind.lower()
    regular = {word, f"{word}s", f"{word}es"}  # endpoints, secrets, ingresses
    if word.endswith("y"):
        regular.add(f"{word[:-1]}ies")
    return plural in regular
