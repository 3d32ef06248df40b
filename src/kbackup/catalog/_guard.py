"""The store below a `BackupStore`: of a layout that is known, and with our errors only.

A newer kbackup may lay a location out in a way that this one would misread; a provider
may let an error of its library through, which would end a run without its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kbackup.errors import KBackupError, StoreError
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.plugins.engine import fact_of
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

    @contextmanager
    def _outer_errors(self, key: str) -> Iterator[None]:
        try:
            with super()._outer_errors(key):
                yield
        except KBackupError:
            raise
        except (Exception, SystemExit) as exc:
            raise StoreError(key, fact_of(exc, hide=False)) from exc

    def _check(self) -> None:
        if not self._is_known:  # two threads that look at once do no harm
            check_layout(self._store)
            self._is_known = True
