"""Merge, strategic and JSON patches."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.patches import (
    JSONPatchError,
    JSONPatchTestError,
    StrategicPatchError,
    create_merge_patch,
    holds,
    json_patch,
    merge_patch,
    pointer_fault,
    strategic_merge,
)

LEAVES = st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def typed(value):
    """Return *value* so that True and 1 differ, as they do in JSON."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, value)


@given(OBJECTS, OBJECTS)
def test_a_created_merge_patch_leads_there(before, after):
    """The patch from one object to another turns the first into the second."""
    patch = create_merge_patch(before, after)

    assert typed(merge_patch(before, patch)) == typed(after)


@given(OBJECTS)
def test_no_difference_no_patch(obj):
    """Between equal objects the patch is empty."""
    assert create_merge_patch(obj, copy.deepcopy(obj)) == {}


@given(OBJECTS, OBJECTS)
def test_patches_leave_their_input_alone(before, patch):
    """Neither target nor patch is changed, and a second time changes nothing."""
    copies = copy.deepcopy((before, patch))

    once = merge_patch(before, patch)

    assert typed([before, patch]) == typed(list(copies))
    assert typed(merge_patch(once, patch)) == typed(once)


# The examples of RFC 7386, appendix A.
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_examples_of_the_rfc(target, patch, result):
    """Every example of RFC 7386 comes out as printed there."""
    assert merge_patch(target, patch) == result


def pod(*containers, **spec):
    """Return a Pod's desired state."""
    return {"spec": {"containers": list(containers), **spec}}


def test_strategic_merge_by_name():
    """Containers are merged by name; what the patch does not name stays."""
    target = pod({"name": "a", "image": "1", "tty": True}, {"name": "b", "image": "1"})

    patch = pod({"name": "b", "image": "2"}, {"name": "c", "image": "3"})

    assert strategic_merge(target, patch) == pod(
        {"name": "a", "image": "1", "tty": True},
        {"name": "b", "image": "2"},
        {"name": "c", "image": "3"},
    )


@pytest.mark.parametrize(
    ("named", "expected"),
    [("bc", "abc"), ("cb", "cab"), ("c", "cab"), ("ac", "acb"), ("ba", "ba")],
)
def test_strategic_order_of_new_elements(named, expected):
    """As in the API server: the patch has its order, what it does not name is behind."""
    target = pod({"name": "a"}, {"name": "b"})

    result = strategic_merge(target, pod(*({"name": name} for name in named)))

    assert "".join(x["name"] for x in result["spec"]["containers"]) == expected


def test_strategic_replaces_what_only_one_kind_replaces():
    """The selector of a PodDisruptionBudget is replaced, that of a Deployment merged."""
    old = {"matchLabels": {"app": "web", "tier": "front"}}
    patch = {"spec": {"selector": {"matchLabels": {"app": "shop"}}}}

    budget, deployment = (
        strategic_merge({"kind": kind, "spec": {"selector": old}}, patch)
        for kind in ("PodDisruptionBudget", "Deployment")
    )

    assert budget["spec"]["selector"]["matchLabels"] == {"app": "shop"}
    assert deployment["spec"]["selector"]["matchLabels"] == {
        "app": "shop",
        "tier": "front",
    }


def test_strategic_delete_and_replace():
    """An element, and a whole list or map, can be removed or replaced."""
    target = pod({"name": "a"}, {"name": "b"}, nodeSelector={"x": "1"})

    deleted = strategic_merge(target, pod({"name": "a", "$patch": "delete"}))
    replaced = strategic_merge(target, pod({"$patch": "replace"}, {"name": "c"}))
    chosen = {"spec": {"nodeSelector": {"$patch": "replace", "y": "2"}}}
    selected = strategic_merge(target, chosen)

    assert deleted["spec"]["containers"] == [{"name": "b"}]
    assert replaced["spec"]["containers"] == [{"name": "c"}]
    assert selected["spec"]["nodeSelector"] == {"y": "2"}


def test_strategic_sets():
    """Finalizers are a set: added to, and removed from by a directive."""
    target = {"metadata": {"finalizers": ["a", "b"]}}

    added = strategic_merge(target, {"metadata": {"finalizers": ["b", "c"]}})
    directive = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    removed = strategic_merge(target, directive)

    assert added["metadata"]["finalizers"] == ["a", "b", "c"]
    assert removed["metadata"]["finalizers"] == ["b"]


def test_strategic_order_and_retained_keys():
    """An order is kept to; keys that are not retained go."""
    target = pod({"name": "a"}, {"name": "b"}, strategy={"type": "x", "old": 1})

    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "strategy": {"$retainKeys": ["type"], "type": "y"},
        }
    }
    result = strategic_merge(target, patch)

    assert result["spec"]["containers"] == [{"name": "b"}, {"name": "a"}]
    assert result["spec"]["strategy"] == {"type": "y"}


