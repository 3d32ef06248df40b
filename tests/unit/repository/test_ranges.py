"""Blobs that lie near each other are read together, as long as that is not too much."""

import pytest

from kbackup.repository import _ranges
from kbackup.repository._index import Place
from kbackup.repository._ranges import SMALL, are_small, is_near

PACK, OTHER = b"\1" * 32, b"\2" * 32
GAP = _ranges._GAP


def place(offset, length=100, pack=PACK):
    """Where a blob lies."""
    return Place(pack, offset, length, 0)


@pytest.mark.parametrize(
    ("last", "blob", "expected"),
    [
        (place(0), place(100), True),
        (place(0), place(100, pack=OTHER), False),
        (place(0), place(100 + GAP), True),
        (place(0), place(100 + GAP + 1), False),
        (place(500), place(600), True),
        (place(500), place(599), False),  # it lies before the end, or over it
        (place(500), place(0), False),
        (place(2 * GAP), place(3 * GAP - 100), True),
        (place(2 * GAP), place(3 * GAP - 99), False),  # a byte too many at once
    ],
)
def test_what_is_near(last, blob, expected):
    """In the same pack, behind the last one, and within what is asked for at once."""
    assert is_near(blob, place(0), last, most=3 * GAP) is expected


def test_small_is_meant_in_the_mean():
    """One large blob among few small ones makes all of them large."""
    assert are_small([place(0, SMALL - 1)])
    assert not are_small([place(0, SMALL)])
    assert are_small([place(0, SMALL), place(0, SMALL - 1)])
    assert not are_small([place(0, SMALL * 3), place(0, 1)])
