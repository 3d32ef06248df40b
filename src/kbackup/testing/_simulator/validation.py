"""What the API server refuses, as far as clients must cope with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.status import invalid

Causes = list[tuple[str, str, str]]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LONGEST_NAME = 253
_LONGEST_LABEL = 63

# Resources whose names are DNS labels; RBAC names may be any path segment.
_LABEL_NAMES = {"namespaces", "services"}
_PATH_NAMES = {"roles", "rolebindings", "clusterroles", "clusterrolebindings"}

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "pods": ("spec.containers",),
    "deployments.apps": ("spec.selector", "spec.template"),
    "replicasets.apps": ("spec.selector",),
    "statefulsets.apps": ("spec.selector", "spec.template"),
    "daemonsets.apps": ("spec.selector", "spec.template"),
    "persistentvolumeclaims": ("spec.accessModes", "spec.resources"),
    "rolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "clusterrolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "customresourcedefinitions.apiextensions.k8s.io": (
        "spec.group",
        "spec.names",
        "spec.versions",
    ),
}
_IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "secrets": ("type",),
    "services": ("spec.clusterIP",),
    "persistentvolumeclaims": (
        "spec.accessModes",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.selector",
    ),
    "persistentvolumes": ("spec.csi", "spec.nfs", "spec.hostPath", "spec.local"),
    "pods": ("spec.nodeName", "spec.volumes", "spec.serviceAccountName"),
    "deployments.apps": ("spec.selector",),
    "replicasets.apps": ("spec.selector",),
    "daemonsets.apps": ("spec.selector",),
    "statefulsets.apps": (
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "jobs.batch": ("spec.selector", "spec.template", "spec.completions"),
    "storageclasses.storage.k8s.io": ("provisioner", "parameters"),
    "rolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "clusterrolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "customresourcedefinitions.apiextensions.k8s.io": ("spec.group", "spec.scope"),
}


def check_new(served: ServedType, obj: Mapping[str, Any]) -> None:
    """Refuse a new object that breaks a rule.

    Raises:
        ApiError: With every cause.
    """
    name = obj["metadata"]["name"]
    causes = _name_causes(served, name) + _metadata_causes(obj)
    for field in _REQUIRED.get(served.group_resource, ()):
        if not _at(obj, field):
            causes.append((field, "FieldValueRequired", "Required value"))
    if served.group_resource == "customresourcedefinitions.apiextensions.k8s.io":
        causes += _definition_causes(obj)
    _refuse(served, name, causes)


def check_update(
    served: ServedType, obj: Mapping[str, Any], old: Mapping[str, Any]
) -> None:
    """Refuse a change of what cannot change.

    Raises:
        ApiError: With every cause.
    """
    causes = _metadata_causes(obj)
    for field in _IMMUTABLE.get(served.group_resource, ()):
        before, after = _at(old, field), _at(obj, field)
        if before in (None, "", [], {}) or before == after:
            continue
        if field == "spec.clusterIP" and _at(obj, "spec.type") == "ExternalName":
            continue
        causes.append((field, "FieldValueInvalid", "field is immutable"))
    if served.group_resource in {"secrets", "configmaps"} and old.get("immutable"):
        causes += [
            (field, "FieldValueForbidden", "field is immutable when `immutable` is set")
            for field in ("data", "binaryData", "immutable")
            if old.get(field) != obj.get(field)
        ]
    _refuse(served, obj["metadata"]["name"], causes)


def _refuse(served: ServedType, name: str, causes: Causes) -> None:
    if causes:
        raise invalid(served.group, served.kind, name, causes)


def _name_causes(served: ServedType, name: str) -> Causes:
    if served.resource in _PATH_NAMES:
        good = name not in {".", ".."} and not {"/", "%"} & set(name)
    elif served.resource in _LABEL_NAMES:
        good = bool(_LABEL.fullmatch(name)) and len(name) <= _LONGEST_LABEL
    else:
        good = bool(_SUBDOMAIN.fullmatch(name)) and len(name) <= _LONGEST_NAME
    if good:
        return []
    message = f'Invalid value: "{name}": not a name that {served.resource} may have'
    return [("metadata.name", "FieldValueInvalid", message)]


def _metadata_causes(obj: Mapping[str, Any]) -> Causes:
    causes = _label_causes(obj)
    for owner in obj["metadata"].get("ownerReferences") or []:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                where = f"metadata.ownerReferences.{field}"
                message = f'Invalid value: "": {field} must not be empty'
                causes.append((where, "FieldValueInvalid", message))
    return causes


def _label_causes(obj: Mapping[str, Any]) -> Causes:
    causes: Causes = []
    for key, value in (obj["metadata"].get("labels") or {}).items():
        text = str(value)
        if len(text) > _LONGEST_LABEL:
            message = f'Invalid value: "{text}": must be no more than 63 characters'
        elif not _LABEL_VALUE.fullmatch(text):
            message = f'Invalid value: "{text}": not a label value (label {key})'
        else:
            continue
        causes.append(("metadata.labels", "FieldValueInvalid", message))
    return causes


def _definition_causes(obj: Mapping[str, Any]) -> Causes:
    spec = obj.get("spec") or {}
    plural = (spec.get("names") or {}).get("plural", "")
    wanted = f"{plural}.{spec.get('group', '')}"
    if obj["metadata"]["name"] == wanted:
        return []
    message = f'Invalid value: must be spec.names.plural+"."+spec.group: {wanted}'
    return [("metadata.name", "FieldValueInvalid", message)]


def _at(obj: Any, field: str) -> Any:
    for step in field.split("."):
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    return obj
