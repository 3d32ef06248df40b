"""Where backups and native snapshots are kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from kbackup.models._fields import check_config, keep_odd
from kbackup.models._model import ALWAYS, Document, Model, instant, mapping, naming
from kbackup.models._objects import ObjectMeta, SecretKeySelector


class AccessMode(StrEnum):
    """Whether a location may be written."""

    READ_WRITE = "ReadWrite"
    READ_ONLY = "ReadOnly"


class LocationPhase(StrEnum):
    """Whether a location could be used when it was last tried."""

    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class ObjectStorage(Model):
    """The place inside an object store.

    Attributes:
        prefix: The directory below which everything lies; no slash at either end.
        ca_cert: PEM; base64 in documents.
        ca_cert_ref: A Secret that holds it instead.
    """

    bucket: str = attrs.field(default="", metadata=ALWAYS)
    prefix: str = ""
    ca_cert: bytes = b""
    ca_cert_ref: SecretKeySelector | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what no document could hold.

        Raises:
            InvalidConfigError: With every field that has another type.
        """
        check_config(self)


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class BackupStorageLocationSpec(Model):
    """Where an object store is and who speaks to it.

    Attributes:
        provider: The plugin; a bare name such as ``aws`` means ``velero.io/aws``.
        config: Whatever the provider understands.
        access_mode: None is `AccessMode.READ_WRITE`.
    """

    provider: str = attrs.field(default="", metadata=ALWAYS)
    # Not shown: nothing keeps people from writing a password here.
    config: Mapping[str, str] = attrs.field(factory=dict, converter=mapping, repr=False)
    credential: SecretKeySelector | None = None
    object_storage: ObjectStorage = attrs.field(factory=ObjectStorage, metadata=ALWAYS)
    default: bool = False
    access_mode: AccessMode | None = None
    backup_sync_period: timedelta | None = None
    validation_frequency: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what no document could hold.

        Raises:
            InvalidConfigError: With every field that has another type.
        """
        check_config(self)

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written there."""
        return self.access_mode is AccessMode.READ_ONLY


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupStorageLocationStatus(Model):
    """What was found when the location was last tried.

    Attributes:
        last_synced_revision: No longer used by Velero.
        access_mode: No longer used by Velero.
    """

    phase: LocationPhase | None = None
    last_synced_time: datetime | None = attrs.field(default=None, converter=instant)
    last_validation_time: datetime | None = attrs.field(default=None, converter=instant)
    message: str = ""
    last_synced_revision: str = ""
    access_mode: AccessMode | None = None


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class BackupStorageLocation(Document):
    """A place for backups."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: BackupStorageLocationSpec = attrs.field(
        factory=BackupStorageLocationSpec, metadata=ALWAYS
    )
    status: BackupStorageLocationStatus = attrs.field(
        factory=BackupStorageLocationStatus, metadata=ALWAYS
    )

    def __attrs_post_init__(self) -> None:
        """Refuse what no document could hold.

        Raises:
            InvalidConfigError: With every field that has another type.
        """
        check_config(self)

    @property
    def name(self) -> str:
        """The location's name."""
        return self.metadata.name


@attrs.frozen(kw_only=True, field_transformer=naming)
class VolumeSnapshotLocationSpec(Model):
    """Who makes native snapshots, and where."""

    provider: str = attrs.field(default="", metadata=ALWAYS)
    config: Mapping[str, str] = attrs.field(factory=dict, converter=mapping, repr=False)
    credential: SecretKeySelector | None = None


@attrs.frozen(kw_only=True)
class VolumeSnapshotLocationStatus(Model):
    """Whether the location is usable; Velero does not maintain it."""

    phase: LocationPhase | None = None


@attrs.frozen(kw_only=True)
class VolumeSnapshotLocation(Document):
    """A place for native snapshots."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: VolumeSnapshotLocationSpec = attrs.field(
        factory=VolumeSnapshotLocationSpec, metadata=ALWAYS
    )
    status: VolumeSnapshotLocationStatus = attrs.field(
        factory=VolumeSnapshotLocationStatus, metadata=ALWAYS
    )
