"""Marks of deletions: what a directory that was away must not bring back.

A tombstone says that the object with these bytes was deleted under this key. It names
the bytes, so that it never means an object written there afterwards.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime

import attrs

from kbackup.errors import StoreError
from kbackup.models import API_VERSION
from kbackup.plugins import Digest
from kbackup.stores import key_fault
from kbackup_plugins_local._local import LocalStore

_KIND = "Tombstone"


@attrs.frozen(kw_only=True)
class Tombstone:
    """One deletion.

    Attributes:
        key: The object, from the root of the directory.
        digest: What it was.
        deleted_at: When; for people, nothing is decided by it.
    """

    key: str
    digest: Digest
    deleted_at: datetime = attrs.field(factory=lambda: datetime.now(UTC), eq=False)

    @property
    def identity(self) -> str:
        """The name of its file: the same deletion has the same one everywhere."""
        return hashlib.sha256(f"{self.key}\n{self.digest}".encode()).hexdigest()[:40]

    def encode(self) -> bytes:
        """Return the document."""
        document = {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            "key": self.key,
            "digest": str(self.digest),
            "deletedAt": self.deleted_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Tombstone | None:
        """Read the document; None if it is damaged."""
        try:
            document = json.loads(data)
            key, digest = document["key"], Digest.parse(document["digest"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not isinstance(key, str) or key_fault(key):
            return None
        return cls(key=key, digest=digest)


class Tombstones:
    """The tombstones of one directory; what was read once is remembered."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._directory = store.tombstones_path
        self._known: dict[str, Tombstone | None] = {}

    def load(self) -> frozenset[Tombstone]:
        """Return what lies there now; a damaged one counts as none."""
        return self.read(self._store.glance().tombstones)

    def read(self, names: Iterable[str]) -> frozenset[Tombstone]:
        """Return the tombstones of these names; a damaged one counts as none."""
        keys = {self._directory + name for name in names}
        for key in keys - self._known.keys():
            target = io.BytesIO()
            try:
                self._store.get(key, target)
            except StoreError:
                continue
            self._known[key] = Tombstone.decode(target.getvalue())
        found = (self._known.get(key) for key in keys)
        return frozenset(tombstone for tombstone in found if tombstone is not None)

    def add(self, tombstones: Iterable[Tombstone]) -> None:
        """Write tombstones; those that are there already stay."""
        present = self.load()
        for tombstone in tombstones:
            if tombstone not in present:
                self._store.put(self._key(tombstone), tombstone.encode())

    def remove(self, tombstones: Iterable[Tombstone]) -> None:
        """Remove tombstones."""
        for tombstone in tombstones:
            self._store.delete(self._key(tombstone))

    def _key(self, tombstone: Tombstone) -> str:
        return self._directory + tombstone.identity
