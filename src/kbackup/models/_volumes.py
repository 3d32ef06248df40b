"""Volumes: what was done with each, and the objects that follow the work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from kbackup.models._model import (
    ALWAYS,
    Document,
    Model,
    instant,
    mapping,
    naming,
    sequence,
)
from kbackup.models._objects import ObjectMeta, ObjectReference


class NativeSnapshotPhase(StrEnum):
    """Whether the provider took the snapshot."""

    NEW = "New"
    COMPLETED = "Completed"
    FAILED = "Failed"


class DataPhase(StrEnum):
    """Where the transfer of a volume's data is."""

    NEW = "New"
    ACCEPTED = "Accepted"
    PREPARED = "Prepared"
    IN_PROGRESS = "InProgress"
    CANCELING = "Canceling"
    CANCELED = "Canceled"
    COMPLETED = "Completed"
    FAILED = "Failed"


class RepositoryPhase(StrEnum):
    """Whether a repository is usable."""

    NEW = "New"
    READY = "Ready"
    NOT_READY = "NotReady"


@attrs.frozen(kw_only=True)
class NativeSnapshotSpec(Model):
    """Which volume was to be snapshotted.

    Attributes:
        location: The name of the VolumeSnapshotLocation.
        volume_iops: Provisioned operations a second, where the provider has them.
    """

    backup_name: str = attrs.field(default="", metadata=ALWAYS)
    backup_uid: str = attrs.field(default="", metadata=ALWAYS)
    location: str = attrs.field(default="", metadata=ALWAYS)
    persistent_volume_name: str = attrs.field(default="", metadata=ALWAYS)
    provider_volume_id: str = attrs.field(default="", metadata=ALWAYS)
    volume_type: str = attrs.field(default="", metadata=ALWAYS)
    volume_az: str = ""
    volume_iops: int | None = None


@attrs.frozen(kw_only=True)
class NativeSnapshotStatus(Model):
    """What the provider answered; no id where it failed."""

    provider_snapshot_id: str = ""
    phase: NativeSnapshotPhase | None = None


@attrs.frozen(kw_only=True)
class NativeSnapshot(Model):
    """A snapshot that a provider took of a volume."""

    spec: NativeSnapshotSpec = attrs.field(factory=NativeSnapshotSpec, metadata=ALWAYS)
    status: NativeSnapshotStatus = attrs.field(
        factory=NativeSnapshotStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True)
class DataProgress(Model):
    """How far a transfer is, in bytes."""

    total_bytes: int = 0
    bytes_done: int = 0


@attrs.frozen(kw_only=True, field_transformer=naming)
class PodVolumeBackupSpec(Model):
    """Which volume of which Pod is backed up, and where to.

    Attributes:
        repo_identifier: restic's repository; empty for kopia.
        uploader_type: ``restic`` or ``kopia``; empty means restic.
    """

    node: str = attrs.field(default="", metadata=ALWAYS)
    pod: ObjectReference = attrs.field(factory=ObjectReference, metadata=ALWAYS)
    volume: str = attrs.field(default="", metadata=ALWAYS)
    backup_storage_location: str = attrs.field(default="", metadata=ALWAYS)
    repo_identifier: str = attrs.field(default="", metadata=ALWAYS)
    uploader_type: str = ""
    tags: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    uploader_settings: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    cancel: bool = False


@attrs.frozen(kw_only=True, field_transformer=naming)
class PodVolumeBackupStatus(Model):
    """What came of a Pod volume's backup.

    Attributes:
        snapshot_id: Of the repository snapshot; empty: there is nothing to restore.
    """

    phase: DataPhase | None = None
    path: str = ""
    snapshot_id: str = ""
    message: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    progress: DataProgress = attrs.field(factory=DataProgress, metadata=ALWAYS)
    incremental_bytes: int = 0
    accepted_timestamp: datetime | None = attrs.field(default=None, converter=instant)


@attrs.frozen(kw_only=True)
class PodVolumeBackup(Document):
    """The backup of one volume of one Pod."""

    kind_optional = True

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: PodVolumeBackupSpec = attrs.field(
        factory=PodVolumeBackupSpec, metadata=ALWAYS
    )
    status: PodVolumeBackupStatus = attrs.field(
        factory=PodVolumeBackupStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class PodVolumeRestoreSpec(Model):
    """Which repository snapshot goes into which volume of which Pod."""

    pod: ObjectReference = attrs.field(factory=ObjectReference, metadata=ALWAYS)
    volume: str = attrs.field(default="", metadata=ALWAYS)
    backup_storage_location: str = attrs.field(default="", metadata=ALWAYS)
    repo_identifier: str = attrs.field(default="", metadata=ALWAYS)
    uploader_type: str = ""
    snapshot_id: str = attrs.field(default="", metadata=ALWAYS)
    source_namespace: str = ""
    uploader_settings: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    cancel: bool = False
    snapshot_size: int = 0


@attrs.frozen(kw_only=True, field_transformer=naming)
class PodVolumeRestoreStatus(Model):
    """What came of a Pod volume's restore."""

    phase: DataPhase | None = None
    message: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    progress: DataProgress = attrs.field(factory=DataProgress, metadata=ALWAYS)
    accepted_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    node: str = ""


@attrs.frozen(kw_only=True)
class PodVolumeRestore(Document):
    """The restore of one volume of one Pod."""

    kind_optional = True

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: PodVolumeRestoreSpec = attrs.field(
        factory=PodVolumeRestoreSpec, metadata=ALWAYS
    )
    status: PodVolumeRestoreStatus = attrs.field(
        factory=PodVolumeRestoreStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class RepositoryMaintenance(Model):
    """One run of a repository's maintenance; `result` is Succeeded or Failed."""

    result: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    complete_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    message: str = ""


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupRepositorySpec(Model):
    """Whose volumes a repository holds, and where.

    Attributes:
        repository_type: ``kopia`` or ``restic``; a ResticRepository has none.
        repository_config: ``cacheLimitMB``, ``fullMaintenanceInterval``.
    """

    volume_namespace: str = attrs.field(default="", metadata=ALWAYS)
    backup_storage_location: str = attrs.field(default="", metadata=ALWAYS)
    repository_type: str = ""
    restic_identifier: str = ""
    maintenance_frequency: timedelta | None = None
    repository_config: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupRepositoryStatus(Model):
    """Whether a repository is usable, and when it was looked after."""

    phase: RepositoryPhase | None = None
    message: str = ""
    last_maintenance_time: datetime | None = attrs.field(
        default=None, converter=instant
    )
    recent_maintenance: tuple[RepositoryMaintenance, ...] = attrs.field(
        default=(), converter=sequence
    )


@attrs.frozen(kw_only=True)
class BackupRepository(Document):
    """The repository of one namespace's volumes in one location."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: BackupRepositorySpec = attrs.field(
        factory=BackupRepositorySpec, metadata=ALWAYS
    )
    status: BackupRepositoryStatus = attrs.field(
        factory=BackupRepositoryStatus, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True)
class ResticRepository(Document):
    """The same up to Velero 1.9."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: BackupRepositorySpec = attrs.field(
        factory=BackupRepositorySpec, metadata=ALWAYS
    )
    status: BackupRepositoryStatus = attrs.field(
        factory=BackupRepositoryStatus, metadata=ALWAYS
    )
