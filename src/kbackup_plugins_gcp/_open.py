"""From a configuration to a store: gcsfs set up so that nothing is hidden from us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.errors import InvalidConfigError
from kbackup.plugins import Capability
from kbackup_plugins_gcp._config import GcsConfig, read_config
from kbackup_plugins_gcp._credentials import Credentials
from kbackup_plugins_gcp._gcs import GcsObjectStore
from kbackup_plugins_gcp._requests import Connection, session_options


def open_gcs_store(config: Mapping[str, str]) -> GcsObjectStore:
    """Return the store that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin, with ``bucket``; see ``docs/plugins``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    settings = read_config(config)
    context = _tls(settings.ca_cert)
    filesystem = _filesystem(settings)
    # A token never goes over plain HTTP unasked; emulators are such servers.
    is_plain = str(filesystem._location).startswith("http://")  # noqa: SLF001
    anonymous = is_plain and not settings.credentials_file
    credentials = Credentials(settings, anonymous=anonymous)
    filesystem.credentials = credentials
    return GcsObjectStore(
        filesystem,
        settings,
        capabilities=_capabilities(settings, anonymous=anonymous),
        credentials=credentials,
        connection=Connection(filesystem, settings.bucket, credentials, context),
    )


def _filesystem(settings: GcsConfig) -> Any:
    """Return a filesystem that asks nothing while it is made.

    The class that gcsfs registers asks by gRPC for the type of each bucket, and waits a
    minute for the answer of a server that has no gRPC. The one below it does not.
    """
    from gcsfs.core import GCSFileSystem  # noqa: PLC0415 - the SDK, see the package

    return GCSFileSystem(
        token="anon",  # noqa: S106 - no secret: the credentials are put in their place
        endpoint_url=settings.endpoint or None,
        session_kwargs=session_options(),
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def _capabilities(settings: GcsConfig, *, anonymous: bool) -> frozenset[Capability]:
    found = {Capability.ATOMIC_CREATE, Capability.RANGE}
    if not anonymous:  # nobody's name would be known to sign with
        found.add(Capability.SIGNED_URL)
    if settings.retention_mode:
        found.add(Capability.RETENTION)
    return frozenset(found)


def _tls(ca_cert: str) -> Any:
    if not ca_cert:
        return None
    import ssl  # noqa: PLC0415 - costs 15 ms

    try:
        return ssl.create_default_context(cadata=ca_cert)
    except ssl.SSLError as exc:
        raise InvalidConfigError("caCert of the location is no certificate") from exc
