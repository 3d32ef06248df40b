"""PodDisruptionBudgets of ``policy/v1beta1``, as v1 has them.

Source: Kubernetes, deprecation guide for 1.25 and ``pkg/apis/policy/v1beta1``.
"""

from __future__ import annotations

from kbackup.restore.conversions._base import Body, Lose

EMPTY_MATCH = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"
MOVES = (
    (
        "`spec.selector: {}`, which selected no Pod and in v1 selects every one, becomes the "
        f"requirement that the label `{EMPTY_MATCH}` exists, which no Pod has: as the API "
        "server itself shows it in v1"
    ),
    (
        "the requirement that this label does not exist, by which the server shows in v1beta1 "
        "what in v1 selects every Pod, becomes `spec.selector: {}`"
    ),
)
_EVERY = {"matchExpressions": [{"key": EMPTY_MATCH, "operator": "DoesNotExist"}]}
_NONE = {"matchExpressions": [{"key": EMPTY_MATCH, "operator": "Exists"}]}


def disruption_budget(body: Body, _: Lose) -> None:
    """Select the Pods that were selected."""
    spec = body.get("spec") or {}
    selector = spec.get("selector")
    if selector is None:
        return
    filled = {key: value for key, value in selector.items() if value}
    if not filled:
        spec["selector"] = _NONE
    elif filled == _EVERY:
        spec["selector"] = {}
