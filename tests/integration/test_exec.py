"""Commands in containers: the same through a simulated and a real API server."""

import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import (
    ClusterError,
    ForbiddenError,
    ItemNotFoundError,
    OperationTimeoutError,
)

pytestmark = pytest.mark.integration
MEBIBYTE = 2**20


@pytest.fixture(params=["simulated", "real"])
def cluster(request, tmp_path):
    """A connection as the administrator: first to the simulated, then the real one."""
    if request.param == "real":
        request.getfixturevalue("kubelet")
        kubeconfig = request.getfixturevalue("real_cluster").kubeconfig
        with Cluster.connect(kubeconfig) as cluster:
            yield cluster
        return
    simulated = request.getfixturevalue("simulated_cluster")
    run_here = request.getfixturevalue("run_here")
    simulated.on_exec(lambda call: run_here(call, tmp_path))
    with simulated.connect() as cluster:
        yield cluster


@pytest.fixture
def pod(request, cluster, namespace, wait_for):
    """The namespace of a Pod named ``p`` that runs, where there is a kubelet."""
    find = cluster.discover().resolve
    cluster.create(find("namespaces"), {"metadata": {"name": namespace}})
    containers = [
        {"name": "main", "image": "example.com/any:1"},
        {"name": "other", "image": "example.com/any:1"},
    ]
    body = {"metadata": {"name": "p"}, "spec": {"containers": containers}}
    cluster.create(find("pods"), body, namespace=namespace)

    def is_running():
        found = cluster.get(find("pods"), "p", namespace)
        return found.content["status"]["phase"] == "Running"

    if request.node.callspec.params["cluster"] == "real":
        wait_for("the Pod", is_running)
    yield namespace
    cluster.delete(find("namespaces"), namespace)


def shell(cluster, pod, script, **how):
    """Run a shell script in the Pod's first container."""
    how = {"container": "main", "timeout": timedelta(seconds=30)} | how
    return cluster.exec(pod, "p", ["sh", "-c", script], **how)


def test_streams_stay_apart(cluster, pod):
    """Exit code, stdout and stderr come back, each by itself."""
    result = shell(cluster, pod, "echo 'to you & me'; echo no >&2; exit 3")

    assert result.exit_code == 3
    assert result.stdout == b"to you & me\n"
    assert result.stderr == b"no\n"


def test_container(cluster, pod):
    """The command runs in the container that was named."""
    result = shell(cluster, pod, 'printf "%s" "$CONTAINER"', container="other")

    assert result.stdout == b"other"


def test_stdin(cluster, pod):
    """A command gets its input, and may take as little of it as it likes."""
    data = bytes(range(256)) * 4096

    whole = shell(cluster, pod, f"head -c {len(data)}", stdin=data)
    part = shell(cluster, pod, "head -c 5", stdin=data)

    assert whole.stdout == data
    assert part.stdout == data[:5]


def test_large_output(cluster, pod):
    """Megabytes of output come back whole."""
    result = shell(cluster, pod, f"head -c {16 * MEBIBYTE} /dev/zero")

    assert len(result.stdout) == 16 * MEBIBYTE


def test_timeout(cluster, pod):
    """A command that does not end in time is left."""
    with pytest.raises(OperationTimeoutError, match=f"{pod}/p"):
        shell(cluster, pod, "sleep 5", timeout=timedelta(seconds=0.5))


def test_cancel(cluster, pod):
    """A cancelled run leaves the command that it waits for."""
    token = CancelToken()
    timer = threading.Timer(0.5, token.cancel)
    timer.start()

    with pytest.raises(Cancelled):
        shell(cluster.for_run(token), pod, "sleep 5")

    timer.join()


def test_unknown_pod(cluster, pod):
    """A Pod that is not there is told as any object is."""
    with pytest.raises(ItemNotFoundError, match=f"{pod}/none"):
        cluster.exec(pod, "none", ["true"])


def test_unknown_container(cluster, pod):
    """A container that is not there is named."""
    with pytest.raises(ClusterError, match="nowhere"):
        shell(cluster, pod, "true", container="nowhere")


def test_no_container_of_several(cluster, pod):
    """Where a Pod has several containers, the server does not choose one."""
    with pytest.raises(ClusterError, match="main other"):
        shell(cluster, pod, "true", container="")


@pytest.mark.parametrize("cluster", ["real"], indirect=True)
def test_as_user(real_cluster, cluster, pod):
    """Whom a connection impersonates needs the right to run commands."""
    find = cluster.discover().resolve
    with Cluster.connect(real_cluster.kubeconfig, as_user="ann") as limited:
        with pytest.raises(ForbiddenError, match="ann"):
            shell(limited, pod, "echo hello")
        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["*"]}]
        role = {"metadata": {"name": "r"}, "rules": rules}
        cluster.create(find("roles"), role, namespace=pod)
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "r"},
            "subjects": [{"kind": "User", "name": "ann", "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": "r", "apiGroup": group},
        }
        cluster.create(find("rolebindings"), binding, namespace=pod)

        assert (
            limited.may("create", find("pods").group_resource, namespace=pod) is False
        )
        assert shell(limited, pod, "echo hello").stdout == b"hello\n"
