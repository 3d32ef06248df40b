"""The API server's answers and the libraries' exceptions become our errors, once.

Everything that leaves this room goes through here, so that no other room knows HTTP,
urllib3, websocket or the `kubernetes` client. Server messages about Secrets are cut
where they may quote values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from kbackup.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnreachableError,
    ConflictError,
    ExecError,
    ForbiddenError,
    GoneError,
    InvalidItemError,
    ItemNotFoundError,
    ServerFaultError,
    ThrottledError,
    UnauthorizedError,
    UnsupportedByServerError,
)
from kbackup.models import well_known

_BY_STATUS: dict[int, type[ClusterError]] = {
    400: InvalidItemError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: ItemNotFoundError,
    405: UnsupportedByServerError,
    406: UnsupportedByServerError,
    409: ConflictError,
    410: GoneError,
    413: InvalidItemError,
    415: UnsupportedByServerError,
    422: InvalidItemError,
    429: ThrottledError,
}
_FIRST_FAULT = 500
_NOT_FOUND, _CONFLICT = 404, 409
_LONGEST_TEXT = 300  # of an answer that is no Status: a proxy's page, say
_DENIED = re.compile(
    # What a field held stands before no denial: a value may have its very words.
    r"(?:(?!Invalid value|Unsupported value|Duplicate value|Not found: ).)*?"
    r'(?:admission webhook "[^"]*" does not support dry run'
    r"|denied (?:the )?request"
    # What the API server itself says of a policy that lacks its parameters.
    r"(?:: failed to configure (?:policy|binding): (?:"
    r"no params found for policy binding with `Deny` parameterNotFoundAction"
    r"|paramKind kind `[\w./, =-]+` not yet synced to use for admission"
    r"|failed to find resource referenced by paramKind))?)",
    re.DOTALL,
)
_REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}[ -~]{0,80})")
_MAY_QUOTE = {400, 413, 422}  # statuses whose messages may hold parts of the body


@attrs.frozen
class Subject:
    """What a request is about, as errors name it.

    Attributes:
        verb: The Kubernetes verb.
        resource: Such as ``deployments.apps``, or a path such as ``/version``.
        item: ``namespace/name`` or ``name``, or empty.
    """

    verb: str
    resource: str
    item: str = ""


def error_from_answer(
    subject: Subject, status: int, headers: Mapping[str, str], data: bytes
) -> ClusterError:
    """Return our error for an answer of the API server that is no success."""
    body = _status_object(data)
    kind = _kind_of_error(status, body)
    if well_known.is_secret(subject.resource) and body is not None:
        body = _without_values(status, body)
    return kind(
        subject.verb,
        subject.resource,
        subject.item,
        _reason(subject, status, body, data),
        status=status,
        body=body,
        retry_after=retry_after(headers, body),
    )


def _kind_of_error(status: int, body: Mapping[str, Any] | None) -> type[ClusterError]:
    if status >= _FIRST_FAULT:
        return ServerFaultError
    details = (body or {}).get("details") or {}
    if status == _NOT_FOUND and not details.get("name"):
        return UnsupportedByServerError  # the endpoint is missing, not the object
    if status == _CONFLICT and (body or {}).get("reason") == "AlreadyExists":
        return AlreadyExistsError
    return _BY_STATUS.get(status, ClusterError)


def _status_object(data: bytes) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return body
    return None


def _reason(
    subject: Subject, status: int, body: Mapping[str, Any] | None, data: bytes
) -> str:
    if body is not None:
        return str(body.get("message") or body.get("reason") or f"HTTP {status}")
    text = data[:_LONGEST_TEXT].decode(errors="replace").strip()
    if well_known.is_secret(subject.resource) or not text or "<" in text:
        return f"HTTP {status}"
    return f"HTTP {status}: {' '.join(text.split())}"


def _without_values(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Cut what may quote values of a Secret; field names and reasons stay."""
    message = str(body.get("message", ""))
    if denied := denial(message):
        return {**body, "message": denied, "details": None}
    if status not in _MAY_QUOTE:
        return dict(body)
    details = dict(body.get("details") or {})
    causes = [
        {key: str(cause[key]) for key in ("reason", "field") if key in cause}
        for cause in details.get("causes") or ()
    ]
    named = "; ".join(f"{c.get('field', '')}: {c.get('reason', '')}" for c in causes)
    told = named or str(body.get("reason") or f"HTTP {status}")
    return {**body, "message": told, "details": {**details, "causes": causes}}


