"""The words of messages: a few of many names, what was meant, a number with its noun."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

# What they are, not what they are not: to compile that takes a dozen milliseconds.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ALIKE = 0.7  # of the letters of both; at two thirds "nope" is taken for "nodes"


def printable(text: str) -> str:
    """Write what a terminal would obey, or could not print, as JSON does.

    These are the control characters, but for line end and tab, and lone surrogates.
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """Write whatever would end a line, or turn its direction, as JSON does, and the rest.

    Names come from archives and clusters: one of several lines could look like others.
    """
    if text.isprintable():
        return text
    return "".join(x if x.isprintable() else _escape(x) for x in text)


def _escape(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def first_few(names: Sequence[object], most: int = 5) -> str:
    """Return the first names in one line, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    more = and_more(names, most)
    return f"{shown} {more}" if more else shown


def and_more(names: Sequence[object], most: int = 5) -> str:
    """Return ``and 3 more`` of what *most* leaves out, or nothing."""
    return f"and {len(names) - most} more" if len(names) > most else ""


def qualified(namespace: str, name: str) -> str:
    """Return ``namespace/name``, or what there is of it."""
    return f"{namespace}/{name}" if namespace and name else namespace or name


def inside(namespace: str) -> str:
    """Return `` in shop``, or nothing without a namespace."""
    return f" in {namespace}" if namespace else ""


def plural(number: int, word: str) -> str:
    """Return ``1 item``, ``2 items``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the one of *known* that *name* may be a slip for, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - for slips of the pen only

    return next(iter(get_close_matches(name, known, n=1, cutoff=_ALIKE)), "")


def suggestion(what: str, names: Iterable[str]) -> str:
    """Return the hint that names what `nearest` found, or nothing.

    Args:
        what: The noun, such as ``namespace``.
        names: One for each slip, perhaps empty, perhaps the same ones.
    """
    known = list(dict.fromkeys(filter(None, names)))
    if not known:
        return ""
    each = f"the nearest {what} is" if len(known) == 1 else f"the nearest {what}s are"
    return f"{each} {', '.join(known)}"


def text_of(exc: BaseException) -> str:
    """Return what an error of foreign code says; nothing where that fails as well."""
    try:
        return str(exc)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - foreign code
        return ""
