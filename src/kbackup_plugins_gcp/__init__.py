"""Provider ``velero.io/gcp``: stores in Cloud Storage, snapshots of persistent disks.

Reads the configuration of Velero's plugin of that name. An address is
``gs://bucket/prefix``. google-auth is imported by the first request of a store, and
google-cloud-compute by that of a snapshotter.
"""

from collections.abc import Mapping

from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
    hookimpl,
)
from kbackup_plugins_gcp._config import PROVIDER, gcs_spec
from kbackup_plugins_gcp._disks import open_disk_snapshotter
from kbackup_plugins_gcp._open import open_gcs_store

__all__ = [
    "kbackup_register_object_stores",
    "kbackup_register_volume_snapshotters",
    "open_disk_snapshotter",
    "open_gcs_store",
]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in Google Cloud Storage."""
    factory = ObjectStoreFactory(
        open=open_gcs_store,
        from_url=gcs_spec,
        schemes=("gs", "gcs"),
        requires=("google.auth", "google.cloud.storage"),
        extra="gcp",
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
    """Offer snapshots of persistent disks."""
    factory = VolumeSnapshotterFactory(
        open=open_disk_snapshotter, requires=("google.cloud.compute_v1",), extra="gcp"
    )
    return {PROVIDER: factory}
