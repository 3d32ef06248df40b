"""How the annotations are read with which a Pod states a hook of its own. Pure.

A hook is stated by several annotations with one prefix. What means nothing is passed over
and told, and no command is ever part of what is told: it may hold a password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from kbackup._kits.durations import DurationError, parse_duration
from kbackup._kits.nested import mapping_at
from kbackup.models import HookErrorMode

COMMAND = "command"  # the annotation of every prefix that says what is run

_SHOWN = 40  # characters of an odd value


class Reading(NamedTuple):
    """How the value of an annotation is read.

    Attributes:
        key: Of the annotation, without the prefix.
        read: Returns None where the value means nothing.
        fact: What the value is then, and what is done instead.
    """

    key: str
    read: Callable[[str], object | None]
    fact: str


def command_of(text: str) -> tuple[str, ...]:
    """Return a command: of a JSON list, or else of one program's name; none of no text."""
    if not text.startswith("["):
        return (text,) if text else ()
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except msgspec.DecodeError:
        return (text,)


def mode_of(text: str) -> HookErrorMode | None:
    """Return what a failure means; None where the text says neither."""
    try:
        return HookErrorMode(text)
    except ValueError:
        return None


def time_of(text: str) -> timedelta | None:
    """Return a time; None where the text is none, or not above zero."""
    try:
        found = parse_duration(text)
    except DurationError:
        return None
    return found if found > timedelta(0) else None


def odd_annotations(
    pod: Mapping[str, Any],
    prefix: str,
    readings: tuple[Reading, ...] = (),
    *,
    needs: str = COMMAND,
    others: tuple[str, ...] = (),
) -> Iterator[str]:
    """Yield what the annotations with a prefix say that means nothing.

    Args:
        pod: Whose annotations they are.
        prefix: They begin with it.
        readings: Of those whose values may mean nothing.
        needs: The one without which there is no hook.
        others: Those whose values always mean something.
    """
    given = {
        key.removeprefix(prefix): value if isinstance(value, str) else ""
        for key, value in mapping_at(pod, "metadata", "annotations").items()
        if key.startswith(prefix)
    }
    if given and not given.get(needs):
        yield f"annotations {prefix}... without {prefix}{needs}: no hook"
        return
    known = {COMMAND, needs, *others, *(each.key for each in readings)}
    for key in sorted(given.keys() - known):
        yield f"annotation {prefix}{key} means nothing: passed over"
    command = given.get(COMMAND, "")
    if command.startswith("[") and command_of(command) == (command,):
        yield (
            f"annotation {prefix}{COMMAND} begins as a JSON list and is none of texts: "
            "taken as the name of one program"
        )
    for key, read, fact in readings:
        text = given.get(key, "")
        if text and read(text) is None:
            yield f"annotation {prefix}{key}: {text[:_SHOWN]!r} is {fact}"
