"""A backup: what was asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from kbackup.models._fields import check_spec, keep_odd
from kbackup.models._hooks import BackupHooks, HookStatus
from kbackup.models._meta import LabelSelector
from kbackup.models._model import (
    ALWAYS,
    Document,
    Model,
    instant,
    mapping,
    naming,
    sequence,
    strings,
)
from kbackup.models._objects import ObjectMeta, TypedLocalObjectReference


class BackupPhase(StrEnum):
    """Where a backup is in its life; an absent phase means `NEW`."""

    NEW = "New"
    QUEUED = "Queued"
    READY_TO_START = "ReadyToStart"
    FAILED_VALIDATION = "FailedValidation"
    IN_PROGRESS = "InProgress"
    UPLOADING = "Uploading"
    UPLOADING_PARTIAL_FAILURE = "UploadingPartialFailure"
    WAITING_FOR_PLUGIN_OPERATIONS = "WaitingForPluginOperations"
    WAITING_FOR_PLUGIN_OPERATIONS_PARTIALLY_FAILED = (
        "WaitingForPluginOperationsPartiallyFailed"
    )
    FINALIZING = "Finalizing"
    FINALIZING_PARTIALLY_FAILED = "FinalizingPartiallyFailed"
    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    FAILED = "Failed"
    DELETING = "Deleting"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended: a record in another phase is incomplete."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        BackupPhase.FAILED_VALIDATION,
        BackupPhase.COMPLETED,
        BackupPhase.PARTIALLY_FAILED,
        BackupPhase.FAILED,
    }
)


@attrs.frozen(kw_only=True, field_transformer=naming)
class TemplateMetadata(Model):
    """What a schedule's template says about the metadata of its backups."""

    labels: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)


@attrs.frozen(kw_only=True)
class BackupUploaderConfig(Model):
    """How files are uploaded."""

    parallel_files_upload: int = 0


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class BackupSpec(Model):
    """What to back up: Velero's fields and no others.

    Names in the lists of namespaces and resources may hold wildcards; an empty list of
    includes, or ``*`` alone, is everything.

    Attributes:
        included_resources: With its siblings up to `excluded_resources` and
            `include_cluster_resources` the older way to filter; not to be mixed with
            the lists by scope.
        included_cluster_scoped_resources: With its siblings the newer way.
        or_label_selectors: An object that any of them selects is wanted; not to be
            combined with `label_selector`.
        snapshot_volumes: False: never; None: where possible.
        ttl: After this time Velero deletes the backup; None: nobody does.
        include_cluster_resources: None: those that belong to what is backed up.
        default_volumes_to_restic: Velero 1.8's name of `default_volumes_to_fs_backup`.
        ordered_resources: Plural resource name to ``ns/a,ns/b``, to be stored first.
    """

    metadata: TemplateMetadata = attrs.field(factory=TemplateMetadata, metadata=ALWAYS)
    included_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_cluster_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    excluded_cluster_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    included_namespace_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    excluded_namespace_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    label_selector: LabelSelector | None = None
    or_label_selectors: tuple[LabelSelector, ...] = attrs.field(
        default=(), converter=sequence
    )
    snapshot_volumes: bool | None = None
    ttl: timedelta | None = None
    volume_group_snapshot_label_key: str = ""
    include_cluster_resources: bool | None = None
    hooks: BackupHooks = attrs.field(factory=BackupHooks, metadata=ALWAYS)
    storage_location: str = ""
    volume_snapshot_locations: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    default_volumes_to_restic: bool | None = None
    default_volumes_to_fs_backup: bool | None = None
    ordered_resources: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    csi_snapshot_timeout: timedelta | None = None
    item_operation_timeout: timedelta | None = None
    resource_policy: TypedLocalObjectReference | None = None
    snapshot_move_data: bool | None = None
    datamover: str = ""
    uploader_config: BackupUploaderConfig | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what no document could hold.

        Raises:
            InvalidSpecError: With every field that has another type.
        """
        check_spec(self)


@attrs.frozen(kw_only=True)
class Progress(Model):
    """How far a backup is, in items."""

    total_items: int = 0
    items_backed_up: int = 0


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupStatus(Model):
    """What came of a backup.

    Attributes:
        version: Always 1; superseded by `format_version`.
        expiration: Start plus the TTL; a Velero server deletes the backup then.
        warnings: How many, as in the log.
        errors: How many, as in the log.
    """

    version: int = 0
    format_version: str = ""
    expiration: datetime | None = attrs.field(default=None, converter=instant)
    phase: BackupPhase | None = None
    queue_position: int = 0
    validation_errors: tuple[str, ...] = attrs.field(default=(), converter=strings)
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    volume_snapshots_attempted: int = 0
    volume_snapshots_completed: int = 0
    failure_reason: str = ""
    warnings: int = 0
    errors: int = 0
    progress: Progress | None = None
    csi_volume_snapshots_attempted: int = 0
    csi_volume_snapshots_completed: int = 0
    backup_item_operations_attempted: int = 0
    backup_item_operations_completed: int = 0
    backup_item_operations_failed: int = 0
    hook_status: HookStatus | None = None


@attrs.frozen(kw_only=True)
class Backup(Document):
    """One backup: the record that Velero keeps as ``velero-backup.json``."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: BackupSpec = attrs.field(factory=BackupSpec, metadata=ALWAYS)
    status: BackupStatus = attrs.field(factory=BackupStatus, metadata=ALWAYS)

    @property
    def name(self) -> str:
        """The backup's name."""
        return self.metadata.name
