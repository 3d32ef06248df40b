"""When two objects are one in JSON."""

import pytest

from kbackup._kits.equality import equal_objects


def _custom(value):
    return {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"x": value}}


@pytest.mark.parametrize(
    ("left", "right"),
    [(True, 1), (0, False), ([True], [1]), ({"a": [{"b": 1}]}, {"a": [{"b": True}]})],
)
def test_true_is_not_one(left, right):
    """A custom resource may hold either, and its controller tells them apart."""
    assert not equal_objects(_custom(left), _custom(right))
    assert equal_objects(_custom(left), _custom(left))


def test_a_default_in_a_schema():
    """Definitions hold values of custom resources."""
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}

    assert not equal_objects({**crd, "default": True}, {**crd, "default": 1})


def test_one_number_in_two_spellings():
    """A server writes 1 for 1.0."""
    assert equal_objects(_custom(1), _custom(1.0))
