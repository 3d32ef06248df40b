"""Writes, as a server of Kubernetes understands them."""

import pytest

from kbackup.cluster import PatchKind
from kbackup.errors import ConflictError
from kbackup.testing import SimulatedCluster

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
IMAGE = "example.com/a:1"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "x", "labels": {"a": "1"}},
    "spec": {"containers": [{"name": n, "image": IMAGE} for n in ("one", "two")]},
}


@pytest.fixture
def cluster():
    """A connection to a simulated cluster with one Pod."""
    with SimulatedCluster() as simulated:
        simulated.load([SPACE, POD])
        with simulated.connect() as cluster:
            yield cluster


def images(pod):
    """Return the image of each container."""
    return {each["name"]: each["image"] for each in pod["spec"]["containers"]}


def test_strategic_patch(cluster):
    """A strategic merge patch finds the container by its name, a merge patch does not."""
    pods = cluster.discover().resolve("pods")
    patch = {"spec": {"containers": [{"name": "two", "image": "example.com/b"}]}}

    strategic = cluster.patch(
        *(pods, "p", patch), namespace="x", kind=PatchKind.STRATEGIC
    )
    merged = cluster.patch(pods, "p", patch, namespace="x")

    assert images(strategic) == {"one": IMAGE, "two": "example.com/b"}
    assert images(merged) == {"two": "example.com/b"}


def test_patch_preconditions(cluster):
    """A patch of an object that has moved since is refused."""
    pods = cluster.discover().resolve("pods")
    seen = cluster.get(pods, "p", "x").content["metadata"]["resourceVersion"]
    change = {"metadata": {"labels": {"a": "2"}}}
    cluster.patch(pods, "p", change, namespace="x")
    late = {"metadata": {"resourceVersion": seen, "labels": {"a": "3"}}}

    for kind in (PatchKind.MERGE, PatchKind.STRATEGIC):
        with pytest.raises(ConflictError):
            cluster.patch(pods, "p", late, namespace="x", kind=kind)

    found = cluster.get(pods, "p", "x").content["metadata"]["labels"]
    assert found == {"a": "2"}
