"""Provider ``velero.io/azure``: stores in Azure Blob Storage, snapshots of managed disks.

Reads the configuration of Velero's plugin of that name. An address is
``az://container/prefix?storageAccount=name``. The SDK is imported when a store is
opened, and by the first request of a snapshotter.
"""

from collections.abc import Mapping

from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
    hookimpl,
)
from kbackup_plugins_azure._config import PROVIDER, SCHEMES, blob_spec
from kbackup_plugins_azure._disks import open_disk_snapshotter
from kbackup_plugins_azure._open import open_blob_store

__all__ = [
    "kbackup_register_object_stores",
    "kbackup_register_volume_snapshotters",
    "open_blob_store",
    "open_disk_snapshotter",
]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in Azure."""
    factory = ObjectStoreFactory(
        open=open_blob_store,
        from_url=blob_spec,
        schemes=SCHEMES,
        requires=("azure.storage.blob", "azure.identity"),
        extra="azure",
        capabilities=frozenset(
            {
                Capability.ATOMIC_CREATE,
                Capability.RETENTION,
                Capability.SIGNED_URL,
                Capability.RANGE,
            }
        ),
    )
    return {PROVIDER: factory}


@hookimpl
def kbackup_register_volume_snapshotters() -> Mapping[str, VolumeSnapshotterFactory]:
    """Offer snapshots of managed disks."""
    factory = VolumeSnapshotterFactory(
        open=open_disk_snapshotter,
        requires=("azure.mgmt.compute", "azure.identity"),
        extra="azure",
    )
    return {PROVIDER: factory}
