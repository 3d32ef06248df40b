"""Any fsspec filesystem that keeps objects as an `ObjectStore`.

For filesystems that put an object whole or not at all: those of object stores, and
memory. A directory is not one of them, see the local provider. fsspec is imported when
the first store is opened, not with this room.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from kbackup.errors import ObjectNotFoundError, StoreUnavailableError
from kbackup.plugins import Capability, ObjectInfo
from kbackup.stores._errors import translate_store_errors
from kbackup.stores._parts import PartWorkers
from kbackup.stores._remote import RemoteObjectStore
from kbackup.stores._timeouts import RetryPolicy, Timeouts, bounded

T = TypeVar("T")


def open_filesystem(protocol: str, **options: Any) -> Any:
    """Return a new fsspec filesystem that caches nothing.

    fsspec otherwise hands out one instance to all callers with equal options, whose
    listings stay as they were first seen.
    """
    import fsspec  # noqa: PLC0415 - costs a tenth of a second, see the module's docstring

    return fsspec.filesystem(
        protocol, skip_instance_cache=True, use_listings_cache=False, **options
    )


class FsspecObjectStore(RemoteObjectStore):
    """An object store over an fsspec filesystem; see `RemoteObjectStore`.

    Every method may be called from any thread, as there.

    Args:
        filesystem: From `open_filesystem`, not ``asynchronous``.
        root: The bucket, or another path of the filesystem below which keys lie.
        capabilities: What the filesystem can do; `Capability.ATOMIC_CREATE` says that
            its ``mode="create"`` has one winner, which fsspec's own emulation has not.
        timeouts: Total times of the calls.
        retry: How to try again; the filesystem should not do so itself.
        workers: Read pieces of large objects ahead; None: one after the other.
    """

    def __init__(
        self,
        filesystem: Any,
        root: str,
        *,
        capabilities: frozenset[Capability] = frozenset(),
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        workers: PartWorkers | None = None,
    ) -> None:
        super().__init__(
            root,
            capabilities=capabilities,
            timeouts=timeouts,
            retry=retry,
            workers=workers,
        )
        self._fs = filesystem

    # --- By calls of the filesystem ---------------------------------------------------

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        del retain_until
        mode = {"mode": "create"} if create else {}
        path = self._path(key)
        if isinstance(source, bytes):
            self._call(key, seconds, "pipe_file", path, source, **mode)
        elif self._fs.async_impl:
            self._call(key, seconds, "put_file", str(source), path, **mode)
        else:
            # fsspec's own put_file writes block by block into what readers see.
            data = source.read_bytes()
            self._call(key, seconds, "pipe_file", path, data, **mode)

    def _read(self, info: ObjectInfo, start: int, end: int, seconds: float) -> bytes:
        path = self._path(info.key)
        data: bytes = self._call(
            info.key, seconds, "cat_file", path, start=start, end=end
        )
        return data

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        found = self._call(key, seconds, "info", self._path(key))
        if found.get("type") == "directory":
            raise ObjectNotFoundError(key)
        return self._info(key, found)

    def _delete(self, key: str, seconds: float) -> None:
        self._call(key, seconds, "rm_file", self._path(key))

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List by one call of the filesystem; stores that have pages do better."""
        base = self._path(prefix[: prefix.rfind("/") + 1]).rstrip("/")
        try:
            found = self._request(
                lambda left: self._call(prefix, left, "find", base, detail=True)
            )
        except ObjectNotFoundError:
            return
        start = len(self._path(""))
        for key, entry in sorted((path[start:], e) for path, e in found.items()):
            if key.startswith(prefix) and key > after:
                yield self._info(key, entry)

    def _sign(self, key: str, ttl: timedelta, seconds: float) -> str:
        return str(
            self._call(
                key, seconds, "url", self._path(key), expires=int(ttl.total_seconds())
            )
        )

    # --- inside -----------------------------------------------------------------------

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _call(
        self, key: str, seconds: float, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a method of the filesystem for *seconds* at most, errors translated."""
        if self._fs.async_impl:
            coroutine = getattr(self._fs, f"_{method}")
            return self._await(key, seconds, coroutine, *args, **kwargs)
        self._check_open(key)
        with translate_store_errors(key):
            return bounded(key, seconds, getattr(self._fs, method), *args, **kwargs)

    def _await(
        self,
        key: str,
        seconds: float,
        function: Callable[..., Coroutine[Any, Any, T]],
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Run a coroutine on fsspec's own loop, whichever loop the caller is in."""
        import asyncio  # noqa: PLC0415 - costs 20 ms; loaded with the filesystem

        from fsspec.asyn import sync  # noqa: PLC0415 - as above

        self._check_open(key)

        async def call() -> T:
            try:
                return await function(*args, **kwargs)
            except asyncio.CancelledError as exc:
                # fsspec makes a return of None of it, as if all had gone well.
                raise StoreUnavailableError(key, "it was cancelled") from exc

        with translate_store_errors(key):
            found: T = sync(self._fs.loop, call, timeout=seconds)
            return found

    def _info(self, key: str, found: Mapping[str, Any]) -> ObjectInfo:
        return ObjectInfo(
            key=key,
            size=int(found["size"]),
            modified=_modified(found),
            etag=str(found.get("ETag") or "").strip('"'),
        )


def _modified(found: Mapping[str, Any]) -> datetime | None:
    """Return when an object was written, from whichever field the filesystem uses."""
    for field in ("LastModified", "mtime", "modified", "created"):
        value = found.get(field)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    return None
