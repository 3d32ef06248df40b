"""Changing nested JSON without touching the input."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.edit import (
    each_changed,
    pod_spec_paths,
    replaced,
    with_list,
    without,
)
from kbackup._kits.nested import mapping_at, text_at

KEYS = st.sampled_from("abc")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)
PATHS = st.lists(KEYS, min_size=1, max_size=3)


@given(OBJECTS, PATHS, KEYS)
def test_inputs_are_never_changed(item, path, key):
    """Whatever the shape of an object, editing it leaves the object as it was."""
    before = copy.deepcopy(item)

    replaced(item, path, "new")
    without(item, path, (key,))
    with_list(item, path, [])
    each_changed(item, path, lambda element: {**element, key: "new"})

    assert item == before


@given(OBJECTS, PATHS)
def test_replaced_can_be_read_back(item, path):
    """What was put at a path is found at that path."""
    assert text_at(replaced(item, path, "new"), *path) == "new"


@given(OBJECTS, PATHS, KEYS)
def test_without_removes_the_key_and_nothing_else(item, path, key):
    """The key is gone afterwards; putting it back gives the old object."""
    parent = mapping_at(item, *path)

    after = without(item, path, (key,))

    assert key not in mapping_at(after, *path)
    if key in parent:
        assert replaced(after, [*path, key], parent[key]) == item
    else:
        assert after is item


def test_each_changed_without_a_change_is_the_same_object():
    """Where no element changes the very object given comes back: nothing to write."""
    item = {"spec": {"ports": [{"port": 80}, "odd"]}}

    assert each_changed(item, ("spec", "ports"), lambda port: port) is item


def test_lists_that_become_empty_vanish():
    """An empty list is not written: the key goes, as it would be in a new object."""
    item = {"spec": {"volumes": [{"name": "a"}], "other": 1}}

    assert with_list(item, ("spec", "volumes"), []) == {"spec": {"other": 1}}


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"spec": {"containers": [{}]}}, ("spec",)),
        (
            {"spec": {"template": {"spec": {"containers": [{}]}}}},
            ("spec", "template", "spec"),
        ),
        ({"template": {"spec": {"containers": [{}]}}}, ("template", "spec")),
        (
            {
                "spec": {
                    "jobTemplate": {
                        "spec": {"template": {"spec": {"containers": [{}]}}}
                    }
                }
            },
            ("spec", "jobTemplate", "spec", "template", "spec"),
        ),
    ],
    ids=["Pod", "Deployment", "PodTemplate", "CronJob"],
)
def test_pod_specs_are_found(item, path):
    """The Pod spec is found wherever a built-in kind has it."""
    assert list(pod_spec_paths(item)) == [path]


def test_no_pod_spec():
    """A spec without containers is not a Pod's."""
    assert list(pod_spec_paths({"spec": {"replicas": 1}})) == []
