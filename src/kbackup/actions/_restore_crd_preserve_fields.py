"""Restore CRDs of old in a form that ``apiextensions.k8s.io/v1`` accepts."""

from __future__ import annotations

from kbackup.actions._edit import (
    JSONObject,
    each_changed,
    mapping_at,
    replaced,
    without,
)
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_V1 = "apiextensions.k8s.io/v1"
_SCHEMA = ("schema", "openAPIV3Schema")
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


class CRDPreserveFieldsAction:
    """Say per version what was said for all (``velero.io/crd-preserve-fields``).

    The v1 API reads ``preserveUnknownFields: true`` of CRDs made through v1beta1, but
    refuses it in what is written.
    """

    name = "velero.io/crd-preserve-fields"
    applies_to = ResourceSelector(
        included_resources=("customresourcedefinitions.apiextensions.k8s.io",)
    )

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Move the switch into the root of each version's schema."""
        item = given.item
        preserves = mapping_at(item, "spec").get("preserveUnknownFields") is True
        if item.get("apiVersion") != _V1 or not preserves:
            return RestoreOutput(item=item)
        item = without(item, ("spec",), ("preserveUnknownFields",))
        return RestoreOutput(item=each_changed(item, ("spec", "versions"), _preserving))


def _preserving(version: JSONObject) -> JSONObject:
    schema = dict(mapping_at(version, *_SCHEMA)) or {"type": "object"}
    return replaced(version, _SCHEMA, {**schema, _PRESERVE: True})
