"""A repository in this process's memory, for tests and for trying things out."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Self

from kbackup.errors import ObjectDamagedError, ObjectExistsError, ObjectNotFoundError
from kbackup.repository._backend import CONFIG, File, FileType, Spool
from kbackup.repository._ids import Bytes


class _MemorySpool(io.BytesIO):
    """Collects a file; what it holds is gone when it is closed."""


class MemoryBackend:
    """Keeps files in a dictionary; nobody else sees them, and they end with it.

    Attributes:
        files: The bytes by file, for looking at and for damaging.
    """

    def __init__(self, location: str = "memory") -> None:
        self.location = location
        self.files: dict[File, bytes] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    def load(self, file: File, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file; see `Backend.load`."""
        content = self._content(file)
        end = len(content) if length is None else offset + length
        if max(offset, end) > len(content):
            raise ObjectDamagedError(file.key, f"it has only {len(content)} bytes")
        return content[offset:end]

    def save(self, file: File, content: Bytes | Spool) -> None:
        """Keep a file; see `Backend.save`."""
        if isinstance(content, _MemorySpool):
            with content:
                found = content.getvalue()
        elif isinstance(content, bytes | bytearray | memoryview):
            found = bytes(content)
        else:
            raise TypeError(f"{type(content).__name__} is no spool of this backend")
        with self._lock:
            taken = self.files.get(file)
            if taken is not None and file == CONFIG:
                raise ObjectExistsError(file.key)
            if taken is None or len(taken) != len(found):  # or damaged on purpose
                self.files[file] = found

    def spool(self) -> Spool:
        """Return a place to collect a file in; see `Backend.spool`."""
        return _MemorySpool()

    def list(self, kind: FileType) -> Iterator[tuple[bytes, int]]:
        """List the files of a kind as they are now; see `Backend.list`."""
        with self._lock:
            found = [
                (file.name, len(content))
                for file, content in self.files.items()
                if file.type is kind
            ]
        return iter(found)

    def size(self, file: File) -> int:
        """Return how many bytes a file has; see `Backend.size`."""
        return len(self._content(file))

    def exists(self, file: File) -> bool:
        """Tell whether there is such a file."""
        return file in self.files

    def remove(self, file: File) -> None:
        """Forget a file; see `Backend.remove`."""
        with self._lock:
            self.files.pop(file, None)

    def create(self) -> None:
        """Do nothing: memory needs no directories."""

    def sweep(self, older_than: timedelta) -> int:  # noqa: ARG002 - of others
        """Do nothing: what was collected is gone with its process."""
        return 0

    def close(self) -> None:
        """Do nothing: the files stay, for whoever opens the repository again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _content(self, file: File) -> bytes:
        content = self.files.get(file)
        if content is None:
            raise ObjectNotFoundError(file.key)
        return content
