"""From a configuration to a store: where the server is, and who asks it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kbackup.plugins import Capability
from kbackup.stores import redact_logs
from kbackup_plugins_gcp._config import GcsConfig, read_config
from kbackup_plugins_gcp._credentials import Credentials
from kbackup_plugins_gcp._gcs import GcsObjectStore
from kbackup_plugins_gcp._pool import open_pool
from kbackup_plugins_gcp._requests import Connection

_GOOGLES = "https://storage.googleapis.com"
_EMULATOR = "STORAGE_EMULATOR_HOST"  # of the environment, as for every SDK of Google's


def open_gcs_store(config: Mapping[str, str]) -> GcsObjectStore:
    """Return the store that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin, with ``bucket``; see ``docs/plugins``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    settings = read_config(config)
    endpoint = settings.endpoint or _emulator() or _GOOGLES
    # A token never goes over plain HTTP unasked; emulators are such servers.
    is_plain = endpoint.startswith("http://")
    anonymous = is_plain and not settings.credentials_file
    credentials = Credentials(settings, anonymous=anonymous)
    # Who knows the address of an upload may go on with it, without a token.
    redact_logs(["urllib3.connectionpool"], ["upload_id"])
    pool = open_pool(endpoint, settings.ca_cert)
    return GcsObjectStore(
        settings,
        capabilities=_capabilities(settings, anonymous=anonymous),
        credentials=credentials,
        connection=Connection(pool, endpoint, settings.bucket, credentials),
    )


def _emulator() -> str:
    named = os.environ.get(_EMULATOR, "").rstrip("/")
    return f"http://{named}" if named and "://" not in named else named


def _capabilities(settings: GcsConfig, *, anonymous: bool) -> frozenset[Capability]:
    found = {Capability.ATOMIC_CREATE, Capability.RANGE}
    if not anonymous:  # nobody's name would be known to sign with
        found.add(Capability.SIGNED_URL)
    if settings.retention_mode:
        found.add(Capability.RETENTION)
    return frozenset(found)
