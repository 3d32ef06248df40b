"""Holding a name while what it names is deleted, also where the store has no room.

A full store is why something is deleted: where it has no room for the claim, the record
goes without, then the largest file, until it has. Room for the claim is room for that of
another run as well, whose files these are then.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from kbackup._kits.clock import Clock
from kbackup.catalog._claim import NameClaim
from kbackup.catalog._claim_record import read_claims
from kbackup.catalog._fetch import UnreadableError, fetch
from kbackup.errors import (
    DigestMismatchError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
)
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import TidyStore, unfinished_writes

_log = logging.getLogger("kbackup.catalog")


def _nothing() -> None:
    """Do nothing: nobody asked for more."""


def delete_claimed(
    kind: type[NameClaim],
    store: ObjectStore,
    name: str,
    *,
    record: str,
    seen: bytes | None,
    files: Callable[[], Sequence[ObjectInfo]],
    clock: Clock,
    first: Callable[[], None] = _nothing,
    ask: Callable[[], None] = _nothing,
) -> None:
    """Delete a record, then the files with it, while others are kept from the name.

    What killed runs have left of it goes as well: claims, and parts of files.

    Args:
        kind: Of a backup's name, or of a restore's.
        store: Where.
        name: What is deleted.
        record: The key of its record.
        seen: What `look` returned before it was decided that this may go: a record that
            came since is that of another run, and nobody has decided about it.
        files: Lists what is there to be deleted by now.
        clock: For the claim.
        first: Called before anything is deleted; what it raises ends the deletion.
        ask: Called before each file but the record, alike.

    Raises:
        BackupInProgressError: A run is writing it, or has begun to; for a restore's
            name `RestoreInProgressError`. Nothing more was deleted.
    """
    claim_it = partial(_try_to_claim, kind, store, name, clock)
    require_no_other = partial(_require_no_other, kind, store, name, record)
    claim = claim_it()
    if claim is None:
        require_no_other(seen)
        first()
        require_no_other(seen)
        store.delete(record)
        seen, first = None, _nothing
        claim = _make_room(store, files, claim_it)
    if claim is None:
        return  # nothing is left
    with claim:
        require_no_other(seen)
        first()
        claim.check()  # which may have taken long
        store.delete(record)
        _delete_files(store, claim, files(), ask)
        _discard_unfinished(store, record.rpartition("/")[0] + "/")


def _delete_files(
    store: ObjectStore,
    claim: NameClaim,
    files: Sequence[ObjectInfo],
    ask: Callable[[], None],
) -> None:
    for info in files:
        ask()
        claim.check()  # who is stopped for long is not to go on with an old list
        store.delete(info.key)


def _discard_unfinished(store: ObjectStore, directory: str) -> None:
    """Discard the parts of files that a dead run left, for whoever holds the name.

    Secrets may be in them. A store that does not let them be seen keeps nothing from
    being deleted: a repair finds them later.
    """
    try:
        for write in unfinished_writes(store, directory):
            if isinstance(store, TidyStore):
                store.discard(write)
    except StoreError:
        _log.warning("unfinished parts stay behind in %s", directory, exc_info=True)


def _require_no_other(
    kind: type[NameClaim],
    store: ObjectStore,
    name: str,
    record: str,
    than: bytes | None,
) -> None:
    """Refuse a name whose record is another one *than* that which was looked at."""
    found = look(store, record)
    if found is not None and found != than:
        raise kind.of.refusal(name, "another run has written it meanwhile")


def look(store: ObjectStore, record: str) -> bytes | None:
    """Return a record as it is now; None: there is none. Empty: it cannot be read."""
    try:
        return fetch(store, record)
    except ObjectNotFoundError:
        return None
    except (UnreadableError, DigestMismatchError):
        return b""


def _make_room(
    store: ObjectStore,
    files: Callable[[], Sequence[ObjectInfo]],
    claim_it: Callable[[], NameClaim | None],
) -> NameClaim | None:
    """Delete file after file, the largest first, until the name can be claimed."""
    while left := files():  # listed first: nobody had the name after that
        if (claim := claim_it()) is not None:
            return claim
        store.delete(max(left, key=lambda info: info.size).key)
    return None


def _try_to_claim(
    kind: type[NameClaim], store: ObjectStore, name: str, clock: Clock
) -> NameClaim | None:
    """Claim the name; None: there is no room, and nobody else has claimed it."""
    run = str(uuid.uuid4())
    try:
        return kind(store, name, run_uid=run, clock=clock).acquire()
    except StoreFullError:
        for _, claim in read_claims(store, kind.of, name.__eq__):
            if not claim.is_stale(clock.now()):
                raise kind.of.refusal(name, str(claim)) from None
        return None