def denial(message: str) -> str:
    """Return *message* up to the words that admission denied it, dry run or not.

    What a webhook or a policy says after them is its own and may quote anything; that
    a policy's parameters are not there is the API server's word, and stays. Empty:
    admission did not deny it.
    """
    denied = _DENIED.match(message)
    return denied[0] if denied else ""


def causes(error: ClusterError) -> tuple[Mapping[str, Any], ...]:
    """The causes that the server listed: each with ``reason``, ``field``, ``message``."""
    details = (error.body or {}).get("details") or {}
    return tuple(details.get("causes") or ())


def retry_after(
    headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> float | None:
    """Seconds that the server asks to wait, from the header or the Status."""
    told: Any = headers.get("Retry-After")
    if told is None:
        told = ((body or {}).get("details") or {}).get("retryAfterSeconds")
    try:
        return max(0.0, float(told)) if told is not None else None
    except ValueError:  # a date: servers of Kubernetes send seconds
        return None


# --- exceptions of the libraries below ------------------------------------------------

# By class name: importing the libraries costs half a second, and whoever has an
# exception of theirs has imported them. A class that is missing here is found through
# its bases; a test holds this table against what is installed.
_MESSAGES: dict[str, str] = {
    # urllib3
    "NewConnectionError": "connection refused or no route",
    "NameResolutionError": "the server's name is unknown",
    "ConnectTimeoutError": "no connection in time",
    "ReadTimeoutError": "the answer did not come in time",
    "TimeoutError": "no answer in time",
    "SSLError": "the TLS handshake failed",
    "ProxyError": "the proxy did not connect",
    "ProxySchemeUnsupported": "the proxy cannot be used for this address",
    "ProtocolError": "the connection broke",
    "IncompleteRead": "the answer ended early",
    "InvalidChunkLength": "the answer is malformed",
    "DecodeError": "the answer is malformed",
    "HTTPError": "the request failed",
    # websocket
    "WebSocketException": "the stream failed",
    # kubernetes
    "OpenApiException": "the request failed",
    "ConfigException": "the login failed",
    # the standard library
    "OSError": "the connection failed",
}


def describe_failure(error: BaseException) -> str:
    """Say what an exception of a library means; its own words where they are safe."""
    for each in type(error).__mro__:
        if each.__name__ in _MESSAGES:
            text = _MESSAGES[each.__name__]
            inner = _system_reason(error)
            return f"{text} ({inner})" if inner else text
    return f"{type(error).__name__}"


def _system_reason(error: BaseException) -> str:
    """The words of a proxy, the operating system or OpenSSL somewhere below *error*."""
    seen: BaseException | None = error
    passed: set[int] = set()
    while seen is not None and id(seen) not in passed:  # a chain may be a ring
        passed.add(id(seen))
        if refused := _REFUSED_TUNNEL.match(str(seen)):
            return refused[1]
        reason = getattr(seen, "strerror", None) or getattr(seen, "verify_message", "")
        if reason:
            return str(reason)
        below = getattr(seen, "reason", None)
        if isinstance(below, str) and below:
            return below
        if isinstance(below, BaseException):
            seen = below
        else:
            seen = seen.__cause__ or seen.__context__ or _wrapped(seen)
    return ""


def _wrapped(error: BaseException) -> BaseException | None:
    """What urllib3 made an error of; it tells so by no cause where a proxy has TLS."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else None


def error_from_exception(subject: Subject, error: BaseException) -> ClusterError:
    """Return our error for a request that got no answer; raise it ``from error``."""
    return ClusterUnreachableError(
        subject.verb, subject.resource, subject.item, describe_failure(error)
    )


def exec_error(subject: Subject, reason: str, *, hint: str = "") -> ExecError:
    """Return the error of a command that could not be run."""
    return ExecError(subject.verb, subject.resource, subject.item, reason, hint=hint)
