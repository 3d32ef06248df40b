"""The object store over a filesystem of directories, whose files grow before readers.

An object is written to a temporary file beside its place, and gets its name when it is
whole. What a write that was broken off leaves is no object, and can be told and removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.plugins import ObjectInfo
from kbackup.stores import (
    UnfinishedWrite,
    key_fault,
    prefixes_in_key_order,
    validate_key,
    walk_in_key_order,
)
from kbackup_plugins_fsspec._store import FilesystemStore, is_file, write_file

TEMPORARY = ".kbackup-tmp-"

_RACES = 10  # how often a directory may vanish under a put before that is an error


class InPlaceStore(FilesystemStore):
    """An object store in directories; also a `TidyStore`."""

    # --- unfinished writes ------------------------------------------------------------

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield the temporary files below a prefix; see `TidyStore.unfinished`.

        One whose time the server does not tell counts as written just now.
        """
        yield from self._unfinished(prefix[: prefix.rfind("/") + 1], prefix)

    def discard(self, write: UnfinishedWrite) -> None:
        """Remove a temporary file, unless it was written to since it was seen."""
        name = validate_key(write.key).rpartition("/")[2]
        if not name.startswith(TEMPORARY):
            raise StoreAccessError(write.key, "it is no temporary file")
        path = super()._path(write.key)

        def remove(filesystem: Any) -> None:
            with suppress(FileNotFoundError):
                found = self._info(write.key, filesystem.info(path))
                if found.modified is None or found.modified <= write.since:
                    self._remove(filesystem, path)

        self._request(lambda left: self._run(write.key, left, remove, "delete it"))

    # --- what is different here -------------------------------------------------------

    def _path(self, key: str) -> str:
        if TEMPORARY in key and any(
            part.startswith(TEMPORARY) for part in key.split("/")
        ):
            raise StoreAccessError(key, f"names with {TEMPORARY} are for our own use")
        return super()._path(key)

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Write beside the object's place, then give it its name."""
        del retain_until
        target = self._path(key)
        parent = target.rpartition("/")[0]
        temporary = f"{parent}/{TEMPORARY}{uuid.uuid4().hex}"
        size = len(source) if isinstance(source, bytes) else source.stat().st_size

        def put(filesystem: Any) -> None:
            if create:
                self._refuse_file(filesystem, key)
            try:
                self._write_temporary(filesystem, temporary, source)
                _require_size(filesystem, key, temporary, size)
                if create:
                    self._move_new(filesystem, key, temporary, target)
                else:
                    self._replace(filesystem, temporary, target)
            except BaseException:
                with suppress(Exception):  # the first failure counts; repair removes it
                    filesystem.rm_file(temporary)
                raise

        self._run(key, seconds, put, "write it")

    def _remove(self, filesystem: Any, path: str) -> bool:
        """Remove a file and, where that is safe, the directories that are empty then."""
        was_there = super()._remove(filesystem, path)
        if was_there and self._manners.keeps_full_directories:
            parent = path.rpartition("/")[0]
            while len(parent) > len(self._root):
                try:
                    filesystem.rmdir(parent)
                except Exception:  # noqa: BLE001 - it is not empty, or gone
                    break
                parent = parent.rpartition("/")[0]
        return was_there

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List directory by directory; one a level is held."""
        yield from walk_in_key_order(self._children, prefix, after)

    def _list_prefixes(self, prefix: str, delimiter: str) -> Iterator[str]:
        return prefixes_in_key_order(self._children, self.list, prefix, delimiter)

    # --- inside -----------------------------------------------------------------------

    def _write_temporary(
        self, filesystem: Any, temporary: str, source: Path | bytes
    ) -> None:
        """Write a file, the missing directories above it included."""
        parent = temporary.rpartition("/")[0]
        for race in range(_RACES):
            try:
                _make(filesystem, parent)
                write_file(filesystem, temporary, source)
            except FileNotFoundError:  # a delete has just removed a directory
                if race == _RACES - 1 or not _is_there(source):
                    raise
            else:
                return

    def _replace(self, filesystem: Any, old: str, new: str) -> None:
        """Rename over what is there; where a server does not, that is removed first."""
        try:
            self._manners.move(filesystem, old, new)
        except Exception:
            filesystem.invalidate_cache()
            if not filesystem.isfile(new) or not filesystem.isfile(old):
                raise
            filesystem.rm_file(new)
            self._manners.move(filesystem, old, new)

    def _move_new(self, filesystem: Any, key: str, old: str, new: str) -> None:
        """Rename to a name that is free; many servers decide that, not all."""
        filesystem.invalidate_cache()
        self._refuse_file(filesystem, key)
        if not hasattr(filesystem, "mv_new"):
            self._manners.move(filesystem, old, new)
            return
        try:
            filesystem.mv_new(old, new)
        except OSError as exc:  # SFTP has one code for all that fails
            if filesystem.isfile(new):
                raise ObjectExistsError(key) from exc
            raise

    def _children(self, path: str) -> list[tuple[str, ObjectInfo | None]]:
        """Return what lies in ``""`` or ``a/b/``; None is a directory."""
        children: list[tuple[str, ObjectInfo | None]] = []
        for name, entry in self._entries(path):
            key = f"{path}{name}"
            if name.startswith(TEMPORARY) or key_fault(key):
                continue
            if is_file(entry):
                children.append((name, self._info(key, entry)))
            elif entry.get("type") == "directory":
                children.append((name, None))
        return children

    def _unfinished(self, path: str, prefix: str) -> Iterator[UnfinishedWrite]:
        directories = []
        for name, entry in sorted(self._entries(path), key=lambda found: found[0]):
            key = f"{path}{name}"
            if name.startswith(TEMPORARY) and is_file(entry):
                if key.startswith(prefix) or prefix == path:
                    since = self._info(key, entry).modified or datetime.now(UTC)
                    yield UnfinishedWrite(key=key, id=name, since=since)
            elif entry.get("type") == "directory" and not key_fault(key):
                directories.append(f"{key}/")
        for directory in directories:
            if directory.startswith(prefix) or prefix.startswith(directory):
                yield from self._unfinished(directory, prefix)

    def _entries(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the names in a directory with what is told of each; no such: none."""
        place = super()._path(path).rstrip("/") or "/"

        def look(filesystem: Any) -> list[dict[str, Any]]:
            return list(filesystem.ls(place, detail=True))

        try:
            found = self._request(lambda left: self._run(path, left, look, "list it"))
        except ObjectNotFoundError:
            return []
        return [
            (entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in found
        ]


def _make(filesystem: Any, directory: str) -> None:
    """Make a directory and those above it; others may make them at the same time."""
    missing: list[str] = []
    while directory.strip("/") and not filesystem.isdir(directory):
        missing.append(directory)
        directory = directory.rpartition("/")[0]
    for path in reversed(missing):
        try:
            filesystem.mkdir(path, create_parents=False)
        except Exception:
            filesystem.invalidate_cache()
            if not filesystem.isdir(path):
                raise


def _require_size(filesystem: Any, key: str, path: str, size: int) -> None:
    written = filesystem.info(path).get("size") or 0
    if written != size:
        raise StoreUnavailableError(key, f"{written} of {size} bytes arrived")


def _is_there(source: Path | bytes) -> bool:
    return isinstance(source, bytes) or source.is_file()
