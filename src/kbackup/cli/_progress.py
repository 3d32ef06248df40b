"""A run's progress: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from kbackup._kits.clock import Clock, SystemClock
from kbackup._kits.words import printable
from kbackup.cli._output import is_terminal, say, span
from kbackup.plugins import (
    Event,
    ItemsProgressed,
    Observer,
    PhaseChanged,
    WaitingFor,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_REPEAT_SECONDS = 60  # of the same line: a log of ten minutes stays readable


@contextmanager
def show_progress(clock: Clock | None = None) -> Iterator[Observer]:
    """Give an observer that shows the run for as long as the context is open."""
    if not is_terminal(sys.stderr):
        yield _Lines(clock or SystemClock())
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
        self._progress, self._phase = progress, "starting"
        self._task: TaskID = progress.add_task(self._phase, total=None)

    def __call__(self, event: Event) -> None:
        """Show *event*."""
        if isinstance(event, PhaseChanged):
            self._phase = event.phase
            self._progress.remove_task(self._task)  # a task keeps its total for good
            self._task = self._progress.add_task(event.phase, total=event.total)
        elif isinstance(event, ItemsProgressed):
            self._progress.update(
                self._task,
                completed=event.done,
                total=event.total,
                description=self._phase,  # what was waited for is there
            )
        elif isinstance(event, WaitingFor):
            self._progress.update(
                self._task, description=printable(f"waiting for {event.what}")
            )


class _Lines:
    """Prints the steps, and what is waited for when that is new or a minute old."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._what = ""
        self._since = 0.0
        self._told = 0.0

    def __call__(self, event: Event) -> None:
        """Print *event*, if there is something new in it."""
        if isinstance(event, PhaseChanged):
            self._what = ""
            say(f"{event.phase} ...")
        elif isinstance(event, WaitingFor):
            self._wait(event)

    def _wait(self, event: WaitingFor) -> None:
        now = self._clock.monotonic()
        if event.what != self._what:
            self._what, self._since = event.what, now
        elif now - self._told < _REPEAT_SECONDS:
            return
        self._told = now
        facts = [f"{_span(now - self._since)} so far"] if now > self._since else []
        if event.seconds_left is not None:
            facts.append(f"at most {_span(event.seconds_left)} more")
        told = f" ({', '.join(facts)})" if facts else ""
        say(f"waiting for {event.what} ...{told}")


def _span(seconds: float) -> str:
    return span(timedelta(seconds=round(seconds)))
