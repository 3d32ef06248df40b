"""Models to JSON and back, strictly.

One converter for all models, driven by their field types. It is our own, small one:
what cattrs does by itself (a string becomes a tuple of letters, ``"false"`` becomes
True, unknown fields vanish) would have to be undone for every type, and unknown fields
at every level, Go's way to match names and paths in errors be added to code that it
generates; nothing of it would be left but its time to import.

Reading: a value has the JSON type that the field wants, or `CodecError` names the
place. ``null`` is as good as absent. A name matches exactly, or else without regard to
case, as in Go. What is not known, and what is known but says nothing, stays in
``extra`` and is written back. Writing: Velero's order and its notion of what may be
left out; a value of the wrong type is refused there as well, before anybody stores it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import attrs
import msgspec

from kbackup._kits.go_json import escaped
from kbackup.errors import CodecError
from kbackup.models._converters import (
    PLAIN,
    Converter,
    anything,
    below,
    checked_key,
    enumeration,
    list_of,
    map_of,
    optional,
    type_of,
)
from kbackup.models._model import Document, Model
from kbackup.models._names import document_name

_M = TypeVar("_M", bound=Model)


# --- what others call -----------------------------------------------------------------


def from_json(cls: type[_M], data: Any) -> _M:
    """Make a model of a parsed JSON object.

    Raises:
        CodecError: *data* is not what the model says.
    """
    return _decode_model(cls, data, "")


def to_json(value: Any) -> Any:
    """Return a model, or lists and objects of models, as plain JSON values, new ones.

    Raises:
        CodecError: A field holds what no document can.
    """
    if isinstance(value, Model):
        return _encode_model(value, "")
    if isinstance(value, list | tuple):
        return [to_json(element) for element in value]
    if isinstance(value, Mapping):
        return {checked_key(key, ""): to_json(inner) for key, inner in value.items()}
    return anything(value, "")


def load_json(cls: type[_M], document: bytes | str) -> _M:
    """Make a model of a JSON document.

    Raises:
        CodecError: It is no JSON, or not what the model says.
    """
    return from_json(cls, _parse(document))


def load_json_list(cls: type[_M], document: bytes | str) -> tuple[_M, ...]:
    """Make models of a JSON document that is a list; ``null`` is an empty one.

    Raises:
        CodecError: It is no JSON, no list, or an element is not what the model says.
    """
    data = _parse(document)
    return () if data is None else tuple(list_of(_model(cls)).decode(data, ""))


def dump_json(value: Any, *, pretty: bool = True) -> bytes:
    """Write a model, a list of models or plain JSON values as Velero would.

    Args:
        value: What to write.
        pretty: As ``velero-backup.json``: indented by two, no newline at the end. Else
            as the side files: compact, with one newline at the end.

    Raises:
        CodecError: A field holds what no document can.
    """
    try:
        document = msgspec.json.encode(to_json(value))
    except (UnicodeError, OverflowError) as exc:
        raise CodecError("", "what JSON can hold", str(exc)) from exc
    document = msgspec.json.format(document, indent=2) if pretty else document + b"\n"
    return escaped(document)


def _parse(document: bytes | str) -> Any:
    try:
        return msgspec.json.decode(document)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise CodecError("", "JSON", f"none: {exc}") from exc
    except RecursionError as exc:
        raise CodecError("", "JSON", "one that nests too deep") from exc


# --- which converter for which type ---------------------------------------------------


@cache
def _converter(hint: Any) -> Converter:
    """Return the converter for a field's type."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return optional(_converter(inner), empty_is_none=_is_word(inner))
    if origin is tuple:
        return list_of(_converter(arguments[0]))
    if origin is Mapping:
        return map_of(_converter(arguments[1]))
    return enumeration(hint) if _is_word(hint) else _model(hint)


def _is_word(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, StrEnum)


def _model(cls: type[Model]) -> Converter:
    """Return the converter of a model."""

    def encode(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, cls):
            raise CodecError(path, f"a {cls.__name__}", type_of(value))
        return _encode_model(value, path)

    return Converter(lambda data, path: _decode_model(cls, data, path), encode)


# --- the fields of a model ------------------------------------------------------------


