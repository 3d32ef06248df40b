"""Every conversion there is: the table that the code uses and the documentation shows."""

from __future__ import annotations

from collections.abc import Iterator

from kbackup.restore.conversions import (
    _autoscalers,
    _bindings,
    _definitions,
    _disruption_budgets,
    _endpoint_slices,
    _ingresses,
    _webhooks,
    _workloads,
)
from kbackup.restore.conversions._base import Change, Conversion

# By kind and type: the versions with the same fields and the same defaults as the last.
_SAME = (
    ("NetworkPolicy", "networkpolicies", "extensions/v1beta1", "networking.k8s.io/v1"),
    (
        "PodSecurityPolicy",
        "podsecuritypolicies",
        "extensions/v1beta1",
        "policy/v1beta1",
    ),
    ("Ingress", "ingresses", "extensions/v1beta1", "networking.k8s.io/v1beta1"),
    (
        "IngressClass",
        "ingressclasses",
        "networking.k8s.io/v1beta1",
        "networking.k8s.io/v1",
    ),
    ("CronJob", "cronjobs", "batch/v2alpha1", "batch/v1beta1", "batch/v1"),
    (
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "autoscaling/v2beta2",
        "autoscaling/v2",
    ),
    ("Deployment", "deployments", "apps/v1beta2", "apps/v1"),
    ("DaemonSet", "daemonsets", "apps/v1beta2", "apps/v1"),
    ("ReplicaSet", "replicasets", "apps/v1beta2", "apps/v1"),
    ("StatefulSet", "statefulsets", "apps/v1beta2", "apps/v1"),
    (
        "ControllerRevision",
        "controllerrevisions",
        "apps/v1beta1",
        "apps/v1beta2",
        "apps/v1",
    ),
    *(
        (
            kind,
            f"{kind.lower()}s",
            "rbac.authorization.k8s.io/v1alpha1",
            "rbac.authorization.k8s.io/v1beta1",
            "rbac.authorization.k8s.io/v1",
        )
        for kind in ("ClusterRole", "Role")
    ),
    *(
        (
            kind,
            f"{kind.lower()}s",
            "rbac.authorization.k8s.io/v1beta1",
            "rbac.authorization.k8s.io/v1",
        )
        for kind in ("ClusterRoleBinding", "RoleBinding")
    ),
    (
        "APIService",
        "apiservices",
        "apiregistration.k8s.io/v1beta1",
        "apiregistration.k8s.io/v1",
    ),
    (
        "PriorityClass",
        "priorityclasses",
        "scheduling.k8s.io/v1alpha1",
        "scheduling.k8s.io/v1beta1",
        "scheduling.k8s.io/v1",
    ),
    ("RuntimeClass", "runtimeclasses", "node.k8s.io/v1beta1", "node.k8s.io/v1"),
    (
        "Lease",
        "leases",
        "coordination.k8s.io/v1beta1",
        "coordination.k8s.io/v1",
    ),
    ("StorageClass", "storageclasses", "storage.k8s.io/v1beta1", "storage.k8s.io/v1"),
    ("CSIDriver", "csidrivers", "storage.k8s.io/v1beta1", "storage.k8s.io/v1"),
    ("CSINode", "csinodes", "storage.k8s.io/v1beta1", "storage.k8s.io/v1"),
    (
        "CSIStorageCapacity",
        "csistoragecapacities",
        "storage.k8s.io/v1alpha1",
        "storage.k8s.io/v1beta1",
        "storage.k8s.io/v1",
    ),
    (
        "VolumeAttachment",
        "volumeattachments",
        "storage.k8s.io/v1alpha1",
        "storage.k8s.io/v1beta1",
        "storage.k8s.io/v1",
    ),
)


def _renamed() -> Iterator[Conversion]:
    """Each version of a row to every later one."""
    for kind, plural, *versions in _SAME:
        for index, source in enumerate(versions):
            for target in versions[index + 1 :]:
                yield Conversion(kind=kind, plural=plural, source=source, target=target)


