"""The files beside the archive: what is in them. Pure, but for the names.

Source: Velero's store format; each is one compact JSON value, one newline, gzip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbackup.backup._ledger import Ledger
from kbackup.catalog import encode_side_file
from kbackup.models import ItemOperation, Results, to_json
from kbackup.stores import BackupFiles


def side_files(
    name: str,
    ledger: Ledger,
    results: Results,
    operations: Sequence[ItemOperation] = (),
) -> dict[str, bytes]:
    """Return every side file but the log, by its name in the backup's directory.

    This version keeps no volume's data: those lists are empty.
    In particular no volume is described: a Velero server then treats each by its
    reclaim policy, which is what holds for a volume without data.
    """
    files = BackupFiles(name)
    contents: dict[str, Any] = {
        files.pod_volume_backups: [],
        files.volume_snapshots: [],
        files.item_operations: to_json(operations),
        files.volume_info: [],
        files.resource_list: resource_list(ledger),
        files.results: results.to_json(),
    }
    return {file_name(key): encode_side_file(value) for key, value in contents.items()}


def file_name(key: str) -> str:
    """Return the last part of a key."""
    return key.rpartition("/")[2]


def resource_list(ledger: Ledger) -> dict[str, list[str]]:
    """Return ``apps/v1/Deployment`` to sorted names: stored, or tried and failed."""
    found: dict[str, set[str]] = {}
    for page in ledger.types():
        for kind, names in page.by_kind():
            found[kind] = found[kind] | names if kind in found else names
    return {kind: sorted(names) for kind, names in sorted(found.items())}


def size_of(source: Path | bytes) -> int:
    """Return how many bytes a file or a value has."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size
