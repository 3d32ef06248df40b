"""A socket on loopback that takes connections, for servers that speak no clean HTTP."""

import socket
import threading
from contextlib import suppress


class Listener:
    """Takes connections until it is closed, each on a thread of its own.

    A subclass says in ``serve(connection)`` what becomes of one, and calls
    `Listener.__init__` last: from then on there are connections.

    Attributes:
        address: Where it listens, as host and port.
        url: The same as a URL.
    """

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self._threads = []
        self.start(self._accept)

    def start(self, function, *args):
        """Run a function on a thread that `close` waits for."""
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self):
        """Stop."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.start(self.serve, connection)
