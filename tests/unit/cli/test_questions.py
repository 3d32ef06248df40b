"""Questions, and a run's end with its terminal, on a real pseudo-terminal."""

import os
import select
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from kbackup import BackupStore

SECONDS = 60
ON_A_TERMINAL = (
    "import os, sys; os.login_tty(0); from kbackup.cli import main; main(sys.argv[1:])"
)


class Terminal:
    """A terminal that a person sits at: what they type, and what they see."""

    def __init__(self):
        self._person, self._command = os.openpty()
        self._started = None
        self.seen = ""

    def type(self, text):
        """Type *text*, whoever reads it."""
        os.write(self._person, text.encode())

    def start(self, *arguments):
        """Start the command line as the session of this terminal."""
        self._started = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL, *map(str, arguments)],
            stdin=self._command,
        )
        os.close(self._command)
        return self._started

    def read_until(self, text, again=""):
        """Read until *text* is on the screen, or nothing more can come.

        Where nothing comes for a second *again* is typed: a Ctrl-C that arrives between
        the question and the read of its answer is heard with the next one only.
        """
        deadline = time.monotonic() + SECONDS
        with suppress(OSError):  # the command has ended
            while text not in self.seen and time.monotonic() < deadline:
                if select.select([self._person], [], [], 1)[0]:
                    self.seen += os.read(self._person, 4096).decode()
                elif again:
                    self.type(again)
        assert text in self.seen

    def close(self):
        """Close the window."""
        if self._person >= 0:
            os.close(self._person)
            self._person = -1

    def leave(self):
        """Leave no process behind."""
        self._started.kill()
        self._started.wait(SECONDS)


@pytest.fixture
def terminal():
    """A terminal."""
    terminal = Terminal()
    yield terminal
    terminal.close()
    terminal.leave()


@pytest.mark.parametrize(
    ("words", "question", "declined"),
    [
        (
            "restore create --from-backup shop-1 --namespace-mappings shop:copy",
            "Carry this plan out? [y/N]",
            "Nothing was written.",
        ),
        ("backup delete shop-1", "for good? [y/N]", "Nothing was deleted."),
    ],
    ids=["restore", "delete"],
)
def test_typed_ahead_is_no_answer(backed_up, terminal, words, question, declined):
    """Who types before the question stands there is asked all the same."""
    terminal.type("y\n")
    process = terminal.start(*words.split())
    terminal.read_until(question)

    terminal.type("n\n")
    terminal.read_until(declined)

    assert process.wait(SECONDS) == 1
    assert backed_up("backup", "describe", "shop-1").code == 0


def test_a_password_is_typed_unseen(saved, terminal, monkeypatch):
    """Nobody who looks over the shoulder, or at a recording, reads it."""
    monkeypatch.delenv("KBACKUP_REPO_PASSWORD")
    process = terminal.start("repo", "snapshots")
    terminal.read_until("Password of r: ")

    terminal.type("correct horse\n")
    terminal.read_until("2 snapshots")

    assert process.wait(SECONDS) == 0
    assert "correct" not in terminal.seen


def test_ctrl_c_is_an_answer(saved, terminal):
    """A question under which a repository is open ends at once; nothing goes."""
    process = terminal.start("repo", "forget", "--keep-last", "1", "--group-by", "")
    terminal.read_until("Remove 1 snapshot from r? [y/N]")

    terminal.type("\x03")
    terminal.read_until("Error: cancelled", again="\x03")

    assert process.wait(SECONDS) == 130
    assert saved("snapshots").out.endswith("2 snapshots\n")


def test_the_terminal_is_closed(kbackup, simulated, directory, terminal):
    """A run whose window is closed ends cleanly, and its name is free at once."""
    simulated.faults.delay(0.2, verb="list")
    process = terminal.start("backup", "create", "a")
    deadline = time.monotonic() + SECONDS
    while not simulated.calls["list configmaps"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    terminal.close()

    assert process.wait(SECONDS) == 130
    with BackupStore.open(directory) as store:
        assert store.list() == []
        store.claim("a", run_uid="00000000-0000-4000-8000-000000000000").release()
