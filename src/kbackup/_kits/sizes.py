"""Sizes as people type them and read them, as restic's options and messages have them."""

from __future__ import annotations

import re

# So few digits that a float tells every number of them.
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]+)?)([kKmMgGtT]?)[bB]?")
_UNITS = ("KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int | None:
    """Return how many bytes ``500M``, ``1.5g`` or ``100`` are; None: it is no size.

    A unit is 1024 times the one before it, however it is written.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    return int(float(found[1]) * _STEP ** _POWERS[found[2].lower()])


def format_size(size: int) -> str:
    """Return so many bytes in their largest unit: ``1.367 KiB``."""
    if size < _STEP:
        return f"{size} B"
    number, unit = float(size), ""
    for unit in _UNITS:  # noqa: B007 - the last one stays
        number /= _STEP
        if number < _STEP:
            break
    return f"{number:.3f} {unit}"
