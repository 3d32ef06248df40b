"""What a run did so far, a new object for each entry.

Progress of asynchronous work lives here, and never in a backup's directory, where
nothing is written twice. Removed when the run has ended.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from kbackup.catalog._fetch import UnreadableError, fetch, parse_json
from kbackup.errors import ObjectExistsError, ObjectNotFoundError, StoreError
from kbackup.models import API_VERSION
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import layout

_KIND = "JournalEntry"


class Journal:
    """The entries of one run, in their order; may be shared by threads.

    Args:
        store: Where.
        uid: The run.
    """

    def __init__(self, store: ObjectStore, uid: str) -> None:
        self._store = store
        self._uid = uid
        self._directory = layout.journal(uid)
        self._lock = threading.Lock()
        self._next: int | None = None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; it is in the store when this returns.

        Args:
            entry: Plain JSON values.
        """
        document = {"apiVersion": API_VERSION, "kind": _KIND, "entry": dict(entry)}
        content = json.dumps(document, sort_keys=True).encode() + b"\n"
        with self._lock:
            if self._next is None:
                self._next = self._last() + 1
            while True:
                key = layout.journal(self._uid, self._next)
                self._next += 1
                try:
                    self._store.put(key, content, create=True)
                except ObjectExistsError:  # of an earlier process of the same run
                    continue
                return

    def entries(self) -> list[dict[str, Any]]:
        """Return what was appended, oldest first.

        Raises:
            StoreError: An entry cannot be read.
        """
        found = []
        for info in self._store.list(self._directory):
            with suppress(ObjectNotFoundError):  # it was removed while we read
                found.append(_read_entry(self._store, info.key))
        return found

    def remove(self) -> None:
        """Remove all entries."""
        with self._lock:
            for info in list(self._store.list(self._directory)):
                self._store.delete(info.key)
            self._next = None

    def _last(self) -> int:
        keys = [info.key for info in self._store.list(self._directory)]
        numbers = [key[len(self._directory) :].removesuffix(".json") for key in keys]
        return max((int(text) for text in numbers if text.isdecimal()), default=-1)


def all_entries(store: ObjectStore) -> Iterator[tuple[ObjectInfo, dict[str, Any]]]:
    """Yield the entries of all runs with their objects; what cannot be read is left out."""
    for info in store.list(layout.JOURNALS):
        try:
            entry = _read_entry(store, info.key)
        except StoreError:
            continue
        yield info, entry


def _read_entry(store: ObjectStore, key: str) -> dict[str, Any]:
    try:
        document = parse_json(fetch(store, key))
    except UnreadableError as exc:
        raise StoreError(key, str(exc)) from exc
    entry = document.get("entry") if isinstance(document, dict) else None
    if not isinstance(entry, dict):
        raise StoreError(key, "it is no entry of a journal")
    return entry
