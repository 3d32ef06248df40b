"""What stands in the fields of a value that people make themselves, held to their types.

A specification, options, settings and locations are refused where they are made, with
every field that cannot be meant: what it takes and what came. Documents do not come this
way: `_codec` refuses them with the path before there is a value.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union

import attrs

from kbackup._kits.durations import format_duration
from kbackup.errors import InvalidConfigError, InvalidSpecError
from kbackup.models._meta import LabelSelector

_SHOWN = 40  # characters of a wrong text in a message

# What a type is called in a message, with how it is written where people guess.
_WORDS: Mapping[type, str] = {
    bool: "True or False",
    bytes: "bytes",
    datetime: "a datetime with a time zone",
    float: "a number",
    int: "a whole number",
    Path: "a path",
    str: "a string",
    timedelta: "a timedelta such as timedelta(hours=72)",
    LabelSelector: "a LabelSelector such as LabelSelector.parse('app=web')",
}


def at_least(least: int | timedelta) -> dict[str, Any]:
    """Return metadata of a field that takes nothing below *least*."""
    return {"at_least": least}


def above(bound: float | timedelta) -> dict[str, Any]:
    """Return metadata of a field that takes only what is above *bound*."""
    return {"above": bound}


def check_spec(value: Any) -> None:
    """Refuse a specification; for ``__attrs_post_init__``.

    Raises:
        InvalidSpecError: With a sentence for each field that cannot be meant.
    """
    if faults := list(_faults_of(value, "")):
        raise InvalidSpecError(faults)


def check_config(value: Any) -> None:
    """Refuse options, settings or a location; for ``__attrs_post_init__``.

    Raises:
        InvalidConfigError: With a sentence for each field that cannot be meant.
    """
    if faults := list(_faults_of(value, "")):
        raise InvalidConfigError("; ".join(faults))


def keep_odd(_: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Leave what a converter refuses as it came; for attrs' ``field_transformer``.

    So that the check, which comes after the converters, tells of all fields at once.
    """
    return [
        field.evolve(converter=_lenient(field.converter)) if field.converter else field
        for field in fields
    ]


def _lenient(convert: Any) -> Callable[[Any], Any]:
    @functools.wraps(convert)
    def converted(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError):
            return value

    return converted


# --- fields ---------------------------------------------------------------------------


def _faults_of(value: Any, path: str) -> Iterator[str]:
    cls: Any = type(value)
    for name, hint, metadata, shown in _fields(cls):
        where = f"{path}.{name}" if path else name
        content = getattr(value, name)
        faults = list(_faults(hint, content, where, shown=shown))
        yield from faults or _out_of_bounds(metadata, content, where)


@functools.cache
def _fields(cls: Any) -> tuple[tuple[str, Any, Mapping[str, Any], bool], ...]:
    """Return name, type, metadata and whether it may be shown of each field."""
    hints = typing.get_type_hints(cls)
    return tuple(
        (field.name, hints[field.name], field.metadata, bool(field.repr))
        for field in attrs.fields(cls)
    )


def _out_of_bounds(metadata: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    if "at_least" in metadata and value < (bound := metadata["at_least"]):
        yield f"{path}: expected at least {_amount(bound)}, got {_amount(value)}"
    if "above" in metadata and not value > (bound := metadata["above"]):
        yield f"{path}: expected more than {_amount(bound)}, got {_amount(value)}"


def _amount(value: Any) -> str:
    return format_duration(value) if isinstance(value, timedelta) else str(value)


# --- types ----------------------------------------------------------------------------


def _faults(hint: Any, value: Any, path: str, *, shown: bool) -> Iterable[str]:
    """Return what speaks against a value where *hint* is the type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return ()
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        return () if value is None else _faults(inner, value, path, shown=shown)
    if origin is tuple and isinstance(value, tuple | list):
        return (
            fault
            for index, each in enumerate(value)
            for fault in _faults(arguments[0], each, f"{path}[{index}]", shown=shown)
        )
    if origin is Mapping and isinstance(value, Mapping):
        return _faults_in_mapping(arguments[1], value, path)
    if _fits(hint, origin, arguments, value):
        return _faults_of(value, path) if attrs.has(hint) else ()
    return (f"{path}: expected {_wanted(hint)}, got {_came(value, shown=shown)}",)


def _faults_in_mapping(hint: Any, value: Mapping[Any, Any], path: str) -> Iterator[str]:
    for key, each in value.items():
        if isinstance(key, str):  # a value is never shown: it may be a password
            yield from _faults(hint, each, f"{path}[{key!r}]", shown=False)
        else:
            yield f"{path}: expected strings as keys, got {_came(key, shown=True)}"


def _fits(hint: Any, origin: Any, arguments: tuple[Any, ...], value: Any) -> bool:
    if origin is Literal or _is_choice(hint):
        words = arguments or tuple(hint)
        return isinstance(value, str) and value in words
    if origin is not None:
        return origin is Callable and callable(value)
    if isinstance(value, bool):
        return hint is bool  # which Python counts among the numbers
    if hint is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    return isinstance(value, (int, float) if hint is float else hint)


def _is_choice(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, StrEnum)


def _wanted(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal or _is_choice(hint):
        return " or ".join(repr(str(word)) for word in arguments or hint)
    if origin is tuple:
        return f"a list{' of strings' if arguments[0] is str else ''}"
    if origin is Mapping:
        return "a mapping"
    if origin is Callable:
        return "a function"
    return _WORDS.get(hint) or f"a {hint.__name__}"


def _came(value: Any, *, shown: bool) -> str:
    """Tell what stands there: by type, and a word or a number as it is if *shown*."""
    if value is None:
        return "None"
    if not shown or not isinstance(value, str | int | float):
        return f"a {type(value).__name__}"
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        return f"the string {text!r}"
    return repr(value) if isinstance(value, bool) else f"the number {value}"
