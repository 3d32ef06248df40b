"""HorizontalPodAutoscalers of ``autoscaling/v2beta1``, as v2 has them.

Source: Kubernetes, ``pkg/apis/autoscaling/v2beta1/conversion.go``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kbackup.restore.conversions._base import Body, Lose, each

BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"

UNREADABLE_BEHAVIOR = "it is no behavior that can be read"
REFUSES = {f"metadata.annotations[{BEHAVIOR}]": UNREADABLE_BEHAVIOR}
MOVES = (
    (
        "each metric's `target...` fields become `target` with its `type`: `Utilization`, "
        "`Value` or `AverageValue`"
    ),
    (
        "`metricName` with `selector` or `metricSelector` becomes `metric`; the `target` of an "
        "Object metric becomes `describedObject`"
    ),
    (
        f"the annotation `{BEHAVIOR}`, where the server keeps it for this version, becomes "
        "`spec.behavior`"
    ),
    "the metrics in a status that is restored likewise",
)
_ZEROS = (None, "0", 0)


def autoscaler(body: Body, lose: Lose) -> None:
    """Give metrics their new shape, and the behavior its field."""
    for _, metric in each(body.get("spec") or {}, "metrics"):
        _convert_metric(metric, _TARGETS)
    for _, metric in each(body.get("status") or {}, "currentMetrics"):
        _convert_metric(metric, _CURRENTS)
    annotations = body["metadata"].get("annotations") or {}
    if BEHAVIOR not in annotations:
        return
    try:
        behavior = json.loads(annotations.pop(BEHAVIOR))
    except ValueError:
        behavior = None
    if not isinstance(behavior, dict):
        lose(f"metadata.annotations[{BEHAVIOR}]", UNREADABLE_BEHAVIOR)
        return
    body["spec"]["behavior"] = _in_lower_camel(behavior)
    if not annotations:
        del body["metadata"]["annotations"]


def _in_lower_camel(value: Any) -> Any:
    """Call fields as the API does: the annotation has the names of the server's code."""
    if isinstance(value, dict):
        return {
            key[:1].lower() + key[1:]: _in_lower_camel(inner)
            for key, inner in value.items()
            if inner is not None
        }
    return [_in_lower_camel(x) for x in value] if isinstance(value, list) else value


def _convert_metric(metric: Body, shapes: dict[str, Callable[[Body], None]]) -> None:
    for key, convert in shapes.items():
        if metric.get(key):
            convert(metric[key])


def _identify(source: Body, selector: str = "selector") -> None:
    metric = {"name": source.pop("metricName", "")}
    if (found := source.pop(selector, None)) is not None:
        metric["selector"] = found
    source["metric"] = metric


def _resource_target(source: Body) -> None:
    utilization = source.pop("targetAverageUtilization", None)
    value = source.pop("targetAverageValue", None)
    if utilization is None:
        source["target"] = {"type": "AverageValue", "averageValue": value}
    else:
        source["target"] = {"type": "Utilization", "averageUtilization": utilization}
        if value is not None:
            source["target"]["averageValue"] = value


def _pods_target(source: Body) -> None:
    _identify(source)
    value = source.pop("targetAverageValue", None)
    source["target"] = {"type": "AverageValue", "averageValue": value}


def _object_target(source: Body) -> None:
    _identify(source)
    source["describedObject"] = source.pop("target", {})
    value, average = source.pop("targetValue", None), source.pop("averageValue", None)
    source["target"] = _value_or_average(value, average, first=average)


def _external_target(source: Body) -> None:
    _identify(source, "metricSelector")
    value, average = (
        source.pop("targetValue", None),
        source.pop("targetAverageValue", None),
    )
    source["target"] = _value_or_average(
        value, average, first=average if value is None else None
    )


def _value_or_average(value: Any, average: Any, *, first: Any) -> Body:
    """A target; with an average the older version had to say a value as well: 0."""
    target: Body = {"type": "Value" if first is None else "AverageValue"}
    if average is None or value not in _ZEROS:
        target["value"] = value
    if average is not None:
        target["averageValue"] = average
    return target


def _resource_current(source: Body) -> None:
    current = {"averageValue": source.pop("currentAverageValue", None)}
    if (found := source.pop("currentAverageUtilization", None)) is not None:
        current["averageUtilization"] = found
    source["current"] = current


def _pods_current(source: Body) -> None:
    _identify(source)
    source["current"] = {"averageValue": source.pop("currentAverageValue", None)}


def _object_current(source: Body) -> None:
    _identify(source)
    source["describedObject"] = source.pop("target", {})
    _current(source, "averageValue")


def _external_current(source: Body) -> None:
    _identify(source, "metricSelector")
    _current(source, "currentAverageValue")


def _current(source: Body, average: str) -> None:
    current = {"value": source.pop("currentValue", None)}
    if (found := source.pop(average, None)) is not None:
        current["averageValue"] = found
    source["current"] = current


_TARGETS: dict[str, Callable[[Body], None]] = {
    "resource": _resource_target,
    "containerResource": _resource_target,
    "pods": _pods_target,
    "object": _object_target,
    "external": _external_target,
}
_CURRENTS: dict[str, Callable[[Body], None]] = {
    "resource": _resource_current,
    "containerResource": _resource_current,
    "pods": _pods_current,
    "object": _object_current,
    "external": _external_current,
}
