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
        limits: For each of the next connections how many bytes pass up and down before
            it is cut; None: all.
        most: The same for what passes up on every other connection.
        silent: Connections are taken and nothing is ever said.
        accepted: How many connections there were.
        cut: How many times one was cut.
    """

    port: int
    limits: list = attrs.field(factory=list)
    most: int | None = None
    silent: bool = False
    accepted: int = 0
    cut: int = 0
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
        up, down = self.limits.pop(0) if self.limits else (self.most, None)
        server = socket.create_connection(("127.0.0.1", target))
        self.sockets.append(server)
        for way in ((client, server, up), (server, client, down)):
            threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, sink, most):
        """Pass on what comes, as far as it may go; then end both."""
        passed = 0
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if most is not None and passed + len(piece) > most:
                    sink.sendall(piece[: most - passed])
                    self.cut += 1
                    break
                passed += len(piece)
                sink.sendall(piece)
        _end(source)
        _end(sink)


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


def _end(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
