"""The errors for names of which there is nothing on record.

A run under such a name that has begun and not ended is told of, whoever asks.
"""

from __future__ import annotations

from kbackup.catalog._claim_record import BACKUPS, RESTORES, unended_run
from kbackup.catalog._unended import unended
from kbackup.errors import BackupNotFoundError, RestoreNotFoundError, StoreError
from kbackup.plugins import ObjectStore

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
    hint = _BEGIN_AGAIN if begun or found else ""
    if found is not None and found.can_be_resumed:
        hint = f"{_RESUME_IT} `kbackup backup resume {name}` goes on with it"
    reason = "; ".join(filter(None, [begun, str(found) if found else ""]))
    return BackupNotFoundError(name, reason, hint=hint)


def no_restore(store: ObjectStore, name: str) -> RestoreNotFoundError:
    """Return the error for a restore without a record."""
    unended = unended_run(store, RESTORES, name)
    return RestoreNotFoundError(name, unended, hint=_COMPLETE_IT if unended else "")