@attrs.frozen
class _Field:
    """One field of a model: its attribute, its name in documents, how to convert it."""

    attribute: str
    name: str
    converter: Converter
    always: bool
    required: bool

    def left_out(self, value: Any) -> bool:
        """Tell whether Velero's documents do without the field if it has *value*."""
        if self.always:
            return False
        return value is None if self.converter.optional else not value


@attrs.frozen
class _Layout:
    """The fields of a model, in the order of documents, and ways to find them."""

    fields: tuple[_Field, ...]
    by_name: Mapping[str, _Field]
    by_folded_name: Mapping[str, _Field]

    def match(self, data: Mapping[str, Any]) -> dict[str, _Field]:
        """Return which key of *data* is which field: exactly, else folded, once."""
        found = {key: self.by_name[key] for key in data if key in self.by_name}
        taken = {field.name for field in found.values()}
        for key in data:
            field = self.by_folded_name.get(key.casefold())
            if field is not None and field.name not in taken:
                found[key] = field
                taken.add(field.name)
        return found


def _layout(cls: Any) -> _Layout:
    """Return the fields of a model class."""
    return _layouts(cls)


@cache
def _layouts(cls: Any) -> _Layout:
    hints = typing.get_type_hints(cls)
    required = {f.name for f in attrs.fields(cls) if f.default is attrs.NOTHING}
    fields = tuple(
        _Field(
            attribute=field.name,
            name=document_name(cls.__name__, field.name),
            converter=_converter(hints[field.name]),
            always=field.name in required or field.metadata.get("always", False),
            required=field.name in required,
        )
        for field in attrs.fields(cls)
        if field.name != "extra"
    )
    return _Layout(
        fields=fields,
        by_name={field.name: field for field in fields},
        by_folded_name={field.name.casefold(): field for field in fields},
    )


# --- models ---------------------------------------------------------------------------


def _decode_model(cls: type[_M], data: Any, path: str) -> _M:
    if not isinstance(data, Mapping):
        raise CodecError(path, "an object", type_of(data))
    for key in data:
        checked_key(key, path)
    if issubclass(cls, Document):
        data = _without_kind(cls, data, path)
    matched = _layout(cls).match(data)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, raw in data.items():
        field = matched.get(key)
        if field is None:
            extra[key] = _unknown(cls, key, raw, path)
        elif raw is not None:
            value = field.converter.decode(raw, below(path, key))
            values[field.attribute] = value
            if field.left_out(value):  # to be written back although it says nothing
                extra[field.name] = anything(raw, below(path, key))
    for field in _layout(cls).fields:
        if field.required and field.attribute not in values:
            raise CodecError(below(path, field.name), "a value", "none")
    return cls(**values, extra=extra)


def _unknown(cls: type[Model], key: str, raw: Any, path: str) -> Any:
    if cls.closed:
        names = ", ".join(field.name for field in _layout(cls).fields)
        raise CodecError(path, f"no other fields than {names}", f"{key} as well")
    return anything(raw, below(path, key))


def _without_kind(
    cls: type[Document], data: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """Return *data* without its kind and API version, which must be the model's."""
    rest = dict(data)
    for name, expected in (("kind", cls.__name__), ("apiVersion", cls.api_version)):
        key = name if name in rest else _folded(name, rest)
        got = rest.pop(key, None)
        if got in (None, "") and cls.kind_optional:
            continue
        if got != expected:
            shown = f'"{got}"' if isinstance(got, str) else type_of(got)
            raise CodecError(below(path, name), f'"{expected}"', shown)
    return rest


def _folded(name: str, data: Mapping[str, Any]) -> str:
    """Return the key of *data* that is *name* but for its case, or *name*."""
    folded = name.casefold()
    return next((key for key in data if key.casefold() == folded), name)


def _encode_model(model: Model, path: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if isinstance(model, Document):
        document["kind"] = type(model).__name__
        document["apiVersion"] = model.api_version
    for field in _layout(type(model)).fields:
        value = getattr(model, field.attribute)
        if not field.left_out(value):
            where = below(path, field.name)
            document[field.name] = field.converter.encode(value, where)
    for key, raw in model.extra.items():
        if key not in document:
            document[checked_key(key, path)] = anything(raw, below(path, key))
    return document
