"""An FTP and a WebDAV server on loopback ports, each over a directory."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import attrs
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp

USER, PASSWORD = "kb", "geheim-und-lang"


@attrs.frozen
class WebDAVServer:
    """A running server: where it is, and who asked it.

    Attributes:
        url: Its address.
        asked: Method, path and ``Authorization`` of each request.
    """

    url: str
    asked: list = attrs.field(factory=list)


@contextmanager
def running_webdav(directory, user_mapping=None):
    """Run a WebDAV server over a directory; without users it lets everybody in."""
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(directory)},
            "simple_dc": {"user_mapping": {"*": user_mapping or True}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    asked = []

    def noting(environ, start_response):
        asked.append(
            (
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                environ.get("HTTP_AUTHORIZATION", ""),
            )
        )
        return application(environ, start_response)

    server = wsgi.Server(("127.0.0.1", 0), noting)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield WebDAVServer(f"http://127.0.0.1:{server.bind_addr[1]}", asked)
    server.stop()
    thread.join()


@contextmanager
def running_ftp(directory):
    """Run an FTP server over a directory, in a process of its own; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["--username", USER, "--password", PASSWORD, "--write"]
    place = ["-i", "127.0.0.1", "-p", str(port), "-d", str(directory)]
    command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", *place, *user]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                time.sleep(0.02)
        yield port
        server.terminate()
