"""What Azure Resource Manager's refusals mean: values only, no request.

Source: Azure Resource Manager, "Common deployment errors" and "Understand how requests
are throttled"; Azure REST API guidelines, "Error condition responses".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kbackup.errors import (
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
)


class NoResourceGroupError(SnapshotterError):
    """A `SnapshotterError` in the words that fit."""

    fact = "there is no such resource group"


class ConflictError(SnapshotterError):
    """A `SnapshotterError`: another request is in the way, or a limit."""

    fact = "the resource manager refuses"


_MAX_REASON = 300
_REFUSALS, _SERVER_FAULTS = 400, 500  # HTTP status
# All that msal tells of an identity service that fails.
_IDENTITY_FAULTS = re.compile(r"HTTP Error: 5[0-9]{2}")
_NOT_FOUND = {"ResourceNotFound", "NotFound"}  # no other 404 says that a disk is gone
_ACTIONS = re.compile(r"action(?:\(s\))? '([^']+)'")

ERRORS_BY_CODE: Mapping[str, type[SnapshotterError]] = {
    "ResourceGroupNotFound": NoResourceGroupError,
    "DisallowedProvider": SnapshotterAccessError,
    "InvalidSubscriptionId": SnapshotterAccessError,
    "ReadOnlyDisabledSubscription": SnapshotterAccessError,
    "ScopeLocked": SnapshotterAccessError,
    "SubscriptionNotFound": SnapshotterAccessError,  # perhaps of another tenant
    "OperationNotAllowed": ConflictError,  # a quota, too
    "SubscriptionRequestsThrottled": SnapshotterThrottledError,
    "TooManyRequests": SnapshotterThrottledError,
}
ERRORS_BY_STATUS: Mapping[int, type[SnapshotterError]] = {
    401: SnapshotterAccessError,
    403: SnapshotterAccessError,
    408: SnapshotterUnavailableError,
    409: ConflictError,
    412: ConflictError,
    429: SnapshotterThrottledError,
}
# Classes by name, looked up along the method resolution order: the SDK is not imported.
ERRORS_BY_CLASS: Mapping[str, type[SnapshotterError]] = {
    "ClientAuthenticationError": SnapshotterAccessError,
    "ServiceRequestError": SnapshotterUnavailableError,
    "ServiceResponseError": SnapshotterUnavailableError,
    "IncompleteReadError": SnapshotterUnavailableError,
    "DecodeError": SnapshotterUnavailableError,
    "JSONDecodeError": SnapshotterUnavailableError,
}
HINTS_BY_CODE: Mapping[str, str] = {
    "ResourceGroupNotFound": "make the resource group, or mend resourceGroup of the "
    "location or AZURE_RESOURCE_GROUP",
    "SubscriptionNotFound": "mend subscriptionId of the location or "
    "AZURE_SUBSCRIPTION_ID, or AZURE_TENANT_ID of the credentials",
    "ExpiredAuthenticationToken": "the clock of this machine may be wrong",
    "ScopeLocked": "a lock on the resource or its group forbids it",
}


def translated(
    thing: str, exc: BaseException, missing: type[SnapshotterError]
) -> SnapshotterError:
    """Return our error for one of the SDK.

    Args:
        thing: The id that the error names.
        exc: What the SDK raised.
        missing: Our error where the manager says that something is not there.
    """
    response = getattr(exc, "response", None)
    status = int(getattr(response, "status_code", 0) or 0)
    if status < _REFUSALS:  # there is none, or what it says cannot be read
        return _unanswered(thing, exc)
    code, said = _told(response)
    known = _known(code, status, missing)
    text = _one_line(said or str(getattr(exc, "message", "") or exc))
    return known(
        thing,
        f"{_actions(code, said)}{text} ({code or status})",
        hint=HINTS_BY_CODE.get(code, ""),
        retry_after=retry_after(response),
    )


def failed(
    thing: str, document: Mapping[str, Any], missing: type[SnapshotterError]
) -> SnapshotterError:
    """Return our error for an operation that has not succeeded.

    Args:
        thing: The id that the error names.
        document: Of the operation: ``status``, and ``error`` with ``code`` and
            ``message``.
        missing: As for `translated`.
    """
    error = document.get("error")
    error = error if isinstance(error, Mapping) else {}
    code, said = str(error.get("code") or ""), str(error.get("message") or "")
    ended = document.get("status")
    known = _known(code, 0, missing)
    if known.retryable:  # the operation has ended: to ask for it again is another one
        known = SnapshotterError
    text = _one_line(said) or f"the operation ended as {ended}"
    return known(
        thing,
        f"{_actions(code, said)}{text} ({code or ended})",
        hint=HINTS_BY_CODE.get(code, ""),
    )


def retry_after(response: Any) -> float | None:
    """Return the seconds that an answer asks to wait; None: it does not say."""
    text = str(response.headers.get("Retry-After") or "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _known(
    code: str, status: int, missing: type[SnapshotterError]
) -> type[SnapshotterError]:
    if code in _NOT_FOUND:
        return missing
    known = ERRORS_BY_STATUS.get(status)
    if known is SnapshotterThrottledError:  # whatever limit it was
        return known
    if status >= _SERVER_FAULTS:
        return SnapshotterUnavailableError
    if "Authorization" in code or "DisallowedByPolicy" in code:
        return SnapshotterAccessError
    return ERRORS_BY_CODE.get(code) or known or SnapshotterError


def _unanswered(thing: str, exc: BaseException) -> SnapshotterError:
    """Return our error for what failed before there was an answer."""
    reason = _one_line(str(exc)) or type(exc).__name__
    inner = getattr(exc, "inner_exception", None)
    if "SSLError" in {each.__name__ for each in type(inner).__mro__}:
        return SnapshotterAccessError(thing, reason)  # a certificate does not heal
    if _IDENTITY_FAULTS.search(reason):
        return SnapshotterUnavailableError(thing, reason)
    names = (ERRORS_BY_CLASS.get(each.__name__) for each in type(exc).__mro__)
    known = next((each for each in names if each), SnapshotterError)
    return known(thing, reason)


def _told(response: Any) -> tuple[str, str]:
    """Return code and message of an answer; empty where it is not the manager's."""
    try:
        document = json.loads(response.text())
    except (ValueError, TypeError, AttributeError):
        return "", ""
    error = document.get("error") if isinstance(document, Mapping) else None
    if not isinstance(error, Mapping):  # that of Entra ID is text
        return "", ""
    return str(error.get("code") or ""), str(error.get("message") or "")


def _actions(code: str, said: str) -> str:
    """Return which right is missing, before a text that may be cut."""
    if "Authorization" not in code:
        return ""
    found = _ACTIONS.findall(said)
    return f"{found[-1]} is not allowed: " if found else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON]
