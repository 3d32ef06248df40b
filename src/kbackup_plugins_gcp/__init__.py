"""Provider ``velero.io/gcp``: object stores in Google Cloud Storage.

Reads the configuration of Velero's plugin of that name. An address is
``gs://bucket/prefix``. google-auth is imported by the first request of a store.
"""

from collections.abc import Mapping

from kbackup.plugins import ObjectStoreFactory, hookimpl
from kbackup_plugins_gcp._config import PROVIDER, gcs_spec
from kbackup_plugins_gcp._open import open_gcs_store

__all__ = ["kbackup_register_object_stores", "open_gcs_store"]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in Google Cloud Storage."""
    factory = ObjectStoreFactory(
        open=open_gcs_store,
        from_url=gcs_spec,
        schemes=("gs", "gcs"),
        requires=("google.auth", "google.cloud.storage"),
        extra="gcp",
    )
    return {PROVIDER: factory}
