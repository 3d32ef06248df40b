"""From plain bytes to a sealed blob and back: hash, compress, seal, and look once more.

Called by whoever fills packs and whoever reads them. Knows no files.
Source: restic ``doc/design.rst``, "Pack Format".
"""

from __future__ import annotations

from typing import NamedTuple

from kbackup.errors import IntegrityError
from kbackup.repository._compression import Compression, Zstd
from kbackup.repository._crypto import SecretKey
from kbackup.repository._ids import BlobID, BlobType, Bytes, hash_of, short


class PackedBytes(NamedTuple):
    """A blob before it is sealed.

    Attributes:
        content: Compressed, where that made it smaller.
        plain_size: Bytes before compression; 0: it is not compressed.
    """

    content: Bytes
    plain_size: int


class SealedBlob(NamedTuple):
    """A blob as it lies in a pack.

    Attributes:
        sealed: ``IV || ciphertext || MAC``.
        plain_size: Bytes before compression; 0: it is not compressed.
    """

    sealed: Bytes
    plain_size: int


class BlobCodec:
    """Seals and opens blobs; may be used by many threads.

    Args:
        key: The repository's own.
        version: Of the repository; in version 1 nothing is compressed.
        compression: For what is sealed. Trees are compressed all the same.
    """

    def __init__(
        self,
        key: SecretKey,
        version: int,
        compression: Compression = Compression.AUTO,
    ) -> None:
        self._key = key
        self._compresses = {
            BlobType.DATA: version > 1 and compression is not Compression.OFF,
            BlobType.TREE: version > 1,
        }
        self._zstd = Zstd(compression)

    def seal(self, kind: BlobType, plain: Bytes) -> SealedBlob:
        """Compress where that makes it smaller, seal, and open it again to be sure.

        Raises:
            IntegrityError: What was sealed does not open: the machine makes mistakes.
        """
        (packed,) = self.compress_all(kind, [plain])
        return self.seal_packed(packed)

    def compress_all(self, kind: BlobType, plains: list[Bytes]) -> list[PackedBytes]:
        """Compress blobs where that makes them smaller: the first half of `seal`.

        Trees are compressed in any case: restic writes anew those that are not.
        """
        # The library takes no empty ones, which hardly ever come.
        if not self._compresses[kind] or not all(plains):
            return [PackedBytes(plain, 0) for plain in plains]
        always = kind is BlobType.TREE
        return [
            PackedBytes(packed, len(plain))
            if always or len(packed) < len(plain)
            else PackedBytes(plain, 0)
            for plain, packed in zip(
                plains, self._zstd.compress_all(plains), strict=True
            )
        ]

    def seal_packed(self, packed: PackedBytes) -> SealedBlob:
        """Seal what was compressed, and open it again: the second half of `seal`."""
        sealed = self._key.seal(packed.content)
        if self._key.unseal(sealed, "blob") != packed.content:
            raise IntegrityError("blob", "what was sealed does not open as it was")
        return SealedBlob(sealed, packed.plain_size)

    def open(self, blob_id: BlobID, sealed: Bytes, plain_size: int) -> Bytes:
        """Return the plain bytes, which are those that *blob_id* stands for.

        Args:
            blob_id: Its name.
            sealed: As it lies in the pack.
            plain_size: As the index or the pack's header say it; 0: not compressed.

        Raises:
            IntegrityError: They are others, or cannot be read.
        """
        packed = PackedBytes(self.unseal(blob_id, sealed), plain_size)
        (plain,) = self.inflate_all([(f"blob {short(blob_id)}", packed)])
        if isinstance(plain, IntegrityError):
            raise plain
        self.check(blob_id, plain)
        return plain

    def unseal(self, blob_id: BlobID, sealed: Bytes) -> Bytes:
        """Check the seal and decrypt: the first third of `open`; raises `SealBrokenError`."""
        return self._key.unseal(sealed, f"blob {short(blob_id)}")

    def inflate_all(
        self, named: list[tuple[str, PackedBytes]]
    ) -> list[Bytes | IntegrityError]:
        """Inflate what is compressed: the second third of `open`, for many at once.

        Args:
            named: How messages name each, and what was unsealed.

        Returns:
            The plain bytes of each, or what is wrong with it.
        """
        opened: list[Bytes | IntegrityError] = [packed.content for _, packed in named]
        places = [place for place, (_, packed) in enumerate(named) if packed.plain_size]
        frames = [(named[place][0], *named[place][1]) for place in places]
        for place, plain in zip(places, self._zstd.inflate_all(frames), strict=True):
            opened[place] = plain
        return opened

    def check(self, blob_id: BlobID, plain: Bytes) -> None:
        """Hold plain bytes against their name: the last third of `open`.

        Raises:
            IntegrityError: They are others.
        """
        if hash_of(plain) != blob_id:
            what = f"blob {short(blob_id)}"
            raise IntegrityError(what, "its bytes are not those of its name")
