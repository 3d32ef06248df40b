"""The address of a location, safe to print."""

from __future__ import annotations

from collections.abc import Callable

from kbackup.errors import KBackupError, PluginError
from kbackup.models import BackupStorageLocation, BackupStorageLocationSpec
from kbackup.plugins import PluginManager


def address_of(location: BackupStorageLocation, plugins: PluginManager) -> str:
    """Return an address to show: bucket and prefix or paths, never other settings."""
    spec = location.spec
    factory = plugins.object_store_factory(spec.provider)
    if factory.to_url is not None:
        return _shown(factory.to_url, spec)
    storage = spec.object_storage
    place = "/".join(part for part in (storage.bucket, storage.prefix) if part)
    if (path := spec.config.get("path")) is not None:
        place = f"{path}/{place}" if place else path
        if "#" in path:  # several directories; no address can say that
            return place
    schemes = factory.schemes
    return f"{schemes[0] if schemes else spec.provider}://{place}"


def _shown(
    to_url: Callable[[BackupStorageLocationSpec], str], spec: BackupStorageLocationSpec
) -> str:
    try:
        return str(to_url(spec))
    except KBackupError:
        raise
    except (Exception, SystemExit) as exc:  # its text may repeat the configuration
        raise PluginError(
            f"{spec.provider} could not tell the address: {type(exc).__name__}",
            plugin=spec.provider,
        ) from exc
