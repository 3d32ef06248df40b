"""Provider ``velero.io/aws``: object stores in S3 and in servers that speak like it.

Reads the configuration of Velero's plugin of that name. An address is
``s3://bucket/prefix?region=eu-west-1``. s3fs is imported when a store is opened.
"""

from collections.abc import Mapping

from kbackup.plugins import ObjectStoreFactory, hookimpl
from kbackup_plugins_aws._config import PROVIDER, s3_spec
from kbackup_plugins_aws._open import open_s3_store

__all__ = ["kbackup_register_object_stores", "open_s3_store"]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in S3."""
    factory = ObjectStoreFactory(
        open=open_s3_store,
        from_url=s3_spec,
        schemes=("s3",),
        requires=("s3fs",),
        extra="aws",
    )
    return {PROVIDER: factory}
