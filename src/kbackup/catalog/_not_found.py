"""The errors for names of which there is nothing on record.

A run under such a name that has begun and not ended is told of, whoever asks; where there
is none, the nearest name that is on record is.
"""

from __future__ import annotations

from kbackup._kits.words import nearest, suggestion
from kbackup.catalog._claim_record import BACKUPS, RESTORES, unended_run
from kbackup.catalog._unended import unended
from kbackup.errors import BackupNotFoundError, RestoreNotFoundError, StoreError
from kbackup.plugins import ObjectStore
from kbackup.stores import layout

_BEGIN_AGAIN = (
    "nothing of it can be read before it has ended; if it was killed, the same backup "
    "under the same name begins anew, and `kbackup backup delete` removes what it left"
)
_RESUME_IT = "nothing of it can be read before it has ended; if it was killed,"
_COMPLETE_IT = (
    "what it has written stays in the cluster; if it was killed, the same restore under "
    "the same name completes it"
)


def no_backup(store: ObjectStore, name: str) -> BackupNotFoundError:
    """Return the error for a backup without a record."""
    begun = unended_run(store, BACKUPS, name)
    try:
        found = unended(store, name)
    except StoreError:  # what was asked for is not there either way
        found = None
    hint = _BEGIN_AGAIN if begun or found else _near(store, layout.BACKUPS, name)
    if found is not None and found.can_be_resumed:
        hint = f"{_RESUME_IT} `kbackup backup resume {name}` goes on with it"
    reason = "; ".join(filter(None, [begun, str(found) if found else ""]))
    return BackupNotFoundError(name, reason, hint=hint)


def no_restore(store: ObjectStore, name: str) -> RestoreNotFoundError:
    """Return the error for a restore without a record."""
    unended = unended_run(store, RESTORES, name)
    hint = _COMPLETE_IT if unended else _near(store, layout.RESTORES, name)
    return RestoreNotFoundError(name, unended, hint=hint)


def _near(store: ObjectStore, directory: str, name: str) -> str:
    """Name what *name* may be a slip for, if that can be read."""
    try:
        names = [
            prefix.removeprefix(directory).rstrip("/")
            for prefix in store.list_prefixes(directory)
        ]
    except StoreError:  # what was asked for is not there either way
        return ""
    return suggestion("name", [nearest(name, names)])
