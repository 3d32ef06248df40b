"""Every name of the front door has the type of its room: none is Any.

Names are resolved when they are first used, which a type checker cannot follow: what
the front door forgot to tell it would be Any, and nothing below it checked.
"""

from typing import assert_type

import kbackup
from kbackup import backup, catalog, cluster, errors, models, plugins, restore
from kbackup._kits import workers


def engines(
    *,
    backups: kbackup.BackupEngine,
    restores: kbackup.RestoreEngine,
    manager: kbackup.PluginManager,
    there: kbackup.Cluster,
    store: kbackup.BackupStore,
) -> None:
    """What does something is the class that does it."""
    assert_type(backups, backup.BackupEngine)
    assert_type(restores, restore.RestoreEngine)
    assert_type(manager, plugins.PluginManager)
    assert_type(there, cluster.Cluster)
    assert_type(store, catalog.BackupStore)


def backups(
    *,
    record: kbackup.Backup,
    options: kbackup.BackupOptions,
    phase: kbackup.BackupPhase,
    plan: kbackup.BackupPlan,
    result: kbackup.BackupResult,
    spec: kbackup.BackupSpec,
) -> None:
    """What a backup takes and gives is what it says."""
    assert_type(record, models.Backup)
    assert_type(options, models.BackupOptions)
    assert_type(phase, models.BackupPhase)
    assert_type(plan, backup.BackupPlan)
    assert_type(result, models.BackupResult)
    assert_type(spec, models.BackupSpec)


def restores(
    *,
    record: kbackup.Restore,
    options: kbackup.RestoreOptions,
    phase: kbackup.RestorePhase,
    plan: kbackup.RestorePlan,
    result: kbackup.RestoreResult,
    spec: kbackup.RestoreSpec,
) -> None:
    """What a restore takes and gives is what it says."""
    assert_type(record, models.Restore)
    assert_type(options, models.RestoreOptions)
    assert_type(phase, models.RestorePhase)
    assert_type(plan, restore.RestorePlan)
    assert_type(result, models.RestoreResult)
    assert_type(spec, models.RestoreSpec)


def values(
    *,
    backups_at: kbackup.BackupStorageLocation,
    snapshots_at: kbackup.VolumeSnapshotLocation,
    schedule: kbackup.Schedule,
    selector: kbackup.LabelSelector,
    settings: kbackup.EngineSettings,
    difference: kbackup.Difference,
    token: kbackup.CancelToken,
    error: kbackup.KBackupError,
) -> None:
    """What is written down, set or raised is what it says."""
    assert_type(backups_at, models.BackupStorageLocation)
    assert_type(snapshots_at, models.VolumeSnapshotLocation)
    assert_type(schedule, models.Schedule)
    assert_type(selector, models.LabelSelector)
    assert_type(settings, models.EngineSettings)
    assert_type(difference, models.Difference)
    assert_type(token, workers.CancelToken)
    assert_type(error, errors.KBackupError)


def others() -> None:
    """The version is text, and the marker of a hook keeps the type of its function."""

    @kbackup.hookimpl
    def hook(number: int) -> str:
        return str(number)

    assert_type(kbackup.__version__, str)
    assert_type(hook(1), str)
    hook("1")  # type: ignore[arg-type]
