"""Provider ``velero.io/aws``: stores in S3 and servers like it, snapshots in EBS.

Reads the configuration of Velero's plugin of that name. An address is
``s3://bucket/prefix?region=eu-west-1``. s3fs is imported when a store is opened, and
botocore by the first request of a snapshotter.
"""

from collections.abc import Mapping

from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
    hookimpl,
)
from kbackup_plugins_aws._config import PROVIDER, s3_spec
from kbackup_plugins_aws._ebs import open_ebs_snapshotter
from kbackup_plugins_aws._open import open_s3_store

__all__ = [
    "kbackup_register_object_stores",
    "kbackup_register_volume_snapshotters",
    "open_ebs_snapshotter",
    "open_s3_store",
]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in S3."""
    factory = ObjectStoreFactory(
        open=open_s3_store,
        from_url=s3_spec,
        schemes=("s3",),
        requires=("s3fs",),
        extra="aws",
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
    """Offer snapshots in EBS."""
    factory = VolumeSnapshotterFactory(
        open=open_ebs_snapshotter, requires=("botocore",), extra="aws"
    )
    return {PROVIDER: factory}
