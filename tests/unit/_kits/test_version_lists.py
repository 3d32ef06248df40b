"""Velero's lists of versions are read as it reads them, and what is none is given back."""

import pytest

from kbackup._kits.version_lists import read_version_lists


@pytest.mark.parametrize(
    ("text", "found", "broken"),
    [
        ("", {}, ()),
        ("a.b=v1,v2", {"a.b": ("v1", "v2")}, ()),
        ("\n  a.b = v1 , v2 \n\npods=v1\n", {"a.b": ("v1", "v2"), "pods": ("v1",)}, ()),
        ("a=v1\na=v2", {"a": ("v2",)}, ()),
        ("a=v1,,", {"a": ("v1",)}, ()),
        ("# a note\na=v1", {"a": ("v1",)}, ("# a note",)),
        ("a=\n=v1\na=b=c\na", {}, ("a=", "=v1", "a=b=c", "a")),
    ],
)
def test_lines(text, found, broken):
    """Spaces mean nothing, the later line holds, and odd lines come back as written."""
    assert read_version_lists(text) == (found, broken)
