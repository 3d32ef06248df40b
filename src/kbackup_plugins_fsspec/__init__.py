"""Provider ``kbackup.io/fsspec``: stores in any filesystem that fsspec knows.

For addresses that no other plugin claims, such as ``sftp://user@host:22/backups``. What
speaks the protocol is imported when a store is opened.
"""

from collections.abc import Mapping

from kbackup.plugins import ANY_SCHEME, Capability, ObjectStoreFactory, hookimpl
from kbackup_plugins_fsspec._config import PROVIDER, address_of
from kbackup_plugins_fsspec._open import filesystem_spec, open_filesystem_store

__all__ = ["kbackup_register_object_stores", "open_filesystem_store"]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in filesystems."""
    factory = ObjectStoreFactory(
        open=open_filesystem_store,
        from_url=filesystem_spec,
        to_url=address_of,
        schemes=(ANY_SCHEME,),
        capabilities=frozenset({Capability.RANGE}),
    )
    return {PROVIDER: factory}
