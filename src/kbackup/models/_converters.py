"""How values of each type stand in JSON; `CodecError` for those that do not.

`Converter` is what `_codec` puts together for the fields of a model. Both directions
refuse what is not of the type: nothing is guessed, nothing is cut to fit.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import attrs

from kbackup._kits.durations import DurationError, format_duration, parse_duration
from kbackup._kits.times import format_time, parse_time
from kbackup.errors import CodecError

_INT64 = range(-(2**63), 2**63)
_DEEPEST = 100  # levels of what no model describes; Kubernetes' own stay below 30
_SHOWN = 40  # characters of a wrong text in a message


@attrs.frozen
class Converter:
    """How values of one type are read and written.

    Attributes:
        decode: From JSON; the second argument is the path.
        encode: To JSON.
        optional: Whether None is a value, which is then left out of documents; else
            whatever is empty is left out.
    """

    decode: Callable[[Any, str], Any]
    encode: Callable[[Any, str], Any]
    optional: bool = False


# --- put together from others ---------------------------------------------------------


def optional(inner: Converter, *, empty_is_none: bool = False) -> Converter:
    """Let None be a value too; Go writes an empty string for a word never set."""

    def decode(value: Any, path: str) -> Any:
        none = empty_is_none and value == ""
        return None if none else inner.decode(value, path)

    def encode(value: Any, path: str) -> Any:
        return None if value is None else inner.encode(value, path)

    return Converter(decode, encode, optional=True)


def list_of(element: Converter) -> Converter:
    """Return the converter of lists, which are tuples in models."""

    def decode(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise CodecError(path, "a list", type_of(value))
        return tuple(element.decode(v, f"{path}[{i}]") for i, v in enumerate(value))

    def encode(value: Any, path: str) -> list[Any]:
        if not isinstance(value, tuple | list):
            raise CodecError(path, "a list", type_of(value))
        return [element.encode(v, f"{path}[{i}]") for i, v in enumerate(value)]

    return Converter(decode, encode)


def map_of(element: Converter) -> Converter:
    """Return the converter of objects whose keys are anybody's."""

    def convert(how: Callable[[Any, str], Any], value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise CodecError(path, "an object", type_of(value))
        return {checked_key(k, path): how(v, below(path, k)) for k, v in value.items()}

    return Converter(
        lambda value, path: convert(element.decode, value, path),
        lambda value, path: convert(element.encode, value, path),
    )


def enumeration(kind: type[StrEnum]) -> Converter:
    """Return the converter of a choice among words."""
    known = {member.value: member for member in kind}
    expected = f"one of {', '.join(known)}"

    def decode(value: Any, path: str) -> StrEnum:
        if not isinstance(value, str) or value not in known:
            raise CodecError(path, expected, _shown(value))
        return known[value]

    return Converter(decode, lambda value, path: decode(value, path).value)


# --- of one type ----------------------------------------------------------------------


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise CodecError(path, "a string", _shown(value))
    return str(value)  # of a StrEnum nothing but its word


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise CodecError(path, "true or false", _shown(value))
    return value


def _integer(value: Any, path: str) -> int:
    if type(value) is not int or value not in _INT64:
        raise CodecError(path, "an integer of 64 bits", _shown(value))
    return value


def _duration(value: Any, path: str) -> timedelta:
    expected = "a duration such as 1h30m"
    if not isinstance(value, str):
        raise CodecError(path, expected, _shown(value))
    try:
        return parse_duration(value)
    except DurationError as exc:
        raise CodecError(path, expected, _shown(value)) from exc


def _write_duration(value: Any, path: str) -> str:
    if not isinstance(value, timedelta):
        raise CodecError(path, "a timedelta", _shown(value))
    return format_duration(value)


def _time(value: Any, path: str) -> datetime:
    expected = "a time such as 2024-05-01T02:00:03Z"
    if not isinstance(value, str):
        raise CodecError(path, expected, _shown(value))
    try:
        return parse_time(value)
    except (ValueError, OverflowError) as exc:
        raise CodecError(path, expected, _shown(value)) from exc


def _write_time(value: Any, path: str) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise CodecError(path, "a datetime with a time zone", type_of(value))
    return format_time(value)


def _base64(value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        raise CodecError(path, "base64", type_of(value))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CodecError(path, "base64", "a string that is not") from exc


def _write_base64(value: Any, path: str) -> str:
    if not isinstance(value, bytes):
        raise CodecError(path, "bytes", type_of(value))
    return base64.b64encode(value).decode()


def anything(value: Any, path: str, depth: int = 0) -> Any:
    """Copy a JSON value that no model describes; refuse what is none."""
    if value is None or isinstance(value, str | bool):
        return value
    if depth > _DEEPEST:
        raise CodecError(path, f"at most {_DEEPEST} levels", "more")
    if isinstance(value, Mapping):
        return {
            checked_key(k, path): anything(v, below(path, k), depth + 1)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [anything(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise CodecError(path, "a JSON value", _shown(value))


PLAIN: dict[Any, Converter] = {
    str: Converter(_text, _text),
    bool: Converter(_boolean, _boolean),
    int: Converter(_integer, _integer),
    timedelta: Converter(_duration, _write_duration),
    datetime: Converter(_time, _write_time),
    bytes: Converter(_base64, _write_base64),
    Any: Converter(anything, anything),
}


# --- words ----------------------------------------------------------------------------


def checked_key(key: Any, path: str) -> str:
    """Return the key of an object, which must be a string."""
    if not isinstance(key, str):
        raise CodecError(path, "strings as keys", _shown(key))
    return key


def below(path: str, key: Any) -> str:
    """Return the path of a field of what stands at *path*."""
    return f"{path}.{key}" if path else str(key)


def type_of(value: Any) -> str:
    """Name the type of a value in a message."""
    names = {str: "a string", int: "a number", float: "a number", type(None): "null"}
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return names.get(type(value), f"a {type(value).__name__}")


def _shown(value: Any) -> str:
    """Name a value in a message; of a container nothing but its type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        return f'the string "{text}"'
    return type_of(value)
