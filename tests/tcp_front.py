"""A front of any server on loopback that cuts its connections, or says nothing at all."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

import attrs

_PIECE = 1 << 16


@attrs.define
class Front:
    """A running front.

    Attributes:
        port: Where it is.
        cuts: How many of the next connections are closed as soon as they are made.
        silent: Connections are taken and nothing is ever said.
        lost: On how many of the next connections the answer is lost: they end when the
            server begins to answer.
        most: After how many bytes from a client its connection is cut; None: never.
        accepted: How many connections there were.
    """

    port: int
    cuts: int = 0
    silent: bool = False
    lost: int = 0
    most: int | None = None
    accepted: int = 0
    sockets: list = attrs.field(factory=list)

    def end(self):
        """End every connection that there is."""
        while self.sockets:
            _end(self.sockets.pop())

    def serve(self, client, target):
        """Pass a connection on, or not."""
        self.accepted += 1
        self.sockets.append(client)
        if self.silent:
            return
        if self.cuts > 0:
            self.cuts -= 1
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", target))
        self.sockets.append(server)
        answers = None
        if self.lost > 0:
            self.lost -= 1
            answers = 0
        ways = ((client, server, self.most), (server, client, answers))
        for source, sink, most in ways:
            threading.Thread(
                target=_pass, args=(source, sink, most), daemon=True
            ).start()


@contextmanager
def fronting(target):
    """Run a front of the server on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        front = Front(listening.getsockname()[1])

        def accept():
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:  # it was closed
                    return
                front.serve(client, target)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield front
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    front.end()


def _pass(source, sink, most):
    """Pass on what comes, as far as it may go; then end both."""
    passed = 0
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            passed += len(piece)
            if most is not None and passed > most:
                break
            sink.sendall(piece)
    _end(source)
    _end(sink)


def _end(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
