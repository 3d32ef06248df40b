"""Names of a room are loaded when somebody asks for them."""

import sys
from types import ModuleType

import pytest

from kbackup._kits.doors import loader


@pytest.fixture
def door(monkeypatch):
    """The door of a room with one part, neither of which is on disk."""
    door, part = ModuleType("room"), ModuleType("room._part")
    part.Thing = object()
    door.__getattr__ = loader("room", {"Thing": "_part", "Lost": "_gone"})
    door.__path__ = []
    monkeypatch.setitem(sys.modules, "room", door)
    monkeypatch.setitem(sys.modules, "room._part", part)
    return door


def test_a_name_is_loaded_once(door):
    """What was asked for is an ordinary name of the door from then on."""
    thing = door.Thing

    assert thing is sys.modules["room._part"].Thing
    assert vars(door)["Thing"] is thing


def test_a_name_that_nobody_offers(door):
    """A typo is told as of any other module."""
    with pytest.raises(AttributeError, match="module 'room' has no attribute 'Thin'"):
        _ = door.Thin


def test_a_part_that_is_missing(door):
    """A door that names a module that is not there does not hide it."""
    with pytest.raises(ModuleNotFoundError, match=r"room\._gone"):
        _ = door.Lost
