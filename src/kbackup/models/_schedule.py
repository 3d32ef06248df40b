"""A schedule: a cron line and the backups it makes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from kbackup.models._backup import BackupSpec
from kbackup.models._model import ALWAYS, Document, Model, instant, naming, strings
from kbackup.models._objects import ObjectMeta


class SchedulePhase(StrEnum):
    """Whether a schedule was accepted."""

    NEW = "New"
    ENABLED = "Enabled"
    FAILED_VALIDATION = "FailedValidation"


@attrs.frozen(kw_only=True)
class ScheduleSpec(Model):
    """When to make which backups.

    Attributes:
        schedule: Five cron fields, or one of cron's ``@`` words.
        skip_immediately: Whether a new schedule waits for its first due time.
    """

    template: BackupSpec = attrs.field(factory=BackupSpec, metadata=ALWAYS)
    schedule: str = attrs.field(default="", metadata=ALWAYS)
    use_owner_references_in_backup: bool | None = None
    paused: bool = False
    skip_immediately: bool | None = None


@attrs.frozen(kw_only=True, field_transformer=naming)
class ScheduleStatus(Model):
    """What a schedule did last."""

    phase: SchedulePhase | None = None
    last_backup: datetime | None = attrs.field(default=None, converter=instant)
    last_skipped: datetime | None = attrs.field(default=None, converter=instant)
    validation_errors: tuple[str, ...] = attrs.field(default=(), converter=strings)


@attrs.frozen(kw_only=True)
class Schedule(Document):
    """A schedule of backups."""

    metadata: ObjectMeta = attrs.field(factory=ObjectMeta, metadata=ALWAYS)
    spec: ScheduleSpec = attrs.field(factory=ScheduleSpec, metadata=ALWAYS)
    status: ScheduleStatus = attrs.field(factory=ScheduleStatus, metadata=ALWAYS)
