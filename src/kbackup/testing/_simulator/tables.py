"""Tables and metadata-only answers, as ``kubectl get`` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kbackup.testing._simulator.registry import ServedType

Object = Mapping[str, Any]
Column = tuple[str, Callable[[Object], Any]]

_META = "meta.k8s.io/v1"


def to_table(
    served: ServedType, objects: Sequence[Object], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return objects as a Table."""
    columns = [("Name", _name), *_columns(served)]
    definitions = [
        {
            "name": title,
            "type": "date" if title == "Age" else "string",
            "format": "name" if title == "Name" else "",
            "description": title,
            "priority": 0,
        }
        for title, _ in columns
    ]
    rows = [
        {
            "cells": [cell(obj) for _, cell in columns],
            "object": to_partial(obj),
        }
        for obj in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": dict(metadata),
        "columnDefinitions": definitions,
        "rows": rows,
    }


def to_partial(obj: Object) -> dict[str, Any]:
    """Return the metadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": _META,
        "metadata": obj["metadata"],
    }


def _name(obj: Object) -> Any:
    return obj["metadata"]["name"]


def _columns(served: ServedType) -> list[Column]:
    if served.columns:
        return [
            (str(column["name"]), _reader(str(column.get("jsonPath", ""))))
            for column in served.columns
        ]
    return [*_BY_KIND.get(served.kind, ()), ("Age", _age)]


def _reader(path: str) -> Callable[[Object], Any]:
    """Return a reader of a plain JSON path; what it cannot read is empty."""
    steps = path.removeprefix(".").split(".")

    def read(obj: Any) -> Any:
        for step in steps:
            obj = obj.get(step) if isinstance(obj, Mapping) else None
        if steps[-1] == "creationTimestamp":
            return _elapsed(obj)
        return obj if isinstance(obj, str | int | float | bool) else ""

    return read


def _age(obj: Object) -> str:
    return _elapsed(obj["metadata"].get("creationTimestamp"))


def _elapsed(since: Any) -> str:
    if not isinstance(since, str):
        return "<unknown>"
    start = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = int((datetime.now(UTC) - start).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _path(text: str, default: Any = "") -> Callable[[Object], Any]:
    read = _reader(text)
    return lambda obj: default if (value := read(obj)) == "" else value


def _size(field: str) -> Callable[[Object], str]:
    return lambda obj: str(len(obj.get(field) or ()))


def _ready(obj: Object) -> str:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    return f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"


def _containers_ready(obj: Object) -> str:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    ready = sum(1 for each in statuses if each.get("ready"))
    return f"{ready}/{len((obj.get('spec') or {}).get('containers') or [])}"


def _pod_status(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str((obj.get("status") or {}).get("phase", "Unknown"))


def _ports(obj: Object) -> str:
    ports = (obj.get("spec") or {}).get("ports") or []
    told = (f"{port.get('port')}/{port.get('protocol', 'TCP')}" for port in ports)
    return ",".join(told) or "<none>"


_BY_KIND: Mapping[str, Sequence[Column]] = {
    "Namespace": (("Status", _path("status.phase")),),
    "Pod": (
        ("Ready", _containers_ready),
        ("Status", _pod_status),
        ("Restarts", lambda _: "0"),
    ),
    "Deployment": (
        ("Ready", _ready),
        ("Up-to-date", _path("status.updatedReplicas", "0")),
        ("Available", _path("status.availableReplicas", "0")),
    ),
    "ReplicaSet": (
        ("Desired", _path("spec.replicas", "0")),
        ("Current", _path("status.replicas", "0")),
        ("Ready", _path("status.readyReplicas", "0")),
    ),
    "StatefulSet": (("Ready", _ready),),
    "Service": (
        ("Type", _path("spec.type")),
        ("Cluster-IP", _path("spec.clusterIP", "<none>")),
        ("Port(s)", _ports),
    ),
    "ConfigMap": (("Data", _size("data")),),
    "Secret": (("Type", _path("type")), ("Data", _size("data"))),
    "PersistentVolumeClaim": (
        ("Status", _path("status.phase")),
        ("Volume", _path("spec.volumeName")),
        ("StorageClass", _path("spec.storageClassName")),
    ),
    "PersistentVolume": (
        ("Reclaim Policy", _path("spec.persistentVolumeReclaimPolicy")),
        ("Status", _path("status.phase")),
        ("StorageClass", _path("spec.storageClassName")),
    ),
    "Job": (("Completions", _path("status.succeeded", "0")),),
    "CronJob": (
        ("Schedule", _path("spec.schedule")),
        ("Suspend", _path("spec.suspend")),
    ),
    "CustomResourceDefinition": (("Created At", _path("metadata.creationTimestamp")),),
}
