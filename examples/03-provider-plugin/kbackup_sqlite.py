"""Provider ``example.com/sqlite``: an object store in one SQLite file.

Small, and complete: it keeps every promise of `kbackup.plugins.ObjectStore`, which the
contract suite in its test checks. An object is a row, and at most 1 GB.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

from kbackup.errors import (
    DigestMismatchError,
    InvalidConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.models import BackupStorageLocationSpec
from kbackup.plugins import (
    Capability,
    Digest,
    ObjectInfo,
    ObjectStoreFactory,
    hookimpl,
)
from kbackup.stores import validate_key

PROVIDER = "example.com/sqlite"

_SECONDS_FOR_A_LOCK = 30
_KEYS_AT_A_TIME = 1000
_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, modified TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
"""


class SqliteStore:
    """An object store in one file; each call has a connection of its own."""

    api_version: ClassVar[int] = 1
    capabilities = frozenset({Capability.ATOMIC_CREATE, Capability.RANGE})

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write a row; with *create* the primary key has one winner among many."""
        if retain_until is not None:
            raise UnsupportedCapabilityError(key, "retention")
        body = source if isinstance(source, bytes) else source.read_bytes()
        now = datetime.now(UTC)
        verb = "INSERT" if create else "INSERT OR REPLACE"
        with self._row(key) as connection:
            try:
                connection.execute(
                    f"{verb} INTO objects VALUES (?, ?, ?)",
                    (key, now.isoformat(), body),
                )
            except sqlite3.IntegrityError as exc:
                raise ObjectExistsError(key) from exc
        return ObjectInfo(key=key, size=len(body), modified=now)

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Copy a row, or a part of it, to *target*."""
        info = self.stat(key)
        wanted = info.size if length is None else length
        with self._row(key) as connection:
            row = connection.execute(
                "SELECT substr(body, ?, ?) FROM objects WHERE key = ?",
                (start + 1, wanted, key),
            ).fetchone()
        if row is None:
            raise ObjectNotFoundError(key)
        body = row[0] or b""  # SQLite's part of nothing is NULL
        target.write(body)
        if expect is not None and hashlib.sha256(body).hexdigest() != expect.hex:
            raise DigestMismatchError(key)
        return info

    def stat(self, key: str) -> ObjectInfo:
        """Describe a row without reading its body."""
        with self._row(key) as connection:
            row = connection.execute(
                "SELECT key, length(body), modified FROM objects WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            raise ObjectNotFoundError(key)
        return _info(row)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield rows by key, a page at a time, so that no connection stays open."""
        while rows := self._page(prefix, after):
            yield from map(_info, rows)
            after = rows[-1][0]

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """Yield each distinct beginning of the keys up to the next delimiter."""
        last = ""
        for info in self.list(prefix):
            head, found, _ = info.key[len(prefix) :].partition(delimiter)
            if found and head != last:
                last = head
                yield f"{prefix}{head}{delimiter}"

    def delete(self, key: str) -> None:
        """Remove a row, if it is there."""
        with self._row(key) as connection:
            connection.execute("DELETE FROM objects WHERE key = ?", (key,))

    def signed_url(self, key: str, ttl: timedelta) -> str:  # noqa: ARG002 - unused
        """Refuse: a file has no address for others."""
        raise UnsupportedCapabilityError(key, "signed addresses")

    def close(self) -> None:
        """Refuse calls from now on; no connection outlives its call."""
        self._closed = True

    def _page(self, prefix: str, after: str) -> Sequence[tuple[str, int, str]]:
        with self._connection() as connection:
            return connection.execute(
                "SELECT key, length(body), modified FROM objects"
                " WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
                (after, len(prefix), prefix, _KEYS_AT_A_TIME),
            ).fetchall()

    @contextmanager
    def _row(self, key: str) -> Iterator[sqlite3.Connection]:
        """Open the file for one object, whose key must be one."""
        validate_key(key)
        with self._connection(key) as connection:
            yield connection

    @contextmanager
    def _connection(self, key: str = "") -> Iterator[sqlite3.Connection]:
        """Open the file for one call; SQLite's errors become kbackup's."""
        if self._closed:
            raise StoreError(key, "the store was closed")
        try:
            with closing(
                sqlite3.connect(self._path, timeout=_SECONDS_FOR_A_LOCK)
            ) as connection:
                connection.execute(_TABLE)
                with connection:  # one transaction: the whole object or nothing
                    yield connection
        except sqlite3.OperationalError as exc:
            raise _translated(key, exc) from exc
        except sqlite3.Error as exc:
            raise StoreError(key, str(exc)) from exc


def _translated(key: str, exc: sqlite3.OperationalError) -> StoreError:
    if exc.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return StoreFullError(key)
    if exc.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreUnavailableError(key, str(exc))
    return StoreError(key, str(exc))


def _info(row: tuple[str, int, str]) -> ObjectInfo:
    key, size, modified = row
    return ObjectInfo(key=key, size=size, modified=datetime.fromisoformat(modified))


def open_sqlite_store(config: Mapping[str, str]) -> SqliteStore:
    """Open the store of a location; the file is made by the first call.

    Raises:
        InvalidConfigError: ``path`` is missing or not absolute.
    """
    path = Path(config.get("path", ""))
    if not path.is_absolute():
        raise InvalidConfigError("the location needs an absolute path to its file")
    return SqliteStore(path)


def sqlite_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``sqlite:///var/backups.db``."""
    path = unquote(urlsplit(url).path)
    return BackupStorageLocationSpec(provider=PROVIDER, config={"path": path})


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in SQLite files."""
    factory = ObjectStoreFactory(
        open=open_sqlite_store,
        from_url=sqlite_spec,
        schemes=("sqlite",),
        capabilities=SqliteStore.capabilities,
    )
    return {PROVIDER: factory}
