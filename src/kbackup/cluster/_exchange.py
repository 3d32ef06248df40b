"""One request and its answer on a connection: whatever the server does, it ends.

The standard library bounds the time between two bytes: a server that sends one now and
then is read for ever, and a cancel is not seen meanwhile. Here every wait for a server
is cut into short ones, between which it is asked whether to go on: the same way while
a request is sent and while head and body of its answer are read. Connecting cannot be
cut; it is done on another thread, which can be left. Used by `_connections`.
"""

from __future__ import annotations

import errno
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

from kbackup._kits.workers import (
    Cancelled,
    CancelToken,
    StuckCallError,
    call_watched,
)

_LOOK_EVERY = 0.2  # seconds: how late a cancel may be seen
_JOINED = 1 << 16  # bytes; larger requests are not copied to be sent at once
# The server's name, each of its addresses, the proxy's answer and TLS may each take the
# connect timeout.
_PARTS_OF_CONNECTING = 4


class Exchange:
    """How long the parts of one request may take, and whose cancel ends it.

    Args:
        what: Method and path, for errors.
        cancel: Asked while connecting, sending and reading.
        connect_timeout: Seconds for each part of connecting.
        read_timeout: Seconds for the whole head of the answer, and between two bytes
            of its body or of what is sent.
        grace: So many seconds after a cancel what was begun to be sent is still sent,
            and the answer read.
    """

    def __init__(
        self,
        what: str,
        cancel: CancelToken,
        *,
        connect_timeout: float,
        read_timeout: float,
        grace: float = 0.0,
    ) -> None:
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._what = what
        self._cancel = cancel
        self._grace = grace
        self._cancelled_at: float | None = None
        self._is_sent = False
        self._until = 0.0
        self._otherwise, self._is_total = "", False

    def __enter__(self) -> None:
        """Let the connections that this thread uses meanwhile obey the exchange."""
        _running.exchange = self

    def __exit__(self, *_: object) -> None:
        _running.exchange = None

    def connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Have *connection* connected by *connect*; one that comes too late is closed.

        Raises:
            ConnectTimeoutError: It was not done in time.
            Cancelled: The run is to stop.
        """
        # A proxy's answer must not be read for an exchange that is over.
        vars(connection).pop("response_class", None)
        wire = _Wire()

        def call() -> None:
            _running.wire = wire
            try:
                connect()
            finally:
                _running.wire = None
                wire.close()
                if wire.given_up:
                    connection.close()

        seconds = self.connect_timeout * _PARTS_OF_CONNECTING
        try:
            call_watched(call, seconds, self._cancel)
        except BaseException as exc:
            wire.give_up()
            if isinstance(exc, StuckCallError):
                told = f"not connected within {seconds:g} s"
                raise ConnectTimeoutError(connection, told) from exc
            raise

    def send(self, connected: socket.socket, data: bytes) -> None:
        """Send all of *data*.

        Raises:
            TimeoutError: The server does not take it.
            Cancelled: The run is to stop.
        """
        self._expect("the server took nothing more of the request", total=False)
        connected.settimeout(_LOOK_EVERY)
        rest = memoryview(data)
        while rest:
            rest = rest[self._wait_for(partial(connected.send, rest)) :]

    def expect_head(self) -> None:
        """Note that the request is sent: the head of the answer comes now."""
        self._is_sent = True
        self._expect("the head of the answer was not whole", total=True)

    def expect_body(self) -> None:
        """Note that the head is whole: the body comes now, however long it takes."""
        self._expect("nothing more of the answer came", total=False)

    def receive_into(self, connected: socket.socket, buffer: Any) -> int:
        """Wait for some bytes of the answer; none: the server closed the connection.

        Raises:
            TimeoutError: They do not come.
            Cancelled: The run is to stop.
        """
        return self._wait_for(partial(connected.recv_into, buffer))

    def _wait_for(self, transfer: Callable[[], int]) -> int:
        while True:
            self._check()
            try:
                count = transfer()
            except TimeoutError as exc:
                if exc.errno is not None:  # of TCP, which has given up the connection
                    raise
                continue
            if not self._is_total:
                self._until = time.monotonic() + self.read_timeout
            return count

    def _expect(self, otherwise: str, *, total: bool) -> None:
        self._otherwise, self._is_total = otherwise, total
        self._until = time.monotonic() + self.read_timeout

    def _give_up(self) -> None:
        try:
            self._cancel.check()
        except Cancelled as exc:
            exc.unanswered = self._is_sent
            raise

    def _check(self) -> None:
        now = time.monotonic()
        if self._cancel.cancelled:
            if self._cancelled_at is None:
                self._cancelled_at = now
            if now - self._cancelled_at >= self._grace:
                self._give_up()
        if now >= self._until:
            told = f"{self._what}: {self._otherwise} within {self.read_timeout:g} s"
            raise TimeoutError(errno.ETIMEDOUT, told)


class _Running(threading.local):
    exchange: Exchange | None = None
    wire: _Wire | None = None


_running = _Running()


def wake_reader(connected: Any) -> None:
    """End the connection for a thread that waits for what comes on it."""
    with suppress(OSError, AttributeError):  # not connected; TLS within TLS
        connected.shutdown(socket.SHUT_RDWR)


class _Wire:
    """What is connected first, and can be ended by a thread that does not connect.

    During its handshake TLS has taken it from the socket that the connection knows.
    """

    def __init__(self) -> None:
        self.given_up = False
        self._socket: socket.socket | None = None

    def notice(self, connected: socket.socket) -> None:
        """Note that there is something to be ended."""
        self._socket = socket.fromfd(
            connected.fileno(), connected.family, connected.type
        )
        if self.given_up:
            wake_reader(self._socket)

    def give_up(self) -> None:
        """End it, now or as soon as it is there."""
        self.given_up = True
        wake_reader(self._socket)

    def close(self) -> None:
        """Let go of it; the connection has its own hold."""
        if self._socket is not None:
            self._socket.close()


class SteadySocket(ssl.SSLSocket):
    """Tells the system about a timeout only where it is another one."""

    def settimeout(self, value: float | None) -> None:
        """Wait so long for the other side, in seconds."""
        if value != self.gettimeout():
            super().settimeout(value)


class _Answer(io.RawIOBase):
    """What comes on a socket, as `http.client` reads it."""

    def __init__(self, connected: socket.socket, exchange: Exchange) -> None:
        connected.settimeout(_LOOK_EVERY)
        self._socket = connected
        self._exchange = exchange
        # The socket counts its files, and is closed after the last of them.
        self._counted = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for some bytes, as long as the exchange does."""
        return self._exchange.receive_into(self._socket, buffer)

    def close(self) -> None:
        """Close; the socket, too, if nobody else has it."""
        if not self.closed:
            self._counted.close()
        super().close()


