"""A WebSocket with the channels of ``channel.k8s.io``, for one thread.

Reading and writing take turns, so that neither a command that does not read nor one
that writes more than it reads can stall it. Used by `_exec`, which imports this module
when the first command is run: `websocket` takes a while.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from websocket import (
    ABNF,
    WebSocket,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)

V5 = "v5.channel.k8s.io"  # from Kubernetes 1.30: can close a channel
V4 = "v4.channel.k8s.io"
_CLOSE_CHANNEL = 255
_PATIENCE = 0.05  # seconds for a peer that does not read
_TAKEN_AT_ONCE = 1 << 14  # bytes: TLS gives no more
_NOTHING_CAME = (WebSocketTimeoutException, BlockingIOError, ssl.SSLWantReadError)
_MANY_PARTS = 16  # messages; putting them together for each one would cost more


class _ReadAhead:
    """A connection from which more is taken than is asked for, and kept.

    The library takes the head of an answer byte by byte. With 32 commands at a time each
    of these reads lets all others run first: a command took 6 ms of two processors.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._kept = b""

    def recv(self, size: int) -> bytes:
        """Return up to *size* bytes; none: the other side has closed."""
        kept = self._kept or self._connection.recv(max(size, _TAKEN_AT_ONCE))
        self._kept = kept[size:]
        return kept[:size]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Socket(WebSocket):
    """Answers pings when its user says so: one may come while a frame is half sent."""

    def __init__(self) -> None:
        super().__init__(skip_utf8_validation=True, enable_multithread=False)
        self.pings: list[bytes] = []

    def pong(self, payload: bytes | str = b"") -> None:
        """Keep the ping for later."""
        self.pings.append(payload.encode() if isinstance(payload, str) else payload)


class ChannelStream:
    """Messages to and from numbered channels.

    Attributes:
        is_open: Whether more may come.
        received: By channel: what came and was not taken.
        can_close_channels: Whether both sides speak version 5.
    """

    def __init__(
        self,
        connection: socket.socket,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
    ) -> None:
        """Make *connection* a WebSocket; it is closed when that fails.

        Args:
            connection: To the server, TLS included.
            url: Of the request, beginning with http or https.
            headers: Sent with it.
            timeout: Seconds for each part of the answer.
        """
        connection.settimeout(timeout)
        opened = _Socket()
        self._pings = opened.pings
        self._socket: WebSocket = opened
        self._socket.connect(  # type: ignore[no-untyped-call] # it has no types
            urlsplit(url)._replace(scheme="ws").geturl(),
            socket=_ReadAhead(connection),
            host=urlsplit(url).netloc.rpartition("@")[2],
            suppress_origin=True,
            header=[f"{name}: {value}" for name, value in headers.items()],
            subprotocols=[V5, V4],
            redirect_limit=0,  # or the headers would go wherever the server says
        )
        self._connection = connection
        self.can_close_channels = self._socket.subprotocol == V5
        self.is_open = True
        self.received: dict[int, list[bytes]] = {}

    def receive(self, wait: float = 0.0) -> None:
        """Take one message, if one comes within *wait* seconds; by default, if one is there.

        Raises:
            OSError: The connection broke, or what came is no WebSocket.
        """
        self._connection.settimeout(wait)
        try:
            kind, frame = self._socket.recv_data_frame(control_frame=True)
        except _NOTHING_CAME:
            return
        except WebSocketConnectionClosedException:
            self.is_open = False
            return
        except WebSocketException as exc:
            raise ConnectionAbortedError("the peer sent what is no frame") from exc
        if kind == ABNF.OPCODE_CLOSE:
            self.is_open = False
        elif kind in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
            channel, data = frame.data[0], frame.data[1:]
            if data and channel != _CLOSE_CHANNEL:
                self.received.setdefault(channel, []).append(data)

    def forget(self, channel: int, keep: int) -> None:
        """Forget what came on a channel, but for about the last *keep* bytes."""
        parts = self.received.get(channel, [])
        if len(parts) > _MANY_PARTS:
            parts[:] = [b"".join(parts)[-keep:]]

    def message(self, channel: int, data: bytes) -> memoryview:
        """Return the frame of a message, for `push`."""
        return _frame(bytes([channel]) + data, ABNF.OPCODE_BINARY)

    def closing(self, channel: int) -> memoryview:
        """Return the frame that closes a channel; only where the server knows it."""
        return _frame(bytes([_CLOSE_CHANNEL, channel]), ABNF.OPCODE_BINARY)

    def push(self, frame: memoryview) -> memoryview:
        """Send some of *frame*, and return the rest; nothing, if the peer takes none.

        Raises:
            OSError: The connection broke.
        """
        self._connection.settimeout(_PATIENCE)
        with contextlib.suppress(TimeoutError):
            return frame[self._connection.send(frame) :]
        return frame

    def pongs(self) -> list[memoryview]:
        """Return the frames that answer the pings so far."""
        frames = [_frame(each, ABNF.OPCODE_PONG) for each in self._pings]
        self._pings.clear()
        return frames

    def close(self) -> None:
        """Drop the connection."""
        self._socket.shutdown()


def _frame(data: bytes, kind: int) -> memoryview:
    return memoryview(ABNF.create_frame(data, kind).format())
