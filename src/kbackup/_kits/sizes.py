"""Sizes as people type them, in the notation of restic's options."""

from __future__ import annotations

import re

# So few digits that a float tells every number of them.
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]+)?)([kKmMgGtT]?)[bB]?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int | None:
    """Return how many bytes ``500M``, ``1.5g`` or ``100`` are; None: it is no size.

    A unit is 1024 times the one before it, however it is written.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])
