"""The store below a `BackupStore`: not used before its layout is known to be ours.

A newer kbackup may lay a location out in a way that this one would misread.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import PrefixedStore, check_layout


class GuardedStore(PrefixedStore):
    """Passes everything on; looks at the location's layout ahead of the first call."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, "")
        self._is_known = False

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        self._check()
        yield from super().list(prefix, after=after)

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        self._check()
        yield from super().list_prefixes(prefix, delimiter)

    def _inner(self, key: str) -> str:
        self._check()
        return super()._inner(key)

    def _check(self) -> None:
        if not self._is_known:  # two threads that look at once do no harm
            check_layout(self._store)
            self._is_known = True
