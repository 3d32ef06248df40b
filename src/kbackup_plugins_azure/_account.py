"""What reaches a storage account: clients of Azure's SDK over one session of ours."""

from __future__ import annotations

import threading
from typing import Any

from kbackup_plugins_azure._config import AzureConfig
from kbackup_plugins_azure._credentials import identity_from

_ONE_REQUEST = 128 << 20  # no SDK may cut a request of ours, which are all smaller
_MANAGER_VERSION = "2023-05-01"  # of the resource manager's storage accounts
_OK = 200


class BlobAccount:
    """One container of a storage account, and who asks.

    May be used from any thread. Nothing is made before the first call, which may ask the
    network for a key.

    Args:
        settings: From `read_config`.
    """

    def __init__(self, settings: AzureConfig) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._session: Any = None
        self._transport: Any = None
        self._identity: Any = None
        self._service: Any = None
        self._container: Any = None
        self._key = settings.account_key

    def service(self) -> Any:
        """Return the client of the account."""
        with self._lock:
            if self._service is None:
                self._service = self._make_service()
            return self._service

    def container(self) -> Any:
        """Return the client of the container."""
        if self._container is None:
            name = self.settings.container
            self._container = self.service().get_container_client(name)
        return self._container

    def account_key(self) -> str:
        """Return the key that requests are signed with; empty: by an identity."""
        self.service()
        return self._key

    def close(self) -> None:
        """Close whatever was made."""
        for each in (self._service, self._identity, self._session):
            if each is not None:
                each.close()

    def _make_service(self) -> Any:
        from kbackup_plugins_azure._session import open_transport  # noqa: PLC0415 - ssl

        if self._session is None:
            self._session, self._transport = open_transport(
                self.settings.ca_cert, query=self.settings.sas_token
            )
        if self.settings.sas_token:
            return self._make_client(None)  # the session adds it to every request
        if not self._key and self._identity is None:
            self._identity = self._make_identity()
        if not self._key and self.settings.key_source:
            self._key = self._fetch_key()
        key = {"account_name": self.settings.account, "account_key": self._key}
        return self._make_client(key if self._key else self._identity)

    def _make_client(self, credential: Any) -> Any:
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - the SDK

        return BlobServiceClient(
            self.settings.url,
            credential=credential,
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

    def _fetch_key(self) -> str:
        """Ask the resource manager for a key of the account, as Velero does.

        Source: Azure Resource Manager, "Storage Accounts - List Keys".
        """
        from azure.core import PipelineClient  # noqa: PLC0415 - the SDK
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415
        from azure.core.rest import HttpRequest  # noqa: PLC0415

        token = self._identity.get_token(f"{self.settings.manager}/.default")
        client: Any = PipelineClient(
            self.settings.manager, transport=self._transport, policies=[]
        )
        answer = client.send_request(
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
