"""CustomResourceDefinitions of ``apiextensions.k8s.io/v1beta1``, as v1 has them.

Source: Kubernetes, deprecation guide for 1.22 and apiextensions-apiserver,
``pkg/apis/apiextensions/v1/conversion.go`` and ``v1beta1/defaults.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup._kits.crd_schemas import opened_root, structural_problems
from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup.restore.conversions._base import Body, Lose, each, fill, part

APPROVAL = "api-approved.kubernetes.io"

NOT_STRUCTURAL = "v1 needs a structural schema"
NO_SCHEMA = f"{NOT_STRUCTURAL}, this one has none and does not keep unknown fields"
UNAPPROVED = f"v1 wants it of a group of Kubernetes: the annotation {APPROVAL}"
NO_VERSION = "v1 needs one"
REFUSES = {
    "spec.versions[].schema": f"{NOT_STRUCTURAL}: what is wrong with it, and where",
    "spec.validation": NO_SCHEMA,
    "spec.versions": NO_VERSION,
    "metadata.annotations": UNAPPROVED,
}
MOVES = (
    (
        "`spec.version`, where there is no `spec.versions`, becomes a version that is served and "
        "stored"
    ),
    (
        "`spec.validation`, `spec.subresources` and `spec.additionalPrinterColumns` become those "
        "of each version: `schema`, `subresources`, `additionalPrinterColumns`"
    ),
    "`JSONPath` of a column becomes `jsonPath`",
    (
        "`spec.conversion.webhookClientConfig` and `conversionReviewVersions` become "
        "`spec.conversion.webhook.clientConfig` and `.conversionReviewVersions`; written out "
        "where it is not set: `[v1beta1]`"
    ),
    (
        "written out where they are not set: `spec.scope: Namespaced`, "
        "`spec.preserveUnknownFields: true`"
    ),
    (
        "`spec.preserveUnknownFields: true`, which v1 refuses in what is written, becomes "
        "`x-kubernetes-preserve-unknown-fields: true` of every object of the schemas: by the "
        "item action `velero.io/crd-preserve-fields`"
    ),
)
_FOR_ALL = {
    "validation": "schema",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
}
_GROUPS = ("k8s.io", "kubernetes.io")


def definition(body: Body, lose: Lose) -> None:
    """Say of each version what was said of all, and see whether v1 takes the schemas."""
    spec = body["spec"]
    named = spec.pop("version", None)
    if not spec.get("versions") and named:
        spec["versions"] = [{"name": named, "served": True, "storage": True}]
    if not spec.get("versions"):
        lose("spec.versions", NO_VERSION)
    _share(spec)
    fill(spec, {"scope": "Namespaced", "preserveUnknownFields": True})
    if spec["preserveUnknownFields"] is False:
        del spec["preserveUnknownFields"]  # v1 has nothing else
    _convert_conversion(part(spec, "conversion"))
    group = text_at(spec, "group")
    if any(group == own or group.endswith(f".{own}") for own in _GROUPS):
        annotations = body["metadata"].get("annotations") or {}
        if APPROVAL not in annotations:
            lose(f"metadata.annotations[{APPROVAL}]", UNAPPROVED)
    _check_schemas(body, lose)


def _share(spec: Body) -> None:
    """Give each version what all have in common, and columns their new field."""
    for old, new in _FOR_ALL.items():
        common = spec.pop(old, None)
        if common is not None:
            for version in spec.get("versions") or ():
                version[new] = common
    for version in spec.get("versions") or ():
        columns = version.get("additionalPrinterColumns")
        if columns:
            version["additionalPrinterColumns"] = [_column(x) for x in columns]


def _column(column: Mapping[str, Any]) -> Body:
    return {("jsonPath" if key == "JSONPath" else key): x for key, x in column.items()}


def _convert_conversion(conversion: Body) -> None:
    fill(conversion, {"strategy": "None"})
    client = conversion.pop("webhookClientConfig", None)
    versions = conversion.pop("conversionReviewVersions", None)
    if conversion["strategy"] == "Webhook" and not versions:
        versions = ["v1beta1"]
    if client is None and versions is None:
        return
    webhook: Body = {} if client is None else {"clientConfig": client}
    if versions is not None:
        webhook["conversionReviewVersions"] = versions
    conversion["webhook"] = webhook


def _check_schemas(body: Body, lose: Lose) -> None:
    """Name what v1 refuses of the schemas, as they are written in the end."""
    spec = body["spec"]
    preserves = spec.get("preserveUnknownFields") is True
    found = False
    for where, version in each(spec, "versions", "spec"):
        schema = mapping_at(version, "schema", "openAPIV3Schema")
        if not schema and not preserves:
            lose(f"{where}.schema", NO_SCHEMA)
            continue
        path = f"{where}.schema.openAPIV3Schema"
        final = opened_root(schema) if preserves else schema
        for place, reason in structural_problems(final, path):
            lose(place, f"{NOT_STRUCTURAL}: {reason}")
            found = True
    if not found and not preserves:  # what its own server said counts as well
        for condition in objects_at(body, "status", "conditions"):
            told = (condition.get("type"), condition.get("status"))
            if told == ("NonStructuralSchema", "True"):
                reason = text_at(condition, "message")
                lose("spec.versions[].schema", f"{NOT_STRUCTURAL}: {reason}")
