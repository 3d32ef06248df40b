"""The address of a location, safe to print."""

from __future__ import annotations

from kbackup.models import BackupStorageLocation
from kbackup.plugins import PluginManager


def address_of(location: BackupStorageLocation, plugins: PluginManager) -> str:
    """Return an address to show: bucket and prefix or paths, never other settings."""
    spec = location.spec
    storage = spec.object_storage
    place = "/".join(part for part in (storage.bucket, storage.prefix) if part)
    if (path := spec.config.get("path")) is not None:
        place = f"{path}/{place}" if place else path
        if "#" in path:  # several directories; no address can say that
            return place
    schemes = plugins.object_store_factory(spec.provider).schemes
    return f"{schemes[0] if schemes else spec.provider}://{place}"
