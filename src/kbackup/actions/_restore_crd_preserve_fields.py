"""Restore CRDs of old in a form that ``apiextensions.k8s.io/v1`` accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup._kits.edit import JSONObject, each_changed, replaced, without
from kbackup._kits.nested import mapping_at
from kbackup.errors import ClusterError
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_V1 = "apiextensions.k8s.io/v1"
_SCHEMA = ("schema", "openAPIV3Schema")
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_SPECIFIABLE = frozenset({"name", "generateName"})
_TWO_TYPES = [{"type": "integer"}, {"type": "string"}]


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
    schema = {"type": "object", **mapping_at(version, *_SCHEMA)}
    return replaced(version, _SCHEMA, _opened(schema, is_resource=True))


def _opened(schema: JSONObject, *, is_resource: bool = False) -> JSONObject:
    """A schema that keeps every field; also one without a type, which v1 then accepts.

    Args:
        schema: Of a value; it is not changed.
        is_resource: The value has metadata of its own.
    """
    if "type" not in schema and schema.get("anyOf") in (_TWO_TYPES, _TWO_TYPES[::-1]):
        return {**schema, "anyOf": _TWO_TYPES, _INT_OR_STRING: True}
    opened = dict(schema)
    if schema.get("type", "object") == "object":
        opened[_PRESERVE] = True
    is_resource = is_resource or schema.get(_EMBEDDED) is True
    if isinstance(properties := schema.get("properties"), Mapping):
        opened["properties"] = {
            name: _metadata(inner)
            if is_resource and name == "metadata"
            else _opened_any(inner)
            for name, inner in properties.items()
        }
    for key in ("items", "additionalProperties"):
        if key in schema:
            opened[key] = _opened_any(schema[key])
    return opened


def _metadata(schema: Any) -> Any:
    """A schema of metadata, of which v1 lets nobody specify more than names.

    The server knows and keeps the rest by itself.
    """
    specified = mapping_at(schema, "properties").keys()
    return schema if specified <= _SPECIFIABLE else {"type": "object"}


def _opened_any(schema: Any) -> Any:
    return _opened(schema) if isinstance(schema, Mapping) else schema
