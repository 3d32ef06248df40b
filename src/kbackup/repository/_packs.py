"""Packs: sealed blobs one after the other, and a sealed header that says which.

Pure: from entries to bytes and back. `_packer` writes them; a pack tells by itself what is
in it, also where no index knows.
Source: restic ``doc/design.rst``, "Pack Format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kbackup.errors import PackCorruptError
from kbackup.repository._crypto import SEAL_OVERHEAD, SecretKey
from kbackup.repository._ids import BlobID, BlobType

PACK_SIZE = 16 << 20
"""Bytes at which a pack is closed, header and the last blob apart (restic's default)."""

LARGEST_HEADER = 16 << 20  # bytes, sealed; restic reads no longer one
_LENGTH = struct.Struct("<I")  # of the sealed header, at the very end
_PLAIN_ENTRY = struct.Struct("<BI32s")
_PACKED_ENTRY = struct.Struct("<BII32s")
_COMPRESSED = 2  # added to the type
MOST_ENTRIES = (LARGEST_HEADER - SEAL_OVERHEAD) // _PACKED_ENTRY.size
_SMALLEST = _LENGTH.size + SEAL_OVERHEAD + _PLAIN_ENTRY.size
_EAGERLY = 1 << 12  # bytes that are asked for before the header's length is known


class PackedBlob(NamedTuple):
    """One blob in a pack.

    Attributes:
        type: What it is.
        id: Its name.
        offset: Bytes from the start of the pack.
        length: Bytes in the pack, `SEAL_OVERHEAD` included.
        plain_size: Bytes before compression; 0: it is not compressed.
    """

    type: BlobType
    id: BlobID
    offset: int
    length: int
    plain_size: int


def encode_header(key: SecretKey, blobs: Iterable[PackedBlob]) -> bytes:
    """Return what follows the blobs: the sealed header and its length, 4 bytes, last."""
    parts = []
    for kind, blob_id, _, length, plain_size in blobs:
        if plain_size:
            parts.append(
                _PACKED_ENTRY.pack(kind + _COMPRESSED, length, plain_size, blob_id)
            )
        else:
            parts.append(_PLAIN_ENTRY.pack(kind, length, blob_id))
    sealed = key.seal(b"".join(parts))
    return bytes(sealed) + _LENGTH.pack(len(sealed))


def size_of_pack(blobs: Iterable[PackedBlob]) -> int:
    """Return how many bytes a pack of these has, its header included."""
    size = SEAL_OVERHEAD + _LENGTH.size
    for blob in blobs:
        entry = _PACKED_ENTRY if blob.plain_size else _PLAIN_ENTRY
        size += blob.length + entry.size
    return size


def read_header(
    key: SecretKey, what: str, size: int, read: Callable[[int, int], bytes]
) -> tuple[PackedBlob, ...]:
    """Read the header of a pack from its end.

    Args:
        key: The repository's own.
        what: How messages name the pack.
        size: Bytes of the whole file.
        read: Returns so many bytes from an offset; called once or twice.

    Raises:
        PackCorruptError: The file is no pack, or its header does not fit it.
        SealBrokenError: The header was altered.
    """
    if size < _SMALLEST:
        raise PackCorruptError(what, f"it has only {size} bytes")
    tail = read(size - min(size, _EAGERLY), min(size, _EAGERLY))
    (length,) = _LENGTH.unpack(tail[-_LENGTH.size :])
    if not SEAL_OVERHEAD < length <= min(size - _LENGTH.size, LARGEST_HEADER):
        raise PackCorruptError(what, f"its header cannot have {length} bytes")
    begins = len(tail) - _LENGTH.size - length
    if begins >= 0:
        sealed = tail[begins : -_LENGTH.size]
    else:
        sealed = read(size - _LENGTH.size - length, length)
    entries = decode_header(bytes(key.unseal(sealed, f"header of {what}")), what)
    last = entries[-1]
    if last.offset + last.length + length + _LENGTH.size != size:
        raise PackCorruptError(what, "its header tells of another number of bytes")
    return entries


def decode_header(plain: bytes, what: str) -> tuple[PackedBlob, ...]:
    """Read the entries of an unsealed header, at least one.

    Raises:
        PackCorruptError: They cannot be read.
    """
    entries: list[PackedBlob] = []
    at = offset = 0
    try:
        while at < len(plain):
            if plain[at] >= _COMPRESSED:
                number, length, size, blob_id = _PACKED_ENTRY.unpack_from(plain, at)
                number, at = number - _COMPRESSED, at + _PACKED_ENTRY.size
            else:
                number, length, blob_id = _PLAIN_ENTRY.unpack_from(plain, at)
                size, at = 0, at + _PLAIN_ENTRY.size
            kind = BlobType(number)
            if length < SEAL_OVERHEAD:
                raise PackCorruptError(what, f"a blob of {length} bytes has no seal")
            entries.append(PackedBlob(kind, blob_id, offset, length, size))
            offset += length
    except (struct.error, ValueError) as exc:
        raise PackCorruptError(what, "an entry of its header cannot be read") from exc
    if not entries:
        raise PackCorruptError(what, "its header names no blob")
    return tuple(entries)
