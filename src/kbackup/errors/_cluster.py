"""What a cluster refuses or fails, and what hooks fail in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from kbackup.errors._base import KBackupError


class ClusterError(KBackupError):
    """The API server refused or failed a request.

    Attributes:
        verb: The Kubernetes verb: get, list, create, patch, delete, watch, exec...
        resource: What it was asked about, such as ``deployments.apps``.
        item: ``namespace/name`` or ``name``, or empty.
        reason: What the server or the connection said.
        status: The HTTP status, or None where there was no answer.
        body: The server's Status object, or None.
    """

    fact: ClassVar[str] = "failed"

    def __init__(
        self,
        verb: str,
        resource: str,
        item: str = "",
        reason: str = "",
        *,
        status: int | None = None,
        body: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        thing = f"{resource} {item}" if item else resource
        super().__init__(f"cannot {verb} {thing}: {self.fact}", reason, hint=hint)
        self.verb = verb
        self.resource = resource
        self.item = item
        self.reason = reason
        self.status = status
        self.body = body
        self.retry_after = retry_after


class ForbiddenError(ClusterError):
    """The caller's account may not do this (HTTP 403)."""

    fact = "forbidden"


class UnauthorizedError(ClusterError):
    """The server does not know who calls (HTTP 401)."""

    fact = "not logged in"


class ItemNotFoundError(ClusterError):
    """There is no such object."""

    fact = "not found"


class AlreadyExistsError(ClusterError):
    """An object of that name is there already."""

    fact = "already exists"


class ConflictError(ClusterError):
    """The object moved: a precondition did not hold or a field is owned elsewhere."""

    retryable = True
    fact = "conflict"


class InvalidItemError(ClusterError):
    """The server refuses the object as it is (HTTP 400, 422)."""

    fact = "refused as invalid"


class GoneError(ClusterError):
    """The asked resourceVersion or continue token is no longer kept (HTTP 410)."""

    fact = "expired"


class UnsupportedByServerError(ClusterError):
    """The server does not serve this type, version or kind of request."""

    fact = "not served"


class ThrottledError(ClusterError):
    """The server asks for patience (HTTP 429)."""

    retryable = True
    fact = "throttled"


class ClusterUnreachableError(ClusterError):
    """No answer came; whether a write took place is unknown."""

    retryable = True
    fact = "no answer"


class ServerFaultError(ClusterError):
    """The server answered that it failed (HTTP 5xx)."""

    retryable = True
    fact = "the server failed"


class TargetMismatchError(ClusterError):
    """The cluster is not the one that the caller expected."""

    fact = "another cluster"


class ExecError(ClusterError):
    """A command could not be run in a container."""

    fact = "not run"


class HookError(KBackupError):
    """`hook`, such as ``pre hook quiesce``, did not do in `pod`; no command is named."""

    fact: ClassVar[str] = "failed"

    def __init__(self, hook: str, pod: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{hook} of Pod {pod} {self.fact}", reason, hint=hint)
        self.hook, self.pod, self.reason = hook, pod, reason


class HookFailedError(HookError):
    """A hook's command could not be run, or ended with an error."""


class HookTimeoutError(HookError):
    """A hook's command did not end in time; it may still run."""

    fact = "did not end in time"
