"""Which backup a restore takes: one by name, in whatever phase, or a schedule's newest."""

from datetime import UTC, datetime

import attrs
import pytest
from plan_samples import config_map, namespace

from kbackup.errors import BackupNotFoundError, NoBackupOfScheduleError
from kbackup.models import (
    BackupPhase,
    BackupStatus,
    Progress,
    RestorePhase,
    RestoreSpec,
)

OBJECTS = [namespace(), config_map(a="1")]


def _status(day, phase=BackupPhase.COMPLETED):
    """The status of a backup that began on a day of May and ended the day after."""
    return BackupStatus(
        phase=phase,
        start_timestamp=datetime(2024, 5, day, tzinfo=UTC),
        completion_timestamp=datetime(2024, 5, day + 1, tzinfo=UTC),
    )


@pytest.fixture
def daily(make_shop):
    """A shop with backups of schedule ``daily``, and some that are not to be taken."""
    shop = make_shop(OBJECTS)  # shop-1, which no schedule made
    backups = {
        "second": ("daily", _status(2)),
        "third": ("daily", _status(3)),
        "first": ("daily", _status(1)),
        "partial": ("daily", _status(4, BackupPhase.PARTIALLY_FAILED)),
        "failed": ("daily", _status(5, BackupPhase.FAILED)),
        "other": ("weekly", _status(6)),
    }
    for name, (schedule, status) in backups.items():
        shop.add_backup(OBJECTS, name, schedule=schedule, status=status)
    return shop


def test_a_schedule_means_its_newest_completed_backup(daily):
    """The one that began last counts; those with errors and of other schedules do not."""
    plan = daily.engine.plan("try-1", RestoreSpec(schedule_name="daily"))
    result = daily.engine.apply(plan)

    assert plan.head.backup_name == "third"
    spec = daily.store.get_restore("try-1").spec
    assert (spec.backup_name, spec.schedule_name) == ("third", "")
    assert result.restore.status.phase is RestorePhase.COMPLETED


def test_a_schedule_without_a_completed_backup(daily):
    """Nothing is taken in its place: the schedule is named as having none."""
    with pytest.raises(NoBackupOfScheduleError) as refused:
        daily.engine.plan("try-1", RestoreSpec(schedule_name="hourly"))

    assert isinstance(refused.value, BackupNotFoundError)
    assert str(refused.value) == (
        "schedule hourly: nothing to restore from: no completed backup of this schedule"
    )
    assert refused.value.hint == "schedules that have backups here: daily, weekly"


def test_a_schedule_where_none_has_a_backup(make_shop):
    """The hint says that no schedule has made anything here."""
    with pytest.raises(NoBackupOfScheduleError) as refused:
        make_shop(OBJECTS).engine.plan("try-1", RestoreSpec(schedule_name="hourly"))

    assert refused.value.hint == "schedules that have backups here: none"


@pytest.mark.parametrize("fault", ["archive gone", "truncated", "empty", "record"])
def test_a_schedule_whose_newest_cannot_be_restored(daily, tmp_path, fault):
    """A damaged or empty backup is not taken where a good older one is there."""
    directory = tmp_path / "store-0/backups/third"
    if fault == "archive gone":
        (directory / "third.tar.gz").unlink()
    elif fault == "truncated":
        archive = directory / "third.tar.gz"
        archive.write_bytes(archive.read_bytes()[:-9])
    elif fault == "record":
        (directory / "velero-backup.json").write_text("{")
    else:
        status = attrs.evolve(_status(3), progress=Progress(total_items=0))
        daily.store.delete("third")
        daily.add_backup([], "third", schedule="daily", status=status)

    plan = daily.engine.plan("try-1", RestoreSpec(schedule_name="daily"))

    assert plan.head.backup_name == "second"


def test_a_schedule_of_which_none_can_be_restored(daily, tmp_path):
    """The error says what is wrong with the newest, which is why there is none."""
    for name in ("first", "second", "third", "partial"):
        (tmp_path / f"store-0/backups/{name}/{name}.tar.gz").unlink()

    with pytest.raises(
        NoBackupOfScheduleError, match="the newest is failed, phase Failed"
    ) as refused:
        daily.engine.plan("try-1", RestoreSpec(schedule_name="daily"))

    assert not refused.value.hint  # it is no slip of the pen


@pytest.mark.parametrize("name", ["partial", "failed"])
def test_a_backup_with_errors_is_restored_by_name(daily, name):
    """What is in its archive comes back, and the plan says what phase it is in."""
    plan = daily.engine.plan("try-1", RestoreSpec(backup_name=name))
    result = daily.engine.apply(plan)

    assert plan.head.backup_phase in ("PartiallyFailed", "Failed")
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert daily.names("configmaps", "shop") == ["settings"]
