"""Provider ``velero.io/azure``: object stores in containers of Azure Blob Storage.

Reads the configuration of Velero's plugin of that name. An address is
``az://container/prefix?storageAccount=name``. The SDK is imported when a store is
opened.
"""

from collections.abc import Mapping

from kbackup.plugins import ObjectStoreFactory, hookimpl
from kbackup_plugins_azure._config import PROVIDER, SCHEMES, blob_spec
from kbackup_plugins_azure._open import open_blob_store

__all__ = ["kbackup_register_object_stores", "open_blob_store"]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in Azure."""
    factory = ObjectStoreFactory(
        open=open_blob_store,
        from_url=blob_spec,
        schemes=SCHEMES,
        requires=("azure.storage.blob", "azure.identity"),
        extra="azure",
    )
    return {PROVIDER: factory}
