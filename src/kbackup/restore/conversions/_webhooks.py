"""Webhook configurations of ``admissionregistration.k8s.io/v1beta1``, as v1 has them.

Source: Kubernetes, deprecation guide for 1.22 and ``pkg/apis/admissionregistration``.
"""

from __future__ import annotations

from typing import Any

from kbackup.restore.conversions._base import Body, Lose, each, fill

SIDE_EFFECTS = "v1 takes None and NoneOnDryRun only; what else it may do nobody says"
SAME_NAME = "in v1 each webhook of a configuration has a name of its own"
REFUSES = {
    "webhooks[].sideEffects": SIDE_EFFECTS,
    "webhooks[].name": SAME_NAME,
}
DEFAULTS: dict[str, Any] = {
    "admissionReviewVersions": ["v1beta1"],
    "failurePolicy": "Ignore",
    "matchPolicy": "Exact",
    "timeoutSeconds": 30,
}
MOVES = (
    "written out where they are not set, for v1 takes other values for granted: "
    + ", ".join(f"`{key}: {value}`" for key, value in DEFAULTS.items()).replace(
        "'", ""
    ),
)
_SIDE_EFFECTS = ("None", "NoneOnDryRun")


def webhook_configuration(body: Body, lose: Lose) -> None:
    """Write out what v1 would take for granted in another way."""
    names: set[str] = set()
    for where, webhook in each(body, "webhooks"):
        fill(webhook, DEFAULTS)
        if webhook.get("sideEffects") not in _SIDE_EFFECTS:
            lose(f"{where}.sideEffects", SIDE_EFFECTS)
        if webhook["name"] in names:
            lose(f"{where}.name", SAME_NAME)
        names.add(webhook["name"])
