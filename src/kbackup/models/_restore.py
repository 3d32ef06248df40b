"""A restore: what was asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from kbackup.models._fields import check_spec, keep_odd
from kbackup.models._hooks import HookStatus, RestoreHooks
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


class RestorePhase(StrEnum):
    """Where a restore is in its life; an absent phase means `NEW`."""

    NEW = "New"
    FAILED_VALIDATION = "FailedValidation"
    IN_PROGRESS = "InProgress"
    WAITING_FOR_PLUGIN_OPERATIONS = "WaitingForPluginOperations"
    WAITING_FOR_PLUGIN_OPERATIONS_PARTIALLY_FAILED = (
        "WaitingForPluginOperationsPartiallyFailed"
    )
    FINALIZING = "Finalizing"
    FINALIZING_PARTIALLY_FAILED = "FinalizingPartiallyFailed"
    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    FAILED = "Failed"


class ExistingResourcePolicy(StrEnum):
    """What happens to an object that is in the target already."""

    NONE = "none"
    UPDATE = "update"


@attrs.frozen(kw_only=True, field_transformer=naming)
class RestoreStatusSpec(Model):
    """Of which types the status is restored as well.

    Attributes:
        included_resources: None, or ``*``: all.
        excluded_resources: Not these, whatever is included.
    """

    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)


@attrs.frozen(kw_only=True)
class RestoreUploaderConfig(Model):
    """How files are written back."""

    write_sparse_files: bool | None = None
    parallel_files_download: int = 0


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class RestoreSpec(Model):
    """What to restore: Velero's fields and no others.

    Attributes:
        backup_name: The backup; or `schedule_name` for the newest of a schedule.
        namespace_mapping: From the namespace in the backup to that in the target.
        include_cluster_resources: None: those that belong to what is restored.
        restore_status: None: of no type; an annotation of an object overrules it.
        existing_resource_policy: None is `ExistingResourcePolicy.NONE`.
    """

    backup_name: str = ""
    schedule_name: str = ""
    included_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    namespace_mapping: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    label_selector: LabelSelector | None = None
    or_label_selectors: tuple[LabelSelector, ...] = attrs.field(
        default=(), converter=sequence
    )
    restore_pvs: bool | None = None
    restore_status: RestoreStatusSpec | None = None
    preserve_node_ports: bool | None = None
    include_cluster_resources: bool | None = None
    hooks: RestoreHooks = attrs.field(factory=RestoreHooks, metadata=ALWAYS)
    existing_resource_policy: ExistingResourcePolicy | None = None
    item_operation_timeout: timedelta | None = None
    resource_modifier: TypedLocalObjectReference | None = None
    uploader_config: RestoreUploaderConfig | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what no document could hold.

        Raises:
            InvalidSpecError: With every field that has another type.
        """
        check_spec(self)


@attrs.frozen(kw_only=True)
class RestoreProgress(Model):
    """How far a restore is, in items."""

    total_items: int = 0
    items_restored: int = 0


@attrs.frozen(kw_only=True, field_transformer=naming)
class RestoreStatus(Model):
    """What came of a restore."""

    phase: RestorePhase | None = None
    validation_errors: tuple[str, ...] = attrs.field(default=(), converter=strings)
    warnings: int = 0
    errors: int = 0
    failure_reason: str = ""
    start_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    completion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    progress: RestoreProgress | None = None
    restore_item_operations_attempted: int = 0
    restore_item_operations_completed: int = 0
    restore_item_operations_failed: int = 0
    hook_status: HookStatus | None = None


@attrs.frozen(kw_only=True)
class Restore(Document):
    """One restore."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: RestoreSpec = attrs.field(factory=RestoreSpec, metadata=ALWAYS)
    status: RestoreStatus = attrs.field(factory=RestoreStatus, metadata=ALWAYS)

    @property
    def name(self) -> str:
        """The restore's name."""
        return self.metadata.name
