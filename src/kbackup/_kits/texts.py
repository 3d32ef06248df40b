"""Texts that are none: half a surrogate pair, which Python keeps and no file can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs


def text_violations(what: Any) -> list[str]:
    """Name each text in a specification, or in options, that is no Unicode.

    They come from arguments and names of files that are no UTF-8, and from JSON with
    half an escaped pair. What is kept of a run could not be written with them.
    """
    return [
        f"{place}: {text!r} holds half a surrogate pair, which is no Unicode text"
        for place, text in _texts(what, "")
        if not _is_unicode(text)
    ]


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key, path)
            yield from _texts(inner, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _texts(inner, path)
    elif attrs.has(type(value)) and type(value).__module__.startswith("kbackup."):
        for field in attrs.fields(type(value)):
            inner = getattr(value, field.name)
            yield from _texts(inner, f"{path}.{field.name}" if path else field.name)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
