"""Ctrl-C while a repository is worked in: a clean end, exit code 130, no lock left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kbackup.errors import KBackupError
from kbackup.repository import Repository

SECONDS = 60
# Each file takes a while, so that the signal comes in the middle.
SLOWLY = """
import sys, time
from kbackup.cli import main
from kbackup.repository import DirectorySource, DirectoryTarget

def slow(real):
    def do(*given):
        time.sleep(0.05)
        return real(*given)
    return do

def walk(self, real=DirectorySource.walk):
    for each in real(self):
        time.sleep(0.05)
        yield each

DirectorySource.walk = walk
DirectoryTarget.enter = slow(DirectoryTarget.enter)
main(sys.argv[1:])
"""


@pytest.fixture(name="many")
def fixture_many(saved, tmp_path):
    """The command line and a snapshot of so many directories that a verb takes long."""
    for number in range(400):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
        (tmp_path / "many" / str(number) / "file").write_text(str(number))
    assert saved("backup", "many").code == 0
    return saved


def locks(directory):
    """Return the locks that there are."""
    return list((directory / "r/locks").iterdir())


@pytest.fixture(name="stopped")
def fixture_stopped(many, tmp_path):
    """A function: runs a verb, stops it by a signal once it has its lock."""

    def stop(number, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOWLY, "repo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        deadline = time.monotonic() + SECONDS
        while not locks(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out, err

    return stop


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda x: x.name
)
def test_backup(stopped, tmp_path, number):
    """There is no snapshot of it, nobody is locked out, and the next run goes through."""
    code, out, err = stopped(number, "backup", "--force", "many")

    assert code == 130
    assert out == ""
    assert "ending cleanly" in err
    assert err.strip().endswith("Next: kbackup repo backup --force many")
    assert "Traceback" not in err
    assert locks(tmp_path) == []
    with Repository.open(tmp_path / "r", "correct horse") as repository:
        assert len(repository.list()) == 3


def test_restore(stopped, many, tmp_path):
    """What was restored stays, and the same command completes it."""
    code, _, err = stopped(signal.SIGINT, "restore", "latest", "--target", "out")

    assert code == 130
    assert "Traceback" not in err
    assert locks(tmp_path) == []
    assert many("restore", "latest", "--target", "out").code == 0
    assert len(list((tmp_path / "out/many").glob("*/file"))) == 400


def test_where_requests_wait(saved, monkeypatch):
    """A cancel that comes while a store is waited for is one, too, before any lock."""

    def cancelled(self, *_, **__):
        self._opened.cancel.cancel("stopped by SIGINT")
        self._opened.cancel.check()

    monkeypatch.setattr(Repository, "list_keys", cancelled)

    done = saved("key", "list")

    assert done.code == 130
    assert "Error: stopped by SIGINT" in done.err


def test_a_failing_verb_releases_its_lock(saved, monkeypatch, tmp_path):
    """Whatever ends it, nobody waits for it afterwards."""

    def failing(*_, **__):
        raise KBackupError("nothing works")

    monkeypatch.setattr("kbackup.repository._back_up.save_source", failing)

    done = saved("backup", "src")

    assert done.code == 1
    assert locks(tmp_path) == []
