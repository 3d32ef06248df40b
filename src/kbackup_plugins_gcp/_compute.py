"""Requests to Compute Engine: credentials, times, what is tried again.

Spoken through the REST transport of google-cloud-compute, whose own retries are off: each
attempt is one request of ours, and has its own time.
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from types import MappingProxyType
from typing import Any

import attrs

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    VolumeNotFoundError,
)
from kbackup.stores import RetryPolicy, bounded
from kbackup_plugins_gcp._compute_faults import operation_fault, translated
from kbackup_plugins_gcp._credentials import Credentials
from kbackup_plugins_gcp._disks_config import DisksConfig

_CONNECTIONS = 50  # of one client: all workers of a run
_LONGEST_WAIT = 60.0  # seconds for one answer
_NO_PROJECT = "volumeProject of the location's config names one"


@attrs.frozen
class Call:
    """A method of the API, for one kind of resource.

    Attributes:
        client: The class in ``compute_v1``.
        method: Of that class.
        permission: That it takes, for a refusal which does not name one.
        missing: What is not there when nothing is.
    """

    client: str
    method: str
    permission: str
    missing: type[SnapshotterError] = SnapshotterError


# By `Place.scope`, and for what has no place of its own.
GET_DISK = MappingProxyType(
    {
        "zone": Call("DisksClient", "get", "compute.disks.get", VolumeNotFoundError),
        "region": Call(
            "RegionDisksClient", "get", "compute.disks.get", VolumeNotFoundError
        ),
    }
)
INSERT_DISK = MappingProxyType(
    {
        "zone": Call("DisksClient", "insert_unary", "compute.disks.create"),
        "region": Call("RegionDisksClient", "insert_unary", "compute.disks.create"),
    }
)
GET_OPERATION = MappingProxyType(
    {
        "": Call("GlobalOperationsClient", "get", "compute.globalOperations.get"),
        "zone": Call("ZoneOperationsClient", "get", "compute.zoneOperations.get"),
        "region": Call("RegionOperationsClient", "get", "compute.regionOperations.get"),
    }
)
GET_SNAPSHOT = Call(
    "SnapshotsClient", "get", "compute.snapshots.get", NativeSnapshotNotFoundError
)
INSERT_SNAPSHOT = Call(
    "SnapshotsClient",
    "insert_unary",
    "compute.snapshots.create and compute.disks.createSnapshot",
    VolumeNotFoundError,
)
DELETE_SNAPSHOT = Call(
    "SnapshotsClient",
    "delete_unary",
    "compute.snapshots.delete",
    NativeSnapshotNotFoundError,
)


class Compute:
    """Compute Engine for one location; shared freely between threads.

    The network is touched by the first request, and each ends within the location's
    ``requestTimeout``, retries included. All requests can be sent twice: what they make
    has an id of its own, or they bear a ``requestId``.
    """

    def __init__(
        self, settings: DisksConfig, *, retry: RetryPolicy | None = None
    ) -> None:
        self._settings = settings
        self._retry = retry or RetryPolicy()
        # A token never goes over plain HTTP unasked; emulators are such servers.
        is_plain = settings.endpoint.startswith("http://")
        self._credentials = Credentials(
            settings, anonymous=is_plain and not settings.credentials_file
        )
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._closed = False

    def volume_project(self, thing: str) -> str:
        """Return the project of the disks: of the location, or of the credentials.

        Raises:
            SnapshotterError: Neither tells, or there are no credentials.
        """
        if self._settings.volume_project:
            return self._settings.volume_project
        found = self._retried(
            thing, None, lambda left: self._credentials.own_project(thing, left)
        )
        if not found:
            raise SnapshotterAccessError(
                thing, "nothing tells the project of the disks", hint=_NO_PROJECT
            )
        return str(found)

    def snapshot_project(self, thing: str) -> str:
        """Return the project of the snapshots: that of the disks, if not its own."""
        return self._settings.snapshot_project or self.volume_project(thing)

    def send(self, thing: str, call: Call, **request: Any) -> Any:
        """Send a request about *thing* and return the answer.

        Args:
            thing: The id that an error names.
            call: Which one.
            request: Its fields, as the SDK names them.

        Raises:
            SnapshotterError: Compute Engine or the SDK failed.
        """
        client = self._client(thing, call.client)  # imports for seconds, once

        def attempt(left: float) -> Any:
            self._credentials.prepare(thing, left)
            return bounded(
                thing,
                left,
                getattr(client, call.method),
                request=request,
                retry=None,
                timeout=min(left, _LONGEST_WAIT),
            )

        return self._retried(thing, call, attempt)

    def operation(self, thing: str, scope: str, **request: Any) -> bool | None:
        """Tell whether an operation is done; None: the caller may not ask.

        Args:
            thing: The id that an error names.
            scope: ``zone``, ``region``, or empty: it is global.
            request: Its name, its project, and where it is.

        Raises:
            SnapshotterError: It failed, or there is no answer.
        """
        try:
            found = self.send(thing, GET_OPERATION[scope], **request)
        except SnapshotterAccessError:
            return None
        if fault := operation_fault(thing, found):
            raise fault
        return bool(str(getattr(found.status, "name", found.status)) == "DONE")

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.transport.close()

    # --- inside -----------------------------------------------------------------------

    def _retried(self, thing: str, call: Call | None, attempt: Any) -> Any:
        def asked(left: float) -> Any:
            try:
                return attempt(left)
            except Exception as exc:
                missing = call.missing if call else SnapshotterError
                permission = call.permission if call else ""
                raise translated(thing, exc, missing, permission) from exc

        return self._retry.run(self._settings.timeouts.for_request(), asked)

    def _client(self, thing: str, name: str) -> Any:
        with self._lock:  # one import, and one client of each class
            if self._closed:
                raise SnapshotterError(thing, "the snapshotter is closed")
            if name not in self._clients:
                self._clients[name] = _open(name, self._settings, self._credentials)
            return self._clients[name]


def _open(name: str, settings: DisksConfig, credentials: Credentials) -> Any:
    """Return a client of the SDK; the environment stays as it is."""
    from google.api_core.client_options import ClientOptions  # noqa: PLC0415 - the SDK
    from google.cloud import compute_v1  # noqa: PLC0415 - the SDK, see the package
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - the SDK

    options = ClientOptions(
        api_endpoint=settings.endpoint or None,
        universe_domain=settings.universe or None,
    )
    client = getattr(compute_v1, name)(
        credentials=_bridge(settings, credentials),
        transport="rest",
        client_options=options,
    )
    # The SDK has no option for it, and its ten connections are fewer than our workers.
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS)
    for scheme in ("http://", "https://"):
        client.transport._session.mount(scheme, adapter)  # noqa: SLF001
    return client


def _bridge(settings: DisksConfig, ours: Credentials) -> Any:
    """Return our credentials in the shape that the SDK asks for.

    It would copy those of google-auth for each client, and each copy get its own token.
    """
    from google.auth import credentials  # noqa: PLC0415 - the SDK

    class Bridge(credentials.Credentials):
        universe_domain = settings.universe or credentials.DEFAULT_UNIVERSE_DOMAIN

        def before_request(
            self, _request: Any, _method: str, _url: str, headers: Any
        ) -> None:
            applied: MutableMapping[str, str] = headers
            ours.apply(applied)

        def refresh(self, _request: Any) -> None:
            """Get a new token after one was refused."""
            if ours.refused():
                ours.prepare("", settings.timeouts.for_request())

    return Bridge()  # type: ignore[no-untyped-call] # of the SDK
