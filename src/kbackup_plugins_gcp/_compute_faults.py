"""What Compute Engine's refusals mean, as errors of ours: values only, no request.

Source: Compute Engine, "Troubleshooting API errors"; API reference, "Operations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kbackup.errors import (
    KBackupError,
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    StoreAccessError,
    StoreUnavailableError,
    VolumeNotFoundError,
)

_MAX_REASON = 300  # a proxy may answer with a whole page
_SERVER_FAULTS = 500  # HTTP status
_NOT_FOUND = 404
_REFUSED = 403

# By Google's word for the reason, which counts more than the status: 403 is both a
# refusal and a request for patience.
ERRORS_BY_REASON: Mapping[str, type[SnapshotterError]] = {
    "rateLimitExceeded": SnapshotterThrottledError,
    "userRateLimitExceeded": SnapshotterThrottledError,
    "resourceOperationRateExceeded": SnapshotterThrottledError,
    "backendError": SnapshotterUnavailableError,
    "internalError": SnapshotterUnavailableError,
    "quotaExceeded": SnapshotterError,  # 403; waiting does not help
    "limitExceeded": SnapshotterError,
    "dailyLimitExceeded": SnapshotterError,
}
ERRORS_BY_STATUS: Mapping[int, type[SnapshotterError]] = {
    401: SnapshotterAccessError,
    403: SnapshotterAccessError,
    408: SnapshotterUnavailableError,
    429: SnapshotterThrottledError,
}

# Of an operation that was begun and failed.
ERRORS_BY_CODE: Mapping[str, type[SnapshotterError]] = {
    "PERMISSIONS_ERROR": SnapshotterAccessError,
    "RATE_LIMIT_EXCEEDED": SnapshotterThrottledError,
    "RESOURCE_OPERATION_RATE_EXCEEDED": SnapshotterThrottledError,
    "INTERNAL_ERROR": SnapshotterUnavailableError,
}
_MISSING_CODE = "RESOURCE_NOT_FOUND"

# Classes by name, looked up along the method resolution order: the SDK is not imported.
ERRORS_BY_CLASS: Mapping[str, type[SnapshotterError]] = {
    "SSLError": SnapshotterAccessError,  # a certificate does not heal
    "ConnectionError": SnapshotterUnavailableError,
    "Timeout": SnapshotterUnavailableError,
    "ChunkedEncodingError": SnapshotterUnavailableError,
    "ContentDecodingError": SnapshotterUnavailableError,
    "ParseError": SnapshotterUnavailableError,  # the answer is no JSON
    "TransportError": SnapshotterUnavailableError,
    "GoogleAuthError": SnapshotterAccessError,
}

_RESOURCE = re.compile(r"projects/[^\s'\"]+")
_PERMISSION = re.compile(r"\bcompute\.\w+\.\w+")


def translated(
    thing: str, exc: Exception, missing: type[SnapshotterError], permission: str
) -> SnapshotterError:
    """Return our error for one of the SDK, of google-auth or of a store.

    Args:
        thing: The id of the volume or snapshot.
        exc: What was raised.
        missing: What is not there where the answer does not tell.
        permission: What the request takes, where a refusal does not tell.
    """
    if isinstance(exc, SnapshotterError):
        return exc
    if isinstance(exc, KBackupError):  # of the credentials, and of `bounded`
        return _of_store(thing, exc)
    status = getattr(exc, "code", None)
    if isinstance(status, int) and hasattr(exc, "errors"):
        return _of_answer(thing, exc, missing, permission)
    said = _one_line(str(exc)) or type(exc).__name__
    names = (ERRORS_BY_CLASS.get(each.__name__) for each in type(exc).__mro__)
    return next((known for known in names if known), SnapshotterError)(thing, said)


def operation_fault(thing: str, operation: Any) -> SnapshotterError | None:
    """Return our error for an operation that failed; None: it did not."""
    errors = list(operation.error.errors) if operation.error else []
    if not errors and not operation.http_error_message:
        return None
    told = [f"{each.message or each.code} ({each.code})" for each in errors]
    said = _one_line("; ".join(told) or operation.http_error_message)
    codes = [each.code for each in errors]
    if _MISSING_CODE in codes:
        return _named(said, SnapshotterError)(thing, said)
    known = (ERRORS_BY_CODE.get(code) for code in codes)
    return next((each for each in known if each), SnapshotterError)(thing, said)


def _of_store(thing: str, exc: KBackupError) -> SnapshotterError:
    known = SnapshotterError
    if isinstance(exc, StoreUnavailableError):
        known = SnapshotterUnavailableError
    elif isinstance(exc, StoreAccessError):
        known = SnapshotterAccessError
    return known(thing, getattr(exc, "reason", "") or str(exc), hint=exc.hint)


def _of_answer(
    thing: str, exc: Any, missing: type[SnapshotterError], permission: str
) -> SnapshotterError:
    """Return our error for an answer with a status above 399."""
    status, (reason, said) = int(exc.code), _said(exc)
    known = ERRORS_BY_REASON.get(reason) or ERRORS_BY_STATUS.get(status)
    if known is None and status == _NOT_FOUND:
        known = _named(said, missing)
    if known is None and status >= _SERVER_FAULTS:
        known = SnapshotterUnavailableError
    told = f"{said} ({reason or status})"
    if known is SnapshotterAccessError and status == _REFUSED and permission:
        return known(thing, told, hint=_permission_hint(said, permission))
    return (known or SnapshotterError)(thing, told)


def _permission_hint(said: str, permission: str) -> str:
    """Return which permission may be missing, where Google's sentence does not."""
    return "" if _PERMISSION.search(said) else f"it takes {permission}"


def _said(exc: Any) -> tuple[str, str]:
    """Return Google's word and sentence for an error; a proxy may say anything."""
    for each in exc.errors or ():
        if isinstance(each, Mapping) and each.get("message"):
            return str(each.get("reason") or ""), _one_line(str(each["message"]))
    # The SDK puts "GET https://host/path: " before what it was told.
    return "", _one_line(re.sub(r"^[A-Z]+ \S+: ", "", str(exc.message)))


def _named(said: str, missing: type[SnapshotterError]) -> type[SnapshotterError]:
    """Return what is not there, of the resource that Google names, else *missing*."""
    found = _RESOURCE.search(said)
    if found is None:
        return missing
    if "/disks/" in found[0]:
        return VolumeNotFoundError
    if "/snapshots/" in found[0]:
        return NativeSnapshotNotFoundError
    return SnapshotterError  # the project, a zone, a type


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON]
