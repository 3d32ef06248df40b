"""Connections of one location: made when they are needed, lent to one thread each.

Clients of SFTP and FTP mix up the answers to two threads, and some are connected as soon
as they are made. A connection that failed is not used again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from kbackup.errors import (
    KBackupError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import bounded, translate_store_errors

T = TypeVar("T")

_CLOSING = 5.0  # seconds
# After these the server has answered, so the connection is sound.
_ANSWERS = (ObjectNotFoundError, ObjectExistsError, StoreAccessError)


class Connections:
    """At most so many filesystems; shared by threads.

    Args:
        connect: Makes a filesystem, and may touch the network.
        disconnect: Gives up the connections of one; it may hang.
        most: How many there may be at once.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        disconnect: Callable[[Any], None],
        *,
        most: int,
    ) -> None:
        self._connect = connect
        self._disconnect = disconnect
        self._free = threading.BoundedSemaphore(most)
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closed = False

    def run(self, key: str, seconds: float, action: Callable[[Any], T]) -> T:
        """Do something with a filesystem that nobody else uses meanwhile.

        Raises:
            StoreError: Whatever was raised, translated; `StoreUnavailableError` if it
                took longer, or the connection was lost.
        """
        deadline = time.monotonic() + seconds
        if not self._free.acquire(timeout=seconds):
            raise StoreUnavailableError(
                key, f"all {self._most} connections were busy for {seconds:g} s"
            )
        loan = _Loan(self._take(), self._connect, self._disconnect)
        try:
            left = max(deadline - time.monotonic(), 0.001)
            with translate_store_errors(key):
                return bounded(key, left, lambda: loan.use(key, action))
        except _ANSWERS:
            raise
        except BaseException:
            loan.cancel()
            self._drop_idle()  # what is lost for one is mostly lost for all
            raise
        finally:
            self._give_back(loan.filesystem)
            self._free.release()

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        self._closed = True
        for thread in self._drop_idle():
            thread.join(_CLOSING)

    def _take(self) -> Any:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, filesystem: Any) -> None:
        if filesystem is None:
            return
        with self._lock:
            if not self._closed:
                self._idle.append(filesystem)
                return
        _apart(self._disconnect, filesystem)

    def _drop_idle(self) -> list[threading.Thread]:
        with self._lock:
            dropped, self._idle = self._idle, []
        return [_apart(self._disconnect, filesystem) for filesystem in dropped]


class _Loan:
    """One use of a filesystem, by a thread that may be given up."""

    def __init__(
        self,
        filesystem: Any,
        connect: Callable[[], Any],
        disconnect: Callable[[Any], None],
    ) -> None:
        self.filesystem = filesystem
        self._connect = connect
        self._disconnect = disconnect
        self._lock = threading.Lock()
        self._cancelled = False

    def use(self, key: str, action: Callable[[Any], T]) -> T:
        if self.filesystem is None:
            self._set(key, _connected(key, self._connect))
        filesystem = self.filesystem
        filesystem.invalidate_cache()  # some list what they saw before
        try:
            return action(filesystem)
        except KBackupError:
            raise
        except Exception as exc:
            if not getattr(filesystem, "is_connected", True):
                raise StoreUnavailableError(key, "the connection was lost") from exc
            raise

    def cancel(self) -> None:
        """Take the filesystem away from the thread that uses it."""
        with self._lock:
            self._cancelled = True
            filesystem, self.filesystem = self.filesystem, None
        if filesystem is not None:
            _apart(self._disconnect, filesystem)

    def _set(self, key: str, filesystem: Any) -> None:
        with self._lock:
            if not self._cancelled:
                self.filesystem = filesystem
                return
        _apart(
            self._disconnect, filesystem
        )  # nobody waits any more: what was asked is not done
        raise StoreUnavailableError(key, "it took too long to connect")


def _connected(key: str, connect: Callable[[], Any]) -> Any:
    """Connect; that something is missing for it does not mean that an object is."""
    try:
        with translate_store_errors(key):
            return connect()
    except (ObjectNotFoundError, ObjectExistsError) as exc:
        raise StoreAccessError(key, f"no connection: {exc.reason}") from exc
    except StoreError as exc:
        raise type(exc)(key, f"no connection: {exc.reason}", hint=exc.hint) from exc


def _apart(disconnect: Callable[[Any], None], filesystem: Any) -> threading.Thread:
    """Give up a filesystem on a thread of its own."""

    def run() -> None:
        with suppress(Exception):  # it is given up in any case
            disconnect(filesystem)

    thread = threading.Thread(target=run, name="kbackup-disconnect", daemon=True)
    thread.start()
    return thread
