"""What a request asks of the system: each time other threads come first."""

import socket
import ssl
from datetime import timedelta

import pytest

from kbackup.cluster import Cluster, _stream
from kbackup.cluster._exchange import Exchange
from kbackup.models import APIResource, EngineSettings
from kbackup.testing import SimulatedCluster

MAPS = APIResource(
    group="", version="v1", resource="configmaps", kind="ConfigMap", namespaced=True
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"containers": [{"name": "main", "image": "example.com/any:1"}]},
}
SMALL = b'{"metadata": {"name": "a"}}'
LARGE = b'{"metadata": {"name": "a"}, "data": {"a": "%s"}}' % (b"x" * 2**17)


@pytest.fixture
def connected(https_server, write_kubeconfig, pki):
    """A connection to a server with TLS that was used once."""
    ca = {"certificate-authority": str(pki / "ca.crt")}
    path = write_kubeconfig(https_server.url, {"token": "t"}, **ca)
    with Cluster.connect(path) as cluster:
        cluster.get(MAPS, "a", "x")
        yield cluster


@pytest.fixture
def sent(monkeypatch):
    """What is sent, part by part."""
    parts, send = [], Exchange.send

    def note(self, connected, data):
        parts.append(bytes(data))
        send(self, connected, data)

    monkeypatch.setattr(Exchange, "send", note)
    return parts


def test_head_and_body_are_sent_at_once(connected, https_server, sent):
    """A small object is one message."""
    connected.create(MAPS, SMALL, namespace="x")

    (message,) = sent
    head, body = message.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /api/v1/namespaces/x/configmaps")
    assert body == SMALL
    assert https_server.requests[-1].body == SMALL


def test_a_large_body_is_not_copied(connected, https_server, sent):
    """It follows its head by itself."""
    connected.create(MAPS, LARGE, namespace="x")

    _, body = sent
    assert body == LARGE
    assert https_server.requests[-1].body == LARGE


def test_a_timeout_that_holds_is_not_set_again(connected, monkeypatch):
    """Neither by urllib3 nor by us, once a connection was used."""
    told = []

    def note(self, seconds):
        told.append(seconds)
        socket.socket.settimeout(self, seconds)

    monkeypatch.setattr(ssl.SSLSocket, "settimeout", note, raising=False)

    connected.create(MAPS, SMALL, namespace="x")
    connected.get(MAPS, "a", "x")

    assert told == []


def test_connecting_has_its_own_timeout(server, write_kubeconfig, monkeypatch):
    """What a request waits between two looks does not bound how long connecting takes."""
    told, connect = [], socket.socket.connect

    def note(self, address):
        told.append(self.gettimeout())
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    settings = EngineSettings(connect_timeout=timedelta(seconds=7))
    path = write_kubeconfig(server.url, {"token": "t"})

    with Cluster.connect(path, settings=settings) as cluster:
        cluster.get(MAPS, "a", "x")

    assert told == [7]


class Counted:
    """A connection whose reads are counted."""

    def __init__(self, connection, reads):
        self._connection = connection
        self._reads = reads

    def recv(self, size):
        """Read, and note how much there was."""
        data = self._connection.recv(size)
        self._reads.append(len(data))
        return data

    def __getattr__(self, name):
        return getattr(self._connection, name)


def test_the_answer_to_a_command_is_not_read_byte_by_byte(monkeypatch):
    """A head of some 200 bytes and a few messages take a handful of reads."""
    reads, read_ahead = [], _stream._ReadAhead
    monkeypatch.setattr(
        _stream, "_ReadAhead", lambda found: read_ahead(Counted(found, reads))
    )
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        simulated.load([POD])
        simulated.on_exec(lambda call: call.stdout.write(b"x" * 100) and None)

        result = cluster.exec("default", "p", ["say"])

    assert result.stdout == b"x" * 100
    assert sum(reads) > 250  # each of them would take a read of its own
    assert len(reads) <= 50
