"""What reaches a storage account: clients of Azure's SDK on fsspec's own event loop.

Stands where another provider has an fsspec filesystem. adlfs, which has one for Azure, is
not used: it takes connection strings and keys from the environment before those it is
given, and keeps every filesystem and its connections until the process ends.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

from kbackup_plugins_azure._config import AzureConfig
from kbackup_plugins_azure._credentials import identity_from

_CONNECTIONS = 50  # of one store: all workers of a run and the parts of an upload
_ONE_REQUEST = 128 << 20  # no SDK may cut a request of ours, which are all smaller
_MANAGER_VERSION = "2023-05-01"  # of the resource manager's storage accounts


class BlobAccount:
    """One container of a storage account, and who asks.

    The coroutines are run on `loop` only. Nothing is made before the first of them.

    Args:
        settings: From `read_config`.
    """

    async_impl = True  # for `FsspecObjectStore`: it awaits on `loop`

    def __init__(self, settings: AzureConfig) -> None:
        from fsspec.asyn import get_loop  # noqa: PLC0415 - costs 0.1 s

        self.settings = settings
        self._loop = get_loop()
        self._process = os.getpid()
        self._lock = asyncio.Lock()
        self._session: Any = None
        self._transport: Any = None
        self._identity: Any = None
        self._service: Any = None
        self._key = settings.account_key

    @property
    def loop(self) -> Any:
        """The loop, whose thread a fork does not copy."""
        if self._process != os.getpid():
            raise RuntimeError("it was opened before a fork: open it again after that")
        return self._loop

    async def service(self) -> Any:
        """Return the client of the account, made at the first call."""
        async with self._lock:
            if self._service is None:
                self._service = await self._make_service()
            return self._service

    async def container(self) -> Any:
        """Return the client of the container."""
        return (await self.service()).get_container_client(self.settings.container)

    async def account_key(self) -> str:
        """Return the key that requests are signed with; empty: by an identity."""
        await self.service()
        return self._key

    async def close(self) -> None:
        """Close whatever was made."""
        for each in (self._service, self._identity, self._session):
            if each is not None:
                await each.close()

    async def _make_service(self) -> Any:
        from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 - the SDK

        if self._session is None:
            self._session, self._transport = _connections(self.settings.ca_cert)
        if not self._key and self._identity is None:
            self._identity = self._make_identity()
        if not self._key and self.settings.key_source:
            self._key = await self._fetch_key()
        key = {"account_name": self.settings.account, "account_key": self._key}
        return BlobServiceClient(
            self.settings.url,
            credential=key if self._key else self._identity,
            transport=self._transport,
            retry_total=0,  # the store tries again itself, within its own time
            max_single_put_size=_ONE_REQUEST,
            max_single_get_size=_ONE_REQUEST,
        )

    def _make_identity(self) -> Any:
        return identity_from(
            self.settings.identity,
            authority=self.settings.authority,
            has_file=self.settings.has_file,
            transport=self._transport,
        )

    async def _fetch_key(self) -> str:
        """Ask the resource manager for a key of the account, as Velero does.

        Source: Azure Resource Manager, "Storage Accounts - List Keys".
        """
        from azure.core import AsyncPipelineClient  # noqa: PLC0415 - the SDK
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415
        from azure.core.rest import HttpRequest  # noqa: PLC0415

        token = await self._identity.get_token(f"{self.settings.manager}/.default")
        client: Any = AsyncPipelineClient(
            self.settings.manager, transport=self._transport, policies=[]
        )
        answer = await client.send_request(
            HttpRequest(
                "POST",
                self.settings.key_source,
                params={"api-version": _MANAGER_VERSION, "$expand": "kerb"},
                headers={"Authorization": f"Bearer {token.token}"},
            )
        )
        if answer.status_code != _OK:
            raise HttpResponseError(
                "the resource manager lists no keys of the storage account",
                response=answer,
            )
        for key in answer.json().get("keys", ()):
            if key.get("permissions", "").lower() == "full":
                return str(key["value"])
        raise PermissionError("no key of the storage account has full permissions")


_OK = 200


def _connections(ca_cert: str) -> tuple[Any, Any]:
    """Return a session and the SDK's transport over it, for the account and for tokens.

    A session of ours, because only that can trust a certificate that is in no file.
    """
    import aiohttp  # noqa: PLC0415 - the SDK
    from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415

    trusted: ssl.SSLContext | bool = True
    if ca_cert:
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(cadata=ca_cert)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=trusted),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=True,  # a proxy, as the other providers take it
    )
    # aiohttp sends a PUT once more when its connection is lost: one that creates is
    # refused then, for what is there by its own first try.
    if hasattr(session, "_retry_connection"):  # not in older ones
        session._retry_connection = False  # noqa: SLF001 - it has no public name
    transport = AioHttpTransport(
        session=session,
        session_owner=False,
        connection_timeout=5,
        read_timeout=60,  # of one read; what a call takes in all is for Timeouts
    )
    return session, transport
