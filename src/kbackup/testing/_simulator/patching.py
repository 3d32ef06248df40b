"""Patches of all four kinds, from the content type to the stored object."""

from __future__ import annotations

import copy
from typing import Any

from kbackup._kits.patches import (
    JSONPatchError,
    StrategicPatchError,
    json_patch,
    merge_patch,
    strategic_merge,
)
from kbackup.testing._simulator import writing
from kbackup.testing._simulator.fields import Managers, fields_of, merge_applied
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.requests import WriteOptions
from kbackup.testing._simulator.state import Object, State
from kbackup.testing._simulator.status import ApiError, invalid, not_found

APPLY, APPLY_JSON = "application/apply-patch+yaml", "application/apply-patch+json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def patch(
    state: State,
    served: ServedType,
    *,
    namespace: str,
    name: str,
    body: Any,
    content_type: str,
    options: WriteOptions,
    subresource: str = "",
) -> tuple[Object, bool]:
    """Patch an object; return it as stored, and whether it was created.

    Raises:
        ApiError: The patch does not fit, or the result breaks a rule.
    """
    if content_type in {APPLY, APPLY_JSON}:
        return _apply(
            state,
            served,
            namespace=namespace,
            name=name,
            body=body,
            options=options,
            subresource=subresource,
        )
    old = state.get(served, namespace, name)
    if old is None:
        raise not_found(served.group, served.resource, name)
    obj = patched(served, old, body, content_type)
    metadata = writing.check_body(served, namespace, obj)
    if metadata.get("name") != name:
        field = "metadata.name"
        message = f'Invalid value: "{metadata.get("name")}": field is immutable'
        causes = [(field, "FieldValueInvalid", message)]
        raise invalid(served.group, served.kind, name, causes)
    writing.check_preconditions(served, old, metadata)
    replaced = writing.replace(
        state, served, old, obj, options=options, subresource=subresource
    )
    return replaced, False


def patched(served: ServedType, old: Object, body: Any, content_type: str) -> Object:
    """Return an object as a patch of one of the three older kinds makes it.

    Raises:
        ApiError: The patch does not fit, or is of another kind.
    """
    original = copy.deepcopy(old)
    try:
        if content_type == JSON_PATCH:
            if not isinstance(body, list):
                raise ApiError(400, "a JSON patch is a list of operations")
            new = json_patch(original, body)
        elif not isinstance(body, dict):
            raise ApiError(400, "a merge patch is a JSON object")
        elif content_type == MERGE:
            new = merge_patch(original, body)
        elif content_type == STRATEGIC and not served.custom:
            new = strategic_merge(original, body)
        else:
            raise unsupported(served, content_type)
    except JSONPatchError as exc:
        message = (
            f"the server rejected our request due to an error in our request: {exc}"
        )
        raise ApiError(422, message) from exc
    except StrategicPatchError as exc:
        raise ApiError(400, str(exc)) from exc
    if not isinstance(new, dict):
        raise ApiError(422, "the patched object is not a JSON object")
    return new


def is_known_patch(served: ServedType, content_type: str) -> bool:
    """Tell whether a patch of this media type is understood for a type."""
    known = {APPLY, APPLY_JSON, JSON_PATCH, MERGE}
    return content_type in known or (content_type == STRATEGIC and not served.custom)


def unsupported(served: ServedType, content_type: str) -> ApiError:
    """Return the refusal of a media type; names those that are understood."""
    kinds = [JSON_PATCH, MERGE, APPLY]
    if not served.custom:
        kinds.insert(2, STRATEGIC)
    return ApiError(
        415,
        "the body of the request was in an unknown format - accepted media types"
        f" include: {', '.join(kinds)} (given: {content_type or 'none'})",
    )


def _apply(
    state: State,
    served: ServedType,
    *,
    namespace: str,
    name: str,
    body: Any,
    options: WriteOptions,
    subresource: str,
) -> tuple[Object, bool]:
    """Server-side apply: the fields that the body names become the manager's."""
    metadata = writing.check_body(served, namespace, body)
    if metadata.get("managedFields"):
        raise ApiError(400, "metadata.managedFields must be nil")
    metadata.setdefault("name", name)
    old = state.get(served, namespace, name)
    if old is not None:
        writing.check_preconditions(served, old, metadata)
    elif subresource or metadata.get("uid"):
        raise not_found(served.group, served.resource, name)
    keys = writing.list_keys(served)
    applied = _what_is_applied(body, subresource)
    live: Object = {"metadata": {}} if old is None else old
    managers = Managers(live["metadata"].get("managedFields") or [])
    merged, taken = merge_applied(
        copy.deepcopy(live),
        applied,
        managers,
        options.manager,
        keys,
        force=options.force,
    )
    managers.assign(
        writing.manager_entry(served, options, "Apply", subresource),
        set(fields_of(applied, keys)),
        taken=taken,
        present=set(fields_of(merged, keys)),
    )
    merged["metadata"]["managedFields"] = managers.to_json()
    if old is None:
        made = writing.create(
            state, served, namespace, merged, options, operation="Apply"
        )
        return made, True
    stored = _store_applied(
        state, served, old, merged, options=options, subresource=subresource
    )
    return stored, False


def _what_is_applied(body: Object, subresource: str) -> Object:
    if subresource == "status":
        return {"metadata": {}, "status": body.get("status") or {}}
    applied = {k: v for k, v in body.items() if k not in {"apiVersion", "kind"}}
    applied["metadata"] = {
        k: v
        for k, v in body["metadata"].items()
        if k not in {"uid", "resourceVersion", "creationTimestamp", "generation"}
    }
    return applied


def _store_applied(
    state: State,
    served: ServedType,
    old: Object,
    merged: Object,
    *,
    options: WriteOptions,
    subresource: str,
) -> Object:
    if subresource == "status":
        entries = merged["metadata"]["managedFields"]
        merged = {**old, "status": merged.get("status", {})}
        merged["metadata"] = {**old["metadata"], "managedFields": entries}
        if options.dry_run:
            return merged
        writing.finish(state, served, merged)
        return merged
    if _same_managers(old, merged):
        # Only the times differ: nothing was applied that was not so already.
        merged["metadata"]["managedFields"] = old["metadata"].get("managedFields", [])
    return writing.replace(state, served, old, merged, options=options, tracked=True)


def _same_managers(old: Object, merged: Object) -> bool:
    def timeless(obj: Object) -> list[dict[str, Any]]:
        entries = obj["metadata"].get("managedFields") or []
        return [{k: v for k, v in e.items() if k != "time"} for e in entries]

    return timeless(old) == timeless(merged)
