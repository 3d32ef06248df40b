"""Ctrl-C in the middle of a run: a clean end, exit code 130, nothing visible."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kbackup import BackupStore
from kbackup.cli._signals import cancel_on_signal

SECONDS = 60


def start(kubeconfig, directory, *arguments, program=("-m", "kbackup")):
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        env={
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "KBACKUP_LOCATION": str(directory),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition):
    """Wait for *condition*, or fail."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_backup_create(simulated, directory, tmp_path, number):
    """A cancelled backup is not listed, and its name is free at once."""
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")
    simulated.faults.delay(0.2, verb="list")
    process = start(kubeconfig, directory, "backup", "create", "a")
    wait_until(lambda: simulated.calls["list configmaps"])

    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert "ending cleanly" in said
    assert said.strip().endswith("Next: kbackup backup create a")
    assert "Traceback" not in said
    with BackupStore.open(directory) as store:
        assert store.list() == []
        store.claim("a", run_uid="00000000-0000-4000-8000-000000000000").release()


def test_backup_create_with_hooks(simulated, hooked_pod, directory, tmp_path):
    """Who cancels a backup while a Pod is frozen waits until it is thawed."""
    simulated.load([hooked_pod])
    ran = []

    def answer(call):
        ran.append(call.command[0])
        if call.command[0] == "freeze":
            process.send_signal(signal.SIGINT)
            time.sleep(1)

    simulated.on_exec(answer)
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")
    process = start(kubeconfig, directory, "backup", "create", "a")
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert ran == ["freeze", "thaw"]
    assert "Traceback" not in said
    with BackupStore.open(directory) as store:
        assert store.list() == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_outliving_a_signal(simulated, directory, tmp_path, number):
    """A signal that came ignored, as from nohup or for `&` in a script, ends nothing."""
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")
    simulated.faults.delay(0.2, verb="list")
    ignoring = (
        f"import signal, sys; signal.signal({number:d}, signal.SIG_IGN); "
        "from kbackup.cli import main; main(sys.argv[1:])"
    )
    arguments = ("backup", "create", "a", "--include-namespaces", "shop")
    process = start(kubeconfig, directory, *arguments, program=("-c", ignoring))
    wait_until(lambda: simulated.calls["list configmaps"])

    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, said


def test_the_terminal_goes_twice():
    """A closed window sends its signal twice, which is no wish to abort."""
    with cancel_on_signal() as token:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

        assert token.cancelled
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(name="interrupted")
def fixture_interrupted(simulated, directory, kbackup, tmp_path):
    """A function: cancels a restore while it writes; returns what that said at its end."""
    kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")

    def interrupt(*arguments):
        slow = simulated.faults.delay(0.5, verb="create")
        process = start(kubeconfig, directory, *arguments)
        wait_until(lambda: slow.happened >= 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
        simulated.faults.clear()
        assert process.returncode == 130
        assert "Traceback" not in said
        return said.strip()

    return interrupt


def test_restore_create(simulated, interrupted, kbackup):
    """A cancelled restore leaves no record and is completed by the same command."""
    arguments = (
        *("restore", "create", "r", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    said = interrupted(*arguments)

    assert said.endswith("--namespace-mappings shop:copy --yes")
    assert kbackup("restore", "get").out == ""
    again = kbackup(*arguments)
    assert again.code == 0, again.err
    assert len(simulated.objects("deployments.apps", "copy")) == 1
    assert "r   " in kbackup("restore", "get").out


def test_restore_create_without_a_name(interrupted, kbackup):
    """The command that completes a cancelled restore names it, as nobody had done."""
    said = interrupted(
        *("restore", "create", "--from-backup", "latest", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    following = said.splitlines()[-1].removeprefix("Next: kbackup ").split()
    assert following[2].startswith("shop-1-2")
    assert following[3:] == [
        *("--from-backup", "shop-1", "--namespace-mappings", "shop:copy", "--yes")
    ]
    done = kbackup(*following)
    assert done.code == 0, done.err
    assert done.next == f"Next: kbackup restore describe {following[2]}"


def test_once_more_aborts(capsys):
    """The first Ctrl-C asks for a clean end, the second does not wait for one."""
    before = signal.getsignal(signal.SIGINT)

    with cancel_on_signal() as token:
        signal.raise_signal(signal.SIGINT)
        assert token.cancelled
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is before
    assert "once more to abort" in capsys.readouterr().err


def test_in_the_middle_of_a_message():
    """Ctrl-C while nobody reads what a command says still ends it cleanly."""
    program = (
        "from kbackup.cli._output import say\n"
        "from kbackup.cli._signals import cancel_on_signal\n"
        "with cancel_on_signal() as token:\n"
        "    print('begun', flush=True)\n"
        "    say('x' * 10_000_000)\n"
        "print(token.reason)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    assert process.stderr.read(1) == "x"  # the pipe has room for little of the rest

    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=SECONDS)

    assert told == "stopped by SIGINT\n", said[-1000:]
    assert process.returncode == 0


def test_reading_verb(kbackup, monkeypatch):
    """Ctrl-C in a verb that only reads is 130 too, without a traceback."""

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(BackupStore, "list", interrupt)

    done = kbackup("backup", "get")

    assert done.code == 130
    assert done.next == "Next: kbackup backup get"


@pytest.mark.parametrize("module", ["click", "kbackup.errors", "kbackup.cli._version"])
def test_while_it_is_being_loaded(module):
    """Ctrl-C in the first moment of a command is 130 without a traceback, as later."""
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from kbackup.cli import main\n"
        "main(['version'])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
