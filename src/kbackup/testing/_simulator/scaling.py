"""The scale sub-resource: the replicas of every workload in one form, `Scale`.

A Scale is made of the workload whenever it is asked for, and what is written to it
changes ``spec.replicas`` of the workload and nothing else.

Source: ``autoscaling/v1`` of Kubernetes' API, and its ``ScaleREST`` of each workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.testing._simulator import patching, writing
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.requests import WriteOptions
from kbackup.testing._simulator.state import Object, State
from kbackup.testing._simulator.status import ApiError, invalid

# What the body of a request is held to.
_SCALE = ServedType(
    group="autoscaling",
    version="v1",
    resource="scales",
    kind="Scale",
    namespaced=True,
    singular="scale",
)
_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def to_scale(workload: Mapping[str, Any]) -> Object:
    """Return the Scale of a workload; no replicas are an empty spec."""
    metadata, spec = workload["metadata"], workload.get("spec") or {}
    status = workload.get("status") or {}
    replicas = spec.get("replicas", 1)
    return {
        "kind": _SCALE.kind,
        "apiVersion": _SCALE.api_version,
        "metadata": {key: metadata[key] for key in _SHOWN if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": _selector_text(spec.get("selector") or {}),
        },
    }


def update_scale(
    state: State,
    served: ServedType,
    workload: Object,
    *,
    body: Any,
    options: WriteOptions,
) -> Object:
    """Give a workload the replicas of the Scale that is sent.

    Raises:
        ApiError: The workload was modified meanwhile, or that is no such Scale.
    """
    name = workload["metadata"]["name"]
    metadata = writing.check_body(_SCALE, workload["metadata"]["namespace"], body)
    if (given := metadata.get("name", "")) != name:
        raise _wrong_name(name, given)
    return _scaled(state, served, workload, body, options)


def patch_scale(
    state: State,
    served: ServedType,
    workload: Object,
    *,
    body: Any,
    content_type: str,
    options: WriteOptions,
) -> Object:
    """Give a workload the replicas of its Scale once that is patched.

    Server-side apply is refused as a media type that is not known.

    Raises:
        ApiError: As for `update_scale`, or the patch does not fit.
    """
    scale = patching.patched(_SCALE, to_scale(workload), body, content_type)
    return update_scale(state, served, workload, body=scale, options=options)


def _scaled(
    state: State,
    served: ServedType,
    workload: Object,
    scale: Object,
    options: WriteOptions,
) -> Object:
    writing.check_preconditions(served, workload, scale["metadata"])
    wanted = {**workload["spec"], "replicas": _replicas(scale)}
    stored = writing.replace(
        state,
        served,
        workload,
        {**workload, "spec": wanted},
        options=options,
        subresource="scale",
    )
    return to_scale(stored)


def _replicas(scale: Mapping[str, Any]) -> int:
    """Return the replicas that a Scale asks for; none said are none."""
    spec = scale.get("spec") or {}
    replicas = spec.get("replicas") if isinstance(spec, Mapping) else spec
    if replicas is None:
        return 0
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise ApiError(
            400,
            'Scale in version "v1" cannot be handled as a Scale: spec.replicas is not'
            " an integer",
        )
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes = [("spec.replicas", "FieldValueInvalid", message)]
        name = scale["metadata"]["name"]
        raise invalid(_SCALE.group, _SCALE.kind, name, causes)
    return replicas


def _wrong_name(name: str, given: str) -> ApiError:
    return ApiError(
        400,
        f"the name of the object ({given}) does not match the name on the URL ({name})",
    )


def _selector_text(selector: Mapping[str, Any]) -> str:
    """Return a selector as a query has it; a ReplicationController's are labels."""
    if not {"matchLabels", "matchExpressions"} & set(selector):
        selector = {"matchLabels": selector}
    terms = [(k, f"{k}={v}") for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append((key, text[operator]))
    return ",".join(text for _, text in sorted(terms))
