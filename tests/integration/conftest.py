"""Real components for the integration tests: two control planes and what tests need.

Binaries come from ``KBACKUP_ENVTEST``, ``KUBEBUILDER_ASSETS`` or the cache that
``real_apiserver/build.sh`` fills. Without them a test is skipped with that reason, or
fails where ``KBACKUP_REQUIRE_REAL`` is set, as it is in CI.
"""

import base64
import importlib.util
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.testing import SimulatedCluster

HERE = Path(__file__).parent
FAKE_KUBELET = HERE / "fake_kubelet.py"
SCRIPT = HERE / "real_apiserver" / "cluster.sh"
CACHE = Path.home() / ".cache" / "kbackup" / "envtest-2"
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager")
SECONDS_TO_START = 240
_TRIES, _TAKEN = 5, "address already in use"
_ALPHAS = ("rbac.authorization", "scheduling", "storage")
_GONE = (
    "admissionregistration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiregistration.k8s.io/v1beta1",
    "coordination.k8s.io/v1beta1",
    "extensions/v1beta1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1beta1",
    "scheduling.k8s.io/v1beta1",
    "storage.k8s.io/v1beta1",
)


class Api:
    """One API server, spoken to with plain HTTP.

    Attributes:
        url: Where it answers.
        forget_history: Lets every earlier resourceVersion expire.
    """

    def __init__(self, url, *, token="", ca=None, forget_history=None):
        self.url = url
        self.forget_history = forget_history
        self._token = token
        self._context = ssl.create_default_context(cafile=ca) if ca else None

    def open(self, method, path, body=None, *, content_type="", accept=""):
        """Send one request; return the answer, whatever its status."""
        headers = {
            "Content-Type": content_type or "application/json",
            "Accept": accept or "application/json",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the servers are ours
            self.url + path, method=method, data=data, headers=headers
        )
        try:
            return urllib.request.urlopen(  # noqa: S310 - the servers are ours
                request, context=self._context, timeout=60
            )
        except urllib.error.HTTPError as exc:
            return exc

    def request(self, method, path, body=None, **how):
        """Send one request; return the status and the decoded answer."""
        with self.open(method, path, body, **how) as answer:
            return answer.status, json.loads(answer.read())

    def status(self, method, path, body=None):
        """Send one request; return the status alone."""
        with self.open(method, path, body) as answer:
            return answer.status

    def watch(self, path):
        """Return the events of a watch that ends by itself."""
        with self.open("GET", path) as answer:
            return [json.loads(line) for line in answer]


@attrs.frozen(kw_only=True)
class RealCluster:
    """A running control plane.

    Attributes:
        kubeconfig: The path of the administrator's kubeconfig.
        url: Where the API server answers.
        ca: The path of the certificate that vouches for it.
        token: The administrator's token.
        etcd: Where its etcd answers.
    """

    kubeconfig: Path
    url: str
    ca: Path
    token: str = "admintoken"
    etcd: str

    def api(self):
        """Return plain HTTP to it."""
        return Api(
            self.url,
            token=self.token,
            ca=self.ca,
            forget_history=self.forget_history,
        )

    def request(self, method, path, body=None, **how):
        """Send one request; return the status and the decoded answer."""
        return self.api().request(method, path, body, **how)

    def forget_history(self):
        """Compact etcd: every earlier resourceVersion expires."""
        key = base64.b64encode(b"/registry/namespaces/default").decode()
        etcd = Api(self.etcd)
        _, answer = etcd.request("POST", "/v3/kv/range", {"key": key})
        revision = answer["header"]["revision"]
        status, answer = etcd.request(
            "POST", "/v3/kv/compaction", {"revision": revision, "physical": True}
        )
        assert status == 200, answer


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
def running_cluster(name, flags="", *, controllers=True, choose=free_ports):
    """Run a control plane; a watchdog stops it when this process is killed.

    Where somebody else took one of its ports in the meantime it gets others.
    """
    binaries = find_binaries()
    name = f"{name}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="kbackup-envtest-") as state:
        environment = {
            **os.environ,
            "KBACKUP_ENVTEST": str(binaries),
            "KBACKUP_ENVTEST_STATE": state,
            "OWNER_PID": str(os.getpid()),
            "APISERVER_FLAGS": flags,
            "WITH_CONTROLLERS": "1" if controllers else "0",
        }
        for _ in range(_TRIES):
            ports = [str(port) for port in choose(3)]
            started = subprocess.run(
                [SCRIPT, "start", name, *ports],
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS_TO_START,
                check=False,
            )
            if started.returncode == 0 or _TAKEN not in started.stderr:
                break
        assert started.returncode == 0, started.stderr
        try:
            kubeconfig = Path(started.stdout.strip())
            yield RealCluster(
                kubeconfig=kubeconfig,
                url=f"https://127.0.0.1:{ports[0]}",
                ca=kubeconfig.parent / "pki" / "ca.crt",
                etcd=f"http://127.0.0.1:{ports[1]}",
            )
        finally:
            subprocess.run([SCRIPT, "stop", name], env=environment, check=True)


