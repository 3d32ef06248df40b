"""Restore CRDs of old in a form that ``apiextensions.k8s.io/v1`` accepts."""

from __future__ import annotations

from kbackup._kits.crd_schemas import opened_root
from kbackup._kits.edit import JSONObject, each_changed, replaced, without
from kbackup._kits.nested import mapping_at
from kbackup.errors import ClusterError
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_V1 = "apiextensions.k8s.io/v1"
_SCHEMA = ("schema", "openAPIV3Schema")


class CRDPreserveFieldsAction:
    """Say per version what was said for all (``velero.io/crd-preserve-fields``).

    The v1 API reads ``preserveUnknownFields: true`` of CRDs made through v1beta1, but
    refuses it in what is written. There the switch of a schema holds only down to the
    next property that is specified, so every object of the schema is given it: else the
    server would drop what the custom resources have in those.
    """

    name = "velero.io/crd-preserve-fields"
    applies_to = ResourceSelector(
        included_resources=("customresourcedefinitions.apiextensions.k8s.io",)
    )

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Move the switch into each version's schema; a live CRD may keep its own."""
        item = given.item
        if item.get("apiVersion") != _V1 or not _preserves(item):
            return RestoreOutput(item=item)
        if _preserves(_live(given)):
            return RestoreOutput(item=item)
        item = without(item, ("spec",), ("preserveUnknownFields",))
        return RestoreOutput(item=each_changed(item, ("spec", "versions"), _preserving))


def _preserves(definition: JSONObject) -> bool:
    return mapping_at(definition, "spec").get("preserveUnknownFields") is True


def _live(given: RestoreInput) -> JSONObject:
    """The CRD of the target; nothing where there is none, or none may be read."""
    try:
        return given.cluster.get(given.identifier) or {}
    except ClusterError:
        return {}


def _preserving(version: JSONObject) -> JSONObject:
    return replaced(version, _SCHEMA, opened_root(mapping_at(version, *_SCHEMA)))