def test_strategic_atomic_lists():
    """A list without a key, such as tolerations, is replaced."""
    target = pod(tolerations=[{"key": "a"}])

    result = strategic_merge(target, {"spec": {"tolerations": [{"key": "b"}]}})

    assert result["spec"]["tolerations"] == [{"key": "b"}]


def test_strategic_patch_without_key():
    """An element without its key is an error that names list and key."""
    with pytest.raises(StrategicPatchError, match=r"spec\.containers .* name"):
        strategic_merge(pod({"name": "a"}), pod({"image": "1"}))


@given(OBJECTS, OBJECTS)
def test_strategic_is_merge_where_no_list_is_merged(target, patch):
    """Without lists that have keys a strategic merge is a merge patch."""
    assert typed(strategic_merge(target, patch)) == typed(merge_patch(target, patch))


def test_json_patch():
    """Operations are applied in order, to a copy."""
    target = {"a": [1, 2]}

    result = json_patch(
        target,
        [{"op": "add", "path": "/a/-", "value": 3}, {"op": "remove", "path": "/a/0"}],
    )

    assert (result, target) == ({"a": [2, 3]}, {"a": [1, 2]})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/nope"},
        {"op": "dance", "path": "/a"},
        {"path": "/a"},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/a/c", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "remove", "path": "/l/-3"},
        {"op": "remove", "path": "/l/first"},
        {"op": "replace", "path": "/l/-", "value": 1},
        {"op": "copy", "path": "/b"},
        {"op": "move", "from": "/nope", "path": "/b"},
        {"op": "move", "from": "/o", "path": "/o/p"},
        "remove",
    ],
)
def test_json_patch_that_does_not_fit(operation):
    """What cannot be applied is one error, whatever was wrong."""
    with pytest.raises(JSONPatchError) as caught:
        json_patch({"a": 1, "l": ["secret", 2], "o": {}}, [operation])

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "replace", "path": "/-1", "value": 9}, [1, 9]),
        ({"op": "remove", "path": "/-2"}, [2]),
        ({"op": "add", "path": "/-1", "value": 9}, [1, 2, 9]),
        ({"op": "add", "path": "/-2", "value": 9}, [1, 9, 2]),
        ({"op": "move", "from": "/0", "path": "/-1"}, [2, 1]),
        ({"op": "copy", "from": "/-1", "path": "/0"}, [2, 1, 2]),
    ],
)
def test_json_patch_counts_from_the_end(operation, expected):
    """As in the API server, -1 is the last of a list, or for what is added its end."""
    assert json_patch([1, 2], [operation]) == expected


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/a", 1, True),
        ("/a", True, False),
        ("/l/1", True, True),
        ("/l/1", 1, False),
        ("/l/-1", True, True),
        ("/l/2", None, False),
        ("/s/0", "t", False),
        ("/o", {"x~/y": [1]}, True),
        ("/o", {"x~/y": [True]}, False),
        ("/o/x~0~1y/0", 1, True),
        ("/nope", None, True),
        ("/nope", "", False),
        ("/nope/below", None, False),
        ("/n", None, True),
    ],
)
def test_json_patch_tests(path, value, expected):
    """A test compares JSON values; a key that is not there is null, nothing else is."""
    target = {"a": 1, "l": [1, True], "s": "text", "o": {"x~/y": [1]}, "n": None}

    assert holds(target, path, value) is expected
    if expected:
        json_patch(target, [{"op": "test", "path": path, "value": value}])
    else:
        with pytest.raises(JSONPatchTestError):
            json_patch(target, [{"op": "test", "path": path, "value": value}])


def test_json_patch_shares_nothing_with_its_value():
    """What one document does to a value that was put into it does not show in the next."""
    operation = {"op": "add", "path": "/labels", "value": {"a": "1"}}

    json_patch({}, [operation])["labels"]["b"] = "2"

    assert json_patch({}, [operation]) == {"labels": {"a": "1"}}


@given(VALUES)
def test_json_patch_adds_and_tests_any_value(value):
    """What was added at a path is there, and is gone once it was removed."""
    added = json_patch({"x": 0}, [{"op": "add", "path": "/new", "value": value}])

    assert holds(added, "/new", value)
    assert json_patch(added, [{"op": "remove", "path": "/new"}]) == {"x": 0}


@pytest.mark.parametrize("text", ["", "/", "/a/b", "/a~0b~1c"])
def test_json_pointers(text):
    """Pointers begin with a slash or are empty."""
    assert pointer_fault(text) == ""


@pytest.mark.parametrize("text", ["a/b", "/a~", "/a~2b"])
def test_bad_json_pointers(text):
    """Anything else is told, with the text itself."""
    assert repr(text) in pointer_fault(text)
