"""What holds for every test: a clean environment and no network but loopback."""

import os
import shutil
import signal
import socket

import pytest
from hypothesis import HealthCheck, settings

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
    "COVERAGE_PROCESS_START",
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


@pytest.fixture(scope="session")
def real_home():
    """The home directory of whoever runs the tests: caches of real components."""
    return _REAL_HOME
