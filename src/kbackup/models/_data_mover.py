"""The objects by which the bytes of CSI snapshots are moved to a store and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

import attrs

from kbackup.models._model import ALWAYS, Document, Model, instant, mapping, naming
from kbackup.models._objects import ObjectMeta
from kbackup.models._volumes import DataPhase, DataProgress


@attrs.frozen(kw_only=True)
class CSISnapshotSpec(Model):
    """The CSI snapshot whose bytes are moved."""

    volume_snapshot: str = attrs.field(default="", metadata=ALWAYS)
    storage_class: str = attrs.field(default="", metadata=ALWAYS)
    snapshot_class: str = ""
    driver: str = ""


@attrs.frozen(kw_only=True, field_transformer=naming)
class DataUploadSpec(Model):
    """What is moved to the store.

    Attributes:
        snapshot_type: ``CSI``.
        datamover: Empty or ``velero``: the built-in one.
    """

    snapshot_type: str = attrs.field(default="", metadata=ALWAYS)
    csi_snapshot: CSISnapshotSpec | None = None
    source_pvc: str = attrs.field(default="", metadata=ALWAYS)
    datamover: str = ""
    backup_storage_location: str = attrs.field(default="", metadata=ALWAYS)
    source_namespace: str = attrs.field(default="", metadata=ALWAYS)
    data_mover_config: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    cancel: bool = False
    operation_timeout: timedelta | None = None


@attrs.frozen(kw_only=True, field_transformer=naming)
class DataUploadStatus(Model):
    """What came of an upload.

    Attributes:
        snapshot_id: Of the repository snapshot; recorded nowhere else.
    """

    phase: DataPhase | None = None
    path: str = ""
    snapshot_id: str = ""
    data_mover_result: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    message: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    progress: DataProgress = attrs.field(factory=DataProgress, metadata=ALWAYS)
    incremental_bytes: int = 0
    node: str = ""
    node_os: str = ""
    accepted_by_node: str = ""
    accepted_timestamp: datetime | None = attrs.field(default=None, converter=instant)


@attrs.frozen(kw_only=True)
class DataUpload(Document):
    """The move of one snapshot's bytes to the store."""

    api_version: ClassVar[str] = "velero.io/v2alpha1"

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: DataUploadSpec = attrs.field(factory=DataUploadSpec, metadata=ALWAYS)
    status: DataUploadStatus = attrs.field(factory=DataUploadStatus, metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class TargetVolume(Model):
    """The volume that the bytes go into."""

    pvc: str = attrs.field(default="", metadata=ALWAYS)
    pv: str = attrs.field(default="", metadata=ALWAYS)
    namespace: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class DataDownloadSpec(Model):
    """What is moved back, and where to."""

    target_volume: TargetVolume = attrs.field(factory=TargetVolume, metadata=ALWAYS)
    backup_storage_location: str = attrs.field(default="", metadata=ALWAYS)
    datamover: str = ""
    snapshot_id: str = attrs.field(default="", metadata=ALWAYS)
    source_namespace: str = attrs.field(default="", metadata=ALWAYS)
    data_mover_config: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    cancel: bool = False
    operation_timeout: timedelta | None = None
    node_os: str = ""
    snapshot_size: int = 0


@attrs.frozen(kw_only=True, field_transformer=naming)
class DataDownloadStatus(Model):
    """What came of a download."""

    phase: DataPhase | None = None
    message: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    progress: DataProgress = attrs.field(factory=DataProgress, metadata=ALWAYS)
    node: str = ""
    accepted_by_node: str = ""
    accepted_timestamp: datetime | None = attrs.field(default=None, converter=instant)


@attrs.frozen(kw_only=True)
class DataDownload(Document):
    """The move of one snapshot's bytes from the store into a volume."""

    api_version: ClassVar[str] = "velero.io/v2alpha1"

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: DataDownloadSpec = attrs.field(factory=DataDownloadSpec, metadata=ALWAYS)
    status: DataDownloadStatus = attrs.field(
        factory=DataDownloadStatus, metadata=ALWAYS
    )
