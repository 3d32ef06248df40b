"""Where every blob is: the index files, and what is known of them in memory.

An index names only packs that are durable. Called by whoever looks for blobs, and by the
packer, which adds to it. Source: restic ``doc/design.rst``, "Indexing".
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec

from kbackup.errors import BlobMissingError, IntegrityError
from kbackup.repository._backend import File, FileType
from kbackup.repository._crypto import SEAL_OVERHEAD
from kbackup.repository._documents import Documents
from kbackup.repository._ids import (
    BlobID,
    BlobType,
    IndexID,
    PackID,
    parse_id,
    short,
)
from kbackup.repository._packs import PackedBlob

MOST_BLOBS = 50_000
"""Blobs in one index file, as restic has it: about 3 MB compressed."""

_TYPES = {"data": BlobType.DATA, "tree": BlobType.TREE}
_WORDS = {kind: word for word, kind in _TYPES.items()}
_WORD = (1 << 32) - 1


class IndexedPack(NamedTuple):
    """A pack as an index file has it.

    Attributes:
        id: Its name.
        blobs: What lies in it; an index need not name all of it.
    """

    id: PackID
    blobs: tuple[PackedBlob, ...]


class Place(NamedTuple):
    """Where a blob lies.

    Attributes:
        pack: In which pack.
        offset: Bytes from its start.
        length: Bytes in the pack, `SEAL_OVERHEAD` included.
        plain_size: Bytes before compression; 0: it is not compressed.
    """

    pack: PackID
    offset: int
    length: int
    plain_size: int

    @property
    def size(self) -> int:
        """How many bytes the blob itself has."""
        return self.plain_size or self.length - SEAL_OVERHEAD


class _Blob(msgspec.Struct, gc=False, omit_defaults=True):
    id: str
    type: str
    offset: int
    length: int
    uncompressed_length: int = 0


class _Pack(msgspec.Struct):
    id: str
    blobs: list[_Blob]


class _Written(msgspec.Struct, omit_defaults=True):
    packs: list[_Pack]
    supersedes: list[str] = []


_decode = msgspec.json.Decoder(_Written).decode


def encode_index(
    packs: Iterable[IndexedPack], supersedes: Iterable[IndexID] = ()
) -> bytes:
    """Return the JSON of an index file.

    Args:
        packs: All of them durable.
        supersedes: Index files whose place this one takes; they are removed after it
            was written.
    """
    written = _Written(
        packs=[
            _Pack(
                pack.id.hex(),
                [
                    _Blob(b.id.hex(), _WORDS[b.type], b.offset, b.length, b.plain_size)
                    for b in pack.blobs
                ],
            )
            for pack in packs
        ],
        supersedes=[each.hex() for each in supersedes],
    )
    return msgspec.json.encode(written)


def decode_index(document: bytes, what: str) -> tuple[IndexedPack, ...]:
    """Read an index file.

    Raises:
        IntegrityError: It is none, or tells of what cannot be.
    """
    try:
        written = _decode(document)
        return tuple(
            IndexedPack(
                PackID(parse_id(pack.id)),
                tuple(_packed(blob) for blob in pack.blobs),
            )
            for pack in written.packs
        )
    except (ValueError, KeyError, RecursionError, msgspec.MsgspecError) as exc:
        raise IntegrityError(what, "it is no index") from exc


def _packed(blob: _Blob) -> PackedBlob:
    length, offset, size = blob.length, blob.offset, blob.uncompressed_length
    if length < SEAL_OVERHEAD or offset < 0 or max(length, offset, size) > _WORD:
        raise ValueError(length)
    kind = _TYPES[blob.type]
    return PackedBlob(kind, BlobID(parse_id(blob.id)), offset, length, size)


class Index:
    """Where every blob is; may be used by many threads.

    About 200 bytes a blob: all that is known of one lies in one number.

    Attributes:
        split: The packs that more than one index entry tells of.
    """

    def __init__(self) -> None:
        self._packs: list[PackID] = []
        self._known: set[PackID] = set()
        self.split: set[PackID] = set()
        self._places: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
        self._adding = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._places))

    def add(self, pack: IndexedPack) -> None:
        """Note what is in a pack. A blob that is known already stays where it was."""
        with self._adding:
            number = len(self._packs)
            self._packs.append(pack.id)
            if pack.id in self._known:
                self.split.add(pack.id)
            self._known.add(pack.id)
        for kind, blob_id, offset, length, plain_size in pack.blobs:
            packed = ((number << 32 | offset) << 32 | length) << 32 | plain_size
            self._places[kind].setdefault(blob_id, packed)

    def has(self, kind: BlobType, blob_id: BlobID) -> bool:
        """Tell whether a blob is known."""
        return blob_id in self._places[kind]

    def has_all(self, kind: BlobType, blobs: Iterable[BlobID]) -> bool:
        """Tell whether all of these are known."""
        return self._places[kind].keys() >= set(blobs)

    def find(self, kind: BlobType, blob_id: BlobID) -> Place:
        """Return where a blob is.

        Raises:
            BlobMissingError: No index knows it.
        """
        packed = self._places[kind].get(blob_id)
        if packed is None:
            what = f"{_WORDS[kind]} blob {short(blob_id)}"
            raise BlobMissingError(what, "no index names it")
        return Place(
            self._packs[packed >> 96],
            packed >> 64 & _WORD,
            packed >> 32 & _WORD,
            packed & _WORD,
        )

    def blobs(self, kind: BlobType) -> Iterator[BlobID]:
        """Yield the name of every blob of a type."""
        yield from map(BlobID, self._places[kind])

    def keeps(self, pack: PackID, blob: PackedBlob) -> bool:
        """Tell whether *this* is the copy of a blob that `find` returns."""
        place = self.find(blob.type, blob.id)
        return place.pack == pack and place.offset == blob.offset


def load_index(documents: Documents, name: IndexID) -> tuple[IndexedPack, ...]:
    """Load an index file; raises as `Documents.load` and `decode_index`."""
    what = str(File(FileType.INDEX, name))
    return decode_index(documents.load(FileType.INDEX, name), what)


def merged(
    packs: Iterable[IndexedPack], split: Collection[PackID]
) -> Iterator[IndexedPack]:
    """Yield each pack once, with all that is told of it.

    Args:
        packs: Of all index files.
        split: The packs that come more than once, as `Index.split`.
    """
    parts: dict[PackID, dict[PackedBlob, None]] = {}
    for pack in packs:
        if pack.id in split:
            parts.setdefault(pack.id, {}).update(dict.fromkeys(pack.blobs))
        else:
            yield pack
    for name, blobs in parts.items():
        yield IndexedPack(name, tuple(blobs))


def save_index(documents: Documents, packs: Iterable[IndexedPack]) -> list[IndexID]:
    """Write what is in these packs, in files of up to `MOST_BLOBS`; return their names."""
    names: list[IndexID] = []
    waiting: list[IndexedPack] = []
    count = 0
    for pack in packs:
        waiting.append(pack)
        count += len(pack.blobs)
        if count >= MOST_BLOBS:
            names.append(_save(documents, waiting))
            waiting, count = [], 0
    if waiting:
        names.append(_save(documents, waiting))
    return names


def _save(documents: Documents, packs: list[IndexedPack]) -> IndexID:
    return IndexID(documents.save(FileType.INDEX, encode_index(packs)))
