"""What may be a key of an object: checked before a key becomes a path or a request."""

from __future__ import annotations

import re

from kbackup.errors import StoreAccessError

_UNWANTED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# Nearly every key: nothing can be wrong with it but its length. A list asks for thousands.
_PLAIN_PART = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PLAIN = re.compile(f"{_PLAIN_PART}(?:/{_PLAIN_PART})*")
_MAX_BYTES = 1024  # of an S3 key, in UTF-8; the smallest limit of the stores we know


def validate_key(key: str) -> str:
    """Return *key* if it can name an object in every store.

    Raises:
        StoreAccessError: It is empty, absolute, climbs out, has an empty part or a
            control character, or is too long.
    """
    if fault := key_fault(key):
        raise StoreAccessError(key, f"not a key of an object: {fault}")
    return key


def key_fault(key: str) -> str:
    """Say what keeps *key* from being one, or nothing."""
    if len(key) <= _MAX_BYTES and _PLAIN.fullmatch(key):
        return ""
    parts = key.split("/")
    faults = (
        (not key, "it is empty"),
        (key.startswith("/"), "it is absolute"),
        (".." in parts or "." in parts, "it has a part that is '.' or '..'"),
        ("" in parts, "it has an empty part"),
        (_UNWANTED.search(key), "it has a control character or a lone surrogate"),
        (
            len(key.encode(errors="replace")) > _MAX_BYTES,
            f"it is longer than {_MAX_BYTES} bytes",
        ),
    )
    return next((fault for is_so, fault in faults if is_so), "")
