"""An opened repository: its key, its config, its index, and blobs by their names.

What every verb works on; the facade makes it. Order of reading: whoever needs snapshots
lists them first and loads the index after that, so that nothing they need is missing.
Source: restic ``doc/design.rst``, "Read and Write Ordering".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import attrs

from kbackup._kits.workers import CancelToken, map_ordered
from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    ObjectDamagedError,
    ObjectNotFoundError,
    PackCorruptError,
    RepositoryLockedError,
)
from kbackup.repository._backend import Backend, File, FileType
from kbackup.repository._blobs import BlobCodec
from kbackup.repository._config import Config
from kbackup.repository._crypto import SecretKey
from kbackup.repository._documents import Documents
from kbackup.repository._ids import BlobID, BlobType, Bytes, IndexID
from kbackup.repository._index import Index, IndexedPack, Place, load_index, merged

_LOADERS = 2  # threads: one waits for the backend while the other one reads


@attrs.define(kw_only=True)
class OpenedRepository:
    """What a password opened.

    Attributes:
        backend: Where the files lie.
        config: What holds for the life of it.
        key: Its own; seals everything.
        documents: Its files of one document.
        codec: Seals and opens its blobs.
        cancel: Stops what takes long.
    """

    backend: Backend
    config: Config
    key: SecretKey = attrs.field(repr=False)
    documents: Documents = attrs.field(repr=False)
    codec: BlobCodec = attrs.field(repr=False)
    cancel: CancelToken = attrs.field(factory=CancelToken, repr=False)
    _index: Index = attrs.field(factory=Index, init=False, repr=False)
    _loaded: set[bytes] = attrs.field(factory=set, init=False, repr=False)
    _loading: threading.Lock = attrs.field(
        factory=threading.Lock, init=False, repr=False
    )

    @property
    def index(self) -> Index:
        """Where every blob is, as far as `refresh_index` was told."""
        return self._index

    @property
    def loaded(self) -> frozenset[bytes]:
        """The names of the index files that were loaded."""
        return frozenset(self._loaded)

    def refresh_index(self) -> int:
        """Load the index files that are new since the last time; return how many.

        To be called under a lock, and before blobs are looked for. Where a file is gone
        that was loaded, somebody removed packs, or may have: then all is loaded anew, as
        what is taken for saved must be there.

        Raises:
            IntegrityError: One is damaged.
        """
        with self._loading:
            there = {name for name, _ in self.backend.list(FileType.INDEX)}
            if not self._loaded <= there:
                self._index, self._loaded = Index(), set()
            names = [IndexID(name) for name in sorted(there - self._loaded)]
            loaded = map_ordered(
                self._load_index, names, workers=_LOADERS, name="kbackup-index"
            )
            for name, packs in zip(names, loaded, strict=True):
                self.cancel.check()
                for pack in packs or ():
                    self._index.add(pack)
                self._loaded.add(name)
        return len(names)

    def require_loaded(self, names: frozenset[bytes]) -> None:
        """Raise where an index file is gone that was loaded before a lock was confirmed.

        Raises:
            RepositoryLockedError: Somebody removed packs meanwhile, or may have.
        """
        if not names <= {name for name, _ in self.backend.list(FileType.INDEX)}:
            raise RepositoryLockedError(
                self.backend.location, "somebody pruned it while its index was read"
            )

    def index_files(self) -> Iterator[tuple[IndexID, tuple[IndexedPack, ...]]]:
        """Load again every index file that `refresh_index` loaded; yield what it tells.

        What is told of packs takes more room than `index`, and is not kept.

        Raises:
            IntegrityError: One is damaged.
        """
        names = [IndexID(name) for name in sorted(self._loaded)]
        loaded = map_ordered(
            self._load_index, names, workers=_LOADERS, name="kbackup-index"
        )
        for name, packs in zip(names, loaded, strict=True):
            self.cancel.check()
            yield name, packs or ()

    def packs(self) -> Iterator[IndexedPack]:
        """Yield each pack that an index names, once; see `index_files`."""
        told = (pack for _, packs in self.index_files() for pack in packs)
        return merged(told, self._index.split)

    def load_blob(self, kind: BlobType, blob_id: BlobID) -> Bytes:
        """Return the plain bytes of a blob, checked.

        Raises:
            BlobMissingError: No index knows it, or its pack is gone.
            IntegrityError: It is damaged.
        """
        place = self._index.find(kind, blob_id)
        sealed = self.load_place(place)
        try:
            return self.codec.open(blob_id, sealed, place.plain_size)
        except IntegrityError:
            # What was turned on its way comes right the second time.
            return self.codec.open(blob_id, self.load_place(place), place.plain_size)

    def load_place(self, place: Place) -> bytes:
        """Return the bytes of a pack at a place.

        Raises:
            BlobMissingError: The pack is gone.
            PackCorruptError: It ends before that, or its medium fails there.
        """
        file = File(FileType.PACK, place.pack)
        try:
            return self.backend.load(file, place.offset, place.length)
        except ObjectNotFoundError as exc:
            raise BlobMissingError(str(file), "the pack is gone") from exc
        except ObjectDamagedError as exc:
            raise PackCorruptError(str(file), exc.reason) from exc

    def _load_index(self, name: IndexID) -> tuple[IndexedPack, ...] | None:
        try:
            return load_index(self.documents, name)
        except ObjectNotFoundError:
            return None  # its place was taken by another one since it was listed