class _AnsweringSocket:
    """Gives `http.client` the file that it asks a socket for."""

    def __init__(self, connected: socket.socket, exchange: Exchange) -> None:
        self._socket = connected
        self._exchange = exchange

    def makefile(self, _: str) -> io.BufferedReader:
        """Return what comes, to be read."""
        return io.BufferedReader(_Answer(self._socket, self._exchange))


def _read_answer(
    exchange: Exchange, connected: socket.socket, *args: Any, **kwargs: Any
) -> http.client.HTTPResponse:
    answering: Any = _AnsweringSocket(connected, exchange)
    return http.client.HTTPResponse(answering, *args, **kwargs)


class _ObedientConnection(HTTPConnection):
    """A connection that obeys the exchange of the thread that uses it, if it has one.

    What asks the system lets other threads run, and costs a turn among all of them: a
    request is sent at once, and a timeout that holds already is not set again. With 32
    writers this takes a quarter of the CPU time of a create.
    """

    _parts: list[bytes] | None = None

    def connect(self) -> None:
        """Connect, within the time of the exchange."""
        exchange = _running.exchange
        if exchange is None:
            super().connect()
        else:
            exchange.connect(self, super().connect)

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        if _running.wire is not None:
            _running.wire.notice(connected)
        return connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request: its head and its body at once."""
        if _running.exchange is None:
            super().request(*args, **kwargs)
            return
        parts: list[bytes] = []
        self._parts = parts
        if self.sock is not None:  # else it is the time to connect
            self.timeout = _LOOK_EVERY
        try:
            super().request(*args, **kwargs)
        finally:
            self._parts = None
        if sum(map(len, parts)) <= _JOINED:
            parts = [b"".join(parts)]
        for part in parts:
            self.send(part)

    def send(self, data: Any) -> None:
        """Send, for as long as the exchange waits."""
        if self._parts is not None:
            self._parts.append(data)
            return
        exchange = _running.exchange
        if self.sock is None and exchange is not None:
            self.connect()
        # TLS within TLS loses what it could not send in time; such a proxy is near.
        if exchange is None or not isinstance(self.sock, socket.socket):
            super().send(data)
        else:
            exchange.send(self.sock, data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as above it
        """Read the head of the answer; its body is read with the same exchange."""
        exchange = _running.exchange
        if exchange is None:
            return super().getresponse()
        # Only here: a proxy's answer is read while connecting, which may come again.
        self.response_class = partial(_read_answer, exchange)  # type: ignore[assignment] # called only
        self.timeout = _LOOK_EVERY
        exchange.expect_head()
        try:
            response = super().getresponse()
        finally:
            del self.response_class
        exchange.expect_body()
        return response


def make_obedient(manager: urllib3.PoolManager) -> None:
    """Let the connections of *manager* obey the exchanges of the threads using them."""
    manager.pool_classes_by_scheme = {
        scheme: _obedient_pool(pool)
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@cache
def _obedient_pool(pool: type[Any]) -> type[Any]:
    connection = type("Connection", (_ObedientConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
