"""Restores that Velero made: it stores their files and no Restore object.

Log and results tell the backup, the start and how it ended; what was asked for is known
to the cluster alone that it ran in.
"""

from __future__ import annotations

import io
import re
import zlib
from datetime import datetime

from kbackup._kits.times import parse_time
from kbackup.errors import ObjectNotFoundError
from kbackup.models import (
    ObjectMeta,
    Restore,
    RestorePhase,
    RestoreSpec,
    RestoreStatus,
    Results,
)
from kbackup.plugins import ObjectStore
from kbackup.stores import RestoreFiles

_HEAD = 16 << 10  # bytes of a log's gzip that hold its first lines
_GZIP = 16 + zlib.MAX_WBITS
_FIRST = '"starting restore"'  # of every Velero, whatever its log's format
_BACKUP = re.compile(r'"Starting restore of backup [^/"\s]+/([^"\s]+)"')
_TIME = re.compile(r'\btime"?[=:]"([^"]+)"')


def velero_restore(
    store: ObjectStore, name: str, results: Results | None
) -> Restore | None:
    """Return what its files tell of a restore; None: Velero wrote none of this name.

    The restore has no uid, and of its spec the backup's name at most.

    Args:
        store: The location.
        name: The restore.
        results: Its warnings and errors; None: it has no such file, and no known end.
    """
    head = _log_head(store, RestoreFiles(name).logs)
    if _FIRST not in head.partition("\n")[0]:
        return None
    backup = _BACKUP.search(head)
    return Restore(
        metadata=ObjectMeta(name=name),
        spec=RestoreSpec(backup_name=backup[1] if backup else ""),
        status=RestoreStatus(
            phase=_phase(results),
            start_timestamp=_start(head),
            warnings=len(results.warnings) if results else 0,
            errors=len(results.errors) if results else 0,
        ),
    )


def _log_head(store: ObjectStore, key: str) -> str:
    """Return the beginning of a log, as far as it can be read; empty: there is none."""
    target = io.BytesIO()
    try:
        store.get(key, target, length=_HEAD)
        plain = zlib.decompressobj(_GZIP).decompress(target.getvalue(), _HEAD)
    except (ObjectNotFoundError, zlib.error):
        return ""
    return plain.decode(errors="replace")


def _phase(results: Results | None) -> RestorePhase | None:
    """Return the phase by Velero's rule: one error makes it partially failed."""
    if results is None:
        return None
    return RestorePhase.PARTIALLY_FAILED if results.errors else RestorePhase.COMPLETED


def _start(head: str) -> datetime | None:
    found = _TIME.search(head)
    try:
        return parse_time(found[1]) if found else None
    except ValueError:
        return None
