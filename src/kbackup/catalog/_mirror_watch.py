"""Which of several mirrored directories have no whole copy of what a run writes.

A directory may be away from the start, come and go, or fail: each is a warning by name,
once. A backup looks before the record is written, with each object and at the end, a
restore when it has written to the cluster and at the end.
"""

from __future__ import annotations

from kbackup.catalog._backup_store import BackupStore
from kbackup.plugins import Run
from kbackup.stores import DirectoryState

_LATER = "; when it is back, kbackup location repair makes one"


class MirrorWatch:
    """What one run has seen of the directories of its location; for one thread.

    Args:
        store: Shared with other runs: what it told of before this one is not repeated.
        run: Gets the warnings.
    """

    def __init__(self, store: BackupStore, run: Run) -> None:
        self._store = store
        self._run = run
        self._known = set(store.problems())
        self._away: dict[str, DirectoryState] = {}  # the first time, by path
        self._seen: set[str] = set()  # what the store says of it as well
        self._told: set[str] = set()
        self.look()

    def look(self) -> None:
        """Keep in mind who is away now."""
        for state in self._store.directories():
            if not state.present:
                self._away.setdefault(state.path, state)
                self._seen.add(str(state))

    def look_and_check(self) -> None:
        """Look, unless the run is to stop; called with each object."""
        self._run.cancel.check()
        self.look()

    def report(self) -> None:
        """Warn of what has not been told yet."""
        self.look()
        problems = [text for text in self._store.problems() if text not in self._known]
        self._known.update(problems)
        for path, state in self._away.items():
            if path not in self._told:
                self._told.add(path)
                self._run.warning(f"{state}; it gets no whole copy{_LATER}")
        for text in problems:
            if text not in self._seen:
                self._run.warning(text)
