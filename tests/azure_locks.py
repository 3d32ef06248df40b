"""A front of Azurite for containers with version-level immutability, which it lacks.

Notes the policy that goes with an upload, and tells it with the blob. As in Azure with
versions a blob can be replaced and deleted: its locked version stays beside it, unseen.
"""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import attrs

from azurite import Azurite

_UNTIL = "x-ms-immutability-policy-until-date"
_MODE = "x-ms-immutability-policy-mode"
_ENDS_WITH_THE_HOP = {"connection", "transfer-encoding", "keep-alive"}


@attrs.frozen
class Locks:
    """A running front.

    Attributes:
        server: Where it is, as an Azurite.
        policies: By path of a blob: until when, and the mode.
    """

    server: Azurite
    policies: dict = attrs.field(factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    azurite = ""
    policies: dict

    def _pass(self):
        """Pass a request on, and add to the answer what Azurite has forgotten."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(urlsplit(self.azurite).netloc)
        connection.putrequest(
            self.command, self.path, skip_host=True, skip_accept_encoding=True
        )
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _ENDS_WITH_THE_HOP | {"content-length"}:
                self.send_header(name, value)
        self._note(answer.status)
        path = urlsplit(self.path).path
        if self.command in {"GET", "HEAD"} and path in self.policies:
            until, mode = self.policies[path]
            self.send_header(_UNTIL, until)
            self.send_header(_MODE, mode)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names of http.server

    def _note(self, status):
        """Note what the version that is there from now on is locked by."""
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        writes = self.command == "PUT" and (
            "comp=" not in query or "blocklist" in query
        )
        if status >= 300 or not (writes or self.command == "DELETE"):
            return
        self.policies.pop(path, None)
        if self.headers.get(_UNTIL):
            self.policies[path] = (self.headers[_UNTIL], self.headers[_MODE].lower())

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def locking(azurite):
    """Run the front of an Azurite, on a port that the system picked."""
    policies = {}
    handler = type(
        "Handler", (_Handler,), {"azurite": azurite.url, "policies": policies}
    )
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    yield Locks(Azurite(f"http://127.0.0.1:{http_server.server_port}"), policies)
    http_server.shutdown()
    thread.join()
    http_server.server_close()
