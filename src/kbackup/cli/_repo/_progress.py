"""How far a verb of a repository is: a bar on a terminal, a message for a program.

The plugins' progress is not this one: a repository knows bytes and files, no phases.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbackup._kits.sizes import format_size
from kbackup.cli._output import is_terminal
from kbackup.cli._repo._telling import is_json, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as Bars

    from kbackup.cli._session import Session
    from kbackup.repository import Progress

_BYTES = frozenset({"back up", "restore", "copy", "repack"})
_EVERY = 0.1  # seconds, as restic


@contextmanager
def show_progress(
    session: Session, *, messages: bool = False
) -> Iterator[Callable[[Progress], None]]:
    """Give what shows the progress of one verb for as long as the context is open.

    Args:
        session: Says for whom.
        messages: The verb prints messages for programs, also of its progress.
    """
    if session.repository.quiet or (is_json(session) and not messages):
        yield lambda _: None
    elif is_json(session):
        yield _Messages()
    elif not is_terminal(sys.stderr):
        yield lambda _: None
    else:
        with _bars() as bars:
            yield _Bar(bars)


@contextmanager
def _bars() -> Iterator[Bars]:
    from rich.console import Console  # noqa: PLC0415 - costs 50 ms
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress


class _Bar:
    """Moves one bar; a new one where something else begins. Called by any thread."""

    def __init__(self, bars: Bars) -> None:
        self._bars, self._what = bars, ""
        self._task = bars.add_task("starting", total=None)
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        with self._lock:
            if progress.what != self._what:
                self._what = progress.what
                self._bars.remove_task(self._task)
                self._task = self._bars.add_task(progress.what, total=None)
        what = progress.what
        self._bars.update(
            self._task,
            completed=progress.done,
            total=progress.total or None,
            description=f"{what} {format_size(progress.done)}"
            if what in _BYTES
            else what,
        )


class _Messages:
    """Prints restic's status lines, ten in a second at most. Called by any thread."""

    def __init__(self) -> None:
        self._begun = self._told = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Print how far it is, unless that was done just now."""
        with self._lock:
            now = time.monotonic()
            if now - self._told < _EVERY:
                return
            self._told = now
            print_json(status_json(progress, now - self._begun))


def status_json(progress: Progress, seconds: float) -> dict[str, object]:
    """Return restic's message of how far a run is; 0 of what is not known."""
    total, files = progress.total, progress.files
    is_backup = progress.what == "back up"
    return {
        "message_type": "status",
        "seconds_elapsed": int(seconds),
        "percent_done": min(1.0, progress.done / total) if total else 0,
        "total_bytes": total,
        "files_done" if is_backup else "files_restored": files,
        "bytes_done" if is_backup else "bytes_restored": progress.done,
    }
