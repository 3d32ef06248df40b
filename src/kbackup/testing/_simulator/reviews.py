"""Reviews: requests that are created to be answered and are never stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.state import Object, State
from kbackup.testing._simulator.writing import check_body

_USER = "simulated-admin"
_REVIEWS = ("SelfSubjectAccessReview", "SelfSubjectReview")


def answer(
    state: State, served: ServedType, body: Any, headers: Mapping[str, str]
) -> Object | None:
    """Return the review with its status; None where *body* is none.

    Raises:
        ApiError: It is no object, or another one.
    """
    if served.kind in _REVIEWS:
        check_body(served, "", body)
    if served.kind == "SelfSubjectAccessReview":
        spec = dict(body.get("spec") or {})
        return _reviewed(served, body, _access(state, spec))
    if served.kind == "SelfSubjectReview":
        user = headers.get("Impersonate-User", _USER)
        groups = ["system:masters", "system:authenticated"]
        return _reviewed(
            served, body, {"userInfo": {"username": user, "groups": groups}}
        )
    return None


def _access(state: State, spec: Mapping[str, Any]) -> Object:
    attributes = spec.get("resourceAttributes") or {}
    resource = attributes.get("resource", "")
    if attributes.get("group"):
        resource = f"{resource}.{attributes['group']}"
    verb, namespace = attributes.get("verb", ""), attributes.get("namespace", "")
    subresource = attributes.get("subresource", "")
    if state.faults.forbids(verb, resource, namespace, subresource):
        return {"allowed": False, "reason": "a fault on demand forbids it"}
    return {"allowed": True}


def _reviewed(served: ServedType, body: Object, status: Object) -> Object:
    return {
        "apiVersion": served.api_version,
        "kind": served.kind,
        "metadata": {"creationTimestamp": None},
        "spec": body.get("spec") or {},
        "status": status,
    }
