"""Names of what a repository holds: 32 bytes each, the SHA-256 of a content.

A blob is named after its plain bytes, every file after its bytes as they are stored.
Source: restic ``doc/design.rst``, "Repository Format".
"""

from __future__ import annotations

import enum
import hashlib
from typing import NewType, TypeAlias

BlobID = NewType("BlobID", bytes)
PackID = NewType("PackID", bytes)
IndexID = NewType("IndexID", bytes)
SnapshotID = NewType("SnapshotID", bytes)
KeyID = NewType("KeyID", bytes)
LockID = NewType("LockID", bytes)

Bytes: TypeAlias = bytes | bytearray | memoryview
"""What is hashed, sealed and written: read only, never kept."""

ID_SIZE = 32
_SHORT = 8  # hexadecimal digits: as restic prints IDs


class BlobType(enum.IntEnum):
    """What a blob is: a piece of a file, or the list of what a directory holds."""

    DATA = 0
    TREE = 1


def hash_of(content: Bytes) -> bytes:
    """Return the 32 bytes that name *content*."""
    return hashlib.sha256(content).digest()


def parse_id(text: str) -> bytes:
    """Read 64 hexadecimal digits in lower case.

    Raises:
        ValueError: It is anything else.
    """
    if len(text) != 2 * ID_SIZE or text != text.lower() or not text.isalnum():
        raise ValueError(f"{text[:80]!r} is no ID")
    return bytes.fromhex(text)


def short(name: bytes) -> str:
    """Return the eight digits by which messages name an ID."""
    return name.hex()[:_SHORT]
