"""Ingresses of ``extensions/v1beta1`` and ``networking.k8s.io/v1beta1``, as v1 has them.

Source: Kubernetes, deprecation guide for 1.22 and ``pkg/apis/networking``.
"""

from __future__ import annotations

import re

from kbackup.restore.conversions._base import Body, Lose, each, fill, rename

CLASS_ANNOTATION = "kubernetes.io/ingress.class"

TWO_CLASSES = (
    f"a new Ingress may not have the annotation {CLASS_ANNOTATION} and "
    "spec.ingressClassName"
)
SECRET_NAME = "v1 takes the name of a Secret only"  # noqa: S105 - no secret
REFUSES = {
    "metadata.annotations": TWO_CLASSES,
    "spec.tls[].secretName": SECRET_NAME,
}
MOVES = (
    "`spec.backend` becomes `spec.defaultBackend`",
    (
        "`serviceName` becomes `service.name`; `servicePort` becomes `service.port.number`, "
        "or `service.port.name` where it is a text"
    ),
    "`pathType` is written out where it is not set: `ImplementationSpecific`",
    f"the annotation `{CLASS_ANNOTATION}` stays as it is",
)
_SUBDOMAIN = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


def ingress(body: Body, lose: Lose) -> None:
    """Give backends their new shape, and every path a type."""
    spec = body.get("spec") or {}
    rename(spec, "backend", "defaultBackend")
    if spec.get("defaultBackend"):
        _convert_backend(spec["defaultBackend"])
    for _, rule in each(spec, "rules"):
        for path in (rule.get("http") or {}).get("paths") or ():
            fill(path, {"pathType": "ImplementationSpecific"})
            if path.get("backend"):
                _convert_backend(path["backend"])
    for where, tls in each(spec, "tls", "spec"):
        name = tls.get("secretName")
        if name and not _SUBDOMAIN.fullmatch(name):
            lose(f"{where}.secretName", SECRET_NAME)
    annotations = body["metadata"].get("annotations") or {}
    if spec.get("ingressClassName") and CLASS_ANNOTATION in annotations:
        lose(f"metadata.annotations[{CLASS_ANNOTATION}]", TWO_CLASSES)


def _convert_backend(backend: Body) -> None:
    name, port = backend.pop("serviceName", None), backend.pop("servicePort", None)
    if not name and not port:
        return  # it names a resource
    service: Body = {"name": name or ""}
    if port:
        service["port"] = {"name" if isinstance(port, str) else "number": port}
    backend["service"] = service
