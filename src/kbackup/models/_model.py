"""The base of every value that has a place in a document, and its field converters.

A model's fields are in snake_case and in the order in which Velero writes them; which
spelling a field has in a document is for `_names`, how it gets there for `_codec`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

import attrs

# Metadata of a field that is written even when it is empty: Go's structs, and strings
# and booleans that Velero declares without `omitempty`. None is then written as null.
ALWAYS: Mapping[str, bool] = MappingProxyType({"always": True})


def short_repr(value: Any) -> str:
    """Name the fields that are not as by default; for ``__repr__``.

    A model has dozens. What attrs is told not to show is not shown here either.
    """
    shown = (
        f"{field.name}={getattr(value, field.name)!r}"
        for field in attrs.fields(type(value))
        if field.repr and getattr(value, field.name) != _default(field)
    )
    return f"{type(value).__name__}({', '.join(shown)})"


def _default(field: attrs.Attribute[Any]) -> Any:
    """Return what a field holds unless it is given; `attrs.NOTHING`: it must be."""
    factory = getattr(field.default, "factory", None)
    return field.default if factory is None else factory()


def naming(cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Let converters say whose field it is that they refuse; a ``field_transformer``."""
    return [
        field.evolve(converter=_named(field.converter, f"{cls.__name__}.{field.name}"))
        if field.converter
        else field
        for field in fields
    ]


def _named(convert: Any, where: str) -> Callable[[Any], Any]:
    @functools.wraps(convert)
    def converted(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError) as exc:
            raise type(exc)(f"{where}: {exc}") from None

    return converted


@attrs.frozen(kw_only=True)
class Model:
    """What every model has.

    Attributes:
        extra: What a document held beyond the known fields, under its own names, so
            that it is written back as it was read.
    """

    closed: ClassVar[bool] = False  # True: an unknown field is an error, not an extra

    extra: Mapping[str, Any] = attrs.field(factory=dict, converter=dict, repr=False)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        """Take the place of the repr that attrs has made: it names every field."""
        cls.__repr__ = short_repr  # type: ignore[method-assign]


@attrs.frozen(kw_only=True)
class Document(Model):
    """What stands on its own: it says its kind and its API version.

    Subclasses have ``metadata`` and mostly ``spec`` and ``status``. The kind is the
    name of the class.
    """

    api_version: ClassVar[str] = "velero.io/v1"
    # Velero's lists of objects leave kind and apiVersion out of the elements.
    kind_optional: ClassVar[bool] = False


def strings(values: Iterable[str]) -> tuple[str, ...]:
    """Keep a list of strings; one string is not a list of its letters."""
    if isinstance(values, str):
        raise TypeError(f"expected a list of strings, got the string {values!r}")
    kept = _elements(values, "a list of strings")
    if any(not isinstance(value, str) for value in kept):
        raise TypeError("expected a list of strings, got something else in it")
    return kept


# Any in and out: mypy cannot solve a generic converter for an argument that is generic.
def sequence(values: Iterable[Any]) -> tuple[Any, ...]:
    """Keep a list; a string is none."""
    if isinstance(values, str | bytes | Mapping):
        raise TypeError(f"expected a list, got a {type(values).__name__}")
    return _elements(values, "a list")


def mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a mapping, as a dict of our own."""
    if not isinstance(values, Mapping):
        raise TypeError(f"expected a mapping, got a {type(values).__name__}")
    return dict(values)


def _elements(values: Iterable[Any], expected: str) -> tuple[Any, ...]:
    if not isinstance(values, Iterable):
        raise TypeError(f"expected {expected}, got a {type(values).__name__}")
    return tuple(values)


def instant(value: datetime | None) -> datetime | None:
    """Bring an instant to what a document can hold: UTC, whole seconds.

    Raises:
        ValueError: *value* has no time zone.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"expected a datetime, got a {type(value).__name__}")
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return value.astimezone(UTC).replace(microsecond=0)
