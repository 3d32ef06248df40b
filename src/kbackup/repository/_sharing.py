"""One packer for all runs of a process that save to one repository at the same time.

What one of them has saved, the others need not save again, although no index names it
yet. Called by the facade.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

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
        self._runs: Counter[Packer] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def packer(self) -> Iterator[Packer]:
        """Give a packer; what is not flushed when its last run ends is given up.

        One that failed is nobody's any more who begins after that.
        """
        packer = self._take()
        try:
            yield packer
        finally:
            if self._is_last(packer):
                packer.close()

    def _take(self) -> Packer:
        with self._lock:
            if self._current is None or self._current.has_failed:
                opened = self._repository
                self._current = Packer(
                    opened.documents, opened.key, look=opened.refresh_index
                )
            self._runs[self._current] += 1
            return self._current

    def _is_last(self, packer: Packer) -> bool:
        with self._lock:
            self._runs[packer] -= 1
            if self._runs[packer]:
                return False
            del self._runs[packer]
            if self._current is packer:
                self._current = None
            return True
