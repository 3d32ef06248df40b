"""All that one simulated cluster is made of, and the small facts derived from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from kbackup.testing._simulator.defaults import Addresses
from kbackup.testing._simulator.faults import Faults
from kbackup.testing._simulator.registry import Registry, ServedType, StorageKey
from kbackup.testing._simulator.storage import Storage, path_of

Object = dict[str, Any]


class Reaction(Protocol):
    """What is called after each write."""

    def __call__(self, served: ServedType, obj: Object, *, gone: bool) -> None:
        """React to *obj* as it was written, or to its end; may write."""


NAMESPACES: StorageKey = ("", "namespaces")


class State:
    """Storage, registry and faults, and who owns whom.

    Attributes:
        reactions: Called after each write.
        git_version: The version that the cluster says it has.
    """

    def __init__(self, *, faults: Faults, history: int, git_version: str) -> None:
        self.storage = Storage(history=history)
        self.registry = Registry()
        self.faults = faults
        self.addresses = Addresses()
        self.git_version = git_version
        self.reactions: list[Reaction] = []
        self._dependents: dict[str, set[tuple[StorageKey, str]]] = {}

    def get(self, served: ServedType, namespace: str, name: str) -> Object | None:
        """Return an object as a version serves it."""
        obj = self.storage.get(served.storage_key, path_of(namespace, name))
        return None if obj is None else with_type(served, obj)

    def put(self, served: ServedType, obj: Object) -> None:
        """Store an object and react to it."""
        metadata = obj["metadata"]
        path = path_of(metadata.get("namespace", ""), metadata["name"])
        self._index(served.storage_key, path, obj)
        self.storage.put(served.storage_key, path, obj)
        for reaction in tuple(self.reactions):
            reaction(served, obj, gone=False)

    def remove(self, served: ServedType, obj: Object) -> None:
        """Let an object be gone and react to it."""
        metadata = obj["metadata"]
        path = path_of(metadata.get("namespace", ""), metadata["name"])
        self._index(served.storage_key, path, None)
        self.storage.remove(served.storage_key, path, obj)
        for reaction in tuple(self.reactions):
            reaction(served, obj, gone=True)

    def dependents(self, uid: str) -> list[tuple[ServedType, Object]]:
        """Return the objects that name *uid* as an owner."""
        found = []
        for key, path in sorted(self._dependents.get(uid, ())):
            served = self.registry.by_key(key)
            obj = self.storage.get(key, path)
            if served is not None and obj is not None:
                found.append((served, with_type(served, obj)))
        return found

    def exists(self, uid: str) -> bool:
        """Whether some object has that UID; looks at all of them."""
        needle = f'"uid":"{uid}"'.encode()
        return any(
            needle in data and self.storage.get(key, path)["metadata"]["uid"] == uid  # type: ignore[index] # it was scanned just now
            for key in {served.storage_key for served in self.registry}
            for path, data in self.storage.scan(key)
        )

    def _index(self, key: StorageKey, path: str, obj: Object | None) -> None:
        before = self.storage.get(key, path) if self._dependents else None
        for uid in _owner_uids(before):
            entries = self._dependents.get(uid, set())
            entries.discard((key, path))
            if not entries:
                self._dependents.pop(uid, None)
        for uid in _owner_uids(obj):
            self._dependents.setdefault(uid, set()).add((key, path))


def _owner_uids(obj: Mapping[str, Any] | None) -> list[str]:
    if obj is None:
        return []
    owners = obj["metadata"].get("ownerReferences") or []
    return [owner["uid"] for owner in owners if owner.get("uid")]


def with_type(served: ServedType, obj: Mapping[str, Any]) -> Object:
    """Return *obj* with the type that *served* gives it in front."""
    return {"apiVersion": served.api_version, "kind": served.kind, **obj}


def type_prefix(served: ServedType) -> bytes:
    """Return what goes before stored JSON, its brace cut off, to name its type."""
    text = f'{{"apiVersion":"{served.api_version}","kind":"{served.kind}",'
    return text.encode()


def timestamp() -> str:
    """Return this second as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """Return a UID that no object had yet."""
    return str(uuid.uuid4())
