"""The few protobuf bodies that clients send although JSON is understood too.

kubectl's ``create namespace``, ``create configmap`` and the like send nothing else. The
field numbers of the types that these verbs make are here; anything else is refused.

Source: the ``generated.proto`` files of Kubernetes' API types.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kbackup.testing._simulator.status import ApiError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Reader = Callable[[Any], Any]
# Field number to (JSON name, reader, "one" | "many" | "map").
Schema = Mapping[int, tuple[str, Reader, str]]


def decode_body(data: bytes) -> dict[str, Any]:
    """Return the object in a protobuf body.

    Raises:
        ApiError: It is of a type that is not known here, or cut off.
    """
    if not data.startswith(_MAGIC):
        raise ApiError(400, "the body does not begin as Kubernetes' protobuf does")
    try:
        envelope = dict(_fields(data[len(_MAGIC) :]))
        type_meta = _read(envelope[1], {1: _text("apiVersion"), 2: _text("kind")})
        schema = _SCHEMAS.get((type_meta["apiVersion"], type_meta["kind"]))
        if schema is None:
            raise ApiError(
                415, f"{type_meta['kind']} is understood as JSON only, not as protobuf"
            )
        return {**type_meta, **_read(envelope[2], schema)}
    except (IndexError, KeyError, UnicodeDecodeError) as exc:
        raise ApiError(400, f"the protobuf body cannot be read: {exc}") from exc


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value) of one message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            value = data[at : at + length]
            if len(value) < length:
                raise IndexError("it is cut off")
            at += length
        elif wire in {_FIXED64, _FIXED32}:
            length = 8 if wire == _FIXED64 else 4
            value = data[at : at + length]
            at += length
        else:
            raise IndexError(f"wire type {wire}")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - the last byte has no high bit
            return value, at


def _read(data: bytes, schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, raw in _fields(data):
        if number not in schema:
            continue
        name, reader, how = schema[number]
        if how == "map":
            entry = dict(_fields(raw))
            key = entry.get(1, b"").decode()
            found.setdefault(name, {})[key] = reader(entry.get(2, b""))
        elif how == "many":
            found.setdefault(name, []).append(reader(raw))
        elif (value := reader(raw)) not in ("", {}, None):
            found[name] = value
    return found


def _utf8(raw: bytes) -> str:
    return raw.decode()


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _text(name: str) -> tuple[str, Reader, str]:
    return (name, _utf8, "one")


def _texts(name: str) -> tuple[str, Reader, str]:
    return (name, _utf8, "map")


def _flag(name: str) -> tuple[str, Reader, str]:
    return (name, bool, "one")


_METADATA: Schema = {
    1: _text("name"),
    2: _text("generateName"),
    3: _text("namespace"),
    11: _texts("labels"),
    12: _texts("annotations"),
    14: ("finalizers", _utf8, "many"),
}
_WITH_METADATA: Schema = {1: ("metadata", lambda raw: _read(raw, _METADATA), "one")}
_SCHEMAS: Mapping[tuple[str, str], Schema] = {
    ("v1", "Namespace"): _WITH_METADATA,
    ("v1", "ServiceAccount"): _WITH_METADATA,
    ("v1", "ConfigMap"): {
        **_WITH_METADATA,
        2: _texts("data"),
        3: ("binaryData", _encoded, "map"),
        4: _flag("immutable"),
    },
    ("v1", "Secret"): {
        **_WITH_METADATA,
        2: ("data", _encoded, "map"),
        3: _text("type"),
        4: _texts("stringData"),
        5: _flag("immutable"),
    },
}
