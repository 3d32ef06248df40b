"""Resource modifiers are held against their rules, all of them at once."""

import pytest

from kbackup.models import ResourceModifiers
from kbackup.restore._request.modifier_rules import patch_value, read_rules


def faults(text):
    """What is wrong with one rule or several."""
    head = "version: v1\nresourceModifierRules:\n"
    _, broken = read_rules(ResourceModifiers.from_yaml(head + text))
    return broken


RULE = "- {conditions: {groupResource: pods}, "
REMOVE = "patches: [{operation: remove, path: /a}]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('""', ""),
        ("text", "text"),
        ("5", 5),
        ("-0.5e1", -5.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ("[]", []),
        ('"5"', "5"),
        ('"true"', "true"),
        ('"null"', "null"),
        (r'"say \"hi\""', 'say "hi"'),
        ("", ""),
        ("007", "007"),
        ("+5", "+5"),
        ("NaN", "NaN"),
        ("1Gi", "1Gi"),
        (" 5", " 5"),
        (r"a\tb", "a\tb"),
        ("two\nlines", "two\nlines"),
        ("Null", "Null"),
    ],
)
def test_values(text, expected):
    """A value is the JSON that it reads as, a text otherwise, and a text in quotes."""
    value = patch_value(text)

    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text", ["{secret", "[secret,]", 'secret "x"', r"C:\secret", '"secret', "1e999"]
)
def test_values_that_are_none(text):
    """A value with one foot in JSON is refused, and its text is not shown."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at
        patch_value(text)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {" + REMOVE, "conditions.groupResource: it is empty"),
        (
            "- {conditions: {groupResource: 'po[ds'}, " + REMOVE,
            "conditions.groupResource: 'po[ds' has a '[' without its counterpart",
        ),
        (
            "- {conditions: {groupResource: pods, resourceNameRegex: 'a('}, " + REMOVE,
            "conditions.resourceNameRegex: 'a(' is no regular expression",
        ),
        (
            "- {conditions: {groupResource: pods, resourceNameRegex: '[[:alpha:]]'}, "
            + REMOVE,
            "conditions.resourceNameRegex: '[[:alpha:]]' has a class",
        ),
        (
            "- {conditions: {groupResource: pods, namespaces: [a, '{b']}, " + REMOVE,
            "conditions.namespaces[1]: '{b' has a '{'",
        ),
        (
            "- {conditions: {groupResource: pods, labelSelector: "
            "{matchExpressions: [{key: a, operator: Is}]}}, " + REMOVE,
            "conditions.labelSelector: label selector: 'a' has the operator 'Is'",
        ),
        (
            "- {conditions: {groupResource: pods, matches: [{value: x}]}, " + REMOVE,
            "conditions.matches[0].path: it is empty",
        ),
        (
            "- {conditions: {groupResource: pods, matches: [{path: /a, value: '{'}]}, "
            + REMOVE,
            "conditions.matches[0].value: it begins as JSON",
        ),
        (RULE + "}", ": it takes one of patches, mergePatches, strategicPatches, and"),
        (
            RULE + "mergePatches: [{patchData: '{}'}], " + REMOVE,
            "strategicPatches, and has patches and mergePatches",
        ),
        (
            RULE + "patches: [{operation: add, path: a/b, value: x}]}",
            "patches[0].path: 'a/b' does not begin with '/'",
        ),
        (
            RULE + "patches: [{operation: add, path: /~a, value: x}]}",
            "patches[0].path: '/~a' has a '~'",
        ),
        (
            RULE + "patches: [{operation: remove}]}",
            "patches[0].path: it is empty",
        ),
        (
            RULE + "patches: [{operation: move, path: /a}]}",
            "patches[0].from: it is empty",
        ),
        (
            RULE + "patches: [{operation: add, path: /a, value: '{'}]}",
            "patches[0].value: it begins as JSON",
        ),
        (
            RULE + "mergePatches: [{patchData: '{}'}, {patchData: '- a'}]}",
            "mergePatches[1].patchData: it is no object",
        ),
        (
            RULE + "strategicPatches: [{patchData: '{a'}]}",
            "strategicPatches[0].patchData: it is neither YAML nor JSON",
        ),
    ],
)
def test_faults(text, expected):
    """A fault is named by the rule's number and the field."""
    (fault,) = faults(text)

    assert fault.startswith("resource modifier rule 1: ")
    assert expected in fault


def test_every_fault_of_every_rule():
    """All that is wrong is told at once; rules that are right are not named."""
    broken = faults(
        f"{RULE}{REMOVE}\n"
        "- {conditions: {resourceNameRegex: '('}, patches: [{operation: copy}]}\n"
        f"{RULE}mergePatches: [{{patchData: 'a'}}]}}"
    )

    assert [fault[: len("resource modifier rule 2")] for fault in broken] == [
        *["resource modifier rule 2"] * 4,
        "resource modifier rule 3",
    ]


def test_no_rules_and_another_version():
    """A document of another version, or one that does nothing, is refused."""
    _, broken = read_rules(ResourceModifiers(version="v2"))

    assert broken == [
        "resource modifiers: version 'v2' is not v1",
        "resource modifiers: there is no rule",
    ]


def test_good_rules_have_no_faults():
    """What Velero's documentation shows passes."""
    assert not faults("""\
- conditions:
    groupResource: persistentvolumeclaims
    resourceNameRegex: "^mysql.*$"
    namespaces: [bar, foo]
    labelSelector: {matchLabels: {foo: bar}}
  patches:
  - {operation: replace, path: "/spec/storageClassName", value: "premium"}
  - {operation: remove, path: "/metadata/labels/test"}
- conditions: {groupResource: pods, matches: [{path: /a, value: b}]}
  mergePatches:
  - patchData: |
      {"metadata": {"annotations": {"foo": null}}}
- conditions: {groupResource: "*.apps"}
  strategicPatches:
  - patchData: |
      spec:
        template: {}
""")