def _ingress(source: str) -> Conversion:
    return Conversion(
        kind="Ingress",
        plural="ingresses",
        source=source,
        target="networking.k8s.io/v1",
        change=_ingresses.ingress,
        moves=_ingresses.MOVES,
        refuses=_ingresses.REFUSES,
    )


def _autoscaler(target: str) -> Conversion:
    return Conversion(
        kind="HorizontalPodAutoscaler",
        plural="horizontalpodautoscalers",
        source="autoscaling/v2beta1",
        target=target,
        change=_autoscalers.autoscaler,
        moves=_autoscalers.MOVES,
        refuses=_autoscalers.REFUSES,
    )


def _workload(kind: str, source: str, change: Change, *moves: str) -> Conversion:
    return Conversion(
        kind=kind,
        plural=f"{kind.lower()}s",
        source=source,
        target="apps/v1",
        change=change,
        moves=(*moves, _workloads.SELECTOR_MOVE, _workloads.LABELS_MOVE),
        refuses=_workloads.REFUSES,
    )


def _binding(kind: str, target: str) -> Conversion:
    return Conversion(
        kind=kind,
        plural=f"{kind.lower()}s",
        source="rbac.authorization.k8s.io/v1alpha1",
        target=target,
        change=_bindings.binding,
        moves=_bindings.MOVES,
    )


def _webhook(kind: str) -> Conversion:
    return Conversion(
        kind=kind,
        plural=f"{kind.lower()}s",
        source="admissionregistration.k8s.io/v1beta1",
        target="admissionregistration.k8s.io/v1",
        change=_webhooks.webhook_configuration,
        moves=_webhooks.MOVES,
        refuses=_webhooks.REFUSES,
    )


_CHANGED = (
    _ingress("extensions/v1beta1"),
    _ingress("networking.k8s.io/v1beta1"),
    _autoscaler("autoscaling/v2"),
    _autoscaler("autoscaling/v2beta2"),
    Conversion(
        kind="PodDisruptionBudget",
        plural="poddisruptionbudgets",
        source="policy/v1beta1",
        target="policy/v1",
        change=_disruption_budgets.disruption_budget,
        moves=_disruption_budgets.MOVES,
    ),
    Conversion(
        kind="EndpointSlice",
        plural="endpointslices",
        source="discovery.k8s.io/v1beta1",
        target="discovery.k8s.io/v1",
        change=_endpoint_slices.endpoint_slice,
        moves=_endpoint_slices.MOVES,
        refuses=_endpoint_slices.REFUSES,
    ),
    Conversion(
        kind="CustomResourceDefinition",
        plural="customresourcedefinitions",
        source="apiextensions.k8s.io/v1beta1",
        target="apiextensions.k8s.io/v1",
        change=_definitions.definition,
        moves=_definitions.MOVES,
        refuses=_definitions.REFUSES,
    ),
    _workload(
        "Deployment",
        "extensions/v1beta1",
        _workloads.deployment_of_extensions,
        _workloads.OF_EXTENSIONS_MOVE,
        _workloads.ROLLBACK_MOVE,
    ),
    _workload(
        "Deployment",
        "apps/v1beta1",
        _workloads.deployment_of_apps_v1beta1,
        _workloads.OF_APPS_V1BETA1_MOVE,
        _workloads.ROLLBACK_MOVE,
    ),
    _workload("ReplicaSet", "extensions/v1beta1", _workloads.selecting),
    _workload(
        "DaemonSet",
        "extensions/v1beta1",
        _workloads.daemon_set,
        _workloads.ON_DELETE_MOVE,
        _workloads.GENERATION_MOVE,
    ),
    _workload(
        "StatefulSet",
        "apps/v1beta1",
        _workloads.stateful_set,
        _workloads.ON_DELETE_MOVE,
    ),
    *(
        _binding(kind, f"rbac.authorization.k8s.io/{version}")
        for kind in ("ClusterRoleBinding", "RoleBinding")
        for version in ("v1", "v1beta1")
    ),
    _webhook("MutatingWebhookConfiguration"),
    _webhook("ValidatingWebhookConfiguration"),
)

CONVERSIONS: tuple[Conversion, ...] = (*_renamed(), *_CHANGED)
"""All of them: those that change nothing but the version first."""
