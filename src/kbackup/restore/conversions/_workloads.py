"""Workloads of ``extensions/v1beta1``, ``apps/v1beta1`` and ``apps/v1beta2``, as v1 has them.

What a version took for granted is written out where the next one takes something else.
Source: Kubernetes, deprecation guide for 1.16, and ``defaults.go`` and ``conversion.go``
of these versions in ``pkg/apis``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.restore.conversions._base import Body, Lose, fill, part

ROLLBACK = "deprecated.deployment.rollback.to"
GENERATION = "deprecated.daemonset.template.generation"
_NO_LIMIT = 2147483647  # by which these versions say that there is none

NO_SELECTOR = "v1 needs one, and the template has no labels that it could be made of"
REFUSES = {"spec.selector": NO_SELECTOR}

_OF_EXTENSIONS = {
    "revisionHistoryLimit": _NO_LIMIT,
    "progressDeadlineSeconds": _NO_LIMIT,
}
_OF_APPS_V1BETA1 = {"revisionHistoryLimit": 2}
_ONE_AT_A_TIME = {"maxUnavailable": 1, "maxSurge": 1}
_ON_DELETE = {"type": "OnDelete"}


def _written_out(defaults: Mapping[str, Any]) -> str:
    told = ", ".join(f"`{key}: {value}`" for key, value in defaults.items())
    return (
        f"written out where they are not set, for v1 takes others for granted: {told}"
    )


OF_EXTENSIONS_MOVE = _written_out({**_OF_EXTENSIONS, **_ONE_AT_A_TIME})
OF_APPS_V1BETA1_MOVE = _written_out(_OF_APPS_V1BETA1)
ON_DELETE_MOVE = _written_out({"updateStrategy.type": _ON_DELETE["type"]})
SELECTOR_MOVE = "`spec.selector`, where it is not set, is the template's labels"
LABELS_MOVE = "`metadata.labels`, where there are none, are the template's labels"
ROLLBACK_MOVE = f"`spec.rollbackTo` becomes the annotation `{ROLLBACK}`, as the API server shows it in v1"
GENERATION_MOVE = (
    f"`spec.templateGeneration` becomes the annotation `{GENERATION}`, as the API server "
    "shows it in v1"
)


def deployment_of_extensions(body: Body, lose: Lose) -> None:
    """A Deployment of ``extensions/v1beta1``: no limits, one Pod at a time."""
    spec = part(body, "spec")
    fill(spec, _OF_EXTENSIONS)
    strategy = part(spec, "strategy")
    if strategy.get("type") in (None, "", "RollingUpdate"):
        strategy["type"] = "RollingUpdate"
        fill(part(strategy, "rollingUpdate"), _ONE_AT_A_TIME)
    _roll_back(body)
    selecting(body, lose)


def deployment_of_apps_v1beta1(body: Body, lose: Lose) -> None:
    """A Deployment of ``apps/v1beta1``: two old ReplicaSets are kept."""
    fill(part(body, "spec"), _OF_APPS_V1BETA1)
    _roll_back(body)
    selecting(body, lose)


def daemon_set(body: Body, lose: Lose) -> None:
    """A DaemonSet: its Pods are replaced when they are deleted."""
    spec = part(body, "spec")
    fill(part(spec, "updateStrategy"), _ON_DELETE)
    generation = spec.pop("templateGeneration", None)
    if generation:
        _annotate(body, GENERATION, generation)
    selecting(body, lose)


def stateful_set(body: Body, lose: Lose) -> None:
    """A StatefulSet: its Pods are replaced when they are deleted."""
    fill(part(part(body, "spec"), "updateStrategy"), _ON_DELETE)
    selecting(body, lose)


def selecting(body: Body, lose: Lose) -> None:
    """Write out which Pods a workload has, as v1 wants to be told."""
    spec = part(body, "spec")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not body["metadata"].get("labels"):
        body["metadata"]["labels"] = dict(labels)
    if spec.get("selector") is not None:
        return
    if labels:
        spec["selector"] = {"matchLabels": dict(labels)}
    else:
        lose("spec.selector", NO_SELECTOR)


def _roll_back(body: Body) -> None:
    rollback = body["spec"].pop("rollbackTo", None)
    if rollback is not None:
        _annotate(body, ROLLBACK, rollback.get("revision") or 0)


def _annotate(body: Body, key: str, value: int) -> None:
    part(body["metadata"], "annotations")[key] = str(value)
