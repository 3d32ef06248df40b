"""Requests that cannot be meant: of a closed connection, or with texts that are none."""

import pytest

from kbackup.cluster import Cluster
from kbackup.errors import ClusterError

from .conftest import PODS, status

# --- a connection that was closed -----------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda cluster: cluster.get(PODS, "a", "x"),
        lambda cluster: list(cluster.list(PODS)),
        lambda cluster: cluster.delete(PODS, "a", namespace="x"),
        lambda cluster: next(cluster.watch(PODS, resource_version="1")),
        lambda cluster: cluster.exec("x", "a", ["true"]),
        lambda cluster: cluster.version(),
        lambda cluster: cluster.uid(),
        lambda cluster: cluster.discover(),
    ],
    ids=["get", "list", "delete", "watch", "exec", "version", "uid", "discover"],
)
def test_a_closed_cluster(server, write_kubeconfig, ask):
    """It says that it was closed, whatever is asked of it, and sends nothing."""
    server.answer = lambda request: (200, {}, {"metadata": {"uid": "u"}})
    with Cluster.connect(write_kubeconfig(server.url, {"token": "t"})) as cluster:
        assert cluster.uid() == "u"
        cluster.version()
    sent = len(server.requests)

    with pytest.raises(ClusterError, match="this Cluster was closed") as caught:
        ask(cluster)

    assert "connect anew" in caught.value.hint
    assert len(server.requests) == sent


# --- texts that are none --------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda cluster: cluster.get(PODS, "\ud800", "x"),
        lambda cluster: list(cluster.list(PODS, namespace="\ud800")),
        lambda cluster: list(cluster.list(PODS, label_selector="\ud800")),
        lambda cluster: cluster.delete(PODS, "\ud800", namespace="x"),
        lambda cluster: cluster.exec("x", "a", ["\ud800"]),
        lambda cluster: cluster.create(PODS, {"metadata": {"name": "\ud800"}}),
        lambda cluster: cluster.patch(PODS, "a", {"a": "\ud800"}, namespace="x"),
    ],
    ids=["get", "list", "selector", "delete", "exec", "create", "patch"],
)
def test_half_a_surrogate_pair(server, write_kubeconfig, ask):
    """It is for the server to say that there is none such; a body is not even sent."""
    server.script(status(404, "no such thing", details={"name": "?"}))
    with (
        Cluster.connect(write_kubeconfig(server.url, {"token": "t"})) as cluster,
        pytest.raises(ClusterError),
    ):
        ask(cluster)

    assert {request.method for request in server.requests} <= {"GET", "DELETE"}
