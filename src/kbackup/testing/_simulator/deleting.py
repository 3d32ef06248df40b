"""Deleting objects: preconditions, finalizers, dependents, namespaces, definitions."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kbackup.testing._simulator import writing
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.state import (
    NAMESPACES,
    Object,
    State,
    timestamp,
    with_type,
)
from kbackup.testing._simulator.status import ApiError, not_found

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
_POLICIES = {"Orphan", "Background", "Foreground"}


def delete(
    state: State,
    served: ServedType,
    namespace: str,
    name: str,
    given: Mapping[str, Any],
) -> Object:
    """Delete one object as the DeleteOptions *given* say; return the answer.

    Raises:
        ApiError: It is not there, or a precondition does not hold.
    """
    obj = state.get(served, namespace, name)
    if obj is None:
        raise not_found(served.group, served.resource, name)
    policy = given.get("propagationPolicy") or _default_policy(given)
    if policy not in _POLICIES:
        raise ApiError(422, f'DeleteOptions is invalid: propagationPolicy: "{policy}"')
    writing.check_preconditions(served, obj, given.get("preconditions") or {})
    if "All" in (given.get("dryRun") or []):
        return _success(served, obj)
    remaining = _delete(state, served, obj, policy)
    return _success(served, obj) if remaining is None else remaining


def delete_silently(state: State, served: ServedType, obj: Object) -> None:
    """Delete an object as a controller would, dependents too."""
    _delete(state, served, obj, "Background")


def _default_policy(given: Mapping[str, Any]) -> str:
    return "Orphan" if given.get("orphanDependents") else "Background"


def _delete(
    state: State, served: ServedType, obj: Object, policy: str
) -> Object | None:
    """Delete *obj*; return what is left of it while finalizers hold it."""
    uid = obj["metadata"]["uid"]
    if policy == "Orphan":
        _orphan(state, uid)
    elif policy == "Foreground":
        _collect(state, uid)
    if served.storage_key == NAMESPACES:
        return _terminate(state, served, obj)
    if served.storage_key == DEFINITIONS:
        _delete_instances(state, obj)
    metadata = obj["metadata"]
    if metadata.get("finalizers"):
        if not metadata.get("deletionTimestamp"):
            _mark(served, obj)
            state.put(served, obj)
        return with_type(served, obj)
    state.remove(served, obj)
    _collect(state, uid)
    return None


def _mark(served: ServedType, obj: Object) -> None:
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = timestamp()
    metadata["deletionGracePeriodSeconds"] = 0
    if served.counts_generations:
        metadata["generation"] = metadata.get("generation", 0) + 1


def _terminate(state: State, served: ServedType, obj: Object) -> Object:
    """Begin to end a namespace; its content goes by and by."""
    if obj["metadata"]["name"] in {"default", "kube-system", "kube-public"}:
        name = obj["metadata"]["name"]
        raise ApiError(
            403,
            f'namespaces "{name}" is forbidden: this namespace may not be deleted',
            details={"name": name, "kind": "namespaces"},
        )
    if not obj["metadata"].get("deletionTimestamp"):
        obj["metadata"]["deletionTimestamp"] = timestamp()
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        state.put(served, obj)
    return with_type(served, obj)


def content_of(state: State, namespace: str) -> Iterable[tuple[ServedType, Object]]:
    """Yield what is in a namespace; the cluster may change meanwhile."""
    types = {each.storage_key: each for each in reversed(list(state.registry))}
    for key, served in types.items():
        if not served.namespaced:
            continue
        paths = [path for path, _ in state.storage.scan(key, prefix=f"{namespace}/")]
        for path in paths:
            obj = state.storage.get(key, path)
            if obj is not None:
                yield served, with_type(served, obj)


def finish_namespace(state: State, name: str) -> bool:
    """End a terminating namespace if nothing is left in it; return whether it ended."""
    served = state.registry.by_key(NAMESPACES)
    namespace = state.storage.get(NAMESPACES, name)
    if served is None or namespace is None:
        return True
    held = list(content_of(state, name))
    if not held:
        namespace["spec"] = {**namespace.get("spec", {}), "finalizers": []}
        writing.finish(state, served, namespace)
        return True
    before = copy.deepcopy(namespace.get("status"))
    namespace["status"] = {"phase": "Terminating", "conditions": _conditions(held)}
    if namespace["status"] != before:
        state.put(served, namespace)
    return False


def _conditions(held: list[tuple[ServedType, Object]]) -> list[Object]:
    """Say what keeps a namespace, in the words of the namespace controller."""
    types = Counter(f"{served.resource}.{served.group}" for served, _ in held)
    finalizers = Counter(
        name for _, obj in held for name in obj["metadata"].get("finalizers") or ()
    )
    left = [f"{each} has {number} resource instances" for each, number in types.items()]
    by = [
        f"{each} in {number} resource instances" for each, number in finalizers.items()
    ]
    content = f"Some resources are remaining: {', '.join(left)}"
    kept = f"Some content in the namespace has finalizers remaining: {', '.join(by)}"
    return [
        {"type": kind, "status": "True", "reason": reason, "message": message}
        for kind, reason, message in (
            ("NamespaceContentRemaining", "SomeResourcesRemain", content),
            ("NamespaceFinalizersRemaining", "SomeFinalizersRemain", kept),
        )
        if finalizers or message is content
    ]


def _delete_instances(state: State, definition: Object) -> None:
    group = definition["spec"]["group"]
    key = (group, definition["spec"]["names"]["plural"])
    served = state.registry.by_key(key)
    if served is None:
        return
    for path in [path for path, _ in state.storage.scan(key)]:
        instance = state.storage.get(key, path)
        if instance is not None:
            _delete(state, served, with_type(served, instance), "Background")


def _orphan(state: State, uid: str) -> None:
    """Take an owner away from its dependents."""
    for served, obj in state.dependents(uid):
        owners = obj["metadata"]["ownerReferences"]
        obj["metadata"]["ownerReferences"] = [o for o in owners if o["uid"] != uid]
        if not obj["metadata"]["ownerReferences"]:
            del obj["metadata"]["ownerReferences"]
        state.put(served, obj)


def _collect(state: State, uid: str) -> None:
    """Delete what only *uid* owned."""
    for served, obj in state.dependents(uid):
        owners = obj["metadata"]["ownerReferences"]
        others = [owner["uid"] for owner in owners if owner["uid"] != uid]
        if not any(state.exists(other) for other in others):
            _delete(state, served, obj, "Background")


def _success(served: ServedType, obj: Object) -> Object:
    details = {
        "name": obj["metadata"]["name"],
        "group": served.group,
        "kind": served.resource,
        "uid": obj["metadata"]["uid"],
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }
