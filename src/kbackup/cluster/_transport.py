"""One request to the API server: sent, tried again where that is safe, or an error.

Called by every module of this room that speaks to a server. Only requests that change nothing
are sent twice after their answer got lost: what became of a write is settled by the
caller, with a GET, after `ClusterUnreachableError`.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxySchemeUnsupported,
    SSLError,
)

from kbackup._kits.workers import CancelToken
from kbackup.cluster._auth import Authorization, Login
from kbackup.cluster._bodies import read_answer, read_refusal
from kbackup.cluster._configuration import is_header_value
from kbackup.cluster._connections import Connections
from kbackup.cluster._errors import Subject, error_from_answer, error_from_exception
from kbackup.cluster._exchange import Exchange
from kbackup.cluster._paths import query_of
from kbackup.cluster._patience import Patience, at_its_end
from kbackup.errors import (
    ClusterError,
    ClusterUnreachableError,
    InvalidConfigError,
    ServerFaultError,
    ThrottledError,
    UnauthorizedError,
)
from kbackup.models import EngineSettings

_JSON = "application/json"
_SPARE_CONNECTIONS = 2  # beside the workers: a watch, and discovery while they work
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 8.0  # seconds; doubled each time
_TRIES_AFTER_FAULT = 5  # about 4 s: a restarting webhook or aggregated API
_TRIES_UNREACHABLE = 8  # about 25 s: a restarting API server
_TRIES_NEVER_REACHED = 2  # a wrong address shall be told soon
_TRIES_TO_WRITE = 3  # then the caller learns of the 429 and slows down
_PASSING_FAULTS = {500, 502, 503, 504}
# Of etcd: the version is one of another etcd, whose types are counted apart.
_OTHER_ETCD = "future revision"
_LOST = (HTTPError, OSError, http.client.HTTPException, ProxySchemeUnsupported)
_NOT_SENT = (NewConnectionError, ConnectTimeoutError)
_FIRST_ERROR = 300
_CLOSED = "this Cluster was closed"
_OPEN_IT = "use it before close() and inside its `with` block, or connect anew"
_UNAUTHORIZED = 401
# Whoever cancels wants to know what was written: an answer that comes soon is read.
_GRACE_OF_WRITES = 2.0  # seconds


def _uncounted(_: str) -> None:
    """Count nothing: no run asked for it."""


@attrs.frozen(kw_only=True)
class Bound:
    """What a request belongs to: whom it obeys and who counts it.

    Attributes:
        cancel: Asked before each request, retry and sleep, and while a server is
            waited for.
        settings: Timeouts, page size and how long to try again.
        count: Called with ``<verb> <resource>`` for every request that is sent.
        patience: With a server that refuses for want of room.
    """

    cancel: CancelToken = attrs.field(factory=CancelToken)
    settings: EngineSettings = attrs.field(factory=EngineSettings)
    count: Callable[[str], None] = _uncounted
    patience: Patience = attrs.field(factory=Patience)


@attrs.frozen(kw_only=True)
class Call:
    """One request, as often as it is sent.

    Attributes:
        method: Of HTTP.
        path: Below the server's address, with a leading slash, already quoted.
        query: Names and values; empty values are left out.
        body: Or None.
        content_type: Of the body.
        accept: What the answer may be.
        subject: What errors name.
        changes: Whether sending it twice may do something twice.
        tries: At most so many when the server fails; None: the usual number.
        read_timeout: Instead of the settings'.
    """

    method: str
    path: str
    subject: Subject
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = attrs.field(default=None, repr=False)
    content_type: str = _JSON
    accept: str = _JSON
    changes: bool = False
    tries: int | None = None
    read_timeout: float | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        query = query_of((key, value) for key, value in self.query if value)
        return f"{self.path}?{query}" if query else self.path


@attrs.frozen(kw_only=True)
class Answer:
    """What the server said to a request that succeeded."""

    status: int
    headers: Mapping[str, str]
    data: bytes = attrs.field(repr=False)


class Transport:
    """The connections to one API server; shared freely between threads."""

    def __init__(
        self, authorization: Authorization, *, workers: int, as_user: str | None
    ) -> None:
        self.authorization = authorization
        self.as_user = as_user
        self._size = workers + _SPARE_CONNECTIONS
        self._changing = threading.Lock()
        if as_user and not is_header_value(as_user):
            raise InvalidConfigError(f"the user {as_user!r} fits into no HTTP header")
        login = authorization.current()
        self._certificate = login.credentials.certificate
        self._pool = Connections(login.configuration, self._size)
        self.server = self._pool.server
        self._reached = self._closed = False

    def send(self, call: Call, bound: Bound) -> Answer:
        """Send *call* and return the whole answer.

        Raises:
            ClusterError: The server refused, failed, or could not be asked.
            Cancelled: The run is to stop.
        """
        answer: Answer = self._try(call, bound, _read_all)
        return answer

    def open(self, call: Call, bound: Bound) -> urllib3.BaseHTTPResponse:
        """Send *call* and return the answer unread; the caller closes it."""
        opened: urllib3.BaseHTTPResponse = self._try(call, bound, _keep_open)
        return opened

    def close(self) -> None:
        """Close idle connections; those in use close with their answers.

        Nothing more is sent: a request that began before may still be answered.
        """
        self._closed = True
        self._pool.clear()

    def require_open(self, subject: Subject) -> None:
        """Refuse what is asked of a connection that was closed.

        Raises:
            ClusterError: It was.
        """
        if self._closed:
            raise ClusterError(
                subject.verb, subject.resource, subject.item, _CLOSED, hint=_OPEN_IT
            )

    # --- the loop ---------------------------------------------------------------------

    def _try(
        self,
        call: Call,
        bound: Bound,
        take: Callable[[urllib3.BaseHTTPResponse, Subject], Any],
    ) -> Any:
        begun, attempt, renewed = time.monotonic(), 0, False
        budget = bound.settings.retry_budget.total_seconds()
        while True:
            bound.cancel.check()
            self.require_open(call.subject)
            login = self._login(call)
            attempt += 1
            cause: Exception | None = None
            try:
                response = self._send_once(call, bound, login)
                if response.status < _FIRST_ERROR:
                    taken = take(response, call.subject)
                    self._reached = True
                    bound.patience.passed()
                    self.authorization.accepted(login)
                    return taken
                error = _refusal(call, response)
                self._reached = True
            except _LOST as exc:
                error, cause = error_from_exception(call.subject, exc), exc
            if not renewed and _is_about_login(error, cause, login):
                renewed = True
                if self._renew(call, login):
                    continue
            spent = time.monotonic() - begun
            throttled = isinstance(error, ThrottledError)
            if throttled:
                spent = max(spent, bound.patience.refused(begun + spent, budget))
            delay = plan_retry(
                call,
                error,
                sent=not isinstance(cause, _NOT_SENT),
                hopeless=isinstance(cause, SSLError | NameResolutionError),
                attempt=attempt,
                left=budget - spent,
                reached=self._reached,
            )
            if delay is None:
                if throttled and not call.changes:  # a write is its caller's to repeat
                    error = at_its_end(error, spent, budget)
                raise error from cause
            if throttled:
                bound.patience.tell(spent, budget - spent)
            bound.cancel.wait(delay)

    def _login(self, call: Call) -> Login:
        try:
            return self.authorization.current()
        except InvalidConfigError as exc:
            raise _login_failed(call, exc) from exc

    def _renew(self, call: Call, login: Login) -> bool:
        try:
            return self.authorization.refused(login)
        except InvalidConfigError as exc:
            raise _login_failed(call, exc) from exc

    def _send_once(
        self, call: Call, bound: Bound, login: Login
    ) -> urllib3.BaseHTTPResponse:
        subject, settings = call.subject, bound.settings
        bound.count(f"{subject.verb} {subject.resource}")
        return self.connections(login).request(
            call.method,
            call.target,
            body=call.body,
            headers=self._headers(call, login),
            exchange=Exchange(
                f"{call.method} {call.path}",
                bound.cancel,
                connect_timeout=settings.connect_timeout.total_seconds(),
                read_timeout=call.read_timeout or settings.read_timeout.total_seconds(),
                grace=_GRACE_OF_WRITES if call.changes else 0.0,
            ),
        )

    def _headers(self, call: Call, login: Login) -> dict[str, str]:
        headers = self.identity(login)
        headers["Accept"] = call.accept
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        return headers

    def identity(self, login: Login) -> dict[str, str]:
        """Return the headers that say who calls."""
        headers = {"User-Agent": "kbackup"}
        if login.credentials.authorization is not None:
            headers["Authorization"] = login.credentials.authorization
        if self.as_user:
            headers["Impersonate-User"] = self.as_user
        return headers

    def connections(self, login: Login) -> Connections:
        """Return the connections that show the certificate of *login*."""
        if login.credentials.certificate == self._certificate:
            return self._pool
        with self._changing:
            # Connections keep the certificate that they were opened with.
            if login.credentials.certificate != self._certificate:
                old = self._pool
                self._pool = Connections(login.configuration, self._size)
                self._certificate = login.credentials.certificate
                old.clear()
            return self._pool


def plan_retry(
    call: Call,
    error: ClusterError,
    *,
    sent: bool,
    hopeless: bool,
    attempt: int,
    left: float,
    reached: bool,
) -> float | None:
    """Return the seconds to wait before *call* is sent again, or None. Pure but for jitter.

    Args:
        call: What was sent.
        error: What came of it.
        sent: Whether the server may have seen the request.
        hopeless: Whether it cannot be otherwise next time: a wrong name or certificate.
        attempt: How often it was sent, from 1.
        left: Seconds of the retry budget.
        reached: Whether this server has ever answered.
    """
    tries = 1
    if isinstance(error, ThrottledError):
        tries = _TRIES_TO_WRITE if call.changes else attempt + 1
    elif isinstance(error, ServerFaultError):
        passes = error.status in _PASSING_FAULTS and not is_of_other_etcd(error)
        if passes and not call.changes:
            tries = call.tries or _TRIES_AFTER_FAULT
    elif (
        isinstance(error, ClusterUnreachableError)
        and not hopeless
        and not (sent and call.changes)
    ):
        tries = _TRIES_UNREACHABLE if reached else _TRIES_NEVER_REACHED
    if attempt >= tries:
        return None
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempt - 1, 16))
    delay = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, no secret
    if error.retry_after is not None:  # jitter on top: all were told the same time
        delay = error.retry_after + random.uniform(0, ceiling / 2)  # noqa: S311
    return delay if delay <= left else None


def is_of_other_etcd(error: ClusterError) -> bool:
    """Whether a type was to be read at a version that its own etcd does not know."""
    return _OTHER_ETCD in error.reason.lower()


def _is_about_login(error: ClusterError, cause: Exception | None, login: Login) -> bool:
    if isinstance(cause, SSLError):  # how a server refuses a certificate that ended
        return bool(login.credentials.certificate)
    return error.status == _UNAUTHORIZED


def _login_failed(call: Call, error: InvalidConfigError) -> UnauthorizedError:
    subject = call.subject
    return UnauthorizedError(
        subject.verb, subject.resource, subject.item, str(error), hint=error.hint
    )


def _read_all(response: urllib3.BaseHTTPResponse, subject: Subject) -> Answer:
    data = read_answer(response, subject)
    return Answer(status=response.status, headers=response.headers, data=data)


def _keep_open(
    response: urllib3.BaseHTTPResponse, _: Subject
) -> urllib3.BaseHTTPResponse:
    return response


def _refusal(call: Call, response: urllib3.BaseHTTPResponse) -> ClusterError:
    data = read_refusal(response)
    return error_from_answer(call.subject, response.status, response.headers, data)
