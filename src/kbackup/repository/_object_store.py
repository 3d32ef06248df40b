"""A repository in a bucket: any store of kbackup that keeps objects under keys.

The keys are restic's, so that stock restic opens the same prefix of the same bucket.
What may pass is tried again here, after the store itself gave up. Used by whoever opens
a repository at a location; the store is an argument, so that none is imported.
"""

from __future__ import annotations

import io
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, Self, TypeVar

from kbackup._kits.temporary import place_of, private_directory
from kbackup._kits.workers import CancelToken
from kbackup.errors import (
    KBackupError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectNotFoundError,
    SpoolError,
    StoreUnavailableError,
)
from kbackup.repository._backend import (
    CONFIG,
    File,
    FileType,
    Spool,
    file_of,
    require_sane,
)
from kbackup.repository._file_spool import FileSpool
from kbackup.repository._ids import Bytes

T = TypeVar("T")

_FIRST_PAUSE = 1.0  # seconds: a store tried at once and often before it gave up
_LONGEST_PAUSE = 30.0
_PREFIX = "kbackup-repository-"  # of the directory of spools


class ObjectDescription(Protocol):
    """What a store tells of an object."""

    @property
    def key(self) -> str:
        """Its key."""
        ...

    @property
    def size(self) -> int:
        """How many bytes it has, also where a part of it was read."""
        ...


class Objects(Protocol):
    """What is asked of a store: a part of `kbackup.plugins.ObjectStore`."""

    def put(self, key: str, source: Path | bytes, *, create: bool = False) -> object:
        """Write an object whole; with *create*, unless the key is taken."""
        ...

    def get(
        self, key: str, target: BinaryIO, *, start: int = 0, length: int | None = None
    ) -> ObjectDescription:
        """Read an object, or a part of it."""
        ...

    def stat(self, key: str) -> ObjectDescription:
        """Describe an object."""
        ...

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectDescription]:
        """Yield the objects whose key starts with *prefix*, ascending, past *after*."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        ...


class _Target(io.BytesIO):
    """Takes what comes of a file, up to what any of its kind has."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file

    def write(self, data: Bytes, /) -> int:  # type: ignore[override] # they are enough
        require_sane(self._file, self.tell() + len(data))
        return super().write(data)


