"""What resource modifiers make of an item: which rules are for it, and what they do."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.models import GroupResource, ResourceIdentifier, ResourceModifiers
from kbackup.restore._request.modifier_rules import read_rules
from kbackup.restore._request.modifiers import Modifiers

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "copy", "labels": {"app": "web"}},
    "spec": {
        "replicas": 3,
        "paused": True,
        "template": {
            "spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "args": ["-v"]},
                    {"name": "log", "image": "log:1"},
                ]
            }
        },
    },
}
REF = ResourceIdentifier(GroupResource("apps", "deployments"), "shop", "web")
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
NODE_REF = ResourceIdentifier(GroupResource("", "nodes"), "", "n1")
RENAME = {"patches": [{"operation": "add", "path": "/metadata/labels/x", "value": "1"}]}
CONTAINERS = "/spec/template/spec/containers"


def modified(*rules, item=WEB, ref=REF, **conditions):
    """What rules make of an item; those without conditions are for its type."""
    conditions = {"groupResource": str(ref.group_resource), **conditions}
    document = {
        "version": "v1",
        "resourceModifierRules": [{"conditions": conditions, **rule} for rule in rules],
    }
    read, broken = read_rules(ResourceModifiers.from_yaml(json.dumps(document)))
    assert not broken
    return Modifiers(read).modify(copy.deepcopy(item), ref)


def patches(*operations):
    """A rule of JSON patches, each (operation, path, value or from)."""
    written = []
    for operation, path, *rest in operations:
        key = "from" if operation in ("move", "copy") else "value"
        written.append(
            {
                "operation": operation,
                "path": path,
                **dict.fromkeys((key,) if rest else (), *rest),
            }
        )
    return {"patches": written}


def changed(content, pointer):
    """What is at a pointer; None where there is nothing."""
    for part in pointer.split("/")[1:]:
        is_list = isinstance(content, list)
        content = content[int(part)] if is_list else content.get(part)
    return content


@pytest.mark.parametrize(
    ("operation", "pointer", "expected"),
    [
        (("add", "/spec/minReadySeconds", "5"), "/spec/minReadySeconds", 5),
        (("add", f"{CONTAINERS}/0/args/-", "-x"), f"{CONTAINERS}/0/args/1", "-x"),
        (("add", f"{CONTAINERS}/0/args/0", "-x"), f"{CONTAINERS}/0/args", ["-x", "-v"]),
        (
            ("add", f"{CONTAINERS}/-", '{"name": "c", "image": "c:1"}'),
            f"{CONTAINERS}/2",
            {"name": "c", "image": "c:1"},
        ),
        (("remove", "/spec/paused"), "/spec/paused", None),
        (("remove", f"{CONTAINERS}/0"), f"{CONTAINERS}/0/name", "log"),
        (
            ("replace", f"{CONTAINERS}/-1/image", "log:2"),
            f"{CONTAINERS}/1/image",
            "log:2",
        ),
        (("replace", "/spec/replicas", "1"), "/spec/replicas", 1),
        (("replace", "/spec/replicas", '"1"'), "/spec/replicas", "1"),
        (("replace", "/spec/replicas", "null"), "/spec/replicas", None),
        (("replace", "/spec/paused", ""), "/spec/paused", ""),
        (("replace", "/spec/paused", "false"), "/spec/paused", False),
        (("move", "/spec/size", "/spec/replicas"), "/spec/size", 3),
        (("move", "/spec/size", "/spec/replicas"), "/spec/replicas", None),
        (
            ("copy", f"{CONTAINERS}/1/image", f"{CONTAINERS}/0/image"),
            f"{CONTAINERS}/1/image",
            "web:1",
        ),
    ],
)
def test_each_operation(operation, pointer, expected):
    """A JSON patch does to an item what it does to one that is patched by kubectl."""
    result = modified(patches(operation))

    found = changed(result.content, pointer)
    assert (found, type(found)) == (expected, type(expected))
    assert result.changed_by == ("resource modifier rule 1",)
    assert not result.errors


@pytest.mark.parametrize(
    "operation",
    [
        ("remove", "/spec/nope"),
        ("replace", "/spec/nope", "1"),
        ("add", "/spec/nope/deeper", "1"),
        ("add", f"{CONTAINERS}/9", "1"),
        ("move", "/spec/x", "/spec/nope"),
        ("copy", "/spec/x", "/spec/nope"),
        ("replace", "/metadata/namespace", "other"),
        ("replace", "/kind", "StatefulSet"),
        ("replace", "/apiVersion", "apps/v2"),
        ("replace", "/metadata", "none"),
        ("replace", "/metadata/labels", "none"),
        ("remove", "/metadata/name"),
    ],
)
def test_operations_that_do_not_fit(operation):
    """What cannot be done is an error of the item, which is as if there were no rule."""
    result = modified(patches(("replace", "/spec/replicas", "0"), operation))

    (error,) = result.errors
    assert error.startswith("resource modifier rule 1 is not applied: ")
    assert result.content == WEB
    assert result.changed_by == ()
    assert result.rules == (1,)


@pytest.mark.parametrize(
    "test",
    [
        ("test", "/spec/replicas", "4"),
        ("test", "/spec/replicas", '"3"'),
        ("test", "/spec/paused", "1"),
        ("test", "/spec/nope", "3"),
        ("test", "/spec/nope/deeper", "null"),
    ],
)
def test_a_test_that_fails(test):
    """The rule is not applied, none of it, and that is no error."""
    result = modified(patches(("replace", "/spec/replicas", "0"), test))

    assert (result.content, result.errors) == (WEB, ())
    assert result.rules == (1,)


def test_a_test_that_holds():
    """What follows it is done."""
    result = modified(
        patches(
            ("test", "/spec/replicas", "3"),
            ("test", "/spec/nope", "null"),
            ("replace", "/spec/replicas", "0"),
        )
    )

    assert result.content["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, True),
        ({"groupResource": "*.apps"}, True),
        ({"groupResource": "*"}, False),
        ({"groupResource": "**"}, True),
        ({"groupResource": "deployments"}, False),
        ({"resourceNameRegex": "e"}, True),
        ({"resourceNameRegex": "^e"}, False),
        ({"namespaces": ["shop"]}, True),
        ({"namespaces": ["other", "sh*"]}, True),
        ({"namespaces": ["copy"]}, False),
        ({"labelSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"labelSelector": {"matchLabels": {"app": "db"}}}, False),
        ({"matches": [{"path": "/spec/replicas", "value": "3"}]}, True),
        ({"matches": [{"path": "/metadata/namespace", "value": "shop"}]}, True),
        ({"matches": [{"path": "/spec/nope/deeper", "value": "3"}]}, False),
        ({"matches": [{"path": "/spec/nope", "value": "null"}]}, True),
        (
            {
                "matches": [
                    {"path": "/spec/replicas", "value": "3"},
                    {"path": "/spec/paused", "value": "false"},
                ]
            },
            False,
        ),
    ],
)
def test_conditions(conditions, expected):
    """A rule is for an item of which all its conditions hold, in the backup's words."""
    result = modified(RENAME, **conditions)

    assert result.rules == ((1,) if expected else ())
    assert ("x" in result.content["metadata"]["labels"]) is expected
    assert result.errors == ()


