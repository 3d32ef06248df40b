"""What a run did so far, a new object for each entry, and files that it keeps beside.

Progress of asynchronous work lives here, and never in a backup's directory, where
nothing is written twice. Removed when the run has ended.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from kbackup.catalog._fetch import (
    LARGEST_SIDE_FILE,
    UnreadableError,
    fetch,
    inflate,
    parse_json,
)
from kbackup.errors import (
    CodecError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from kbackup.models import API_VERSION, ItemOperation, from_json, to_json
from kbackup.plugins import Digest, ObjectInfo, ObjectStore
from kbackup.stores import layout

_KIND = "JournalEntry"
_OPERATION = "operation"


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
            if not layout.is_journal_entry(info.key):
                continue
            with suppress(ObjectNotFoundError):  # it was removed while we read
                found.append(_read_entry(self._store, info.key))
        return found

    def first(self) -> dict[str, Any] | None:
        """Return the oldest entry; None: there is none, or what is there is no entry."""
        for info in self._store.list(self._directory):
            if layout.is_journal_entry(info.key):
                with suppress(ObjectNotFoundError, UnreadableError):
                    return _entry_in(fetch(self._store, info.key))
                return None
        return None

    def put_file(self, name: str, content: Path | bytes) -> None:
        """Keep a file; an earlier one of the name is replaced."""
        self._store.put(layout.journal_file(self._uid, name), content)

    def get_file(self, name: str, target: BinaryIO, *, expect: Digest) -> None:
        """Write a file that was kept to *target*.

        Raises:
            ObjectNotFoundError: It is gone.
            DigestMismatchError: It is not what was kept.
        """
        self._store.get(layout.journal_file(self._uid, name), target, expect=expect)

    def get_json(self, name: str, *, expect: Digest) -> Any:
        """Return a file that was kept as a side file of a backup is; errors alike.

        Raises:
            StoreError: It is no JSON.
        """
        key = layout.journal_file(self._uid, name)
        content = fetch(self._store, key, limit=LARGEST_SIDE_FILE, expect=expect)
        try:
            return parse_json(inflate(content))
        except UnreadableError as exc:
            raise StoreError(key, str(exc)) from exc

    def remove(self) -> None:
        """Remove everything.

        Whoever is killed meanwhile leaves no entry that speaks of a file which is gone,
        and the first entry to the end: it says whose journal it is.
        """
        with self._lock:
            for info in self.objects():
                self._store.delete(info.key)
            self._next = None

    def objects(self) -> list[ObjectInfo]:
        """Return entries and files in the order in which they are removed."""
        found = list(self._store.list(self._directory))
        entries = [info for info in found if layout.is_journal_entry(info.key)]
        files = [info for info in found if not layout.is_journal_entry(info.key)]
        return [*reversed(entries[1:]), *files, *entries[:1]]

    def _last(self) -> int:
        keys = [info.key for info in self._store.list(self._directory)]
        numbers = [key[len(self._directory) :].removesuffix(".json") for key in keys]
        return max((int(text) for text in numbers if text.isdecimal()), default=-1)


def operation_entry(of: str, name: str, operation: ItemOperation) -> dict[str, Any]:
    """Return the entry of an operation that has begun, or ended.

    Args:
        of: The kind of run: ``backup`` or ``restore``.
        name: Of that.
        operation: As it is now.
    """
    return {of: name, _OPERATION: to_json(operation)}


def operations_in(entries: Iterable[Mapping[str, Any]]) -> list[ItemOperation]:
    """Return the operations that entries tell of, each as it was told of last.

    Raises:
        StoreError: One cannot be read.
    """
    found: dict[tuple[object, ...], ItemOperation] = {}
    for entry in entries:
        if _OPERATION not in entry:
            continue
        try:
            operation = from_json(ItemOperation, entry[_OPERATION])
        except CodecError as exc:
            raise StoreError(layout.JOURNALS, f"an operation in it: {exc}") from exc
        spec = operation.spec
        action = spec.backup_item_action or spec.restore_item_action
        item = spec.resource_identifier.identifier
        found[action, item, spec.operation_id] = operation
    return list(found.values())


def all_entries(store: ObjectStore) -> Iterator[tuple[ObjectInfo, dict[str, Any]]]:
    """Yield the entries of all runs with their objects; what cannot be read is left out."""
    for info in store.list(layout.JOURNALS):
        if not layout.is_journal_entry(info.key):
            continue
        try:
            entry = _read_entry(store, info.key)
        except StoreError:
            continue
        yield info, entry


def _read_entry(store: ObjectStore, key: str) -> dict[str, Any]:
    try:
        return _entry_in(fetch(store, key))
    except UnreadableError as exc:
        raise StoreError(key, str(exc)) from exc


def _entry_in(content: bytes) -> dict[str, Any]:
    document = parse_json(content)
    entry = document.get("entry") if isinstance(document, dict) else None
    if not isinstance(entry, dict):
        raise UnreadableError("it is no entry of a journal")
    return entry
