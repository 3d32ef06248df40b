"""Provider ``kbackup.io/local``: object stores in directories, one or several mirrored.

Also answers to ``csdz.io/local``. An address is ``file:///var/backups``; in a location
it is the config key ``path``, one directory or several joined by ``#``. Snapshots of
hostPath and local volumes of this machine are copies below a directory, too.
"""

from collections.abc import Mapping

from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
    hookimpl,
)
from kbackup_plugins_local._config import PROVIDER, local_spec
from kbackup_plugins_local._host_path import open_host_path_snapshotter
from kbackup_plugins_local._open import open_local_store

__all__ = [
    "kbackup_register_object_stores",
    "kbackup_register_volume_snapshotters",
    "open_host_path_snapshotter",
    "open_local_store",
]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in local directories."""
    factory = ObjectStoreFactory(
        open=open_local_store,
        from_url=local_spec,
        schemes=("file",),
        aliases=("csdz.io/local",),
        capabilities=frozenset({Capability.ATOMIC_CREATE, Capability.RANGE}),
    )
    return {PROVIDER: factory}


@hookimpl
def kbackup_register_volume_snapshotters() -> Mapping[str, VolumeSnapshotterFactory]:
    """Offer snapshots of directories."""
    factory = VolumeSnapshotterFactory(
        open=open_host_path_snapshotter, aliases=("csdz.io/local",)
    )
    return {PROVIDER: factory}