def test_cluster_scoped_items_have_no_namespace():
    """The namespaces of a rule leave cluster-scoped items to it, as in Velero."""
    rule = {"mergePatches": [{"patchData": "metadata: {labels: {x: '1'}}"}]}

    result = modified(rule, item=NODE, ref=NODE_REF, namespaces=["shop"])

    assert result.content["metadata"] == {"name": "n1", "labels": {"x": "1"}}


def test_merge_patches():
    """Values are set, null removes, a list is replaced; several apply in order."""
    result = modified(
        {
            "mergePatches": [
                {"patchData": '{"spec": {"replicas": 1, "paused": null}}'},
                {
                    "patchData": "spec: {replicas: 2, template: {spec: {containers: []}}}"
                },
            ]
        }
    )

    assert result.content["spec"] == {
        "replicas": 2,
        "template": {"spec": {"containers": []}},
    }


def test_strategic_patches():
    """Containers are known by their names; what the patch does not name stays."""
    data = "spec: {template: {spec: {containers: [{name: log, image: 'log:2'}]}}}"

    result = modified({"strategicPatches": [{"patchData": data}]})

    web, log = result.content["spec"]["template"]["spec"]["containers"]
    assert web == {"name": "web", "image": "web:1", "args": ["-v"]}
    assert log == {"name": "log", "image": "log:2"}


