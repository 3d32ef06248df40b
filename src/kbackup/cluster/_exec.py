"""A command in a container, over a WebSocket.

Uses neither `kubernetes.stream.stream`, which swaps the methods of a shared client while
it runs, nor the client's `WSClient`, which sends no header but the authorization and can
be stalled by a command that writes while it is written to. Called by the facade.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from kbackup._kits.words import qualified
from kbackup._kits.workers import call_watched
from kbackup.cluster._auth import Login
from kbackup.cluster._errors import (
    Subject,
    describe_failure,
    error_from_answer,
    exec_error,
)
from kbackup.cluster._exchange import Exchange, wake_reader
from kbackup.cluster._paths import path_of, query_of
from kbackup.cluster._transport import Bound, Transport
from kbackup.errors import (
    ClusterError,
    ExecError,
    InvalidConfigError,
    OperationTimeoutError,
    UnauthorizedError,
)
from kbackup.models import APIResource

if TYPE_CHECKING:
    from kbackup.cluster._stream import ChannelStream

_STDIN, _STDOUT, _STDERR, _ERROR = range(4)  # channels of the protocol
_PIECE = 32 * 1024  # of stdin in one frame
_LONGEST_WAIT = 0.2  # seconds between two looks at the cancel token
_PATIENCE = 0.05  # for output of a command that takes no input now
_FIRST_ERROR = 400
_PODS = APIResource(
    group="", version="v1", resource="pods", kind="Pod", namespaced=True
)


@attrs.frozen(kw_only=True)
class ExecResult:
    """How a command ended.

    Attributes:
        exit_code: 0 to 255.
        stdout: What it wrote.
        stderr: What it wrote.
    """

    exit_code: int
    stdout: bytes = attrs.field(default=b"", repr=False)
    stderr: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Command:
    """What to run where; *stdin* is sent whole, and closed where the server can.

    Attributes:
        keep: How many bytes of what it writes are kept, the last ones; None: all.
    """

    namespace: str
    pod: str
    arguments: tuple[str, ...] = attrs.field(repr=False)
    container: str = ""
    keep: int | None = None
    timeout: timedelta | None = None
    stdin: bytes | None = attrs.field(default=None, repr=False)


def run_command(transport: Transport, bound: Bound, command: Command) -> ExecResult:
    """Run *command* and wait for its end.

    Protocol v4, of servers before 1.30, cannot close stdin alone: a command that reads
    to the end of its input does not end there.

    Raises:
        ExecError: It could not be started, or the connection broke.
        OperationTimeoutError: It did not end in time; it may still run.
    """
    subject = Subject("exec", "pods", qualified(command.namespace, command.pod))
    bound.cancel.check()
    transport.require_open(subject)
    deadline = None
    if command.timeout is not None:
        deadline = time.monotonic() + command.timeout.total_seconds()
    stream = _connect(transport, bound, command, subject)
    try:
        return _Conversation(stream, bound, command, subject, deadline).run()
    finally:
        stream.close()


def _connect(
    transport: Transport, bound: Bound, command: Command, subject: Subject
) -> ChannelStream:
    authorization = transport.authorization
    try:
        login = authorization.current()
        try:
            stream = _open(transport, bound, command, subject, login)
        except UnauthorizedError:
            if not authorization.refused(login):
                raise
            login = authorization.current()
            stream = _open(transport, bound, command, subject, login)
    except InvalidConfigError as exc:
        raise exec_error(subject, str(exc), hint=exc.hint) from exc
    authorization.accepted(login)
    return stream


def _open(
    transport: Transport, bound: Bound, command: Command, subject: Subject, login: Login
) -> ChannelStream:
    from kbackup.cluster._stream import ChannelStream  # noqa: PLC0415 - it takes a while

    bound.count(f"{subject.verb} {subject.resource}")
    path = path_of(_PODS, command.namespace, command.pod, "exec")
    url = f"{transport.server}{path}?{query_of(_query(command))}"
    settings, connection = bound.settings, None
    patience = min(settings.read_timeout, command.timeout or settings.read_timeout)
    timeout = patience.total_seconds()
    exchange = Exchange(
        f"GET {path}",
        bound.cancel,
        connect_timeout=settings.connect_timeout.total_seconds(),
        read_timeout=timeout,
    )
    try:
        connection = transport.connections(login).open_socket(exchange)
        shake_hands = partial(
            ChannelStream, connection, url, transport.identity(login), timeout
        )
        return call_watched(shake_hands, timeout, bound.cancel)
    except BaseException as exc:
        if connection is not None:
            wake_reader(connection)  # it may still be read on the other thread
            connection.close()
        if isinstance(exc, Exception):
            raise _handshake_error(subject, exc) from exc
        raise


def _query(command: Command) -> list[tuple[str, str]]:
    query = [("command", argument) for argument in command.arguments]
    if command.container:
        query.append(("container", command.container))
    if command.stdin is not None:
        query.append(("stdin", "true"))
    return [*query, ("stdout", "true"), ("stderr", "true")]


def _handshake_error(subject: Subject, error: Exception) -> ClusterError:
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return exec_error(subject, describe_failure(error))
    if status < _FIRST_ERROR:
        return exec_error(subject, f"the server opened no stream (HTTP {status})")
    body = getattr(error, "resp_body", None) or b""
    data = body if isinstance(body, bytes) else str(body).encode()
    return error_from_answer(subject, status, {}, data)


class _Conversation:
    """What is said over one open stream."""

    def __init__(
        self,
        stream: ChannelStream,
        bound: Bound,
        command: Command,
        subject: Subject,
        deadline: float | None,
    ) -> None:
        self._stream = stream
        self._bound = bound
        self._command = command
        self._subject = subject
        self._deadline = deadline
        self._is_heard = True

    def run(self) -> ExecResult:
        """Send stdin, collect what comes, and read how it ended."""
        stream = self._stream
        try:
            self._send_stdin()
            while stream.is_open:
                stream.receive(self._wait())
                self._forget()
                self._answer_pings()
        except OSError as exc:
            if _ERROR not in stream.received:  # it had not ended
                raise exec_error(self._subject, describe_failure(exc)) from exc
        return ExecResult(
            exit_code=self._exit_code(),
            stdout=self._written(_STDOUT),
            stderr=self._written(_STDERR),
        )

    def _forget(self) -> None:
        if self._command.keep is not None:
            self._stream.forget(_STDOUT, self._command.keep)
            self._stream.forget(_STDERR, self._command.keep)

    def _written(self, channel: int) -> bytes:
        data = b"".join(self._stream.received.get(channel, ()))
        keep = self._command.keep
        return data if keep is None else data[max(0, len(data) - keep) :]

    def _wait(self) -> float:
        self._bound.cancel.check()
        if self._deadline is None:
            return _LONGEST_WAIT
        left = self._deadline - time.monotonic()
        if left <= 0:
            timeout = self._command.timeout or timedelta(0)
            what = f"command in {self._subject.item}"
            raise OperationTimeoutError(what, timeout.total_seconds())
        return min(left, _LONGEST_WAIT)

    def _send_stdin(self) -> None:
        data, stream = self._command.stdin, self._stream
        if data is None:
            return
        for start in range(0, len(data), _PIECE):
            self._send(stream.message(_STDIN, data[start : start + _PIECE]))
            stream.receive()  # perhaps it wants no more
            self._answer_pings()
        if stream.can_close_channels:
            self._send(stream.closing(_STDIN))

    def _send(self, frame: memoryview) -> None:
        """Send a frame, and read meanwhile; a command that ended is sent no more."""
        stream = self._stream
        while frame and self._is_heard and stream.is_open:
            self._wait()
            try:
                rest = stream.push(frame)
            except OSError:  # what the peer said before it went can still be read
                self._is_heard = False
                return
            if len(rest) == len(frame):
                stream.receive(_PATIENCE)  # it waits for somebody to read, perhaps
            frame = rest
            self._is_heard = _ERROR not in stream.received

    def _answer_pings(self) -> None:
        for frame in self._stream.pongs():
            self._send(frame)

    def _exit_code(self) -> int:
        raw = b"".join(self._stream.received.get(_ERROR, ()))
        if not raw:
            raise exec_error(self._subject, "the connection ended before the command")
        return read_exit_code(self._subject, raw)


def read_exit_code(subject: Subject, raw: bytes) -> int:
    """Return the exit code that the error channel tells.

    Raises:
        ExecError: The command was not run.
    """
    try:
        status = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise exec_error(subject, raw.decode(errors="replace").strip()) from exc
    if status.get("status") == "Success":
        return 0
    details = status.get("details") or {}
    for cause in details.get("causes") or ():
        code = str(cause.get("message"))
        if cause.get("reason") == "ExitCode" and code.isdecimal():
            return int(code)
    raise ExecError(
        subject.verb,
        subject.resource,
        subject.item,
        str(status.get("message") or status.get("reason") or "unknown reason"),
        body=status,
    )


def make_command(
    namespace: str,
    pod: str,
    arguments: Sequence[str],
    *,
    container: str,
    timeout: timedelta | None,
    stdin: bytes | None,
    keep: int | None,
) -> Command:
    """Return the command; a single string is refused, it would become letters."""
    if isinstance(arguments, str):
        raise TypeError("command: expected a list of arguments, got one string")
    return Command(
        namespace=namespace,
        pod=pod,
        arguments=tuple(arguments),
        container=container,
        timeout=timeout,
        stdin=stdin,
        keep=keep,
    )
