"""Bring workloads back smaller. Pure."""

from __future__ import annotations

from typing import Any

import attrs

from kbackup._kits.edit import replaced
from kbackup._kits.nested import mapping_at
from kbackup.errors import InvalidConfigError
from kbackup.restore.transforms._base import Content, Transform

_AUTOSCALER = "HorizontalPodAutoscaler"


@attrs.frozen(slots=False, repr=False)
class _Replicas(Transform):
    factory = "replicas"
    kinds = frozenset(
        {
            ("", "ReplicationController"),
            ("apps", "Deployment"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("apps.openshift.io", "DeploymentConfig"),
            ("argoproj.io", "Rollout"),
            ("autoscaling", _AUTOSCALER),
        }
    )

    at_most: int

    def _arguments(self) -> str:
        return f"at_most={self.at_most}"

    def _change(self, item: Content) -> Content:
        if item["kind"] != _AUTOSCALER:
            return _capped(item, "replicas", self.at_most)
        least = max(self.at_most, 1)  # its fields take no 0, and it leaves 0 alone
        item = _capped(item, "maxReplicas", least)
        return _capped(item, "minReplicas", least)


def _capped(item: Content, field: str, most: int) -> Content:
    """Lower a count of the spec; one that is not stated is 1."""
    spec = mapping_at(item, "spec")
    count = spec.get(field)
    count = 1 if count is None else count
    if not spec or not isinstance(count, int) or count <= most:
        return item
    return replaced(item, ("spec", field), most)


def replicas(*, at_most: int) -> Transform:
    """Return a transform that brings workloads back with fewer Pods.

    Deployments, ReplicaSets, StatefulSets, ReplicationControllers, OpenShift's
    DeploymentConfigs and Argo's Rollouts; HorizontalPodAutoscalers get the same limit,
    though never below 1: with 0 replicas they do nothing. What has fewer keeps them, old
    ReplicaSets their 0 above all. Autoscalers of other makers, and DaemonSets, are left
    as they are.

    Args:
        at_most: Pods of one workload; 0 stops it.

    Raises:
        InvalidConfigError: It is no number of Pods.
    """
    count: Any = at_most
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidConfigError(f"replicas: {at_most!r} is no number of Pods")
    return _Replicas(at_most)