@pytest.fixture(scope="session")
def run_cluster():
    """The function that runs a control plane, for tests that want one of their own."""
    return running_cluster


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


@pytest.fixture(scope="session")
def third_cluster() -> Iterator[RealCluster]:
    """A cluster for what would stay in the way of the others, cluster-wide."""
    with running_cluster("third") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def quiet_cluster() -> Iterator[RealCluster]:
    """A cluster without controllers: nobody writes but the test."""
    with running_cluster("quiet", controllers=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def old_cluster() -> Iterator[RealCluster]:
    """A cluster without controllers that serves the old versions it still knows."""
    groups = ("batch/v2alpha1", *(f"{group}.k8s.io/v1alpha1" for group in _ALPHAS))
    flags = f"--runtime-config={','.join(f'{group}=true' for group in groups)}"
    with running_cluster("old", flags, controllers=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def new_cluster() -> Iterator[RealCluster]:
    """A cluster that does not serve what the next versions of Kubernetes removed."""
    flags = f"--runtime-config={','.join(f'{group}=false' for group in _GONE)}"
    with running_cluster("new", flags) as cluster:
        yield cluster


@pytest.fixture
def cluster(real_cluster) -> Iterator[Cluster]:
    """A connection to the source cluster, as its administrator."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path) -> Iterator[BackupStore]:
    """An empty store in a directory."""
    with BackupStore.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def namespace():
    """A name for a namespace that no other test uses; the test creates it."""
    return f"t-{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def wait_for():
    """A function that waits until a condition returns something true."""

    def wait(what, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come about in {seconds} s")

    return wait


@pytest.fixture(scope="session")
def wait_for_versions(wait_for):
    """A function that waits until a cluster serves these versions of a group, or none.

    While a definition comes or goes, what is served and what is said to be differ for a
    moment: a backup in that moment is short of a type, and a plan of its versions.
    """

    def wait(cluster, group, *versions):
        def is_settled():
            found = cluster.discover(refresh=True)
            failed = [x for x in found.failures if x.group_version.startswith(group)]
            served = {x.version for x in found.all_versions if x.group == group}
            return not failed and served == set(versions)

        wait_for(f"{', '.join(versions) or 'no version'} of {group}", is_settled)

    return wait


@pytest.fixture(scope="session")
def side_by_side():
    """A function that calls a function with each of several things, all at once.

    What the calls do is mostly to wait. It returns their answers in order.
    """

    def call(function, things):
        things = list(things)
        with ThreadPoolExecutor(len(things)) as pool:
            return list(pool.map(function, things))

    return call


@pytest.fixture(scope="session")
def simulated_cluster():
    """A simulated cluster for all tests that compare it with the real one."""
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session", params=["simulated", "real"])
def api(request):
    """Plain HTTP to an API server: first the simulated, then the real one."""
    if request.param == "real":
        return request.getfixturevalue("real_cluster").api()
    cluster = request.getfixturevalue("simulated_cluster")
    return Api(cluster.url, forget_history=cluster.forget_history)


@pytest.fixture
def in_namespace(api, namespace):
    """The path of a fresh namespace on the API server at hand."""
    body = {"metadata": {"name": namespace}}
    status, _ = api.request("POST", "/api/v1/namespaces", body)
    assert status == 201
    yield f"/api/v1/namespaces/{namespace}"
    api.request("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture(scope="session")
def fake_kubelet():
    """The module with the kubelet of the tests."""
    spec = importlib.util.spec_from_file_location("fake_kubelet", FAKE_KUBELET)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run_here(fake_kubelet):
    """A function that runs a container's command on this machine."""
    return fake_kubelet.run_here


@pytest.fixture(scope="session")
def kubelet(real_cluster, fake_kubelet, tmp_path_factory):
    """A node of the source cluster: its Pods run, commands in them run here."""
    directory = tmp_path_factory.mktemp("kubelet")
    with fake_kubelet.FakeKubelet(real_cluster.api(), directory) as kubelet:
        yield kubelet
