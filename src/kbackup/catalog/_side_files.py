"""The files beside the archive and beside a restore's record: names and content."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from kbackup._kits.streams import compress
from kbackup.stores import BackupFiles, RestoreFiles

SHOWN = 3  # strangers in one message


class SideFile(StrEnum):
    """A file of a backup; the value is the attribute of `BackupFiles` with its key."""

    POD_VOLUME_BACKUPS = "pod_volume_backups"
    VOLUME_SNAPSHOTS = "volume_snapshots"
    RESOURCE_LIST = "resource_list"
    RESULTS = "results"
    ITEM_OPERATIONS = "item_operations"
    VOLUME_INFO = "volume_info"
    CSI_VOLUME_SNAPSHOTS = "csi_volume_snapshots"
    CSI_VOLUME_SNAPSHOT_CONTENTS = "csi_volume_snapshot_contents"
    CSI_VOLUME_SNAPSHOT_CLASSES = "csi_volume_snapshot_classes"
    ITEM_SNAPSHOTS = "item_snapshots"

    def key(self, name: str) -> str:
        """Return the key of the file in backup *name*."""
        key: str = getattr(BackupFiles(name), self.value)
        return key


class RestoreFile(StrEnum):
    """A file of a restore; the value is the attribute of `RestoreFiles` with its key."""

    RESULTS = "results"
    RESOURCE_LIST = "resource_list"
    ITEM_OPERATIONS = "item_operations"
    VOLUME_INFO = "volume_info"

    def key(self, name: str) -> str:
        """Return the key of the file in restore *name*."""
        key: str = getattr(RestoreFiles(name), self.value)
        return key


def encode_side_file(value: Any) -> bytes:
    """Return the content of a side file: one compact JSON value, one newline, gzip.

    Source: Velero's store format.
    """
    return compress(msgspec.json.encode(value) + b"\n")


def known_restore_files(name: str) -> Iterator[str]:
    """Yield the names that the directory of a restore may hold by the format."""
    files = RestoreFiles(name)
    keys = [side.key(name) for side in RestoreFile]
    for key in (*keys, files.logs, files.record):
        yield key.removeprefix(files.directory)


def known_files(name: str) -> Iterator[str]:
    """Yield the names that the directory of a backup may hold by the format."""
    files = BackupFiles(name)
    keys = [side.key(name) for side in SideFile]
    keys += [files.metadata, files.archive, files.logs, files.manifest]
    keys += [files.signature, files.index]
    for key in keys:
        yield key.removeprefix(files.directory)


def strangers(
    name: str, keys: Iterable[str], named: Collection[str] = ()
) -> tuple[str, ...]:
    """Return, sorted, what lies in a backup's directory and is no file of it.

    Args:
        name: The backup.
        keys: What lies there.
        named: What the backup's manifest names beside the files of the format.
    """
    directory = BackupFiles(name).directory
    known = {*known_files(name), *named}
    found = (key.removeprefix(directory) for key in keys)
    return tuple(sorted(each for each in found if each not in known))
