"""One packer for all runs of a process that save to one repository at the same time.

What one of them has saved, the others need not save again, although no index names it
yet. Called by the facade.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kbackup.repository._locks import Lock
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer


class SharedPacker:
    """Gives each run the packer that those have who run already.

    Args:
        repository: Where it saves to.
    """

    def __init__(self, repository: OpenedRepository) -> None:
        self._repository = repository
        self._current: Packer | None = None
        self._runs: dict[Packer, list[Lock]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def packer(self, lock: Lock) -> Iterator[Packer]:
        """Give a packer; what is not flushed when its last run ends is given up.

        One that failed is nobody's any more who begins after that; neither is one all of
        whose runs lost their locks, as what they saved may have been removed.

        Args:
            lock: Of the run that asks.
        """
        packer = self._take(lock)
        try:
            yield packer
        finally:
            if self._is_last(packer, lock):
                packer.close()

    def _take(self, lock: Lock) -> Packer:
        with self._lock:
            current = self._current
            if current is None or current.has_failed or not self._is_kept(current):
                opened = self._repository
                current = self._current = Packer(
                    opened.documents, opened.key, look=opened.refresh_index
                )
            self._runs.setdefault(current, []).append(lock)
            return current

    def _is_kept(self, packer: Packer) -> bool:
        return any(lock.is_held() for lock in self._runs[packer])

    def _is_last(self, packer: Packer, lock: Lock) -> bool:
        with self._lock:
            self._runs[packer].remove(lock)
            if self._runs[packer]:
                return False
            del self._runs[packer]
            if self._current is packer:
                self._current = None
            return True
