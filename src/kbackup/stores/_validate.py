"""Is a location fit for backups? What lies in it is looked at, then it is tried out.

Called by ``location validate`` and by whoever wants to know before a run.
"""

from __future__ import annotations

import hashlib
import io
import os

import attrs

from kbackup._kits.words import first_few
from kbackup.errors import ObjectExistsError, StoreError
from kbackup.plugins import Capability, Digest, ObjectStore
from kbackup.stores import _layout as layout
from kbackup.stores._location_file import read_location_record
from kbackup.stores._mirrors import problems_of, state_of

_NAMED = 3  # offenders in one message, as Velero


@attrs.frozen(kw_only=True)
class StoreCheck:
    """What was found.

    Attributes:
        problems: Why the location is not fit, or not wholly; sentences.
        writable: Whether an object could be written, read back and deleted.
        capabilities: What the store can do; what it declares but did not do when it
            was tried is not among it.
    """

    problems: tuple[str, ...] = ()
    writable: bool = False
    capabilities: frozenset[Capability] = frozenset()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def validate_object_store(store: ObjectStore, *, write: bool = True) -> StoreCheck:
    """Look at a store and try it out below ``plugins/kbackup.io/probe/``.

    Args:
        store: Bound to the location's prefix.
        write: Whether to write at all.

    Raises:
        StoreError: It cannot even be listed, or its layout is of a newer kbackup.
    """
    problems = [str(state) for state in state_of(store).away]
    problems += foreign_directories(store)
    read_location_record(store)
    capabilities = store.capabilities
    if not write:
        return StoreCheck(problems=tuple(problems), capabilities=capabilities)
    key = layout.probe()
    try:
        found = _probe(store, key)
    except StoreError as exc:
        found = [str(exc)]
    if _NO_CREATE in found:
        capabilities -= {Capability.ATOMIC_CREATE}
    noticed = [text for text in problems_of(store) if text not in problems]
    return StoreCheck(
        problems=(*problems, *found, *noticed),
        writable=not found or found == [_NO_CREATE],
        capabilities=capabilities,
    )


_NO_CREATE = "the store overwrites where it was told to create only"


def foreign_directories(store: ObjectStore) -> list[str]:
    """Say which directories below the prefix make Velero refuse the location.

    Source: Velero, validity of a BackupStorageLocation: every directory must be known;
    objects directly below the prefix do not matter.
    """
    found = [name.rstrip("/") for name in store.list_prefixes("")]
    foreign = [name for name in found if name not in layout.TOP_LEVEL]
    if not foreign:
        return []
    names = first_few(foreign, _NAMED)
    return [f"directories that Velero does not know lie below the prefix: {names}"]


def _probe(store: ObjectStore, key: str) -> list[str]:
    """Write, read and delete one small object; return what was wrong."""
    data = os.urandom(64)
    problems = []
    store.put(key, data)
    try:
        target = io.BytesIO()
        store.get(key, target, expect=_digest(data))
        if Capability.ATOMIC_CREATE in store.capabilities:
            try:
                store.put(key, data, create=True)
            except ObjectExistsError:
                pass
            else:
                problems.append(_NO_CREATE)
    finally:
        store.delete(key)
    return problems


def _digest(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())
