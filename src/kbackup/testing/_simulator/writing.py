"""Creating and updating objects, by the rules of the API server."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping
from typing import Any

from kbackup.testing._simulator import defaults, validation
from kbackup.testing._simulator.fields import (
    Managers,
    built_in_list_keys,
    custom_list_keys,
    fields_of,
)
from kbackup.testing._simulator.metadata import check_metadata
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.requests import WriteOptions
from kbackup.testing._simulator.state import (
    NAMESPACES,
    Object,
    State,
    new_uid,
    timestamp,
    with_type,
)
from kbackup.testing._simulator.status import (
    MODIFIED,
    ApiError,
    already_exists,
    conflict,
    invalid,
    not_found,
)

# Names that the server makes avoid vowels, so that they spell nothing.
_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_NAME_BASE = 58
_SYSTEM_METADATA = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
    "generateName",
)


def create(
    state: State,
    served: ServedType,
    namespace: str,
    obj: Object,
    options: WriteOptions,
    *,
    operation: str = "Update",
) -> Object:
    """Create an object and return it as stored.

    Raises:
        ApiError: It exists, breaks a rule, or its namespace cannot take it.
    """
    metadata = check_body(served, namespace, obj)
    _generate_name(served, metadata)
    if served.namespaced:
        _check_namespace(state, served, namespace, metadata["name"])
    if metadata.get("resourceVersion") not in (None, "", "0"):
        message = "resourceVersion should not be set on objects to be created"
        raise ApiError(500, message, reason="")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = timestamp()
    metadata.pop("resourceVersion", None)
    metadata.pop("generation", None)
    if served.counts_generations:
        metadata["generation"] = 1
    defaults.fill_in(served, obj, state.addresses)
    validation.check_new(served, obj)
    there = state.get(served, namespace, metadata["name"])
    if there is not None:
        deleting = "deletionTimestamp" in there["metadata"]
        name = metadata["name"]
        raise already_exists(served.group, served.resource, name, deleting=deleting)
    if operation == "Update":
        _track(served, {"metadata": {}}, obj, options)
    if not options.dry_run:
        state.put(served, obj)
    return with_type(served, obj)


def update(
    state: State,
    served: ServedType,
    *,
    namespace: str,
    name: str,
    obj: Object,
    options: WriteOptions,
    subresource: str = "",
) -> Object:
    """Replace an object, or its part that a sub-resource writes.

    Raises:
        ApiError: It is gone, was modified meanwhile, or the change breaks a rule.
    """
    metadata = check_body(served, namespace, obj)
    if metadata.setdefault("name", name) != name:
        raise ApiError(
            400,
            f"the name of the object ({metadata['name']}) does not match the name on"
            f" the URL ({name})",
        )
    old = state.get(served, namespace, name)
    if old is None:
        raise not_found(served.group, served.resource, name)
    check_preconditions(served, old, metadata)
    if not served.unconditional and not metadata.get("resourceVersion"):
        field = "metadata.resourceVersion"
        message = "Invalid value: 0x0: must be specified for an update"
        causes = [(field, "FieldValueInvalid", message)]
        raise invalid(served.group, served.resource, name, causes)
    return replace(state, served, old, obj, options=options, subresource=subresource)


def replace(
    state: State,
    served: ServedType,
    old: Object,
    obj: Object,
    *,
    options: WriteOptions,
    subresource: str = "",
    tracked: bool = False,
) -> Object:
    """Store *obj* in place of *old*, whose preconditions were checked.

    *tracked* says that the managedFields of *obj* are as they must be.
    """
    new = _merge_parts(served, old, obj, subresource)
    if not subresource:
        defaults.complete_update(served, new, old, state.addresses)
    validation.check_update(served, new, old)
    if served.counts_generations and _desired(served, new) != _desired(served, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    if _content(new) == _content(old) and not _managers_differ(old, obj):
        return old
    if not tracked:
        _track(served, old, new, options, subresource)
    if options.dry_run:
        return with_type(served, new)
    finish(state, served, new)
    return with_type(served, new)


def finish(state: State, served: ServedType, obj: Object) -> None:
    """Store an object, or let it go when nothing holds it any longer."""
    metadata = obj["metadata"]
    held = metadata.get("finalizers")
    if served.storage_key == NAMESPACES:
        held = held or (obj.get("spec") or {}).get("finalizers")
    if metadata.get("deletionTimestamp") and not held:
        state.remove(served, obj)
    else:
        state.put(served, obj)


def check_body(served: ServedType, namespace: str, obj: Any) -> Object:
    """Check that a body is of the type and the namespace of its path.

    Returns:
        Its metadata, as a dictionary of its own.

    Raises:
        ApiError: It is not.
    """
    if not isinstance(obj, dict):
        raise ApiError(400, "the body of the request is not a JSON object")
    api_version = obj.get("apiVersion") or served.api_version
    if api_version != served.api_version:
        raise ApiError(
            400,
            f"the API version in the data ({api_version}) does not match the expected"
            f" API version ({served.api_version})",
        )
    kind = obj.get("kind") or served.kind
    if kind != served.kind:
        raise ApiError(
            400,
            f'{kind} in version "{served.version}" cannot be handled as a {served.kind}',
        )
    given = obj.get("metadata") or {}
    if not isinstance(given, Mapping):
        raise ApiError(400, "metadata is not a JSON object")
    metadata = {key: value for key, value in given.items() if value is not None}
    check_metadata(metadata)
    obj["metadata"] = metadata
    if not served.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise ApiError(
            400,
            "the namespace of the provided object does not match the namespace sent on"
            " the request",
        )
    return metadata


def check_preconditions(
    served: ServedType, old: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse to touch an object that is not the one that was meant.

    Raises:
        ApiError: The UID or the resourceVersion differs.
    """
    metadata = old["metadata"]
    group, resource, name = served.group, served.resource, metadata["name"]
    uid = wanted.get("uid")
    if uid and uid != metadata["uid"]:
        raise conflict(
            group,
            resource,
            name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta:"
            f" {metadata['uid']}",
        )
    version = wanted.get("resourceVersion")
    if version and version != metadata["resourceVersion"]:
        raise conflict(group, resource, name, MODIFIED)


