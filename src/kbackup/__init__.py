"""kbackup: back up, restore and migrate what runs in Kubernetes clusters.

The front door. Names are resolved when they are first used, so that ``import kbackup``
is cheap and one room can be used without loading the others::

    from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster

    with Cluster.connect() as cluster, BackupStore.open("/var/backups/prod") as store:
        spec = BackupSpec(included_namespaces=["shop"])
        result = BackupEngine(cluster, store).run("shop-1", spec)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbackup._kits.doors import loader

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken
    from kbackup.backup import BackupEngine, BackupPlan
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster
    from kbackup.errors import KBackupError
    from kbackup.models import (
        Backup,
        BackupOptions,
        BackupPhase,
        BackupResult,
        BackupSpec,
        BackupStorageLocation,
        Difference,
        EngineSettings,
        LabelSelector,
        Restore,
        RestoreOptions,
        RestorePhase,
        RestoreResult,
        RestoreSpec,
        Schedule,
        VolumeSnapshotLocation,
    )
    from kbackup.plugins import PluginManager, hookimpl
    from kbackup.restore import RestoreEngine, RestorePlan

    __version__: str

_ROOMS = {
    "Backup": "models",
    "BackupEngine": "backup",
    "BackupOptions": "models",
    "BackupPhase": "models",
    "BackupPlan": "backup",
    "BackupResult": "models",
    "BackupSpec": "models",
    "BackupStorageLocation": "models",
    "BackupStore": "catalog",
    "CancelToken": "_kits.workers",
    "Cluster": "cluster",
    "Difference": "models",
    "EngineSettings": "models",
    "KBackupError": "errors",
    "LabelSelector": "models",
    "PluginManager": "plugins",
    "Restore": "models",
    "RestoreEngine": "restore",
    "RestoreOptions": "models",
    "RestorePhase": "models",
    "RestorePlan": "restore",
    "RestoreResult": "models",
    "RestoreSpec": "models",
    "Schedule": "models",
    "VolumeSnapshotLocation": "models",
    "hookimpl": "plugins",
}

__all__ = [
    "Backup",
    "BackupEngine",
    "BackupOptions",
    "BackupPhase",
    "BackupPlan",
    "BackupResult",
    "BackupSpec",
    "BackupStorageLocation",
    "BackupStore",
    "CancelToken",
    "Cluster",
    "Difference",
    "EngineSettings",
    "KBackupError",
    "LabelSelector",
    "PluginManager",
    "Restore",
    "RestoreEngine",
    "RestoreOptions",
    "RestorePhase",
    "RestorePlan",
    "RestoreResult",
    "RestoreSpec",
    "Schedule",
    "VolumeSnapshotLocation",
    "__version__",
    "hookimpl",
]


_load = loader(__name__, _ROOMS)


def __getattr__(name: str) -> Any:
    """Resolve a public name from its room, or the version from the installation."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - costs 20 ms

        return version("kbackup")
    return _load(name)


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
