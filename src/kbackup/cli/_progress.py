"""A run's progress: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbackup.cli._output import printable, say
from kbackup.plugins import (
    Event,
    ItemsProgressed,
    Observer,
    PhaseChanged,
    WaitingFor,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def show_progress() -> Iterator[Observer]:
    """Give an observer that shows the run for as long as the context is open."""
    if not sys.stderr.isatty():
        yield _print_line
        return
    from rich.console import Console  # noqa: PLC0415 - costs 50 ms
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    """Moves one bar along with the events of a run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("starting", total=None)

    def __call__(self, event: Event) -> None:
        """Show *event*."""
        if isinstance(event, PhaseChanged):
            self._progress.remove_task(self._task)  # a task keeps its total for good
            self._task = self._progress.add_task(event.phase, total=event.total)
        elif isinstance(event, ItemsProgressed):
            self._progress.update(self._task, completed=event.done, total=event.total)
        elif isinstance(event, WaitingFor):
            self._progress.update(
                self._task, description=printable(f"waiting for {event.what}")
            )


def _print_line(event: Event) -> None:
    """Print the steps, and what is waited for, as lines."""
    if isinstance(event, PhaseChanged):
        say(f"{event.phase} ...")
    elif isinstance(event, WaitingFor):
        say(f"waiting for {event.what} ...")
