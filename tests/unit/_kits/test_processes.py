"""Whether a process that was written down is still there, and still the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kbackup._kits.processes import began, is_alive, machine

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells of other processes"
)


@pytest.fixture(name="child")
def fixture_child():
    """A process that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        yield process
        process.kill()


def test_a_process_that_runs_is_alive(child):
    """A process that runs is alive, whether or not its beginning is known."""
    assert is_alive(child.pid)
    assert is_alive(child.pid, began(child.pid))
    assert is_alive(os.getpid(), began(os.getpid()))


def test_a_process_that_is_gone_is_dead(child):
    """A process that ended and was waited for is dead."""
    child.kill()
    child.wait()

    assert not is_alive(child.pid)
    assert began(child.pid) == ""


@on_linux
def test_a_process_that_nobody_waits_for_is_dead(child):
    """Killed by a parent that does not look after it, a process is dead all the same."""
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie

    assert not is_alive(child.pid)


@on_linux
def test_another_process_of_the_same_number(child):
    """A number that was given out again is not the process that had it."""
    assert not is_alive(child.pid, "1")
    assert not is_alive(os.getpid(), "1")


@on_linux
def test_the_machine_is_told_apart():
    """The machine is named by its boot and by whose process numbers are meant."""
    boot, pids, *_ = machine().split("/")

    assert len(boot) == 36
    assert int(pids) == Path("/proc/self/ns/pid").stat().st_ino


def test_a_proc_of_other_processes_says_nothing(monkeypatch):
    """Where numbers of processes mean others in /proc, nobody is taken for dead by it."""
    monkeypatch.setattr("os.getpid", lambda: 2)
    machine.cache_clear()
    try:
        assert machine() == ""
    finally:
        machine.cache_clear()
