"""The object store over a filesystem that puts a file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.plugins import Capability, ObjectInfo
from kbackup.stores import FsspecObjectStore, Place, Timeouts
from kbackup_plugins_fsspec._connections import Connections
from kbackup_plugins_fsspec._filesystems import Manners

T = TypeVar("T")


class FilesystemStore(FsspecObjectStore):
    """An object store in a filesystem; see `FsspecObjectStore`.

    Synchronous and asynchronous filesystems alike, each used by one thread at a time.

    Args:
        connections: Make the filesystems.
        root: The path below which keys lie.
        address: Of that, for errors; without a secret.
        manners: How the filesystem behaves.
        capabilities: What it can do.
        timeouts: Total times of the calls.
    """

    def __init__(
        self,
        connections: Connections,
        root: str,
        *,
        address: str,
        manners: Manners,
        capabilities: frozenset[Capability],
        timeouts: Timeouts,
    ) -> None:
        super().__init__(None, root, capabilities=capabilities, timeouts=timeouts)
        self._address = address
        self._connections = connections
        self._manners = manners

    @property
    def place(self) -> Place:
        """The address, without options."""
        return Place(self._address)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        super().close()
        self._connections.close()

    # --- what is different here -------------------------------------------------------

    def _call(
        self, key: str, seconds: float, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        deed = "describe it" if method == "info" else "read it"
        return self._run(
            key, seconds, lambda fs: getattr(fs, method)(*args, **kwargs), deed
        )

    def _create(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        retain_until: datetime | None,
    ) -> None:
        """Look and write over one connection; an heir may do both in one step."""
        self._write(key, source, seconds, create=True, retain_until=retain_until)

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Put in one go; a create looks first, and others may come between."""
        del retain_until
        path = self._path(key)

        def put(filesystem: Any) -> None:
            if create:
                self._refuse_file(filesystem, key)
            write_file(filesystem, path, source)

        self._run(key, seconds, put, "write it")

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe an object before and after it was read: both must be the same."""
        if most <= 0:
            return super()._begin(key, start, most, seconds)
        path = self._path(key)

        def look(filesystem: Any) -> tuple[Mapping[str, Any], bytes]:
            if hasattr(filesystem, "peek"):
                found, content = filesystem.peek(path, start, most)
                return found, content
            found = filesystem.info(path)
            end = min(start + most, found["size"] or 0)
            if not is_file(found) or start >= end:
                return found, b""
            content = self._read_same(filesystem, key, found, start=start, end=end)
            return found, content

        found, content = self._run(key, seconds, look)
        return self._described(key, found), content

    def _read_same(
        self,
        filesystem: Any,
        key: str,
        found: Mapping[str, Any],
        *,
        start: int,
        end: int,
    ) -> bytes:
        """Read a part of a file and look whether it is still the one that was found."""
        path = self._path(key)
        try:
            content: bytes = filesystem.cat_file(path, start=start, end=end)
        except Exception:
            filesystem.info(path)  # that it is gone has an error of its own
            raise
        filesystem.invalidate_cache()
        if self._info(key, found) != self._info(key, filesystem.info(path)):
            raise StoreUnavailableError(key, "it was replaced while it was read")
        return content

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        return self._described(key, self._call(key, seconds, "info", self._path(key)))

    def _delete(self, key: str, seconds: float) -> None:
        path = self._path(key)
        self._run(key, seconds, lambda fs: self._remove(fs, path), "delete it")

    def _info(self, key: str, found: Mapping[str, Any]) -> ObjectInfo:
        size = found.get("size") or 0  # None of an empty file, in some
        return super()._info(key, {**found, "size": size, **_time(found)})

    def _path(self, key: str) -> str:
        if unfit := set(self._manners.unfit).intersection(key):
            raise StoreAccessError(
                key,
                f"the filesystem can keep no name with {' or '.join(sorted(unfit))}",
            )
        return super()._path(key)

    # --- for heirs --------------------------------------------------------------------

    def _run(
        self,
        key: str,
        seconds: float,
        action: Callable[[Any], T],
        deed: str = "read it",
    ) -> T:
        """Do something with a filesystem of our own for *seconds* at most.

        Args:
            key: What it is about.
            seconds: What it may take.
            action: Given the filesystem.
            deed: What is refused where the server lets somebody do something else.
        """
        self._check_open(key)
        try:
            return self._connections.run(key, seconds, action)
        except StoreAccessError as exc:
            if not isinstance(exc.__cause__, PermissionError):
                raise
            error = StoreAccessError(key, f"to {deed}: {exc.reason}", hint=exc.hint)
            raise error from exc.__cause__

    def _refuse_file(self, filesystem: Any, key: str) -> None:
        """Raise `ObjectExistsError` for a key that is taken just now."""
        with suppress(FileNotFoundError):
            filesystem.info(self._path(key))
            raise ObjectExistsError(key)

    def _remove(self, filesystem: Any, path: str) -> bool:
        """Remove a file; return whether it was there."""
        try:
            if is_file(filesystem.info(path)):
                filesystem.rm_file(path)
                return True
        except FileNotFoundError:
            pass
        return False

    def _described(self, key: str, found: Mapping[str, Any]) -> ObjectInfo:
        if not is_file(found):
            raise ObjectNotFoundError(key, "what is there is no file")
        return self._info(key, found)


def is_file(found: Mapping[str, Any]) -> bool:
    """Tell whether an entry is a file, not a directory nor a link."""
    return bool(found.get("type", "file") == "file")


def write_file(filesystem: Any, path: str, source: Path | bytes) -> None:
    """Write a file in the filesystem's own way, which may be block by block."""
    if isinstance(source, bytes):
        filesystem.pipe_file(path, source)
    elif filesystem.protocol == "memory":  # its files show while they are written
        filesystem.pipe_file(path, source.read_bytes())
    else:
        filesystem.put_file(str(source), path)


def _time(found: Mapping[str, Any]) -> dict[str, datetime]:
    """Read the time of an FTP server: ``20261127134500.123``, UTC (RFC 3659, 2.3)."""
    text = found.get("modify")
    if not isinstance(text, str):
        return {}
    with suppress(ValueError):
        when = datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return {"mtime": when}
    return {}
