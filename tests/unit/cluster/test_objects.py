"""Writes, as a server of Kubernetes understands them."""

import threading

import msgspec
import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import PatchKind
from kbackup.cluster._transport import Transport
from kbackup.errors import ClusterError, ConflictError
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.testing import SimulatedCluster

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
IMAGE = "example.com/a:1"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "x", "labels": {"a": "1"}},
    "spec": {"containers": [{"name": n, "image": IMAGE} for n in ("one", "two")]},
}
POD_REF = ResourceIdentifier(GroupResource("", "pods"), "x", "p")


@pytest.fixture
def simulated():
    """A simulated cluster with one Pod."""
    with SimulatedCluster() as simulated:
        simulated.load([SPACE, POD])
        yield simulated


@pytest.fixture
def cluster(simulated):
    """A connection to it."""
    with simulated.connect() as cluster:
        yield cluster


def images(pod):
    """Return the image of each container."""
    return {each["name"]: each["image"] for each in pod["spec"]["containers"]}


def test_bodies_have_the_escapes_of_go(cluster, monkeypatch):
    """What a server keeps byte by byte is what it would have written itself.

    Or the revision of a DaemonSet could never be adopted.
    """
    pods, sent = cluster.discover().resolve("pods"), []
    send = Transport.send
    monkeypatch.setattr(
        Transport,
        "send",
        lambda self, call, *rest: sent.append(call.body) or send(self, call, *rest),
    )
    script = "a && b < c > d \u2028 \u2029 ü"
    note = {"metadata": {"annotations": {"run": script}}}
    pod = {**POD, "metadata": {"name": "q", "namespace": "x", **note["metadata"]}}

    made = cluster.create(pods, msgspec.json.encode(pod), namespace="x")
    cluster.patch(pods, "p", note, namespace="x")

    text = rb"a \u0026\u0026 b \u003c c \u003e d \u2028 \u2029 " + "ü".encode()
    assert [text in body for body in sent] == [True, True]
    assert made["metadata"]["annotations"]["run"] == script


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


def test_a_revoked_writer_is_of_no_use(cluster):
    """Once revoked, a writer neither writes nor reads; others go on."""
    kept, other = cluster.writer(), cluster.writer()
    pod = POD_REF
    kept.patch(pod, {"metadata": {"labels": {"a": "2"}}})

    kept.revoke()

    for use in (
        lambda: kept.create({**POD, "metadata": {"name": "q", "namespace": "x"}}),
        lambda: kept.patch(pod, {"metadata": {"labels": {"a": "3"}}}),
        lambda: kept.delete(pod),
        lambda: kept.get(pod),
        lambda: list(kept.list(pod.group_resource)),
        lambda: kept.resolve("pods"),
    ):
        with pytest.raises(ClusterError, match="the writer was revoked"):
            use()
    assert other.get(pod)["metadata"]["labels"] == {"a": "2"}


def test_a_writer_that_is_revoked_while_it_tries_again_gives_up(
    simulated, cluster, monkeypatch
):
    """A write that the server refuses for now is not sent again after the revocation."""
    for delay in ("_FIRST_DELAY", "_LONGEST_DELAY"):  # it waits until it is revoked
        monkeypatch.setattr(f"kbackup.cluster._transport.{delay}", 300)
    simulated.faults.fail(verb="patch", resource="pods", status=429, times=None)
    writer, errors = cluster.writer(), []

    def patch():
        try:
            writer.patch(POD_REF, {"metadata": {"labels": {"a": "2"}}})
        except ClusterError as exc:
            errors.append(exc)

    thread = threading.Thread(target=patch, daemon=True)
    thread.start()
    while not simulated.calls["patch pods"]:
        thread.join(0.01)
    writer.revoke()
    thread.join(30)

    assert "the writer was revoked" in str(errors[0])
    assert simulated.calls["patch pods"] == 1


def test_a_writer_of_a_cancelled_run_says_so(cluster):
    """A writer asks the token of its run before each request, as everything does."""
    token = CancelToken()
    writer = cluster.for_run(token).writer()
    token.cancel("enough")

    with pytest.raises(Cancelled, match="enough"):
        writer.delete(POD_REF)
