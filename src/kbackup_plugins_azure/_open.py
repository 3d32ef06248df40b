"""From a configuration to a store: the SDK is imported by its first request."""

from __future__ import annotations

from collections.abc import Mapping

from kbackup.errors import InvalidConfigError
from kbackup.plugins import Capability
from kbackup_plugins_azure._account import BlobAccount
from kbackup_plugins_azure._blob import BlobObjectStore
from kbackup_plugins_azure._config import read_config
from kbackup_plugins_azure._credentials import check_identity


def open_blob_store(config: Mapping[str, str]) -> BlobObjectStore:
    """Return the store that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin, with ``bucket``; see ``docs/plugins``.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, or the credentials
            file names no whole identity.
    """
    settings = read_config(config)
    if not (settings.account_key or settings.sas_token):
        check_identity(settings.identity)
    _check_certificates(settings.ca_cert)
    found = {Capability.ATOMIC_CREATE, Capability.RANGE}
    if not settings.sas_token:  # who holds a signature cannot make another
        found.add(Capability.SIGNED_URL)
    if settings.immutability_mode:
        found.add(Capability.RETENTION)
    return BlobObjectStore(BlobAccount(settings), capabilities=frozenset(found))


def _check_certificates(ca_cert: str) -> None:
    if not ca_cert:
        return
    import ssl  # noqa: PLC0415 - costs 15 ms

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca_cert)
    except ssl.SSLError as exc:
        raise InvalidConfigError("caCert of the location is no certificate") from exc
