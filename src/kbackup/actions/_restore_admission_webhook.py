"""Restore webhook configurations of old in a form that the v1 API accepts."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject, each_changed
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_V1 = "admissionregistration.k8s.io/v1"
_ACCEPTED = frozenset({"None", "NoneOnDryRun"})


class AdmissionWebhookAction:
    """Make side effects sayable (``velero.io/admission-webhook-configuration``).

    Configurations made through v1beta1 may say ``Some`` or ``Unknown``, which the v1
    API reads but refuses in what is written.
    """

    name = "velero.io/admission-webhook-configuration"
    applies_to = ResourceSelector(
        included_resources=(
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        )
    )

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Say ``None`` for each webhook that says what v1 refuses."""
        if given.item.get("apiVersion") != _V1:
            return RestoreOutput(item=given.item)
        return RestoreOutput(item=each_changed(given.item, ("webhooks",), _accepted))


def _accepted(webhook: JSONObject) -> JSONObject:
    if webhook.get("sideEffects") in _ACCEPTED:
        return webhook
    return {**webhook, "sideEffects": "None"}
