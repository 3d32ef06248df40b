"""What the API server fills in when an object is created, by kind.

Only defaults that clients depend on; the rest of an object stays as it was sent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.status import ApiError

Object = dict[str, Any]


class Addresses:
    """Cluster IPs and node ports that no Service has had yet."""

    def __init__(self) -> None:
        self._next_ip = 10
        self._next_port = 30000

    def cluster_ip(self) -> str:
        """Return the next free cluster IP in 10.96.0.0/12."""
        self._next_ip += 1
        number = self._next_ip
        return f"10.{96 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"

    def node_port(self) -> int:
        """Return the next free node port."""
        self._next_port += 1
        return self._next_port


def fill_in(served: ServedType, obj: Object, addresses: Addresses) -> None:
    """Complete a new object in place, its first status included."""
    if served.has_status:
        # Only the sub-resource writes a status; a new object starts without one.
        obj.pop("status", None)
    if served.custom:
        return
    fill = _BY_KIND.get((served.group, served.kind))
    if fill is not None:
        fill(obj)
    if served.kind == "Service":
        _service(obj, addresses)
    elif served.has_status:
        obj.setdefault("status", {})


def complete_update(
    served: ServedType, obj: Object, old: Mapping[str, Any], addresses: Addresses
) -> None:
    """Complete an object that replaces *old*: what was allocated stays."""
    if served.custom or served.kind in {"Namespace", "CustomResourceDefinition"}:
        return
    before = old.get("spec") or {}
    status = obj.get("status")
    for field in _ALLOCATED.get(served.kind, ()):
        spec = obj.setdefault("spec", {})
        if field in before and spec.get("type") != "ExternalName":
            spec[field] = spec.get(field) or before[field]
    fill = _BY_KIND.get((served.group, served.kind))
    if fill is not None:
        fill(obj)
    if served.kind == "Service":
        _service(obj, addresses)
    obj.pop("status", None)
    if status is not None:
        obj["status"] = status


_ALLOCATED = {
    "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "PersistentVolumeClaim": ("volumeName",),
}


def _namespace(obj: Object) -> None:
    metadata = obj["metadata"]
    labels = dict(metadata.get("labels") or {})
    labels["kubernetes.io/metadata.name"] = metadata["name"]
    metadata["labels"] = labels
    obj["spec"] = {**(obj.get("spec") or {}), "finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def _secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")
    given = obj.pop("stringData", None)
    if given:
        data = dict(obj.get("data") or {})
        for key, value in given.items():
            data[key] = base64.b64encode(str(value).encode()).decode()
        obj["data"] = data
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value or "", validate=True)
        except (ValueError, TypeError) as exc:
            raise ApiError(
                400,
                'Secret in version "v1" cannot be handled as a Secret: illegal base64'
                f" data in key {key}",
            ) from exc


def _service(obj: Object, addresses: Addresses) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
        if spec["type"] in {"NodePort", "LoadBalancer"} and not port.get("nodePort"):
            port["nodePort"] = addresses.node_port()
    if spec["type"] != "ExternalName":
        spec["clusterIP"] = spec.get("clusterIP") or addresses.cluster_ip()
        spec["clusterIPs"] = spec.get("clusterIPs") or [spec["clusterIP"]]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("internalTrafficPolicy", "Cluster")
    obj["status"] = {"loadBalancer": {}}


def _pod(obj: Object) -> None:
    _pod_spec(obj.setdefault("spec", {}))
    obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _pod_spec(spec: Object) -> None:
    for field, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(field, value)
    spec.setdefault("securityContext", {})
    for container in (spec.get("containers") or []) + (
        spec.get("initContainers") or []
    ):
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        image = str(container.get("image", "")).rpartition("/")[2]
        latest = ":" not in image or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _template(obj: Object) -> Object:
    spec: Object = obj.setdefault("spec", {})
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    return spec


def _deployment(obj: Object) -> None:
    spec = _template(obj)
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault(
        "strategy",
        {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        },
    )


def _replicas(obj: Object) -> None:
    _template(obj).setdefault("replicas", 1)
    obj["status"] = {"replicas": 0}


def _daemon_set(obj: Object) -> None:
    _template(obj).setdefault("revisionHistoryLimit", 10)


def _stateful_set(obj: Object) -> None:
    spec = _template(obj)
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault(
        "updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    )
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {"phase": "Pending"})
    obj["status"] = {"replicas": 0}


def _job(obj: Object) -> None:
    spec = _template(obj)
    for field, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 6)):
        spec.setdefault(field, value)
    if not spec.get("manualSelector"):
        labels = {
            "controller-uid": obj["metadata"]["uid"],
            "job-name": obj["metadata"]["name"],
        }
        metadata = spec["template"].setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        spec["selector"] = {
            "matchLabels": {"controller-uid": obj["metadata"]["uid"]},
        }


def _cron_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    for field, value in (
        ("concurrencyPolicy", "Allow"),
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ):
        spec.setdefault(field, value)


def _claim(obj: Object) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj["status"] = {"phase": "Pending"}


def _volume(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    obj["status"] = {"phase": "Pending"}


def _storage_class(obj: Object) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _binding(obj: Object) -> None:
    for subject in obj.get("subjects") or []:
        if subject.get("kind") != "ServiceAccount":
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _definition(obj: Object) -> None:
    spec = obj["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    spec.setdefault("scope", "Namespaced")
    # Deleting the definition deletes its objects first.
    obj["status"] = {"conditions": [], "acceptedNames": {}, "storedVersions": []}


_BY_KIND: Mapping[tuple[str, str], Callable[[Object], None]] = {
    ("", "Namespace"): _namespace,
    ("", "Secret"): _secret,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "ReplicationController"): _replicas,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replicas,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
