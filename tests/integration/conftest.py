"""Real components for the integration tests: two control planes and what tests need.

Binaries come from ``KBACKUP_ENVTEST``, ``KUBEBUILDER_ASSETS`` or the cache that
``real_apiserver/build.sh`` fills. Without them a test is skipped with that reason, or
fails where ``KBACKUP_REQUIRE_REAL`` is set, as it is in CI.
"""

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

HERE = Path(__file__).parent
SCRIPT = HERE / "real_apiserver" / "cluster.sh"
CACHE = Path.home() / ".cache" / "kbackup" / "envtest-2"
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager")
SECONDS_TO_START = 240


@attrs.frozen(kw_only=True)
class RealCluster:
    """A running control plane.

    Attributes:
        kubeconfig: The path of the administrator's kubeconfig.
        url: Where the API server answers.
        ca: The path of the certificate that vouches for it.
        token: The administrator's token.
    """

    kubeconfig: Path
    url: str
    ca: Path
    token: str = "admintoken"

    def request(self, method, path, body=None, content_type="application/json"):
        """Send one request; return the status and the decoded answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": content_type,
            },
        )
        context = ssl.create_default_context(cafile=self.ca)
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, json.loads(exc.read())


def missing(reason):
    """Skip the test with *reason*, or fail it where real components are required."""
    if os.environ.get("KBACKUP_REQUIRE_REAL"):
        pytest.fail(reason)
    pytest.skip(reason)


def find_binaries():
    """Return the directory that holds the control plane's binaries."""
    named = os.environ.get("KBACKUP_ENVTEST") or os.environ.get("KUBEBUILDER_ASSETS")
    directory = Path(named) if named else CACHE
    absent = [name for name in BINARIES if not (directory / name).exists()]
    if absent:
        missing(
            f"{', '.join(absent)} not in {directory}:"
            " tests/integration/real_apiserver/build.sh builds them"
        )
    tools = [name for name in ("curl", "openssl", "setsid") if not shutil.which(name)]
    if tools:
        missing(f"not installed: {', '.join(tools)}")
    return directory


def free_ports(count):
    """Return ports on loopback that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running_cluster(name, flags=""):
    """Run a control plane; a watchdog stops it when this process is killed."""
    binaries = find_binaries()
    name = f"{name}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="kbackup-envtest-") as state:
        environment = {
            **os.environ,
            "KBACKUP_ENVTEST": str(binaries),
            "KBACKUP_ENVTEST_STATE": state,
            "OWNER_PID": str(os.getpid()),
            "APISERVER_FLAGS": flags,
        }
        ports = [str(port) for port in free_ports(3)]
        started = subprocess.run(
            [SCRIPT, "start", name, *ports],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_START,
            check=False,
        )
        assert started.returncode == 0, started.stderr
        try:
            kubeconfig = Path(started.stdout.strip())
            yield RealCluster(
                kubeconfig=kubeconfig,
                url=f"https://127.0.0.1:{ports[0]}",
                ca=kubeconfig.parent / "pki" / "ca.crt",
            )
        finally:
            subprocess.run([SCRIPT, "stop", name], env=environment, check=True)


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[RealCluster]:
    """The source cluster, with its controllers."""
    with running_cluster("source") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def target_cluster() -> Iterator[RealCluster]:
    """The target cluster, empty but for what every cluster has."""
    with running_cluster("target") as cluster:
        yield cluster


@pytest.fixture
def namespace():
    """A name for a namespace that no other test uses; the test creates it."""
    return f"t-{uuid.uuid4().hex[:10]}"


def wait_for(what, condition, seconds=60):
    """Wait until *condition* returns something true; return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about in {seconds} s")


@pytest.fixture(scope="session")
def kubectl():
    """The path of kubectl."""
    path = shutil.which("kubectl")
    if path is None:
        missing("kubectl is not installed")
    return path
