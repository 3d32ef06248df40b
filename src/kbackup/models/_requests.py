"""What is asked of a Velero server through objects in its cluster."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from kbackup.models._model import (
    ALWAYS,
    Document,
    Model,
    instant,
    naming,
    sequence,
    strings,
)
from kbackup.models._objects import ObjectMeta


class RequestPhase(StrEnum):
    """Whether the server has dealt with a request."""

    NEW = "New"
    IN_PROGRESS = "InProgress"  # deletions only
    PROCESSED = "Processed"


class DownloadTargetKind(StrEnum):
    """Which file of a backup or a restore is wanted."""

    BACKUP_LOG = "BackupLog"
    BACKUP_CONTENTS = "BackupContents"
    BACKUP_VOLUME_SNAPSHOTS = "BackupVolumeSnapshots"
    BACKUP_ITEM_SNAPSHOTS = "BackupItemSnapshots"
    BACKUP_ITEM_OPERATIONS = "BackupItemOperations"
    BACKUP_RESOURCE_LIST = "BackupResourceList"
    BACKUP_RESULTS = "BackupResults"
    RESTORE_LOG = "RestoreLog"
    RESTORE_RESULTS = "RestoreResults"
    RESTORE_RESOURCE_LIST = "RestoreResourceList"
    RESTORE_ITEM_OPERATIONS = "RestoreItemOperations"
    CSI_BACKUP_VOLUME_SNAPSHOTS = "CSIBackupVolumeSnapshots"
    CSI_BACKUP_VOLUME_SNAPSHOT_CONTENTS = "CSIBackupVolumeSnapshotContents"
    BACKUP_VOLUME_INFOS = "BackupVolumeInfos"
    RESTORE_VOLUME_INFO = "RestoreVolumeInfo"


@attrs.frozen(kw_only=True)
class DeleteBackupRequestSpec(Model):
    """Which backup to delete."""

    backup_name: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class DeleteBackupRequestStatus(Model):
    """How far the deletion is, and what failed."""

    phase: RequestPhase | None = None
    errors: tuple[str, ...] = attrs.field(default=(), converter=strings)


@attrs.frozen(kw_only=True)
class DeleteBackupRequest(Document):
    """The wish that a backup and all it owns be deleted."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: DeleteBackupRequestSpec = attrs.field(
        factory=DeleteBackupRequestSpec, metadata=ALWAYS
    )
    status: DeleteBackupRequestStatus = attrs.field(
        factory=DeleteBackupRequestStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True)
class DownloadTarget(Model):
    """One file of one backup or restore."""

    kind: DownloadTargetKind | None = attrs.field(default=None, metadata=ALWAYS)
    name: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class DownloadRequestSpec(Model):
    """What to download."""

    target: DownloadTarget = attrs.field(factory=DownloadTarget, metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class DownloadRequestStatus(Model):
    """Where the file can be fetched, and until when."""

    phase: RequestPhase | None = None
    # Not shown: whoever has a signed address can read the backup.
    download_url: str = attrs.field(default="", repr=False)
    expiration: datetime | None = attrs.field(default=None, converter=instant)


@attrs.frozen(kw_only=True)
class DownloadRequest(Document):
    """The wish for an address from which a file can be fetched."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: DownloadRequestSpec = attrs.field(
        factory=DownloadRequestSpec, metadata=ALWAYS
    )
    status: DownloadRequestStatus = attrs.field(
        factory=DownloadRequestStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True)
class ServerStatusRequestSpec(Model):
    """Nothing has to be said to be told the server's status."""


@attrs.frozen(kw_only=True)
class ServerPlugin(Model):
    """A plugin of the server, such as ``velero.io/aws`` of kind ``ObjectStore``."""

    name: str = attrs.field(default="", metadata=ALWAYS)
    kind: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class ServerStatusRequestStatus(Model):
    """What the server says of itself."""

    phase: RequestPhase | None = None
    processed_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    server_version: str = ""
    plugins: tuple[ServerPlugin, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class ServerStatusRequest(Document):
    """The wish to know the server's version and plugins."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: ServerStatusRequestSpec = attrs.field(
        factory=ServerStatusRequestSpec, metadata=ALWAYS
    )
    status: ServerStatusRequestStatus = attrs.field(
        factory=ServerStatusRequestStatus, metadata=ALWAYS
    )
