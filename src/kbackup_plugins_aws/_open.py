"""From a configuration to a store: s3fs set up so that nothing is hidden from us."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from kbackup.plugins import Capability
from kbackup.stores import open_filesystem
from kbackup_plugins_aws._config import S3Config, read_config
from kbackup_plugins_aws._faults import Reached
from kbackup_plugins_aws._logs import keep_secrets_out_of_logs
from kbackup_plugins_aws._part_client import PartClient
from kbackup_plugins_aws._s3 import S3ObjectStore

_CONNECTIONS = 50  # of one store: all workers of a run and the parts of an upload
_DEFAULT_REGION = "us-east-1"
_CONDITIONAL_WRITES = (1, 35, 20)  # the botocore that learned IfNoneMatch for PutObject


def open_s3_store(config: Mapping[str, str]) -> S3ObjectStore:
    """Return the store that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin, with ``bucket``; see ``docs/plugins``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    settings = read_config(config)
    keep_secrets_out_of_logs()
    bundle = _write_bundle(settings.ca_cert)
    open_at = partial(_filesystem, settings, bundle)
    customer_key = _customer_key_options(settings.customer_key)
    return S3ObjectStore(
        open_at(settings.url),
        settings.bucket,
        capabilities=_capabilities(settings),
        timeouts=settings.timeouts,
        put_options=_put_options(settings),
        checksum=settings.checksum,
        lock_mode=settings.lock_mode,
        lock_for=settings.lock_for,
        signer=open_at(settings.public_url) if settings.public_url else None,
        reached=Reached(url=settings.url, path_style=settings.path_style),
        bundle=bundle,
        parts=PartClient(partial(_client, settings, bundle), customer_key),
    )


def _filesystem(settings: S3Config, bundle: Path | None, url: str) -> Any:
    """Return an s3fs filesystem of a server; empty *url*: of Amazon's."""
    filesystem = open_filesystem(
        "s3",
        session=_async_session(settings),
        endpoint_url=url or None,
        client_kwargs=_client_options(settings, bundle),
        config_kwargs={**_request_options(settings), **_without_retries()},
        # Here and not with each call, which s3fs writes to its log.
        s3_additional_kwargs=_customer_key_options(settings.customer_key),
    )
    filesystem.retries = 1  # s3fs would try five times inside each of our attempts
    return filesystem


def _client(settings: S3Config, bundle: Path | None) -> Any:
    """Return botocore's own client, which threads share; it is set up as s3fs's is."""
    from botocore.config import Config  # noqa: PLC0415 - the SDK, see the package
    from botocore.session import Session  # noqa: PLC0415

    return _session(settings, Session).create_client(
        "s3",
        endpoint_url=settings.url or None,
        # urllib3 gives a body as long to leave as a connection to be there.
        config=Config(**{**_request_options(settings), "connect_timeout": 60}),
        **_client_options(settings, bundle),
    )


def _capabilities(settings: S3Config) -> frozenset[Capability]:
    from botocore import __version__  # noqa: PLC0415 - the SDK, see the package

    found = {Capability.RANGE}
    if not settings.customer_key:  # who has an address only has not the key
        found.add(Capability.SIGNED_URL)
    # An older one drops the condition without a word, and the put would overwrite.
    numbers = tuple(int(part) for part in __version__.split(".")[:3])
    if numbers >= _CONDITIONAL_WRITES:
        found.add(Capability.ATOMIC_CREATE)
    if settings.lock_mode:
        found.add(Capability.RETENTION)
    return frozenset(found)


def _async_session(settings: S3Config) -> Any:
    from aiobotocore.session import AioSession  # noqa: PLC0415 - the SDK

    return _session(settings, AioSession)


def _session(settings: S3Config, kind: Callable[..., Any]) -> Any:
    """Return a session with the location's credentials; the environment stays as is."""
    # Naming a profile keeps botocore from preferring the environment to the file.
    named = settings.profile or ("default" if settings.credentials_file else None)
    session = kind(profile=named)
    if settings.credentials_file:
        session.set_config_variable("credentials_file", settings.credentials_file)
        # As Velero: a role or a region may be stated in the very file.
        session.set_config_variable("config_file", settings.credentials_file)
    return session


def _client_options(settings: S3Config, bundle: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if settings.region:
        options["region_name"] = settings.region
    elif settings.url or not _has_region(settings):
        options["region_name"] = _DEFAULT_REGION
    if not settings.verify_tls:
        options["verify"] = False
    elif bundle:
        options["verify"] = str(bundle)
    return options


def _has_region(settings: S3Config) -> bool:
    """Tell whether the profile or the environment names a region."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - the SDK

    try:
        return bool(_async_session(settings).get_config_variable("region"))
    except BotoCoreError:  # such as a missing profile: told by the first request
        return False


def _request_options(settings: S3Config) -> dict[str, Any]:
    return {
        "connect_timeout": 5,
        "read_timeout": 60,  # of one read; what a call takes in all is for Timeouts
        "retries": {"mode": "standard", "total_max_attempts": 1},
        "max_pool_connections": _CONNECTIONS,
        "signature_version": "s3v4",  # botocore signs addresses by version 2 otherwise
        "s3": {"addressing_style": _addressing(settings)},
        # The newer checksums of an upload are refused by many servers like S3.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def _without_retries() -> dict[str, Any]:
    """Return the option by which a lost connection is told to us, and not tried again.

    aiohttp itself sends a PUT once more: one that creates is refused then, for what is
    there by its own first try.
    """
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - the SDK
    from aiobotocore.httpsession import AIOHTTPSession  # noqa: PLC0415 - the SDK

    if "http_session_cls" not in signature(AioConfig).parameters:  # an older one
        return {}

    class Once(AIOHTTPSession):  # type: ignore[misc] # untyped
        """Sends each request once."""

        async def _get_session(self, proxy_url: Any) -> Any:
            session = await super()._get_session(proxy_url)
            if hasattr(session, "_retry_connection"):  # not in older ones
                session._retry_connection = False  # noqa: SLF001 - no public name
            return session

    return {"http_session_cls": Once}


def _addressing(settings: S3Config) -> str:
    """Return where the bucket is named, as Velero's plugin does it.

    botocore's "auto" puts it into the path of every server but Amazon's, and some
    know it in the host name only.
    """
    if settings.path_style:
        return "path"
    return "virtual" if settings.url else "auto"


def _put_options(settings: S3Config) -> dict[str, Any]:
    options = {
        "ServerSideEncryption": settings.encryption,
        "SSEKMSKeyId": settings.kms_key,
        "Tagging": settings.tagging,
    }
    return {name: value for name, value in options.items() if value}


def _customer_key_options(key: bytes) -> dict[str, str]:
    """Return the parameters of every request about an object's bytes (SSE-C)."""
    if not key:
        return {}
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(key).decode("ascii"),
        "SSECustomerKeyMD5": base64.b64encode(digest).decode("ascii"),
    }


def _write_bundle(ca_cert: str) -> Path | None:
    """Write the certificates to a file, as botocore wants them; the store removes it."""
    if not ca_cert:
        return None
    descriptor, name = tempfile.mkstemp(prefix="kbackup-ca-", suffix=".pem")
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
        file.write(ca_cert)
    return Path(name)
