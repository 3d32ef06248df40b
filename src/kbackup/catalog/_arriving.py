"""A stream that one thread reads while another one still brings it."""

from __future__ import annotations

import errno
import threading
from collections import deque
from typing import Self

_MOST_WAITING = 1 << 23  # bytes; whoever brings more of them waits
_OF_A_BLOCK = 1 << 8  # bytes that a block takes beside its own
_PATIENCE = 600  # seconds; a reader whose end was interrupted itself closes nothing


class ArrivingStream:
    """What is written here is read once, in its order, by a thread that waits for it.

    A few blocks lie here in memory, and no more: a file that is written only to be read
    back took longer than all that is done with what is in it. Closed by any thread it ends
    the waiting of the others, which fail as those do that come later.
    """

    def __init__(self) -> None:
        self._blocks: deque[memoryview] = deque()
        self._waiting = 0
        self._ended = self._dropping = self._closed = False
        # Entered without the condition, whose own way in is Python: an interrupt there,
        # once it has the lock, keeps it for ever.
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)

    def write(self, data: bytes, /) -> int:
        """Append *data*, once there is room for it; raises `OSError` once closed."""
        block = memoryview(bytes(data))  # the buffer may be filled again
        with self._lock:
            self._await_room()
            self._require_open()
            if block and not self._dropping:
                self._blocks.append(block)
                self._waiting += len(block) + _OF_A_BLOCK
                self._moved.notify_all()
        return len(block)

    def end(self) -> None:
        """Say that no more will come, for whatever reason."""
        with self._lock:
            self._ended = True
            self._moved.notify_all()

    def drop(self) -> None:
        """Say that no more will be read: what comes now is not kept."""
        with self._lock:
            self._dropping = True
            self._blocks.clear()
            self._waiting = 0
            self._moved.notify_all()

    def read(self, size: int, /) -> bytes:
        """Return *size* bytes, waiting for them; fewer at the end only.

        Raises:
            OSError: This was closed.
        """
        parts = []
        while size > 0 and (part := self._next(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _next(self, most: int) -> memoryview:
        """Take up to *most* bytes of the first block; none at the end."""
        with self._lock:
            self._moved.wait_for(lambda: self._blocks or self._ended or self._closed)
            self._require_open()
            if not self._blocks:
                return memoryview(b"")
            part, rest = self._blocks[0][:most], self._blocks[0][most:]
            self._waiting -= len(part)
            if rest:
                self._blocks[0] = rest
            else:
                self._blocks.popleft()
                self._waiting -= _OF_A_BLOCK
            self._moved.notify_all()
        return part

    def close(self) -> None:
        """End the reading and the writing, whoever is at it."""
        with self._lock:
            self._closed = True
            self._blocks.clear()
            self._moved.notify_all()

    def _await_room(self) -> None:
        # By the second: the time for which the whole process is stopped does not count.
        for _ in range(_PATIENCE):
            if self._moved.wait_for(self._takes, timeout=1):
                return
        raise OSError(errno.ETIMEDOUT, "nobody reads what comes")

    def _takes(self) -> bool:
        return self._closed or self._dropping or self._waiting < _MOST_WAITING

    def _require_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the stream was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
