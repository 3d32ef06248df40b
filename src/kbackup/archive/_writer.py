"""Items to a tar.gz in Velero's layout. Streams only; knows no store."""

from __future__ import annotations

from typing import BinaryIO, Self

from kbackup._kits.background import BackgroundWriter
from kbackup._kits.streams import HashingWriter, compress, gzip_writer
from kbackup.archive._headers import END, PADDING, HeaderTemplate
from kbackup.archive._layout import (
    FORMAT_VERSION,
    VERSION_ENTRY,
    item_directory,
    version_directory,
)
from kbackup.errors import ArchiveError

_FLUSH_AT = 1 << 18  # a quarter MiB to gzip at a time; larger blocks gained nothing
# From this size a body is a gzip member of its own, compressed once and written twice.
_OWN_MEMBER = 1 << 16
_LARGE_LEVEL = 1  # large bodies are mostly packed already: half the time, same size
_ROUND_TO = 512 - 1


class ArchiveWriter:
    """Writes an archive; one thread at a time.

    The archive is whole only after `close`, which leaving the ``with`` block calls,
    also when an error leaves it. Where the same items are added in the same order with
    the same *mtime*, the bytes are the same.

    Args:
        out: Where the compressed bytes go; stays open.
        mtime: Of every entry, in whole seconds since 1970.
        level: Of gzip; None: what was measured to be best for archives.

    Attributes:
        items: Added so far.
        entries: Written so far, ``metadata/version`` included.
    """

    def __init__(self, out: BinaryIO, *, mtime: int, level: int | None = None) -> None:
        self._hashing = HashingWriter(out)
        self._out = BackgroundWriter(self._hashing)
        self._level = level
        self._gzip = gzip_writer(self._out, level=level)
        self._headers = HeaderTemplate(mtime)
        self._waiting: list[bytes] = []
        self._size = 0
        self._closed = False
        self._type: tuple[str, str, str, bool] | None = None
        self._plain = self._versioned = ""
        self.items = 0
        self.entries = 0
        self._entry(VERSION_ENTRY, f"{FORMAT_VERSION}\n".encode())

    def add(
        self,
        *,
        resource: str,
        version: str,
        namespace: str,
        name: str,
        body: bytes,
        preferred: bool = True,
    ) -> None:
        """Write one item.

        An item of the cluster's preferred version is written twice, as Velero has it:
        un-versioned, then below its version; another one only below its version.

        Args:
            resource: Such as ``deployments.apps``, without a version.
            version: Such as ``v1``, without the group.
            namespace: Empty for cluster-scoped items.
            name: As the API server knows it.
            body: The JSON object.
            preferred: Whether *version* is the one that the cluster prefers.

        Raises:
            ArchiveError: The name cannot be a file's.
        """
        if (resource, version, namespace, preferred) != self._type:
            self._enter(resource, version, namespace, preferred=preferred)
        if "/" in name or name in {"", ".", ".."}:
            raise ArchiveError(f"{name!r} cannot be the name of an item")
        size = len(body)
        padding = PADDING[size & _ROUND_TO]
        tail = f"{name}.json"
        header = self._headers.header
        if preferred and size >= _OWN_MEMBER:
            self._add_large(tail, body, padding)
            return
        if preferred:
            self._waiting += (header(self._plain + tail, size), body, padding)
            self.entries += 1
            self._size += size
        self._waiting += (header(self._versioned + tail, size), body, padding)
        self.entries += 1
        self.items += 1
        self._size += size
        if self._size >= _FLUSH_AT or len(self._waiting) >= _FLUSH_AT >> 8:
            self._flush()

    def _add_large(self, tail: str, body: bytes, padding: bytes) -> None:
        """Write both copies of a large item and compress its bytes only once.

        Gzip's window is far too small to notice that they are the same; but a gzip
        file may have any number of members, and what is in two of them can be equal.
        """
        level = _LARGE_LEVEL if self._level is None else self._level
        member = compress(body, padding, level=level)
        for directory in (self._plain, self._versioned):
            self._waiting.append(self._headers.header(directory + tail, len(body)))
            self._flush()
            self._gzip.close()
            self._out.write(member)
            self._gzip = gzip_writer(self._out, level=self._level)
            self.entries += 1
        self.items += 1

    @property
    def sha256(self) -> str:
        """The digest of the compressed bytes, 64 digits; final after `close`."""
        return self._hashing.sha256

    @property
    def size(self) -> int:
        """The number of compressed bytes; final after `close`."""
        return self._hashing.size

    def close(self) -> None:
        """Write the end mark and finish the gzip; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._waiting.append(END)
            self._flush()
            self._gzip.close()
        finally:
            self._out.close()

    def _enter(
        self, resource: str, version: str, namespace: str, *, preferred: bool
    ) -> None:
        """Keep the directories of a run of items; they come sorted by type."""
        for part in (resource, version):
            if "/" in part or part in {"", ".", ".."}:
                raise ArchiveError(f"{part!r} cannot be part of an item's path")
        if "/" in namespace or namespace in {".", ".."}:
            raise ArchiveError(f"{namespace!r} cannot be part of an item's path")
        before, after = item_directory(resource, namespace)
        self._plain = before + after
        directory = version_directory(version, preferred=preferred)
        self._versioned = f"{before}{directory}/{after}"
        self._type = (resource, version, namespace, preferred)

    def _entry(self, path: str, body: bytes) -> None:
        padding = PADDING[len(body) & _ROUND_TO]
        self._waiting += (self._headers.header(path, len(body)), body, padding)
        self.entries += 1

    def _flush(self) -> None:
        self._gzip.write(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
