"""The objects of the simulated cluster, with as much of their past as is kept.

Objects are kept as JSON without ``apiVersion`` and ``kind``, because one object is
served under several versions. Superseded versions stay for lists at an exact
resourceVersion, continue tokens and watches, until the history is full: then the oldest
change is forgotten, as compaction does in etcd.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from kbackup.testing._simulator.registry import StorageKey

decode = msgspec.json.decode
encode = msgspec.json.encode


class Change(NamedTuple):
    """One write. *data* is None for a deletion, *before* for a creation.

    For a deletion *last* is the final state, with the resourceVersion of the deletion.
    """

    revision: int
    key: StorageKey
    path: str
    data: bytes | None
    before: bytes | None
    last: bytes | None = None


class Version(NamedTuple):
    """An object as of *revision*; None where it was deleted."""

    revision: int
    data: bytes | None


# What changed or deleted objects may take, whatever the length of the history.
_LARGEST_PAST = 64 * 1024 * 1024

Listener = Callable[[Change], None]


def path_of(namespace: str, name: str) -> str:
    """Return the key of an object; lists are in the order of these keys, as in etcd."""
    return f"{namespace}/{name}" if namespace else name


class _Collection:
    def __init__(self) -> None:
        self.paths: list[str] = []  # sorted; also of objects deleted of late
        self.versions: dict[str, list[Version]] = {}
        self.listeners: list[Listener] = []


class Storage:
    """All objects, by type and path, over time.

    Attributes:
        revision: The resourceVersion of the last write.
        compacted: The newest resourceVersion whose state can no longer be told.
    """

    def __init__(self, *, history: int) -> None:
        self.revision = 1
        self.compacted = 0
        self._history = history
        self._changes: deque[Change] = deque()
        self._past = 0  # bytes that only the history holds
        self._collections: dict[StorageKey, _Collection] = {}

    def get(self, key: StorageKey, path: str) -> dict[str, Any] | None:
        """Return an object, fresh and the caller's own."""
        data = self.raw(key, path)
        return None if data is None else decode(data)

    def raw(self, key: StorageKey, path: str) -> bytes | None:
        """Return the JSON of an object."""
        versions = self._collection(key).versions.get(path)
        return versions[-1].data if versions else None

    def put(self, key: StorageKey, path: str, obj: dict[str, Any]) -> None:
        """Create or replace an object; its resourceVersion is set in *obj*."""
        before = self.raw(key, path)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        data = encode({k: v for k, v in obj.items() if k not in {"apiVersion", "kind"}})
        self._record(Change(self.revision, key, path, data, before))

    def remove(self, key: StorageKey, path: str, obj: dict[str, Any]) -> None:
        """Delete an object; *obj* is its final state and gets the resourceVersion."""
        before = self.raw(key, path)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        last = encode({k: v for k, v in obj.items() if k not in {"apiVersion", "kind"}})
        self._record(Change(self.revision, key, path, None, before, last))

    def scan(
        self,
        key: StorageKey,
        *,
        prefix: str = "",
        start: str = "",
        revision: int | None = None,
    ) -> Iterator[tuple[str, bytes]]:
        """Yield (path, JSON) in key order, as of *revision* or now.

        The collection must not change meanwhile.
        """
        collection = self._collection(key)
        first = bisect_left(collection.paths, max(prefix, start))
        for path in islice(collection.paths, first, None):
            if not path.startswith(prefix):
                return
            versions = collection.versions[path]
            data = _as_of(versions, revision)
            if data is not None:
                yield path, data

    def changes_since(self, key: StorageKey, revision: int) -> list[Change]:
        """Return the changes of a type after *revision*, oldest first."""
        found = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            if change.key == key:
                found.append(change)
        return found[::-1]

    def listen(self, key: StorageKey, listener: Listener) -> None:
        """Call *listener* at each change of a type; it must neither block nor write."""
        self._collection(key).listeners.append(listener)

    def unlisten(self, key: StorageKey, listener: Listener) -> None:
        """Call *listener* no longer."""
        self._collection(key).listeners.remove(listener)

    def compact(self) -> None:
        """Forget everything but the present, so that every earlier version expires."""
        while self._changes:
            self._forget_oldest()
        self.revision += 1
        self.compacted = self.revision - 1

    def _collection(self, key: StorageKey) -> _Collection:
        return self._collections.setdefault(key, _Collection())

    def _record(self, change: Change) -> None:
        collection = self._collection(change.key)
        versions = collection.versions.get(change.path)
        if versions is None:
            versions = collection.versions[change.path] = []
            insort(collection.paths, change.path)
        versions.append(Version(change.revision, change.data))
        self._changes.append(change)
        self._past += _past(change)
        while len(self._changes) > self._history or self._past > _LARGEST_PAST:
            self._forget_oldest()
        for listener in tuple(collection.listeners):
            listener(change)

    def _forget_oldest(self) -> None:
        """Drop what the oldest change replaced."""
        change = self._changes.popleft()
        self._past -= _past(change)
        # The state just before this change can no longer be told.
        self.compacted = change.revision - 1
        collection = self._collection(change.key)
        versions = collection.versions[change.path]
        while versions and versions[0].revision < change.revision:
            versions.pop(0)
        if versions and versions[0] == (change.revision, None):
            versions.pop(0)
        if not versions:
            del collection.versions[change.path]
            del collection.paths[bisect_right(collection.paths, change.path) - 1]


def _past(change: Change) -> int:
    return len(change.before or b"") + len(change.last or b"")


def _as_of(versions: list[Version], revision: int | None) -> bytes | None:
    if revision is None:
        return versions[-1].data
    for version in reversed(versions):
        if version.revision <= revision:
            return version.data
    return None
