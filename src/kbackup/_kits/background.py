"""A writer on a thread of its own, so that slow output and computing go on together."""

from __future__ import annotations

import queue
import threading

from kbackup._kits.streams import Writable

_BLOCKS_AHEAD = 8  # what may wait: of archives at most about a MiB each


class BackgroundWriter:
    """Pass blocks on to a writer, in order, on a daemon thread.

    Hashing, compressing and writing files release the interpreter's lock, so the caller
    goes on meanwhile. An error of the writer is raised by the next call; what was
    handed over since is dropped. One thread at a time may call.

    Args:
        out: Called by the thread only, until `close` has returned.
    """

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._blocks: queue.Queue[bytes | None] = queue.Queue(maxsize=_BLOCKS_AHEAD)
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(
            target=self._work, name="kbackup-writer", daemon=True
        )
        self._thread.start()

    def write(self, data: bytes, /) -> int:
        """Hand over *data*, which must not change; wait while too much is waiting."""
        self._raise()
        self._blocks.put(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: blocks are passed on as they come."""

    def close(self) -> None:
        """Wait until everything was passed on; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._blocks.put(None)
            self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self._error is not None:
                continue  # taken all the same, or the caller would wait for ever
            try:
                self._out.write(block)
            except BaseException as exc:  # noqa: BLE001 - raised where it is heard
                self._error = exc
