"""Answers that end early, come slowly, or are interrupted while they come."""

import os
import signal
import threading
from contextlib import suppress

import pytest
from listener import Listener

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError, ClusterUnreachableError
from kbackup.models import APIResource

MAPS = APIResource(
    group="", version="v1", resource="configmaps", kind="ConfigMap", namespaced=True
)
ITEM = b'{"metadata":{"name":"a","namespace":"x"},"data":{"k":"%s"}}' % (b"x" * 300_000)
BODY = b'{"metadata":{"resourceVersion":"1"},"items":[' + ITEM + b"]}"
HALF = len(BODY) // 2


def plain(data):
    """Return a head that states the length of the body, and the body."""
    return b"Content-Length: %d\r\n\r\n" % len(data), data


def chunked(data):
    """Return a head for chunks, and the body in two of them."""
    first, second = data[:1000], data[1000:]
    parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (first, second)]
    return b"Transfer-Encoding: chunked\r\n\r\n", b"".join(parts) + b"0\r\n\r\n"


class RawServer(Listener):
    """Sends the first answer in two halves and calls a function in between.

    Attributes:
        connections: How many there were.
        requests: How many there were, on all of them.
        halfway: Called once; when it returns False the connection ends there.
        encode: How bodies are sent.
        done: Set when the test is over.
        ended: Set when a client closed a connection.
    """

    def __init__(self):
        self.connections = self.requests = 0
        self.halfway = lambda: True
        self.encode = plain
        self.done = threading.Event()
        self.ended = threading.Event()
        super().__init__()

    def serve(self, connection):
        """Answer every request of a connection."""
        self.connections += 1
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            while lines.readline():
                length = 0
                while (line := lines.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                lines.read(length)
                self.requests += 1
                head, body = self.encode(BODY)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
                connection.sendall(body[:HALF])
                if self.requests == 1 and not self.halfway():
                    return
                connection.sendall(body[HALF:])
            self.ended.set()

    def close(self):
        """Stop."""
        self.done.set()
        super().close()


@pytest.fixture(params=[plain, chunked])
def raw_server(request):
    """A server, for both ways to send a body."""
    server = RawServer()
    server.encode = request.param
    yield server
    server.close()


@pytest.fixture
def cluster(raw_server, write_kubeconfig, settings):
    """A connection to it."""
    path = write_kubeconfig(raw_server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


def test_connections_are_kept(raw_server, cluster):
    """One request after the other needs one connection."""
    for _ in range(3):
        assert [item.name for item in cluster.list(MAPS)] == ["a"]

    assert raw_server.connections == 1


def test_closing(raw_server, cluster):
    """Closing ends idle connections; a later request opens no other one."""
    list(cluster.list(MAPS))

    cluster.close()

    assert raw_server.ended.wait(10)
    with pytest.raises(ClusterError, match="this Cluster was closed"):
        list(cluster.list(MAPS))
    assert raw_server.connections == 1


def test_a_body_that_ends_early(raw_server, cluster):
    """A page of which only a part came is asked for again, on another connection."""
    raw_server.halfway = lambda: False

    (item,) = cluster.list(MAPS)

    assert item.json().endswith(ITEM[1:])
    assert (raw_server.connections, raw_server.requests) == (2, 2)


def test_an_answer_to_a_write_that_ends_early(raw_server, cluster):
    """A write of whose answer only a part came is not sent again."""
    raw_server.halfway = lambda: False

    with pytest.raises(ClusterUnreachableError):
        cluster.delete(MAPS, "a", namespace="x")

    assert raw_server.requests == 1


def test_cancelled_in_a_body(raw_server, cluster):
    """A cancel token ends a page that is still coming; its connection is dropped."""
    token = CancelToken()

    def cancel():
        token.cancel("enough")
        return True

    raw_server.halfway = cancel

    with pytest.raises(Cancelled, match="enough"):
        list(cluster.for_run(token).list(MAPS))

    assert [item.name for item in cluster.list(MAPS)] == ["a"]
    assert raw_server.connections == 2


def test_cancelled_in_the_answer_to_a_write(raw_server, cluster):
    """A cancel does not hide what a write did: its answer is read, and counts."""
    token = CancelToken()

    def cancel():
        token.cancel("enough")
        return True

    raw_server.halfway = cancel
    bound = cluster.for_run(token)

    bound.delete(MAPS, "a", namespace="x")

    with pytest.raises(Cancelled, match="enough"):
        bound.delete(MAPS, "b", namespace="x")
    assert raw_server.requests == 1


def test_interrupted_in_a_body(raw_server, cluster):
    """Ctrl-C in a page that never ends leaves at once, and leaves no half connection."""

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        raw_server.done.wait(60)
        return False

    raw_server.halfway = interrupt

    with pytest.raises(KeyboardInterrupt):
        list(cluster.list(MAPS))

    assert [item.name for item in cluster.list(MAPS)] == ["a"]
    assert raw_server.connections == 2
