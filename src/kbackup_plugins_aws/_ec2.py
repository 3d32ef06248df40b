"""Requests to EC2: credentials, times, what is tried again, and errors made ours.

Spoken through botocore, which is there with s3fs: boto3 adds nothing to plain requests,
and pins a botocore of its own that seldom is the one that s3fs takes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    StoreUnavailableError,
    VolumeNotFoundError,
)
from kbackup.stores import RetryPolicy, bounded
from kbackup_plugins_aws._ebs_config import EBSConfig
from kbackup_plugins_aws._logs import keep_secrets_out_of_logs

_CONNECTIONS = 50  # of one client: all workers of a run
_MAX_REASON = 300  # a refusal carries its whole policy, encoded
_SERVER_FAULTS = 500  # HTTP status

# Source: Amazon EC2 API reference, "Error codes for the Amazon EC2 API".
ERRORS_BY_CODE: Mapping[str, type[SnapshotterError]] = {
    "InvalidVolume.NotFound": VolumeNotFoundError,
    "InvalidSnapshot.NotFound": NativeSnapshotNotFoundError,
    "AuthFailure": SnapshotterAccessError,
    "Blocked": SnapshotterAccessError,
    "ExpiredToken": SnapshotterAccessError,
    "InvalidClientTokenId": SnapshotterAccessError,
    "MissingAuthenticationToken": SnapshotterAccessError,
    "OptInRequired": SnapshotterAccessError,
    "PendingVerification": SnapshotterAccessError,
    "RequestExpired": SnapshotterAccessError,  # a clock that is wrong
    "SignatureDoesNotMatch": SnapshotterAccessError,
    "UnauthorizedOperation": SnapshotterAccessError,
    "RequestLimitExceeded": SnapshotterThrottledError,
    "RequestThrottled": SnapshotterThrottledError,
    "RequestThrottledException": SnapshotterThrottledError,
    "SnapshotCreationPerVolumeRateExceeded": SnapshotterThrottledError,
    "Throttling": SnapshotterThrottledError,
    "ThrottlingException": SnapshotterThrottledError,
    "TooManyRequestsException": SnapshotterThrottledError,
}

# Classes by name, looked up along the method resolution order: the SDK is not imported.
ERRORS_BY_CLASS: Mapping[str, type[SnapshotterError]] = {
    "HTTPClientError": SnapshotterUnavailableError,
    "ConnectionError": SnapshotterUnavailableError,
    "ResponseParserError": SnapshotterUnavailableError,
    "SSLError": SnapshotterAccessError,  # a certificate does not heal
    "NoCredentialsError": SnapshotterAccessError,
    "PartialCredentialsError": SnapshotterAccessError,
    "CredentialRetrievalError": SnapshotterAccessError,
    "ProfileNotFound": SnapshotterAccessError,
    "SSOError": SnapshotterAccessError,
    "TokenRetrievalError": SnapshotterAccessError,
}


class EC2:
    """EC2 in one region; shared freely between threads.

    The network is touched by the first request, and each ends within the location's
    ``requestTimeout``, retries included.
    """

    def __init__(
        self, settings: EBSConfig, *, retry: RetryPolicy | None = None
    ) -> None:
        self._settings = settings
        self._retry = retry or RetryPolicy()
        self._lock = threading.Lock()
        self._client: Any = None
        self._closed = False

    def send(
        self, thing: str, method: str, *, repeatable: bool = True, **parameters: Any
    ) -> Any:
        """Send a request about *thing* and return the answer.

        Args:
            thing: The id that an error names.
            method: As botocore calls the operation, such as ``describe_volumes``.
            repeatable: Whether two of it do no more than one. If not, it is only sent
                again after EC2 has said that it did nothing.
            parameters: Of the operation.

        Raises:
            SnapshotterError: EC2 or the SDK failed.
        """

        def attempt(left: float) -> Any:
            try:
                return self._ask(thing, left, method, parameters)
            except SnapshotterUnavailableError as exc:
                if repeatable:
                    raise
                return exc

        answer = self._retry.run(self._settings.timeouts.for_request(), attempt)
        if isinstance(answer, SnapshotterError):
            raise answer
        return answer

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()
                self._client = None

    def _ask(
        self, thing: str, seconds: float, method: str, parameters: Mapping[str, Any]
    ) -> Any:
        try:
            return bounded(thing, seconds, self._call, method, parameters)
        except SnapshotterError:
            raise
        except StoreUnavailableError as exc:  # of `bounded`
            raise SnapshotterUnavailableError(thing, exc.reason) from exc
        except Exception as exc:
            raise translated(thing, exc) from exc

    def _call(self, method: str, parameters: Mapping[str, Any]) -> Any:
        return getattr(self._connected(), method)(**parameters)

    def _connected(self) -> Any:
        with self._lock:  # a session makes one client at a time
            if self._closed:
                raise SnapshotterError("", "the snapshotter is closed")
            if self._client is None:
                self._client = _client(self._settings)
            return self._client


def translated(thing: str, exc: Exception) -> SnapshotterError:
    """Return our error for one of botocore; an unknown one is a `SnapshotterError`."""
    response = getattr(exc, "response", None)
    if isinstance(response, Mapping) and "Error" in response:
        code = str(response["Error"].get("Code") or "")
        status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
        known = ERRORS_BY_CODE.get(code)
        if known is None and status >= _SERVER_FAULTS:
            known = SnapshotterUnavailableError
        said = _one_line(str(response["Error"].get("Message") or exc))
        return (known or SnapshotterError)(thing, f"{said} ({code or status})")
    for ancestor in type(exc).__mro__:
        if known := ERRORS_BY_CLASS.get(ancestor.__name__):
            return known(thing, _one_line(str(exc)) or type(exc).__name__)
    return SnapshotterError(thing, _one_line(str(exc)) or type(exc).__name__)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON]


def _client(settings: EBSConfig) -> Any:
    """Return a client that does not try again; the environment stays as it is."""
    from botocore.config import Config  # noqa: PLC0415 - the SDK, see the package
    from botocore.session import Session  # noqa: PLC0415

    # Naming a profile keeps botocore from preferring the environment to the file.
    named = settings.profile or ("default" if settings.credentials_file else None)
    keep_secrets_out_of_logs()
    session = Session(profile=named)
    if settings.credentials_file:
        shared = settings.credentials_file if settings.shared_config else os.devnull
        session.set_config_variable("credentials_file", settings.credentials_file)
        session.set_config_variable("config_file", shared)
    return session.create_client(
        "ec2",
        region_name=settings.region,
        endpoint_url=settings.url or None,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=_CONNECTIONS,
        ),
    )
