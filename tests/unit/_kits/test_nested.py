"""Reading nested JSON that may be odd."""

from collections import OrderedDict, UserDict
from types import MappingProxyType

import pytest

from kbackup._kits.nested import mapping_at, objects_at, text_at, value_at

ITEM = {"spec": {"name": "a", "ports": [{"port": 80}, "odd"], "none": None}}


def test_what_is_there_is_found():
    """A value is found at its path, and of a list the objects in it."""
    assert value_at(ITEM, "spec", "name") == "a"
    assert text_at(ITEM, "spec", "name") == "a"
    assert mapping_at(ITEM, "spec") == ITEM["spec"]
    assert objects_at(ITEM, "spec", "ports") == [{"port": 80}]
    assert mapping_at(ITEM) == value_at(ITEM) == ITEM


@pytest.mark.parametrize(
    "path",
    [("no",), ("spec", "no"), ("spec", "none"), ("spec", "none", "more")],
    ids=["no such field", "none inside", "null", "below null"],
)
def test_what_is_not_there_is_empty(path):
    """Absent and null are read alike, however deep."""
    assert value_at(ITEM, *path) is None
    assert text_at(ITEM, *path) == ""
    assert mapping_at(ITEM, *path) == {}
    assert objects_at(ITEM, *path) == []


@pytest.mark.parametrize("odd", [None, "text", 7, ["a"], {"a": 1}])
def test_odd_shapes_count_as_absent(odd):
    """What has not the expected shape is read as if it were not there."""
    item = {"a": odd}

    assert objects_at(item, "a") == []
    assert text_at(item, "a") == ("text" if odd == "text" else "")
    assert mapping_at(item, "a") == ({"a": 1} if odd == {"a": 1} else {})
    assert value_at(item, "a", "b", "c") is None
    assert value_at(odd, "b") is None


def test_kinds_of_dicts_and_lists_count_as_such():
    """What a parser of YAML or an action gives may be a dict or a list of its own kind."""

    class Sequence(list):
        """A list that remembers where it stood."""

    inner = MappingProxyType({"a": UserDict(b=1)})
    item = UserDict(x=Sequence([inner, OrderedDict(c="d"), 1]))

    assert objects_at(item, "x") == [inner, {"c": "d"}]
    assert objects_at({"x": (inner,)}, "x") == [inner]
    assert value_at(inner, "a", "b") == 1
    assert mapping_at(inner, "a") == {"b": 1}
