"""Small objects of a store, read whole into memory, within bounds."""

from __future__ import annotations

import io
from typing import Any

import msgspec

from kbackup._kits.streams import GZIP_ERRORS, decompress
from kbackup.errors import ObjectNotFoundError, StoreError
from kbackup.plugins import Digest, ObjectStore

_MIB = 1 << 20
LARGEST_DOCUMENT = 64 * _MIB
"""Bytes of a record or a manifest: 300,000 lists would fit."""

LARGEST_SIDE_FILE = 512 * _MIB
"""Inflated bytes of a side file or a log."""


class UnreadableError(ValueError):
    """An object is there and is not what its name says; says why."""


class _Bounded(io.BytesIO):
    """Takes no more than a number of bytes, whatever the store sends."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > self._limit:
            raise UnreadableError(f"it has more than {self._limit} bytes")
        return super().write(data)


def exists(store: ObjectStore, key: str) -> bool:
    """Tell whether there is an object; raises `StoreError` where nobody can tell."""
    try:
        store.stat(key)
    except ObjectNotFoundError:
        return False
    return True


def fetch(
    store: ObjectStore,
    key: str,
    *,
    limit: int = LARGEST_DOCUMENT,
    expect: Digest | None = None,
) -> bytes:
    """Return an object's bytes.

    Raises:
        UnreadableError: It is larger than *limit*.
        StoreError: As `ObjectStore.get`.
    """
    target = _Bounded(limit)
    try:
        store.get(key, target, expect=expect)
    except StoreError as exc:
        # A store may have made its own error of the one that the target raised.
        if isinstance(exc.__cause__, UnreadableError):
            raise exc.__cause__ from exc
        raise
    return target.getvalue()


def inflate(content: bytes) -> bytes:
    """Return the plain bytes of a gzip; raises `UnreadableError`."""
    try:
        return decompress(
            content,
            limit=LARGEST_SIDE_FILE,
            error=lambda most: UnreadableError(f"it inflates to more than {most}"),
        )
    except GZIP_ERRORS as exc:
        raise UnreadableError(f"its gzip is damaged: {exc}") from exc


def parse_json(content: bytes) -> Any:
    """Return the value of a JSON document; raises `UnreadableError`."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableError(f"it is no JSON: {exc}") from exc
