"""Empty places in a real location, one for each promise that is tried there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from uuid import uuid4

import attrs

from kbackup.errors import KBackupError, ReadOnlyLocationError, StoreError
from kbackup.models import BackupStorageLocation
from kbackup.plugins import Capability, ObjectStore, PluginManager
from kbackup.stores import PrefixedStore, open_object_store
from kbackup.testing._store_contract_keys import LOCKED

_ROOT = "plugins/kbackup.io/check-{}"  # where Velero leaves alone what it does not know


class _Below(PrefixedStore):
    """What lies below a prefix; the store itself, not this, judges the keys."""

    def _inner(self, key: str) -> str:
        return self._prefix + key


class StorePlaces:
    """Makes empty stores below one directory of a location.

    Attributes:
        root: That directory, below the location's own prefix.
        ca_cert: PEM, trusted for the location's server; empty: what the system trusts.
    """

    def __init__(self, location: BackupStorageLocation, plugins: PluginManager) -> None:
        storage = location.spec.object_storage
        prefix = storage.prefix.strip("/")
        self.root = f"{prefix}/{_ROOT}".lstrip("/").format(uuid4().hex[:8])
        self._read_only = location.spec.read_only
        self._location = attrs.evolve(
            location,  # not below its prefix: that would judge keys in the store's place
            spec=attrs.evolve(
                location.spec, object_storage=attrs.evolve(storage, prefix="")
            ),
        )
        self._plugins = plugins
        self.ca_cert = storage.ca_cert
        self._numbers = itertools.count(1)

    def require_use(self) -> frozenset[Capability]:
        """Return what the store declares, or fail: nothing at all could be tried."""
        if self._read_only:
            raise ReadOnlyLocationError(self.root)
        with closing(self._open(self.root)) as store:
            for _ in store.list(""):
                break
            return store.capabilities

    @contextmanager
    def empty(self) -> Iterator[StorePlace]:
        """Give an empty place, and empty it again."""
        place = StorePlace(self._open, f"{self.root}/{next(self._numbers)}")
        try:
            yield place
        finally:
            place.close()
            _remove(self._open, place.prefix)

    def remove_everything(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Remove what is still there.

        Returns:
            What could not be removed, or why not; and what the suite itself locked.
        """
        left = _remove(self._open, self.root)
        locked = tuple(each for each in left if f"/{LOCKED}" in each)
        return tuple(each for each in left if each not in locked), locked

    def _open(self, prefix: str) -> ObjectStore:
        return _Below(open_object_store(self._location, self._plugins), prefix)


class StorePlace:
    """One empty place, which can be opened more than once.

    Attributes:
        prefix: Where it is.
    """

    def __init__(self, open_below: Callable[[str], ObjectStore], prefix: str) -> None:
        self.prefix = prefix
        self._open_below = open_below
        self._opened: list[ObjectStore] = []

    def open(self) -> ObjectStore:
        """Open it once more; closed with the place."""
        store = self._open_below(self.prefix)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close what was opened; a store that cannot be is told by its own promise."""
        for store in self._opened:
            with suppress(Exception):
                store.close()


def _delete(store: ObjectStore, keys: Iterable[str]) -> dict[str, StoreError]:
    """Delete objects; return what kept some of them from that."""
    faults: dict[str, StoreError] = {}
    for key in keys:
        try:
            store.delete(key)
        except StoreError as exc:
            faults[key] = exc
    return faults


def _remove(open_below: Callable[[str], ObjectStore], prefix: str) -> tuple[str, ...]:
    """Delete what a list of *prefix* shows, and look again.

    Returns:
        The keys that are still there, or what kept them from being deleted.
    """
    try:
        with closing(open_below(prefix)) as store:
            faults = _delete(store, [info.key for info in store.list("")])
            there = [info.key for info in store.list("")]
            return tuple(
                f"{prefix}/{key}" + (f": {faults[key].reason}" if key in faults else "")
                for key in there
            )
    except KBackupError as exc:
        return (f"{prefix}: {exc}",)
    except Exception as exc:  # noqa: BLE001 - foreign code, its text may hold anything
        return (f"{prefix}: {type(exc).__name__}",)
