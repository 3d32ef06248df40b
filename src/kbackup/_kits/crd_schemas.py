"""Schemas of definitions: opened for every field, and held against v1's demands. Pure.

``apiextensions.k8s.io/v1`` takes structural schemas only. Source: Kubernetes,
apiextensions-apiserver, ``pkg/apiserver/schema/validation.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup._kits.nested import mapping_at

Schema = Mapping[str, Any]
Problem = tuple[str, str]
"""Where in a schema, and what v1 demands there."""

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_SPECIFIABLE = frozenset({"name", "generateName"})
_TWO_TYPES = [{"type": "integer"}, {"type": "string"}]

# --- opened ---------------------------------------------------------------------------


def opened(schema: Schema, *, is_resource: bool = False) -> Schema:
    """A schema that keeps every field; also one without a type, which v1 then accepts.

    A switch that keeps fields holds only down to the next property that is specified,
    so every object of the schema is given it.

    Args:
        schema: Of a value; it is not changed.
        is_resource: The value has metadata of its own.
    """
    if "type" not in schema and schema.get("anyOf") in (_TWO_TYPES, _TWO_TYPES[::-1]):
        return {**schema, "anyOf": _TWO_TYPES, _INT_OR_STRING: True}
    result = dict(schema)
    if schema.get("type", "object") == "object":
        result[_PRESERVE] = True
    is_resource = is_resource or schema.get(_EMBEDDED) is True
    if isinstance(properties := schema.get("properties"), Mapping):
        result["properties"] = {
            name: _metadata(inner)
            if is_resource and name == "metadata"
            else _opened_any(inner)
            for name, inner in properties.items()
        }
    for key in ("items", "additionalProperties"):
        if key in schema:
            result[key] = _opened_any(schema[key])
    return result


def opened_root(schema: Schema) -> Schema:
    """The same of a whole resource, which is an object even if nothing says so."""
    return opened({"type": "object", **schema}, is_resource=True)


def _metadata(schema: Any) -> Any:
    """A schema of metadata, of which v1 lets nobody specify more than names.

    The server knows and keeps the rest by itself.
    """
    specified = mapping_at(schema, "properties").keys()
    return schema if specified <= _SPECIFIABLE else {"type": "object"}


def _opened_any(schema: Any) -> Any:
    return opened(schema) if isinstance(schema, Mapping) else schema


# --- structural -----------------------------------------------------------------------

_UNKNOWN = (
    "$ref",
    "$schema",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
)
_NOT_NESTED = (
    "additionalProperties",
    "default",
    "description",
    "externalDocs",
    "nullable",
    "title",
    "type",
    _EMBEDDED,
    _INT_OR_STRING,
    _PRESERVE,
)
_JUNCTORS = ("allOf", "anyOf", "oneOf")


def structural_problems(schema: Schema, path: str = "") -> Iterator[Problem]:
    """Yield what keeps the schema of a whole resource from being structural.

    Args:
        schema: Of one version of a definition.
        path: What the places begin with.

    Raises:
        TypeError, ValueError, AttributeError: It is no schema.
    """
    if schema.get("type") not in (None, "object"):
        yield f"{path}.type", "it has to be object"
    if "additionalProperties" in schema:
        yield f"{path}.additionalProperties", "the root may not have it"
    metadata = mapping_at(schema, "properties").get("metadata")
    if metadata is not None:
        inner = {key: value for key, value in metadata.items() if key != "description"}
        names = inner.pop("properties", None) or {}
        if not names.keys() <= _SPECIFIABLE or inner != {"type": "object"}:
            where = f"{path}.properties[metadata]"
            yield where, "only name and generateName can be specified"
    yield from _shape(schema, path)


def _shape(schema: Schema, path: str) -> Iterator[Problem]:
    """What is wrong with one value, and with those inside it."""
    for key in _UNKNOWN:
        if schema.get(key):
            yield f"{path}.{key}", "there is no such field"
    two = schema.get(_INT_OR_STRING)
    if not schema.get("type") and not two and not schema.get(_PRESERVE):
        yield f"{path}.type", "it has to be said"
    if isinstance(items := schema.get("items"), Mapping):
        yield from _shape(items, f"{path}.items")
    elif items or schema.get("type") == "array":
        yield f"{path}.items", "it has to be one schema"
    for name, inner in (schema.get("properties") or {}).items():
        yield from _shape(inner, f"{path}.properties[{name}]")
    if isinstance(further := schema.get("additionalProperties"), Mapping):
        yield from _shape(further, f"{path}.additionalProperties")
    yield from _junctors(schema, schema, path, two=bool(two))


def _junctors(
    outer: Schema | None, schema: Schema, path: str, *, two: bool = False
) -> Iterator[Problem]:
    """What is wrong with the alternatives of a value."""
    for key in _JUNCTORS:
        if two and key == "anyOf" and schema.get(key) == _TWO_TYPES:
            continue
        for index, nested in enumerate(schema.get(key) or ()):
            first = two and key == "allOf" and index == 0
            yield from _nested(outer, nested, f"{path}.{key}[{index}]", two=first)
    if schema.get("not"):
        yield from _nested(outer, schema["not"], f"{path}.not")


def _nested(
    outer: Schema | None, schema: Schema, path: str, *, two: bool = False
) -> Iterator[Problem]:
    """What is wrong with one alternative: it may demand, but not specify."""
    for key in _NOT_NESTED:
        if schema.get(key):
            yield f"{path}.{key}", "an alternative may not have it"
    yield from _junctors(outer, schema, path, two=two)
    inner = [
        (f"{path}.properties[{name}]", each, mapping_at(outer, "properties").get(name))
        for name, each in (schema.get("properties") or {}).items()
    ]
    if schema.get("items"):
        inner.append((f"{path}.items", schema["items"], mapping_at(outer).get("items")))
    for where, each, specified in inner:
        if specified is None:
            yield where, "it has to be specified outside of the alternatives, too"
        else:
            yield from _nested(specified, each, where)
