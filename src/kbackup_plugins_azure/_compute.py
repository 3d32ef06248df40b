"""Requests to Azure Resource Manager: identity, times, retries, and errors made ours."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterError,
    SnapshotterUnavailableError,
    StoreUnavailableError,
    VolumeNotFoundError,
)
from kbackup.stores import RetryPolicy, bounded
from kbackup_plugins_azure._compute_errors import (
    ConflictError,
    NoResourceGroupError,
    failed,
    retry_after,
    translated,
)
from kbackup_plugins_azure._credentials import identity_from
from kbackup_plugins_azure._disks_config import DisksConfig
from kbackup_plugins_azure._resource_ids import DISKS, ResourceId

T = TypeVar("T")

_VERSION = "2023-10-02"  # of the API, whichever SDK is installed
_POLL = 2.0  # seconds between two looks, where the manager does not ask for more
_SHORTEST = 0.1  # also where it asks for none
_ENDED = {"failed", "canceled"}
_ACCEPTED, _NOT_FOUND = 202, 404


class Compute:
    """Disks and snapshots of Azure; shared freely between threads.

    The network is touched by the first request. Each ends within the location's
    ``requestTimeout``, retries included; what one began is waited for as long as the
    caller says, and for the request that is under way then.
    """

    def __init__(
        self,
        settings: DisksConfig,
        *,
        retry: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._retry = retry or RetryPolicy()
        self._sleep = sleep
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}  # by subscription
        self._session: Any = None
        self._transport: Any = None
        self._identity: Any = None
        self._closed = False

    def get(self, thing: str, resource: ResourceId) -> Mapping[str, Any]:
        """Return a disk or a snapshot as the API describes it.

        Args:
            thing: The id that an error names.
            resource: What is asked for.

        Raises:
            VolumeNotFoundError: There is no such disk.
            NativeSnapshotNotFoundError: There is no such snapshot.
        """
        missing = _missing(resource)

        def ask(client: Any) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(client, resource.kind).get(
                resource.place.group,
                resource.name,
                api_version=_VERSION,
                cls=_document,
            )
            return answer

        try:
            return self._send(thing, resource, ask, missing=missing)
        except NoResourceGroupError as exc:
            raise missing(thing, exc.reason, hint=exc.hint) from exc.__cause__

    def put(
        self,
        thing: str,
        resource: ResourceId,
        body: Mapping[str, Any],
        *,
        seconds: float,
        missing: type[SnapshotterError],
    ) -> Mapping[str, Any]:
        """Make a disk or a snapshot and return it when the manager is done.

        The request is tried again like any other: under one name there is one.

        Args:
            thing: The id that an error names.
            resource: What is made; the name is new.
            body: As the API wants it.
            seconds: What it may take in all.
            missing: The error where *body* names something that is not there.

        Raises:
            SnapshotterUnavailableError: It is not done in time, or nothing tells. What
                may be made all the same is named.
        """
        try:
            return self._make(thing, resource, body, seconds, missing)
        except SnapshotterUnavailableError as exc:
            reason = f"{exc.reason}; {_named(resource)} may be made all the same"
            raise type(exc)(thing, reason, retry_after=exc.retry_after) from exc

    def _make(
        self,
        thing: str,
        resource: ResourceId,
        body: Mapping[str, Any],
        seconds: float,
        missing: type[SnapshotterError],
    ) -> Mapping[str, Any]:
        deadline = time.monotonic() + seconds
        accepted = _Accepted()
        content = json.dumps(body).encode()

        def begin(client: Any) -> None:
            getattr(client, resource.kind).begin_create_or_update(
                resource.place.group,
                resource.name,
                content,
                api_version=_VERSION,
                polling=accepted,
            )

        try:
            self._send(thing, resource, begin, missing=missing)
        except ConflictError:
            # The answer to an attempt before may have been lost: then it is in the way.
            if self._find(thing, resource) is None:
                raise
        else:
            self._follow(thing, resource, accepted, deadline, missing)
        return self._made(thing, resource, deadline)

    def delete(self, thing: str, resource: ResourceId, *, seconds: float) -> None:
        """Delete a disk or a snapshot and wait until it is gone; gone is success.

        Raises:
            SnapshotterUnavailableError: It is not gone in time.
        """
        deadline = time.monotonic() + seconds
        missing = _missing(resource)
        accepted = _Accepted()

        def begin(client: Any) -> None:
            getattr(client, resource.kind).begin_delete(
                resource.place.group,
                resource.name,
                api_version=_VERSION,
                polling=accepted,
            )

        try:
            self._send(thing, resource, begin, missing=missing)
            self._follow(thing, resource, accepted, deadline, missing)
        except (missing, NoResourceGroupError):
            return
        except ConflictError:  # perhaps it is being deleted already
            found = self._find(thing, resource)
            if found is not None and _state(found) != "deleting":
                raise
        while self._find(thing, resource) is not None:
            self._wait(thing, resource, None, deadline)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        with self._lock:
            self._closed = True
            for each in (self._identity, self._session):
                if each is not None:
                    each.close()
            self._clients.clear()
            self._identity = self._session = None

    # --- long-running operations ------------------------------------------------------

    def _follow(
        self,
        thing: str,
        resource: ResourceId,
        accepted: _Accepted,
        deadline: float,
        missing: type[SnapshotterError],
    ) -> None:
        """Wait until an operation has ended; one that nobody knows any more has.

        Source: Azure Resource Manager, "Track asynchronous operations".
        """
        answer = accepted.answer
        url = answer.headers.get("Azure-AsyncOperation")
        if not url and answer.status_code == _ACCEPTED:
            url = answer.headers.get("Location")
        while url:
            self._wait(thing, resource, answer, deadline)
            ask = _operation(accepted.client, url)
            answer = self._send(thing, resource, ask, missing=missing)
            if answer.status_code == _NOT_FOUND:
                return
            document = _body(answer)
            status = str(document.get("status") or "").lower()
            if status in _ENDED:
                raise failed(thing, document, missing)
            # What is at a Location has no status but that of HTTP.
            if status == "succeeded" or (
                not status and answer.status_code != _ACCEPTED
            ):
                return

    def _made(
        self, thing: str, resource: ResourceId, deadline: float
    ) -> Mapping[str, Any]:
        while True:
            found = self._find(thing, resource)
            state = _state(found) if found is not None else ""  # it may not show yet
            if found is not None and state == "succeeded":
                return found
            if state in _ENDED:
                raise SnapshotterError(thing, f"{_named(resource)} is {state}")
            self._wait(thing, resource, None, deadline)

    def _find(self, thing: str, resource: ResourceId) -> Mapping[str, Any] | None:
        try:
            return self.get(thing, resource)
        except (VolumeNotFoundError, NativeSnapshotNotFoundError):
            return None

    def _wait(
        self, thing: str, resource: ResourceId, answer: Any, deadline: float
    ) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SnapshotterUnavailableError(
                thing,
                f"the resource manager is not done in time with {_named(resource)}",
            )
        asked = retry_after(answer) if answer is not None else None
        pause = _POLL if asked is None else max(asked, _SHORTEST)
        self._sleep(min(pause, left))

    # --- one request ------------------------------------------------------------------

    def _send(
        self,
        thing: str,
        resource: ResourceId,
        call: Callable[[Any], T],
        *,
        missing: type[SnapshotterError],
    ) -> T:
        """Call with the client of the subscription, again after what may pass."""

        def attempt(seconds: float) -> T:
            try:
                return bounded(
                    thing,
                    seconds,
                    lambda: call(self._client(resource.place.subscription)),
                )
            except SnapshotterError:
                raise
            except StoreUnavailableError as exc:  # of `bounded`
                raise SnapshotterUnavailableError(thing, exc.reason) from exc
            except Exception as exc:
                raise translated(thing, exc, missing) from exc

        return self._retry.run(self._settings.timeouts.for_request(), attempt)

    def _client(self, subscription: str) -> Any:
        from azure.mgmt.compute import (  # noqa: PLC0415 - the SDK, see the package
            ComputeManagementClient,
        )

        with self._lock:
            if self._closed:
                raise SnapshotterError("", "the snapshotter is closed")
            if self._transport is None:
                self._connect()
            if subscription not in self._clients:
                manager = self._settings.manager
                self._clients[subscription] = ComputeManagementClient(
                    self._identity,
                    subscription,
                    base_url=manager,
                    credential_scopes=[f"{manager}/.default"],
                    transport=self._transport,
                    retry_total=0,  # tried again here, within our own time
                )
            return self._clients[subscription]

    def _connect(self) -> None:
        from kbackup_plugins_azure._session import (  # noqa: PLC0415 - ssl
            open_manager_transport,
        )

        self._session, self._transport = open_manager_transport()
        self._identity = identity_from(
            self._settings.identity,
            authority=self._settings.authority,
            has_file=self._settings.has_file,
            transport=self._transport,
        )


class _Accepted:
    """Keeps the answer that begins an operation, and leaves waiting to whoever asked.

    Stands where the SDK takes an ``azure.core.polling.PollingMethod``: its own waits in
    a thread that nothing can stop.
    """

    client: Any = None  # the SDK's pipeline
    answer: Any = None

    def initialize(self, client: Any, initial_response: Any, _callback: Any) -> None:
        self.client, self.answer = client, initial_response.http_response

    def run(self) -> None:
        """Do nothing."""

    def status(self) -> str:
        return "accepted"

    def finished(self) -> bool:
        return True

    def resource(self) -> Any:
        return self.answer


def _operation(pipeline: Any, url: str) -> Callable[[Any], Any]:
    """Return what asks how far an operation is."""
    from azure.core.rest import HttpRequest  # noqa: PLC0415 - the SDK

    def ask(_client: Any) -> Any:
        answer = pipeline.send_request(HttpRequest("GET", url))
        if answer.status_code != _NOT_FOUND:
            answer.raise_for_status()
        return answer

    return ask


def _document(response: Any, _model: Any, _headers: Any) -> Mapping[str, Any]:
    """Return an answer as it was sent: each SDK makes other models of it."""
    return dict(response.http_response.json())


def _body(answer: Any) -> Mapping[str, Any]:
    document = answer.json() if answer.text() else {}
    return document if isinstance(document, Mapping) else {}


def _state(found: Mapping[str, Any]) -> str:
    properties = found.get("properties") or {}
    return str(properties.get("provisioningState") or "").lower()


def _missing(resource: ResourceId) -> type[SnapshotterError]:
    is_disk = resource.kind == DISKS
    return VolumeNotFoundError if is_disk else NativeSnapshotNotFoundError


def _named(resource: ResourceId) -> str:
    return f"{resource.kind.removesuffix('s')} {resource.name}"
