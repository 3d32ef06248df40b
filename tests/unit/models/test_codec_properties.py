"""What the converter promises of every model, held to values drawn at random."""

import base64
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kbackup.models
from kbackup._kits.durations import format_duration
from kbackup._kits.times import format_time
from kbackup.models import (
    Backup,
    BackupStorageLocation,
    Document,
    Model,
    Restore,
    Schedule,
    dump_json,
    dump_yaml,
    from_json,
    load_json,
    load_objects,
    to_json,
)
from kbackup.models._names import document_name

MODELS = sorted(
    (
        value
        for value in (getattr(kbackup.models, name) for name in kbackup.models.__all__)
        if isinstance(value, type)
        and issubclass(value, Model)
        and value not in {Model, Document}
    ),
    key=lambda cls: cls.__name__,
)
each_model = pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
few = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# --- values of any type ---------------------------------------------------------------

TEXT = st.text(max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=0))
DURATIONS = st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000))
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | INT64
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2)
    ),
    max_leaves=4,
)
# Names that no model has, now or in any other case.
UNKNOWN = st.dictionaries(TEXT.map(lambda text: f"x-{text}"), ANYTHING, max_size=2)


def fields_of(cls):
    """Yield the fields of a model with their types, but for the unknown ones."""
    hints = typing.get_type_hints(cls)
    for field in attrs.fields(cls):
        if field.name != "extra":
            yield field, hints[field.name]


def is_optional(hint):
    """Tell whether None is among the values of a type."""
    return typing.get_origin(hint) is types.UnionType


def inside(hint):
    """Return what an optional type is when it is not None."""
    return next(a for a in typing.get_args(hint) if a is not type(None))


@cache
def values_of(hint):
    """Return a strategy for the values of a field's type."""
    plain = {
        str: TEXT,
        bool: st.booleans(),
        int: INT64,
        bytes: st.binary(max_size=8),
        datetime: INSTANTS,
        timedelta: DURATIONS,
        Any: ANYTHING,
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in plain:
        return plain[hint]
    if is_optional(hint):
        return st.none() | values_of(inside(hint))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    return models(hint)


@cache
def models(cls):
    """Return a strategy for the values of a model."""
    fields = {field.name: values_of(hint) for field, hint in fields_of(cls)}
    extra = st.just({}) if cls.closed else UNKNOWN
    return st.builds(cls, extra=extra, **fields)


# --- documents ------------------------------------------------------------------------


def plain_word(value):
    """Return the word of a choice, and anything else as it is."""
    return str(value) if isinstance(value, StrEnum) else value


@cache
def json_of(hint):
    """Return a strategy for what may stand in a document for a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_optional(hint):
        return json_of(inside(hint))
    if origin is tuple:
        return st.lists(json_of(arguments[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(TEXT, json_of(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Model):
        return documents(hint)
    written = {
        bytes: lambda value: base64.b64encode(value).decode(),
        datetime: format_time,
        timedelta: format_duration,
    }
    return values_of(hint).map(written.get(hint, plain_word))


@st.composite
def documents(draw, cls):
    """Draw a document: fields there, absent, null or empty, in any case; unknown ones."""
    document = {} if cls.closed else draw(UNKNOWN)
    for field, hint in fields_of(cls):
        name = document_name(cls.__name__, field.name)
        required = field.default is attrs.NOTHING
        if required or draw(st.booleans()):
            spelling = draw(st.sampled_from([name, name, name.lower(), name.upper()]))
            value = json_of(hint) if required else st.none() | json_of(hint)
            document[spelling] = draw(value)
    if issubclass(cls, Document):
        document |= {"kind": cls.__name__, "apiVersion": cls.api_version}
    return document


def is_kept(before, after):
    """Tell whether every key and value of one JSON value stands in another."""
    if isinstance(before, dict):
        folded = {key.casefold(): key for key in after}
        return all(
            value is None
            or is_kept(value, after.get(key, after.get(folded.get(key.casefold()))))
            for key, value in before.items()
        )
    if isinstance(before, list):
        return len(before) == len(after) and all(
            is_kept(a, b) for a, b in zip(before, after, strict=True)
        )
    return type(before) is type(after) and before == after


@each_model
@few
@given(data=st.data())
def test_what_was_written_reads_back_equal(cls, data):
    """Every value of every model survives JSON in both layouts."""
    value = data.draw(models(cls))

    assert from_json(cls, to_json(value)) == value
    assert load_json(cls, dump_json(value)) == value
    assert load_json(cls, dump_json(value, pretty=False)) == value


@each_model
@few
@given(data=st.data())
def test_what_was_read_is_written_back(cls, data):
    """No key of a document is lost, known or not, empty or not, at any level."""
    document = data.draw(documents(cls))

    written = to_json(from_json(cls, document))

    assert is_kept(document, written)
    assert from_json(cls, written) == from_json(cls, document)


@pytest.mark.parametrize("cls", [Backup, Restore, Schedule, BackupStorageLocation])
@few
@given(data=st.data())
def test_yaml_holds_what_json_holds(cls, data):
    """Values written as YAML read back equal."""
    value = data.draw(models(cls))

    assert load_objects(dump_yaml(value), cls) == [value]
