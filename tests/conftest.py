"""What holds for every test: a clean environment and no network but loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, settings

sys.path.append(str(Path(__file__).parent))  # for `definitions` and `workloads`

# Slow machines are no defect, and a landing must not depend on the luck of a draw:
# with CI set each property is tried on the same examples in every run.
settings.register_profile(
    "kbackup",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kbackup")

_KEPT = {
    "PATH",
    "LANG",
    "TMPDIR",
    "HOME",
    "KUBEBUILDER_ASSETS",
    "KBACKUP_REQUIRE_REAL",
    "COVERAGE_PROCESS_CONFIG",
    "PYTEST_CURRENT_TEST",
    "SSL_CERT_FILE",
    "VIRTUAL_ENV",
}
_REAL_HOME = os.path.expanduser("~")  # noqa: PTH111 - asked before HOME is changed


# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them
# whatever they start: some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """Give each test an empty home and no settings of the person who runs it."""
    for name in set(os.environ) - _KEPT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = address[0]
            if host not in {"127.0.0.1", "::1", "localhost"}:
                raise AssertionError(f"a test tried to connect to {host}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def need_tool():
    """A function that returns where a program is; without it the test is skipped.

    With KBACKUP_REQUIRE_REAL set a missing program is a failure: there it must run.
    """

    def find(name):
        path = shutil.which(name)
        if path is None:
            reason = f"{name} is not installed"
            if os.environ.get("KBACKUP_REQUIRE_REAL"):
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture
def kubectl_of(need_tool):
    """A function: given a kubeconfig it returns what runs kubectl with it.

    That one takes kubectl's arguments and its input, and returns what it says.
    """
    program = need_tool("kubectl")

    def of(kubeconfig):
        def run(*arguments, stdin=None):
            done = subprocess.run(
                [program, "--kubeconfig", kubeconfig, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        return run

    return of


@pytest.fixture(scope="session")
def real_home():
    """The home directory of whoever runs the tests: caches of real components."""
    return _REAL_HOME


@attrs.frozen
class Ended:
    """How a run ended that was to die.

    Attributes:
        through: Whether it got through to its end instead.
        writes: How many writes that took.
    """

    through: bool
    writes: int


@pytest.fixture(scope="session")
def killed_runs(tmp_path_factory):
    """A context manager: runs against a cluster and a store that die as by kill -9.

    Entered it gives a function that does a run, of an engine's name for its verb, in a
    process of its own which ends just before its n-th write; see ``killed_run.py``.
    """

    @contextmanager
    def started(kubeconfig, directory):
        errors = tmp_path_factory.mktemp("killed") / "errors"
        program = [sys.executable, Path(__file__).with_name("killed_run.py")]
        with (
            errors.open("w") as out,
            subprocess.Popen(
                [*program, kubeconfig, directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
            ) as process,
        ):

            def run(verb, name, spec, *, where="store", number=0):
                line = f"{verb} {name} {where} {number} {json.dumps(spec)}"
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
                code, _, writes = process.stdout.readline().partition(" ")
                assert code in {"0", "9"}, errors.read_text()
                return Ended(code == "0", int(writes))

            yield run

    return started
