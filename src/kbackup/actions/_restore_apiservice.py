"""Leave APIServices to the API server that keeps them itself."""

from __future__ import annotations

from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"


class APIServiceAction:
    """Skip APIServices of built-in groups and of CRDs (``velero.io/apiservice``)."""

    name = "velero.io/apiservice"
    applies_to = ResourceSelector(
        included_resources=("apiservices.apiregistration.k8s.io",),
        label_selector=_AUTOMANAGED,
    )

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Skip: the target's API server makes its own."""
        return RestoreOutput(item=given.item, skip="kept by the API server itself")
