"""The progress of a repository's verbs: a bar, messages, or nothing."""

import json
import sys

import pytest

from kbackup.cli._repo import _progress
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._session import Session
from kbackup.repository import Progress

READ = Progress("back up", 512, files=3)
HALF = Progress("restore", 512, 1024, 3)


@pytest.fixture(name="terminal")
def fixture_terminal(monkeypatch):
    """A person looks."""
    monkeypatch.setattr(_progress, "is_terminal", lambda stream: stream is sys.stderr)
    monkeypatch.setenv("TERM", "xterm")


def quiet():
    """A session of somebody who wants to hear of nothing."""
    session = Session()
    session.repository.quiet = True
    return session


def test_a_bar(terminal, capsys):
    """It stands where the run is, and begins anew with another one."""
    with show_progress(Session()) as told:
        told(READ)
        (task,) = told._bars.tasks
        assert (task.description, task.total, task.completed) == (
            "back up 512 B",
            None,
            512,
        )
        told(HALF)
        (task,) = told._bars.tasks

    assert (task.description, task.total, task.completed) == (
        "restore 512 B",
        1024,
        512,
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("session", [quiet(), Session(output="json")])
def test_no_bar(terminal, capsys, session):
    """Who wants none has none, and a program's output has nothing beside it."""
    with show_progress(session) as told:
        told(HALF)

    assert capsys.readouterr() == ("", "")


def test_nothing_elsewhere(capsys):
    """A log has the result only."""
    with show_progress(Session()) as told:
        told(HALF)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (
            READ,
            {"percent_done": 0, "total_bytes": 0, "files_done": 3, "bytes_done": 512},
        ),
        (
            HALF,
            {
                "percent_done": 0.5,
                "total_bytes": 1024,
                "files_restored": 3,
                "bytes_restored": 512,
            },
        ),
    ],
    ids=["backup", "restore"],
)
def test_messages(monkeypatch, capsys, progress, message):
    """A program is told in restic's words, what is not known as 0."""
    monkeypatch.setattr(_progress, "_EVERY", -1)

    with show_progress(Session(output="json"), messages=True) as told:
        told(progress)

    said = json.loads(capsys.readouterr().out)
    assert said == {"message_type": "status", "seconds_elapsed": 0} | message


def test_messages_now_and_then(monkeypatch, capsys):
    """However often it is told: ten in a second."""
    times = iter([0.0, 0.05, 0.11, 0.15, 0.22])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(times))

    with show_progress(Session(output="json"), messages=True) as told:
        for _ in range(4):
            told(HALF)

    assert len(capsys.readouterr().out.splitlines()) == 2