def list_keys(served: ServedType) -> Any:
    """Return the function that knows how lists of a type are merged."""
    return custom_list_keys if served.custom else built_in_list_keys


def manager_entry(
    served: ServedType, options: WriteOptions, operation: str, subresource: str = ""
) -> dict[str, Any]:
    """Return a managedFields entry that owns nothing yet."""
    entry = {
        "manager": options.manager,
        "operation": operation,
        "apiVersion": served.api_version,
        "time": timestamp(),
    }
    return {**entry, "subresource": subresource} if subresource else entry


def _generate_name(served: ServedType, metadata: Object) -> None:
    if metadata.get("name"):
        return
    base = metadata.get("generateName")
    if not base:
        message = "Required value: name or generateName is required"
        causes = [("metadata.name", "FieldValueRequired", message)]
        raise invalid(served.group, served.kind, "", causes)
    suffix = "".join(secrets.choice(_NAME_ALPHABET) for _ in range(5))
    metadata["name"] = base[:_LONGEST_NAME_BASE] + suffix


def _check_namespace(
    state: State, served: ServedType, namespace: str, name: str
) -> None:
    found = state.storage.get(NAMESPACES, namespace)
    if found is None:
        raise not_found("", "namespaces", namespace)
    if found["metadata"].get("deletionTimestamp"):
        because = (
            f"unable to create new content in namespace {namespace} because it is being"
            " terminated"
        )
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        raise ApiError(
            403,
            f'{served.group_resource} "{name}" is forbidden: {because}',
            details={"name": name, "kind": served.resource, "causes": [cause]},
        )


def _merge_parts(
    served: ServedType, old: Object, obj: Object, subresource: str
) -> Object:
    """Return the new object: what this path may write, over what it may not."""
    if subresource == "status":
        new = copy.deepcopy(old)
        new.pop("status", None)
        if "status" in obj:
            new["status"] = obj["status"]
        return new
    if subresource == "finalize":
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        return {**old, "spec": {**old.get("spec", {}), "finalizers": finalizers}}
    new = dict(obj)
    if served.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    if served.storage_key == NAMESPACES:
        new["spec"] = old.get("spec", {})
    metadata = dict(new["metadata"])
    for field in _SYSTEM_METADATA:
        metadata.pop(field, None)
        if field in old["metadata"]:
            metadata[field] = old["metadata"][field]
    if not metadata.get("managedFields"):
        metadata["managedFields"] = old["metadata"].get("managedFields", [])
    new["metadata"] = metadata
    return new


def _desired(served: ServedType, obj: Mapping[str, Any]) -> Any:
    """Return what a generation counts the changes of."""
    if served.custom:
        left_out = {"metadata", "status"} if served.has_status else {"metadata"}
        left_out |= {"apiVersion", "kind"}
        return {key: value for key, value in obj.items() if key not in left_out}
    return {key: obj.get(key) for key in ("spec", "webhooks", "endpoints", "value")}


def _content(obj: Mapping[str, Any]) -> Any:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    empty = {k: v for k, v in metadata.items() if v not in ({}, [], None)}
    rest = {k: v for k, v in obj.items() if k not in {"apiVersion", "kind", "metadata"}}
    return {**rest, "metadata": empty}


def _managers_differ(old: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    given = obj["metadata"].get("managedFields")
    return bool(given) and given != old["metadata"].get("managedFields")


def _track(
    served: ServedType,
    old: Mapping[str, Any],
    new: Object,
    options: WriteOptions,
    subresource: str = "",
) -> None:
    """Let the writer manage what it changed."""
    keys = list_keys(served)
    before, after = fields_of(old, keys), fields_of(new, keys)
    changed = {
        path
        for path, value in after.items()
        if path not in before or before[path] != value
    }
    metadata = new["metadata"] = dict(new["metadata"])
    managers = Managers(metadata.get("managedFields") or [])
    owned = managers.owned_by(options.manager, "Update", subresource)
    managers.assign(
        manager_entry(served, options, "Update", subresource),
        (owned | changed) & after.keys(),
        taken=changed,
        present=set(after),
    )
    metadata["managedFields"] = managers.to_json()
