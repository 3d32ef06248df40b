"""How the API server says no: `ApiError` and the Status document it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A request that is answered with a Status. It never leaves the server."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = _REASONS.get(code, "") if reason is None else reason
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        self.continue_token = ""  # of a list that may go on, though inconsistently

    def to_json(self) -> dict[str, Any]:
        """Return the Status document."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": token} if (token := self.continue_token) else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return {**status, "code": self.code}


def _details(group: str, resource: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": resource}
    return {key: value for key, value in details.items() if value}


def _qualified(group: str, resource: str) -> str:
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> ApiError:
    """No object of that name."""
    message = f'{_qualified(group, resource)} "{name}" not found'
    return ApiError(404, message, details=_details(group, resource, name))


def no_such_path() -> ApiError:
    """No resource is served at that path."""
    message = "the server could not find the requested resource"
    return ApiError(404, message)


def already_exists(
    group: str, resource: str, name: str, *, deleting: bool = False
) -> ApiError:
    """An object of that name is there, perhaps on its way out."""
    going = "object is being deleted: " if deleting else ""
    return ApiError(
        409,
        f'{going}{_qualified(group, resource)} "{name}" already exists',
        reason="AlreadyExists",
        details=_details(group, resource, name),
    )


def conflict(group: str, resource: str, name: str, why: str) -> ApiError:
    """The object is not what the writer saw."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {_qualified(group, resource)} "{name}": {why}',
        details=_details(group, resource, name),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version"
    " and try again"
)


def invalid(
    group: str, kind: str, name: str, causes: Sequence[tuple[str, str, str]]
) -> ApiError:
    """The object breaks a rule; *causes* are (field, reason, message)."""
    told = [f"{field}: {message}" for field, _, message in causes]
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return ApiError(
        422,
        f'{_qualified(group, kind)} "{name}" is invalid: {text}',
        details={
            **_details(group, kind, name),
            "causes": [
                {"reason": reason, "message": message, "field": field}
                for field, reason, message in causes
            ],
        },
    )


def expired(message: str) -> ApiError:
    """The server has forgotten that resourceVersion."""
    return ApiError(410, message)
