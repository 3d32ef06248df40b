"""The errors for names of which there is nothing on record.

A run under such a name that has begun and not ended is told of, whoever asks.
"""

from __future__ import annotations

from kbackup.catalog._claim_record import BACKUPS, RESTORES, unended_run
from kbackup.errors import BackupNotFoundError, RestoreNotFoundError
from kbackup.plugins import ObjectStore

_BEGIN_AGAIN = (
    "nothing of it can be read before it has ended; if it was killed, the same backup "
    "under the same name begins anew, and `kbackup backup delete` removes what it left"
)
_COMPLETE_IT = (
    "what it has written stays in the cluster; if it was killed, the same restore under "
    "the same name completes it"
)


def no_backup(store: ObjectStore, name: str) -> BackupNotFoundError:
    """Return the error for a backup without a record."""
    unended = unended_run(store, BACKUPS, name)
    return BackupNotFoundError(name, unended, hint=_BEGIN_AGAIN if unended else "")


def no_restore(store: ObjectStore, name: str) -> RestoreNotFoundError:
    """Return the error for a restore without a record."""
    unended = unended_run(store, RESTORES, name)
    return RestoreNotFoundError(name, unended, hint=_COMPLETE_IT if unended else "")
