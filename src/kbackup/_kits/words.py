"""The words of messages: the first few of many names, a number with its noun."""

from __future__ import annotations

from collections.abc import Sequence


def first_few(names: Sequence[object], most: int = 5) -> str:
    """Return the first names in one line, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    more = and_more(names, most)
    return f"{shown} {more}" if more else shown


def and_more(names: Sequence[object], most: int = 5) -> str:
    """Return ``and 3 more`` of what *most* leaves out, or nothing."""
    return f"and {len(names) - most} more" if len(names) > most else ""


def plural(number: int, word: str) -> str:
    """Return ``1 item``, ``2 items``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
