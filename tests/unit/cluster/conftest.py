"""A real HTTP server on loopback that answers as a test scripts it."""

import json
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from kbackup.models import APIResource, EngineSettings

sys.path.insert(0, str(Path(__file__).parent))  # for `listener`

from listener import Listener

PODS = APIResource(group="", version="v1", resource="pods", kind="Pod", namespaced=True)
FOUND = (200, {}, {"metadata": {"name": "a"}})


@attrs.frozen(kw_only=True)
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def token(self):
        """The bearer token, or nothing."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ")


class Hang(Exception):  # noqa: N818 - an order, no error
    """Raised by an answering function: close the connection without an answer."""


def status(code, message="no", **more):
    """Return an answer that is a Status of the API."""
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return code, {}, body | more


class ScriptedServer:
    """Answers each request with ``answer(request) -> (status, headers, body)``."""

    def __init__(self, context=None):
        self.answer = lambda request: (200, {}, {})
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self):
                url = urlsplit(self.path)
                request = Request(
                    method=self.command,
                    path=url.path,
                    query={k: v[0] for k, v in parse_qs(url.query).items()},
                    headers=dict(self.headers),
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                )
                outer.requests.append(request)
                try:
                    code, headers, body = outer.answer(request)
                except Hang:
                    self.close_connection = True
                    return
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                """Say nothing."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._handle)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Say nothing: clients that leave early are part of the tests."""

            def get_request(self):
                connection, address = super().get_request()
                connection.settimeout(10)
                if context is not None:
                    connection = context.wrap_socket(
                        connection, server_side=True, do_handshake_on_connect=False
                    )
                return connection, address

        self._server = Server(("127.0.0.1", 0), Handler)
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def script(self, *answers):
        """Give these answers one after the other, the last one for ever."""
        left = list(answers)

        def answer(request):
            one = left.pop(0) if len(left) > 1 else left[0]
            if one is Hang:
                raise Hang
            return one

        self.answer = answer

    @property
    def paths(self):
        """How often each path was asked."""
        return Counter(request.path for request in self.requests)

    def close(self):
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    """A server without TLS."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def write_kubeconfig(tmp_path):
    """Return a function that writes a kubeconfig for a user section."""

    def write(url, user, name="config", **cluster):
        path = tmp_path / name
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture
def settings():
    """Settings with timeouts for a server on this machine."""
    return EngineSettings(workers=4)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Shorten the pauses between tries; their number stays."""
    monkeypatch.setattr("kbackup.cluster._transport._FIRST_DELAY", 0.001)
    monkeypatch.setattr("kbackup.cluster._transport._LONGEST_DELAY", 0.002)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A CA, a server certificate for 127.0.0.1 and two client certificates."""
    home = tmp_path_factory.mktemp("pki")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=home, check=True, capture_output=True
        )

    def make(name, extension):
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]
        openssl("req", *key, "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (home / "ext").write_text(extension)
        ca = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
        sign = ["-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", "30"]
        openssl("x509", *sign, *ca, "-extfile", "ext")

    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key"),
        *("-out", "ca.crt", "-days", "30", "-subj", "/CN=test-ca"),
    )
    make("server", "subjectAltName=IP:127.0.0.1")
    make("ann", "extendedKeyUsage=clientAuth")
    make("bob", "extendedKeyUsage=clientAuth")
    return Path(home)


@pytest.fixture
def tls_server(pki):
    """A server that wants a client certificate and takes none by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ScriptedServer(context)
    yield server
    server.close()


@pytest.fixture
def tls_context(pki):
    """What a server with TLS for 127.0.0.1 has, and that asks nobody who he is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    return context


@pytest.fixture
def https_server(tls_context):
    """A server with TLS for 127.0.0.1 that wants no client certificate."""
    server = ScriptedServer(tls_context)
    server.script(FOUND)
    yield server
    server.close()


class Tunnel(Listener):
    """A proxy that makes tunnels, all of them to one server, and notes for whom.

    Attributes:
        asked: The head of each request.
        refusal: What is answered instead, if anything.
        before_use: Called after the answer, and before anything goes through.
    """

    def __init__(self, port, context=None):
        self.asked = []
        self.refusal = b""
        self.before_use = lambda: None
        self._port = port
        self._context = context
        super().__init__()
        if context is not None:
            self.url = f"https://{self.address}"

    def serve(self, client):
        """Make one tunnel, or refuse it."""
        if self._context is not None:
            try:
                client = self._context.wrap_socket(client, server_side=True)
            except OSError:  # its certificate is refused
                return
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked.append(head.decode())
        if self.refusal:
            client.sendall(self.refusal)
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._port))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.before_use()
        with suppress(OSError):
            self._relay(client, server)
        server.close()
        client.close()

    @staticmethod
    def _relay(client, server):
        """Pass on what either sends; on one thread, for a TLS connection bears no two."""
        other = {client: server, server: client}
        while True:
            has_more = getattr(client, "pending", int)()
            for source in [client] if has_more else select.select([*other], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                other[source].sendall(data)


@pytest.fixture
def tunnel_to():
    """Return a function that makes a proxy in front of a server."""
    made = []

    def make(server, context=None):
        made.append(Tunnel(int(server.url.rpartition(":")[2]), context))
        return made[-1]

    yield make
    for tunnel in made:
        tunnel.close()


@pytest.fixture
def tunnel(https_server, tunnel_to):
    """A proxy in front of the server with TLS."""
    return tunnel_to(https_server)


@pytest.fixture
def in_a_pod(https_server, pki, tmp_path, monkeypatch):
    """What a Pod finds; returns the file of its token."""
    token = tmp_path / "token"
    token.write_text("one\n")
    module = "kubernetes.config.incluster_config"
    monkeypatch.setattr(f"{module}.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(f"{module}.SERVICE_CERT_FILENAME", str(pki / "ca.crt"))
    port = https_server.url.rpartition(":")[2]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    return token
