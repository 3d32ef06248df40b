"""A relay in front of any server that cuts its connections."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Cutter:
    """A relay to a server that cuts its connections after so many bytes.

    Attributes:
        cuts: For each of the next connections the bytes that pass up and down.
        done: How many connections were cut.
    """

    def __init__(self, port):
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.cuts = []
        self.done = 0
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            up, down = self.cuts.pop(0) if self.cuts else (None, None)
            threading.Thread(
                target=self._carry, args=(client, server, up, down), daemon=True
            ).start()

    def _carry(self, client, server, up, down):
        """Pass on in both directions until one ends, then close both."""
        back = threading.Thread(target=self._relay, args=(server, client, down))
        with client, server:
            back.start()
            self._relay(client, server, up)
            back.join()

    def _relay(self, source, target, most):
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                if most is not None and passed + len(data) > most:
                    target.sendall(data[: most - passed])
                    self.done += 1
                    break
                target.sendall(data)
                passed += len(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Take no more connections."""
        self._server.close()
