"""What ``apiextensions.k8s.io/v1`` refuses of the schemas of definitions."""

import json

import pytest

from kbackup._kits.crd_schemas import structural_problems

TWO = [{"type": "integer"}, {"type": "string"}]
X = "x-kubernetes-"


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        ({"type": "object"}, []),
        ({"type": "object", f"{X}preserve-unknown-fields": True}, []),
        ({"type": "string"}, [".type"]),
        ({}, [".type"]),
        ({"type": "object", "additionalProperties": True}, [".additionalProperties"]),
        ({"type": "object", "definitions": {"a": {}}}, [".definitions"]),
        ({"properties": {"a": {"type": "array"}}}, [".type", ".properties[a].items"]),
        (
            {"properties": {"a": {"type": "array", "items": {}}}},
            [".type", ".properties[a].items.type"],
        ),
        (
            {"properties": {"a": {"type": "object", "additionalProperties": {}}}},
            [".type", ".properties[a].additionalProperties.type"],
        ),
        (
            {"properties": {"a": {f"{X}int-or-string": True, "anyOf": TWO}}},
            [".type"],
        ),
        (
            {
                "properties": {
                    "a": {f"{X}int-or-string": True, "allOf": [{"anyOf": TWO}]}
                }
            },
            [".type"],
        ),
        (
            {"properties": {"a": {"type": "string", "anyOf": TWO}}},
            [".type", ".properties[a].anyOf[0].type", ".properties[a].anyOf[1].type"],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "oneOf": [
                    {"required": ["a"]},
                    {"properties": {"a": {"minimum": 1}, "b": {"minimum": 1}}},
                ],
                "not": {"description": "no"},
            },
            [".oneOf[1].properties[b]", ".not.description"],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "string"}}},
                "allOf": [{"properties": {"a": {"items": {"type": "string"}}}}],
                "anyOf": [{"items": {"minLength": 1}}],
            },
            [".allOf[0].properties[a].items.type", ".anyOf[0].items"],
        ),
        ({"type": "object", "properties": {"metadata": {"type": "object"}}}, []),
        (
            {
                "type": "object",
                "properties": {
                    "metadata": {
                        "type": "object",
                        "properties": {"labels": {"type": "object"}},
                    }
                },
            },
            [".properties[metadata]"],
        ),
    ],
    ids=lambda x: json.dumps(x)[:40],
)
def test_where_a_schema_is_not_structural(schema, places):
    """What v1 refuses of a schema is named by its place."""
    found = sorted(place for place, _ in structural_problems(schema))

    assert found == sorted(places)
