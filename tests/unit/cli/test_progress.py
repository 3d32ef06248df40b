"""Progress is a bar on a terminal and a line for each step elsewhere."""

import sys

import pytest

from kbackup.cli._progress import show_progress
from kbackup.plugins import ItemsProgressed, PhaseChanged, RunStarted, WaitingFor

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
