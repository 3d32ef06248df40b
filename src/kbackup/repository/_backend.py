"""What a repository writes to: files under names, written once and whole.

The Protocol, and which key each file has; `_local`, `_memory` and `_object_store` keep it.
Layout: restic's, so that stock restic opens the directory or the bucket prefix as it is.
Source: restic ``doc/design.rst``, "Repository Layout".
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple, Protocol, Self

from kbackup.errors import ObjectDamagedError
from kbackup.repository._ids import Bytes, parse_id, short


class FileType(enum.StrEnum):
    """The kinds of files; the value is the directory they lie in."""

    CONFIG = "config"
    KEY = "keys"
    LOCK = "locks"
    SNAPSHOT = "snapshots"
    INDEX = "index"
    PACK = "data"


_WORDS = {
    FileType.CONFIG: "config",
    FileType.KEY: "key",
    FileType.LOCK: "lock",
    FileType.SNAPSHOT: "snapshot",
    FileType.INDEX: "index",
    FileType.PACK: "pack",
}


_MOST = {  # bytes; those that restic and kbackup write have a fraction of it
    FileType.CONFIG: 1 << 20,
    FileType.KEY: 1 << 20,
    FileType.LOCK: 1 << 20,
    FileType.SNAPSHOT: 1 << 30,
    FileType.INDEX: 1 << 30,
    FileType.PACK: (1 << 32) + (32 << 20),  # one blob as large as its length can say
}


def require_sane(file: File, size: int) -> None:
    """Refuse to take a file into memory that is larger than any of its kind.

    Args:
        file: Which; it is asked for as a whole.
        size: Its bytes.

    Raises:
        ObjectDamagedError: It is.
    """
    if size > _MOST[file.type]:
        reason = f"it has {size} bytes, and none of its kind has so many"
        raise ObjectDamagedError(file.key, reason)


class File(NamedTuple):
    """One file of a repository.

    Attributes:
        type: Its kind.
        name: 32 bytes, the SHA-256 of what it holds; empty for the config.
    """

    type: FileType
    name: bytes = b""

    @property
    def key(self) -> str:
        """Where it lies below the root: ``data/3f/3f2a...``, ``config``."""
        if self.type is FileType.CONFIG:
            return self.type.value
        digits = self.name.hex()
        if self.type is FileType.PACK:
            return f"{self.type.value}/{digits[:2]}/{digits}"
        return f"{self.type.value}/{digits}"

    def __str__(self) -> str:
        """As messages name it: ``pack 3f2a9c01``."""
        return f"{_WORDS[self.type]} {short(self.name)}".rstrip()


CONFIG = File(FileType.CONFIG)


def file_of(key: str) -> File | None:
    """Return the file that lies under *key*; None: it is none of the format."""
    directory, _, rest = key.partition("/")
    try:
        kind = FileType(directory)
        if kind is FileType.CONFIG:
            return None if rest else CONFIG
        name = parse_id(rest.rpartition("/")[2])
    except ValueError:
        return None
    found = File(kind, name)
    return found if found.key == key else None


class Spool(Protocol):
    """Where a file is collected before it has its name; gone when it is closed."""

    def write(self, data: Bytes, /) -> int:
        """Append all of *data*."""
        ...

    def close(self) -> None:
        """Give up what was not saved; closing again does nothing."""
        ...


class Backend(Protocol):
    """Keeps the files of one repository. May be called by many threads.

    What goes wrong is raised from the store's part of the tree: `ObjectNotFoundError`,
    `StoreAccessError`, `StoreFullError`, `StoreUnavailableError` once repeating is no
    use. Implementations repeat themselves what may pass.

    Attributes:
        location: What messages call the place; never with credentials.
    """

    location: str

    def load(self, file: File, offset: int = 0, length: int | None = None) -> bytes:
        """Return the bytes of a file from *offset*: all, or exactly *length*.

        Raises:
            ObjectNotFoundError: There is no such file.
            ObjectDamagedError: It has fewer bytes than that, or its medium fails there; or
                all of it is asked for, and `require_sane` refuses that.
            StoreError: It cannot be read for another reason.
        """
        ...

    def save(self, file: File, content: Bytes | Spool) -> None:
        """Write a file, which appears whole and durable, or not at all.

        Of a name that is taken nothing changes and nothing is raised: a name stands for
        its content. Only the config is no such name.

        Args:
            file: Its name.
            content: The bytes, or a spool of this backend, which is closed.

        Raises:
            ObjectExistsError: There is a config already.
        """
        ...

    def spool(self) -> Spool:
        """Return a place to collect a file in, which `save` takes without copying it twice."""
        ...

    def list(self, kind: FileType) -> Iterator[tuple[bytes, int]]:
        """Yield name and size of each file of a kind, in no order; strangers are passed over."""
        ...

    def size(self, file: File) -> int:
        """Return how many bytes a file has; raises as `load`."""
        ...

    def exists(self, file: File) -> bool:
        """Tell whether there is such a file."""
        ...

    def remove(self, file: File) -> None:
        """Remove a file; of one that is not there nothing is said."""
        ...

    def create(self) -> None:
        """Make what must be there before the first file, such as directories."""
        ...

    def sweep(self, older_than: timedelta) -> int:
        """Remove what killed processes left; return how many files that were.

        Args:
            older_than: How long nothing was written to them: more than those who live
                take between two writes and for naming the file.
        """
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
