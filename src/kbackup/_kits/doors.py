"""Doors of rooms whose names are loaded when somebody asks for them: imports stay cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def loader(door: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``; each name is loaded once.

    Args:
        door: The module.
        places: By public name, the module below that one which holds it.
    """

    def load(name: str) -> Any:
        """Load the module that holds *name*."""
        if name not in places:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        value = getattr(import_module(f"{door}.{places[name]}"), name)
        setattr(sys.modules[door], name, value)
        return value

    return load