@pytest.mark.parametrize(
    "data",
    [
        "spec: {template: {spec: {containers: [{image: 'log:2'}]}}}",
        "spec: {$patch: dance}",
        "spec: {$retainKeys: 5}",
        "spec: {template: {spec: {$deleteFromPrimitiveList/containers: 5}}}",
    ],
)
def test_strategic_patches_that_do_not_fit(data):
    """A patch without its key or with odd directives is an error of the item."""
    result = modified({"strategicPatches": [{"patchData": data}]})

    assert len(result.errors) == 1
    assert result.content == WEB


def test_strategic_patches_of_custom_resources():
    """No lists of a custom type have keys that anybody knows: it is an error."""
    ref = ResourceIdentifier(GroupResource("example.com", "widgets"), "shop", "w")
    item = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"},
    }

    result = modified(
        {"strategicPatches": [{"patchData": "spec: {a: 1}"}]}, item=item, ref=ref
    )

    (error,) = result.errors
    assert "for widgets.example.com there are mergePatches" in error
    assert result.content == item


def test_rules_apply_in_order_and_match_what_was_there_before():
    """Each rule sees what the last one made, but is chosen by the item as it came."""
    document = ResourceModifiers.from_yaml("""\
version: v1
resourceModifierRules:
- conditions: {groupResource: deployments.apps}
  mergePatches: [{patchData: "spec: {replicas: 1}"}]
- conditions:
    groupResource: deployments.apps
    matches: [{path: /spec/replicas, value: 3}]
  patches: [{operation: move, from: /spec/replicas, path: /spec/size}]
- conditions: {groupResource: deployments.apps}
  patches: [{operation: remove, path: /spec/replicas}]
- conditions: {groupResource: deployments.apps}
  mergePatches: [{patchData: "spec: {paused: true}"}]
""")
    rules, _ = read_rules(document)

    result = Modifiers(rules).modify(copy.deepcopy(WEB), REF)

    assert result.content["spec"]["size"] == 1
    assert result.rules == (1, 2, 3, 4)
    assert result.changed_by == ("resource modifier rule 1", "resource modifier rule 2")
    assert [error[:24] for error in result.errors] == ["resource modifier rule 3"]


def test_an_item_stays_in_its_place():
    """Rules see the namespace of the backup, and leave the item where it goes."""
    result = modified({"mergePatches": [{"patchData": "metadata: {name: renamed}"}]})

    assert result.content["metadata"]["namespace"] == "copy"
    assert result.content["metadata"]["name"] == "renamed"


def test_values_of_an_item_are_in_no_error():
    """An error names paths, never what is there."""
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": "shop"},
        "data": {"key": "aHVudGVyMg=="},
    }
    ref = ResourceIdentifier(GroupResource("", "secrets"), "shop", "key")

    result = modified(
        patches(("replace", "/data/nope", "x")),
        patches(("add", "/data/key/nope", "x")),
        patches(("remove", "/data/key/0")),
        item=item,
        ref=ref,
    )

    assert len(result.errors) == 3
    assert "aHVudGVyMg" not in str(result.errors)


NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 3), st.text('x"\\', max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_any_value_can_be_written(value):
    """Whatever JSON can hold can be put somewhere: a text in quotes, all else as JSON."""
    result = modified(patches(("add", "/spec/new", json.dumps(value))))

    assert not result.errors
    assert json.dumps(result.content["spec"]["new"]) == json.dumps(value)


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_the_item_that_is_given_is_left_alone(spec):
    """Rules return another item; that they were given is as it was."""
    item = {**WEB, "spec": spec}
    before = json.dumps(item)
    document = ResourceModifiers.from_yaml("""\
version: v1
resourceModifierRules:
- conditions: {groupResource: "*.*"}
  patches: [{operation: add, path: /spec/a, value: '{"b": 1}'}]
- conditions: {groupResource: "*.*"}
  mergePatches: [{patchData: "spec: {a: {c: 2}}"}]
- conditions: {groupResource: "*.*"}
  strategicPatches: [{patchData: "spec: {a: {d: 3}}"}]
""")
    rules, _ = read_rules(document)

    result = Modifiers(rules).modify(item, REF)

    assert json.dumps(item) == before
    assert result.content["spec"]["a"] == {"b": 1, "c": 2, "d": 3}
