"""Which of several mirrored directories have no whole copy of the backup being written.

A directory may be away from the start, come and go, or fail: each is a warning by name,
once. `_pipeline` looks before the record is written, with each object and at the end.
"""

from __future__ import annotations

from kbackup.catalog import BackupStore
from kbackup.plugins import Run


class MirrorWatch:
    """What one run has seen of the directories of its location.

    Args:
        store: Shared with other runs: what it told of before this one is not repeated.
        run: Gets the warnings.
    """

    def __init__(self, store: BackupStore, run: Run) -> None:
        self._store = store
        self._run = run
        self._known = set(store.problems())
        self._away: dict[str, str] = {}  # what it is away for, by path
        self._told: set[str] = set()
        self.look()

    def look(self) -> None:
        """Keep in mind who is away now."""
        for state in self._store.directories():
            if not state.present:
                self._away.setdefault(state.path, state.reason)

    def look_and_check(self) -> None:
        """Look, unless the run is to stop; called with each object."""
        self._run.cancel.check()
        self.look()

    def report(self) -> None:
        """Warn of what has not been told yet."""
        self.look()
        problems = [text for text in self._store.problems() if text not in self._known]
        self._known.update(problems)
        for path, reason in self._away.items():
            if path not in self._told:
                self._told.add(path)
                self._run.warning(f"{path} is away: {reason}; it gets no whole copy")
        for text in problems:
            if not text.startswith(tuple(f"{path} is away" for path in self._told)):
                self._run.warning(text)