class ObjectStoreBackend:
    """Keeps the files of a repository as objects of a store.

    Args:
        store: Where; it stays open when the backend is closed.
        prefix: Where in it, such as ``restic/shop``; empty: at its root.
        location: What messages call the place; never with credentials.
        spool_directory: For packs until they are sent; None: the system's place.
        patience: How long after its first failure a request is still begun again. The
            store's own time for a request comes on top of it, once.
        cancel: Ends every wait, and refuses further requests, by `Cancelled`.
    """

    def __init__(
        self,
        store: Objects,
        *,
        location: str,
        prefix: str = "",
        spool_directory: Path | None = None,
        patience: timedelta = timedelta(minutes=5),
        cancel: CancelToken | None = None,
    ) -> None:
        self.location = location
        self._store = store
        self._below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._parent = spool_directory
        self._patience = patience.total_seconds()
        self._cancel = cancel or CancelToken()
        self._held = ExitStack()
        self._spools: Path | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    def load(self, file: File, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file; see `Backend.load`."""
        return self._repeat(lambda: self._load(file, offset, length))

    def save(self, file: File, content: Bytes | Spool) -> None:
        """Write a file; see `Backend.save`.

        An object of that name is not looked for but written again, with the same bytes;
        a damaged one is healed by it. Only before a config is written, it is: where the
        store cannot write create-only, one of two at the same moment may still be lost.
        """
        if isinstance(content, FileSpool):
            with closing(content):
                self._put(file, Path(content.path))
        elif isinstance(content, bytes | bytearray | memoryview):
            self._put(file, bytes(content))
        else:
            raise TypeError(f"{type(content).__name__} is no spool of this backend")

    def spool(self) -> FileSpool:
        """Return a private file of this machine to collect a file in.

        It is gone when it is closed, and at the latest when the backend is; those of a
        killed process when one like it begins.

        Raises:
            SpoolError: There is no place or no room for it.
        """
        try:
            descriptor, path = tempfile.mkstemp(dir=self._directory_of_spools())
        except OSError as exc:
            raise self._no_spool(exc) from exc
        return FileSpool(path, descriptor, self._no_spool)

    def list(self, kind: FileType) -> Iterator[tuple[bytes, int]]:
        """List the files of a kind; see `Backend.list`."""
        end = "" if kind is FileType.CONFIG else "/"
        for info in self._objects(f"{self._below}{kind.value}{end}"):
            file = file_of(info.key[len(self._below) :])
            if file is not None:
                yield file.name, info.size

    def size(self, file: File) -> int:
        """Return how many bytes a file has; see `Backend.size`."""
        return self._repeat(lambda: self._store.stat(self._key(file)).size)

    def exists(self, file: File) -> bool:
        """Tell whether there is such a file; what cannot be told is raised."""
        try:
            self.size(file)
        except ObjectNotFoundError:
            return False
        return True

    def remove(self, file: File) -> None:
        """Remove a file; see `Backend.remove`."""
        self._repeat(lambda: self._store.delete(self._key(file)))

    def create(self) -> None:
        """Do nothing: keys need no directories."""

    def sweep(self, older_than: timedelta) -> int:  # noqa: ARG002 - of others
        """Do nothing: an object is there whole, or not at all."""
        return 0

    def close(self) -> None:
        """Remove what was collected and not saved; the store stays open."""
        with self._lock:
            self._spools = None
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------

    def _key(self, file: File) -> str:
        return self._below + file.key

    def _repeat(self, attempt: Callable[[], T]) -> T:
        """Call *attempt* until it succeeds, or fails for good, or too long.

        The pauses grow, and half of each is random: workers that failed together do not
        come back together.
        """
        deadline = 0.0
        longest = _FIRST_PAUSE
        while True:
            self._cancel.check()
            try:
                return attempt()
            except KBackupError as exc:
                now = time.monotonic()
                deadline = deadline or now + self._patience
                pause = random.uniform(longest / 2, longest)  # noqa: S311 - no secret
                if not exc.retryable or now + pause > deadline:
                    raise
            self._cancel.wait(pause)
            longest = min(2 * longest, _LONGEST_PAUSE)

    def _load(self, file: File, offset: int, length: int | None) -> bytes:
        key, target = self._key(file), _Target(file)
        info = self._store.get(key, target, start=offset, length=length)
        end = info.size if length is None else offset + length
        if max(offset, end) > info.size:
            raise ObjectDamagedError(key, f"it has only {info.size} bytes")
        content = target.getvalue()
        if len(content) != end - offset:
            reason = f"{len(content)} bytes arrived of {end - offset}"
            raise StoreUnavailableError(key, reason)
        return content

    def _put(self, file: File, source: Path | bytes) -> None:
        key = self._key(file)
        if file != CONFIG:
            self._repeat(lambda: self._store.put(key, source))
        elif self.exists(file):
            raise ObjectExistsError(key)
        else:
            self._create(
                file, source if isinstance(source, bytes) else source.read_bytes()
            )

    def _create(self, file: File, content: bytes) -> None:
        """Write an object whose name must not be taken."""
        key, tried = self._key(file), 0

        def attempt() -> None:
            nonlocal tried
            tried += 1
            self._store.put(key, content, create=True)

        try:
            self._repeat(attempt)
        except ObjectExistsError:
            # An earlier attempt may have arrived although its answer was lost.
            if tried == 1 or self.load(file) != content:
                raise

    def _objects(self, prefix: str) -> Iterator[ObjectDescription]:
        """List objects; where the store fails, go on past the last one."""
        last = ""
        entries: Iterator[ObjectDescription] | None = None

        def following() -> ObjectDescription | None:
            nonlocal entries
            try:
                entries = entries or self._store.list(prefix, after=last)
                return next(entries, None)
            except KBackupError:
                entries = None  # a generator that has failed is at its end
                raise

        while (info := self._repeat(following)) is not None:
            last = info.key
            yield info

    def _directory_of_spools(self) -> Path:
        with self._lock:
            if self._spools is None:
                directory = private_directory(self._parent, _PREFIX)
                self._spools = self._held.enter_context(directory)
            return self._spools

    def _no_spool(self, exc: OSError) -> SpoolError:
        return SpoolError(place_of(self._parent), exc.strerror or str(exc))
