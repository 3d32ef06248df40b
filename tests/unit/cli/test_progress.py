"""Progress is a bar on a terminal and a line for each step elsewhere."""

import sys
from datetime import UTC, datetime

import pytest

from kbackup.cli._progress import show_progress
from kbackup.plugins import ItemsProgressed, PhaseChanged, RunStarted, WaitingFor
from kbackup.testing import FrozenClock

EVENTS = [
    RunStarted(kind="restore", name="r"),
    PhaseChanged(phase="write", total=3),
    ItemsProgressed(done=2, total=3),
    WaitingFor(what="coupons.shop.example.com to be established"),
    PhaseChanged(phase="record"),
]


def test_lines_elsewhere(capsys):
    """Where nobody looks, each step and each wait is one line, and nothing else."""
    with show_progress() as observe:
        for event in EVENTS:
            observe(event)

    assert capsys.readouterr().err.splitlines() == [
        "write ...",
        "waiting for coupons.shop.example.com to be established ...",
        "record ...",
    ]


def test_bar_on_a_terminal(monkeypatch, capsys):
    """On a terminal the bar shows the step and how far it is, and is gone at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")

    with show_progress() as observe:
        for event in EVENTS:
            observe(event)
        (task,) = observe._progress.tasks

    assert (task.description, task.total, task.completed) == ("record", None, 0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("done", [0, 2])
def test_bar_moves(monkeypatch, done):
    """The bar stands where the run is."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    with show_progress() as observe:
        observe(PhaseChanged(phase="write", total=3))
        observe(ItemsProgressed(done=done, total=3))
        (task,) = observe._progress.tasks

    assert (task.completed, task.total) == (done, 3)


def test_a_long_wait_is_told_once_a_minute(capsys):
    """The same wait is one line, then one a minute, with the time it took and has."""
    clock = FrozenClock(datetime(2024, 5, 1, tzinfo=UTC))

    with show_progress(clock) as observe:
        for second in range(0, 150, 5):
            observe(WaitingFor(what="a", seconds_left=600 - second))
            clock.sleep(5)
        observe(WaitingFor(what="b"))
        observe(WaitingFor(what="b"))

    assert capsys.readouterr().err.splitlines() == [
        "waiting for a ... (at most 10m more)",
        "waiting for a ... (1m so far, at most 9m more)",
        "waiting for a ... (2m so far, at most 8m more)",
        "waiting for b ...",
    ]


def test_the_next_step_waits_anew(capsys):
    """What is waited for again in another step is told again."""
    with show_progress() as observe:
        for event in (WaitingFor(what="a"), PhaseChanged(phase="b")) * 2:
            observe(event)

    told = ["waiting for a ...", "b ..."]
    assert capsys.readouterr().err.splitlines() == told * 2
