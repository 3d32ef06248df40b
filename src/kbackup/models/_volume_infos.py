"""The summaries of volumes that stand beside a backup and a restore."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import attrs

from kbackup.models._model import ALWAYS, Model, instant, mapping, naming


class VolumeMethod(StrEnum):
    """How a volume's data were kept."""

    NATIVE_SNAPSHOT = "NativeSnapshot"
    POD_VOLUME_BACKUP = "PodVolumeBackup"
    CSI_SNAPSHOT = "CSISnapshot"


class VolumeRestoreMethod(StrEnum):
    """How a volume's data came back."""

    NATIVE_SNAPSHOT = "NativeSnapshot"
    POD_VOLUME_RESTORE = "PodVolumeRestore"
    CSI_SNAPSHOT = "CSISnapshot"


class VolumeResult(StrEnum):
    """Whether a volume's data were kept."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class CSISnapshotInfo(Model):
    """A CSI snapshot; `ready_to_use` is None while nobody knows."""

    snapshot_handle: str = attrs.field(default="", metadata=ALWAYS)
    size: int = attrs.field(default=0, metadata=ALWAYS)
    driver: str = attrs.field(default="", metadata=ALWAYS)
    vsc_name: str = attrs.field(default="", metadata=ALWAYS)
    operation_id: str = ""
    ready_to_use: bool | None = attrs.field(default=None, metadata=ALWAYS)
    volume_group_snapshot_handle: str = ""


@attrs.frozen(kw_only=True)
class SnapshotDataMovementInfo(Model):
    """A snapshot whose bytes were moved to the store."""

    data_mover: str = attrs.field(default="", metadata=ALWAYS)
    uploader_type: str = attrs.field(default="", metadata=ALWAYS)
    retained_snapshot: str = ""
    snapshot_handle: str = attrs.field(default="", metadata=ALWAYS)
    operation_id: str = attrs.field(default="", metadata=ALWAYS)
    size: int = attrs.field(default=0, metadata=ALWAYS)
    incremental_size: int = 0
    phase: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class NativeSnapshotInfo(Model):
    """A provider's snapshot; `iops` is text, ``0`` where unknown."""

    snapshot_handle: str = attrs.field(default="", metadata=ALWAYS)
    volume_type: str = attrs.field(default="", metadata=ALWAYS)
    volume_az: str = attrs.field(default="", metadata=ALWAYS)
    iops: str = attrs.field(default="0", metadata=ALWAYS)
    phase: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class PodVolumeInfo(Model):
    """A Pod's volume, backed up or restored file by file."""

    snapshot_handle: str = ""
    size: int = 0
    incremental_size: int = 0
    uploader_type: str = attrs.field(default="", metadata=ALWAYS)
    volume_name: str = attrs.field(default="", metadata=ALWAYS)
    pod_name: str = attrs.field(default="", metadata=ALWAYS)
    pod_namespace: str = attrs.field(default="", metadata=ALWAYS)
    node_name: str = ""
    phase: str = attrs.field(default="", metadata=ALWAYS)


def _optional_mapping(values: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if values is None else mapping(values)


@attrs.frozen(kw_only=True, field_transformer=naming)
class PVInfo(Model):
    """What a newly provisioned volume is given of the original one."""

    reclaim_policy: str = attrs.field(default="", metadata=ALWAYS)
    labels: Mapping[str, str] | None = attrs.field(
        default=None, converter=_optional_mapping, metadata=ALWAYS
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class VolumeInfo(Model):
    """What a backup did with one volume.

    Attributes:
        backup_method: None: the volume was skipped.
        skipped_reason: Why it was.
    """

    pvc_name: str = ""
    pvc_namespace: str = ""
    pv_name: str = ""
    backup_method: VolumeMethod | None = None
    snapshot_data_moved: bool = attrs.field(default=False, metadata=ALWAYS)
    preserve_local_snapshot: bool = attrs.field(default=False, metadata=ALWAYS)
    skipped: bool = attrs.field(default=False, metadata=ALWAYS)
    skipped_reason: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    result: VolumeResult | None = None
    csi_snapshot_info: CSISnapshotInfo | None = None
    snapshot_data_movement_info: SnapshotDataMovementInfo | None = None
    native_snapshot_info: NativeSnapshotInfo | None = None
    pvb_info: PodVolumeInfo | None = None
    pv_info: PVInfo | None = None


@attrs.frozen(kw_only=True)
class RestoreVolumeInfo(Model):
    """What a restore did with one volume."""

    pvc_name: str = ""
    pvc_namespace: str = ""
    pv_name: str = ""
    restore_method: VolumeRestoreMethod | None = None
    snapshot_data_moved: bool = attrs.field(default=False, metadata=ALWAYS)
    csi_snapshot_info: CSISnapshotInfo | None = None
    snapshot_data_movement_info: SnapshotDataMovementInfo | None = None
    native_snapshot_info: NativeSnapshotInfo | None = None
    pvr_info: PodVolumeInfo | None = None
