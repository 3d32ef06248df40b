"""A relay in front of a server, by HTTP: it writes down what passes, and does harm.

Rules are asked in their order for what to do with a request; where none says anything
the server behind answers. Asked as a proxy it passes on to the server, too.
"""

from __future__ import annotations

import http.client
import select
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

_HOP = {"connection", "expect", "keep-alive", "transfer-encoding", "proxy-connection"}
_PIECE = 65536


@attrs.frozen
class Asked:
    """What a client sent.

    Attributes:
        target: As it stands in the request: a whole address where a proxy is asked.
        path: Unquoted.
        query: Each parameter once.
        headers: By lower-case name.
    """

    method: str
    target: str
    path: str
    query: dict
    headers: dict
    length: int


@attrs.frozen
class Reply:
    """An answer instead of the server's."""

    status: int
    body: str = ""
    headers: tuple = ()


@attrs.frozen
class CutUpload:
    """The connection breaks when so many bytes of the body have come."""

    after: int


@attrs.frozen
class CutDownload:
    """The connection breaks when so many bytes of the answer's body have gone."""

    after: int


@attrs.frozen
class Hang:
    """Nothing is answered."""


@attrs.define
class Relay:
    """A running relay.

    Attributes:
        url: Where it is.
        upstream: Host and port of the server behind.
        rules: Asked in their order.
        seen: What was asked.
    """

    upstream: tuple
    tls: object = None
    url: str = ""
    rules: list = attrs.field(factory=list)
    seen: list = attrs.field(factory=list)
    released: threading.Event = attrs.field(factory=threading.Event)

    @property
    def address(self):
        """Its own host and port."""
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    def always(self, action, when=lambda asked: True):
        """Do so with all requests, or those of a kind."""
        self.rules.append(lambda asked: action if when(asked) else None)

    def once(self, action, when=lambda asked: True, times=1):
        """Do so with the next requests, or with those of a kind."""
        left = [times]

        def rule(asked):
            if not left[0] or not when(asked):
                return None
            left[0] -= 1
            return action

        self.rules.append(rule)
        return left


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    relay: Relay

    def _serve(self):
        asked = self._asked()
        self.relay.seen.append(asked)
        actions = (rule(asked) for rule in list(self.relay.rules))
        action = next(filter(None, actions), None)
        if isinstance(action, Hang):
            self.relay.released.wait()
            self._break_off()
            return
        if isinstance(action, CutUpload):
            self.rfile.read(min(action.after, asked.length))
            self._break_off()
            return
        body = self._body(asked)
        if isinstance(action, Reply):
            self._answer(action.status, action.headers, action.body.encode())
            return
        status, headers, content = self._ask(asked, body)
        most = action.after if isinstance(action, CutDownload) else None
        self._answer(status, headers, content, most)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PROPFIND = _serve  # noqa: N815

    def do_CONNECT(self):
        """Lead a client to the server, as a proxy does for HTTPS."""
        self.relay.seen.append(Asked("CONNECT", self.path, "", {}, {}, 0))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.relay.upstream) as server:
            ends = {self.connection: server, server: self.connection}
            while not self.relay.released.is_set():
                ready, _, _ = select.select(list(ends), [], [], 0.05)
                for end in ready:
                    data = end.recv(_PIECE)
                    if not data:
                        self._break_off()
                        return
                    ends[end].sendall(data)

    def _asked(self):
        parts = urlsplit(self.path)
        return Asked(
            self.command,
            self.path,
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            int(self.headers.get("Content-Length") or 0),
        )

    def _body(self, asked):
        if asked.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(asked.length)
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _ask(self, asked, body):
        parts = urlsplit(self.path)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        server = http.client.HTTPConnection(*self.relay.upstream)
        try:
            server.putrequest(
                asked.method, target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() == "host" and not value.startswith("127.0.0.1"):
                    # A name that only a proxy knows; the server does not.
                    server.putheader(name, "{}:{}".format(*self.relay.upstream))
                elif name.lower() not in {*_HOP, "content-length"}:
                    server.putheader(name, value)
            server.putheader("Content-Length", str(len(body)))
            server.endheaders(body)
            answer = server.getresponse()
            return answer.status, tuple(answer.getheaders()), answer.read()
        finally:
            server.close()

    def _answer(self, status, headers, content, most=None):
        self.send_response_only(status)
        announced = any(name.lower() == "content-length" for name, _ in headers)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if not announced and status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:most])
        if most is not None:
            self.wfile.flush()
            self._break_off()

    def _break_off(self):
        # With what was not read lost: as when a machine on the way goes down.
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *args):
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    tls = None

    def get_request(self):
        """Take a connection; the handshake is for its own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, *args):
        """Say nothing: clients that are cut off, or do not trust, are what is tested."""


@contextmanager
def relaying(upstream, tls=None):
    """Run a relay, with a context of TLS one that speaks HTTPS."""
    relay = Relay(upstream, tls)
    handler = type("_RelayHandler", (_Handler,), {"relay": relay})
    server = _Server(("127.0.0.1", 0), handler)
    server.tls = tls
    scheme = "http" if tls is None else "https"
    relay.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield relay
    finally:
        relay.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
