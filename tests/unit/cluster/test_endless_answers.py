"""Answers that never end are given up with an error, before they fill the memory."""

import gzip
from itertools import repeat

import pytest
from listener import Listener

from kbackup.cluster import Cluster
from kbackup.cluster import _bodies as bodies
from kbackup.errors import InvalidItemError, ServerFaultError

from .conftest import PODS

BLOCK = b"x" * 65536
MIB = 1 << 20


class Endless(Listener):
    """A server that begins an answer and never ends it.

    Attributes:
        status: Of the answer.
        begin: What its body begins with.
        more: Further headers.
        asked: The request lines.
    """

    def __init__(self):
        self.status = "200 OK"
        self.begin = self.more = b""
        self.asked = []
        super().__init__()

    def serve(self, client):
        """Send for as long as somebody reads."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked.append(head.split(b"\r\n")[0].decode())
        client.sendall(
            f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\n"
            "Connection: close\r\n".encode()
            + self.more
            + b"\r\n"
            + self.begin
        )
        try:
            for block in repeat(BLOCK):
                client.sendall(block)
        except OSError:
            client.close()


@pytest.fixture(name="endless")
def fixture_endless():
    """The server."""
    server = Endless()
    yield server
    server.close()


@pytest.fixture(name="cluster")
def fixture_cluster(endless, write_kubeconfig, settings, monkeypatch):
    """A connection to it; the limits are a hundredth of what they are."""
    for name in ("MOST_OF_ANSWER", "MOST_OF_REFUSAL", "MOST_OF_EVENT"):
        monkeypatch.setattr(bodies, name, 2 * MIB)
    monkeypatch.setattr("kbackup.cluster._watch.MOST_OF_EVENT", 2 * MIB)
    path = write_kubeconfig(f"http://{endless.address}", {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "ask",
    [
        lambda cluster: cluster.get(PODS, "a", "x"),
        lambda cluster: cluster.create(PODS, {"metadata": {"name": "a"}}),
        lambda cluster: cluster.version(),
        lambda cluster: cluster.discover(),
        lambda cluster: next(cluster.watch(PODS, resource_version="1")),
    ],
    ids=["get", "create", "version", "discovery", "watch"],
)
def test_an_answer_without_end(endless, cluster, ask):
    """It is given up at a limit, which the error states, and not asked for again."""
    with pytest.raises(ServerFaultError, match="more than 2 MiB") as caught:
        ask(cluster)

    assert "see what else answers there" in caught.value.hint
    assert len(endless.asked) == 1


def test_an_answer_that_says_how_long_it_is(endless, cluster):
    """One that is longer than the limit is given up as one that does not say."""
    endless.more = f"Content-Length: {1 << 40}\r\n".encode()

    with pytest.raises(ServerFaultError, match="more than 2 MiB"):
        cluster.get(PODS, "a", "x")


def test_a_short_answer_that_inflates_without_end(endless, cluster):
    """What a length says of packed bytes tells nothing of what is in them."""
    packed = gzip.compress(b"x" * (8 * MIB))
    endless.more = (
        f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n".encode()
    )
    endless.begin = packed

    with pytest.raises(ServerFaultError, match="more than 2 MiB"):
        cluster.get(PODS, "a", "x")


def test_a_list_without_end(endless, cluster):
    """A page is asked for again with fewer objects, down to one."""
    with pytest.raises(ServerFaultError, match=r"cannot list pods: .* than 2 MiB"):
        list(cluster.list(PODS))

    limits = [line.split("limit=")[1].split()[0] for line in endless.asked]
    assert limits == ["25", "1"]


def test_a_refusal_without_end(endless, cluster):
    """The status of an answer tells enough; its text is not read for ever."""
    endless.status = "422 Unprocessable"

    with pytest.raises(InvalidItemError, match="HTTP 422"):
        cluster.create(PODS, {"metadata": {"name": "a"}})

    assert len(endless.asked) == 1


def test_large_objects_after_small_ones(server, write_kubeconfig, monkeypatch):
    """A page that is too long is read in smaller ones, to its last object."""
    monkeypatch.setattr(bodies, "MOST_OF_ANSWER", 1 * MIB)
    objects = [
        {"metadata": {"name": f"p{n:03}"}, "data": "x" * (10 if n < 25 else 50_000)}
        for n in range(60)
    ]

    def answer(request):
        first = int(request.query.get("continue", 0))
        last = first + int(request.query["limit"])
        token = str(last) if last < len(objects) else ""
        metadata = {"resourceVersion": "7", "continue": token}
        return 200, {}, {"metadata": metadata, "items": objects[first:last]}

    server.answer = answer
    with Cluster.connect(write_kubeconfig(server.url, {"token": "t"})) as cluster:
        found = [item.name for item in cluster.list(PODS)]

    assert found == [each["metadata"]["name"] for each in objects]
    assert [r.query["limit"] for r in server.requests][:3] == ["25", "100", "6"]


def test_the_limits_are_far_above_what_is_real():
    """No object, page, or schema of a server of Kubernetes comes near them."""
    assert bodies.MOST_OF_ANSWER >= 32 * 8 * MIB
    assert min(bodies.MOST_OF_REFUSAL, bodies.MOST_OF_EVENT) >= 5 * 3 * MIB
