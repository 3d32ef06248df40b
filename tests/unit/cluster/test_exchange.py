"""Servers that never come to an end: a cancelled run does, and so does a request."""

import threading
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import attrs
import pytest
from listener import Listener
from urllib3.exceptions import ConnectTimeoutError, ProxyError

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster, _exchange
from kbackup.cluster._exchange import Exchange
from kbackup.errors import ClusterUnreachableError, ExecError
from kbackup.models import APIResource, EngineSettings

from .conftest import FOUND

MAPS = APIResource(
    group="", version="v1", resource="configmaps", kind="ConfigMap", namespaced=True
)
HEAD = b"HTTP/1.1 200 OK\r\nX-Filler: %s\r\nContent-Length: 2\r\n\r\n" % (b"x" * 3000)
PROXY_HEAD = b"HTTP/1.1 200 OK\r\nX-Filler: %s\r\n\r\n" % (b"x" * 3000)
PATIENT = EngineSettings(connect_timeout=timedelta(minutes=5))
MORE_THAN_A_SOCKET_HOLDS = 64 * 2**20


class StubbornServer(Listener):
    """Hands each connection to a function, and closes it when that returns.

    Attributes:
        behave: The function; called with a connection.
        waited_for: Called once the client waits for what does not come.
        gave_up: Set when the client closed a connection.
        done: Set when the test is over.
    """

    def __init__(self):
        self.behave = self.say_nothing
        self.waited_for = lambda: None
        self.gave_up = threading.Event()
        self.done = threading.Event()
        super().__init__()

    def serve(self, connection):
        """Behave, and note a client that gives up."""
        with connection:
            connection.settimeout(0.02)
            try:
                self.behave(connection)
            except OSError:
                self.gave_up.set()

    def close(self):
        """Stop."""
        self.done.set()
        super().close()

    # --- ways to behave ---------------------------------------------------------------

    def drip(self, data, connection):
        """Send *data* a byte at a time: a minute later it is whole."""
        for count, byte in enumerate(data):
            if count == 5:
                self.waited_for()
            connection.sendall(bytes([byte]))
            self._listen(connection)
            if self.done.is_set():
                return
        self.done.wait(60)

    def drip_body(self, connection):
        """Send the head, and then spaces."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
        self.drip(b" " * 2998 + b"{}", connection)

    def drip_a_chunk(self, connection):
        """Send the head, and then the length of a chunk that never ends."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.drip(b"0" * 3000, connection)

    def stop_in_body(self, connection):
        """Send the head and nothing else."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        self.say_nothing(connection)

    def say_nothing(self, connection):
        """Take what comes."""
        self.waited_for()
        while not self.done.is_set():
            self._listen(connection)

    def take_nothing(self, connection):
        """Read one byte of the request, and no more."""
        connection.settimeout(10)
        connection.recv(1)
        self.waited_for()
        self.gave_up.wait(60)

    @staticmethod
    def _listen(connection):
        with suppress(TimeoutError):
            if not connection.recv(2**16):
                raise ConnectionResetError


@pytest.fixture
def stubborn():
    """The server."""
    server = StubbornServer()
    yield server
    server.close()


@pytest.fixture
def connect(stubborn, write_kubeconfig, settings):
    """A function that returns a connection to the server."""
    opened = []

    def connect(scheme="http", settings=settings, **more):
        url = f"{scheme}://{stubborn.address}"
        path = write_kubeconfig(url, {"token": "t"}, **more)
        opened.append(Cluster.connect(path, settings=settings))
        return opened[-1]

    yield connect
    for cluster in opened:
        cluster.close()


@pytest.fixture
def cancelled_when_waiting(stubborn):
    """A token that is cancelled once the client waits for the server."""
    token = CancelToken()
    stubborn.waited_for = partial(token.cancel, "enough")
    return token


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """Wait less for the answers to writes."""
    monkeypatch.setattr("kbackup.cluster._transport._GRACE_OF_WRITES", 0.5)


@pytest.fixture
def settings():
    """Settings of whoever connects in no time: what is left is soon given up."""
    return EngineSettings(connect_timeout=timedelta(seconds=0.5))


WAYS = {
    "head drips": lambda server: partial(server.drip, HEAD),
    "body drips": lambda server: server.drip_body,
    "chunk drips": lambda server: server.drip_a_chunk,
    "no answer": lambda server: server.say_nothing,
    "no body": lambda server: server.stop_in_body,
}


@pytest.fixture(params=list(WAYS))
def way(request, stubborn):
    """One way not to come to an end."""
    stubborn.behave = WAYS[request.param](stubborn)


def helpers():
    """Threads that wait for a connection: an idle one ends soon."""
    return {each for each in threading.enumerate() if each.name == "kbackup-helper"}


@pytest.mark.usefixtures("way")
def test_cancelled_while_reading(stubborn, connect, cancelled_when_waiting):
    """A cancelled list ends though the server never ends its answer."""
    bound = connect().for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        list(bound.list(MAPS))

    assert stubborn.gave_up.wait(10)


@pytest.mark.usefixtures("way")
def test_cancelled_while_writing(stubborn, connect, cancelled_when_waiting):
    """Nor does a cancelled write wait for ever for what became of it, which is told."""
    bound = connect().for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough") as caught:
        bound.delete(MAPS, "a", namespace="x")

    assert caught.value.unanswered
    assert stubborn.gave_up.wait(10)


def test_cancelled_watch(stubborn, connect, cancelled_when_waiting):
    """A watch in which nothing happens ends with the run."""
    stubborn.behave = stubborn.drip_a_chunk
    bound = connect().for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        list(bound.watch(MAPS, resource_version="1"))

    assert stubborn.gave_up.wait(10)


def test_cancelled_while_sending(stubborn, connect, cancelled_when_waiting):
    """A cancelled run leaves a server that takes no more of a request, and so no write."""
    stubborn.behave = stubborn.take_nothing
    bound = connect().for_run(cancelled_when_waiting)
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}

    with pytest.raises(Cancelled, match="enough") as caught:
        bound.create(
            MAPS, item | {"data": {"k": "x" * MORE_THAN_A_SOCKET_HOLDS}}, namespace="x"
        )

    assert not caught.value.unanswered
    stubborn.gave_up.set()


@pytest.mark.parametrize(
    "ask",
    [lambda bound: list(bound.list(MAPS)), lambda bound: bound.exec("x", "p", ["ls"])],
    ids=["request", "exec"],
)
def test_cancelled_in_a_handshake(stubborn, connect, cancelled_when_waiting, ask):
    """A cancelled run leaves a server that takes no part in TLS, and closes at once."""
    bound = connect("https", settings=PATIENT).for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        ask(bound)

    assert stubborn.gave_up.wait(10)


def test_cancelled_at_a_proxy(stubborn, connect, cancelled_when_waiting):
    """Nor for a proxy whose answer never ends; its connection is closed at once."""
    stubborn.behave = partial(stubborn.drip, PROXY_HEAD)
    proxy = {"proxy-url": f"http://{stubborn.address}"}
    bound = connect("https", **proxy).for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        list(bound.list(MAPS))

    assert stubborn.gave_up.wait(10)


def test_cancelled_before_a_command_starts(stubborn, connect, cancelled_when_waiting):
    """A cancelled run does not wait for a server that never opens a stream."""
    stubborn.behave = partial(stubborn.drip, HEAD)
    bound = connect().for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        bound.exec("x", "p", ["true"])

    assert stubborn.gave_up.wait(10)


def test_nothing_is_left_behind(stubborn, connect, cancelled_when_waiting):
    """After a cancel in the middle of connecting no thread goes on."""
    before = helpers()
    bound = connect("https", settings=PATIENT).for_run(cancelled_when_waiting)

    with pytest.raises(Cancelled, match="enough"):
        list(bound.list(MAPS))

    assert stubborn.gave_up.wait(10)
    for thread in helpers() - before:
        thread.join(30)
        assert not thread.is_alive()


def test_connected_too_late(stubborn, connect, monkeypatch):
    """What is connected after the run was cancelled is closed before TLS begins."""
    token, left = CancelToken(), threading.Event()
    connect_to = _exchange.HTTPConnection._new_conn

    def slowly(connection):
        token.cancel("enough")
        left.wait(30)
        return connect_to(connection)

    monkeypatch.setattr(_exchange.HTTPConnection, "_new_conn", slowly)
    bound = connect("https", settings=PATIENT).for_run(token)

    with pytest.raises(Cancelled, match="enough"):
        list(bound.list(MAPS))

    left.set()
    assert stubborn.gave_up.wait(30)


def test_what_fails_is_closed(stubborn, connect, monkeypatch):
    """Of a command whose connection fails nothing stays open."""
    opened = []
    connect_to = _exchange.HTTPConnection._new_conn

    def noticed(connection):
        opened.append(connect_to(connection))
        return opened[-1]

    monkeypatch.setattr(_exchange.HTTPConnection, "_new_conn", noticed)
    proxy = {"proxy-url": f"http://{stubborn.address}"}

    with pytest.raises(ExecError) as failed:
        connect(**proxy).exec("x", "p", ["ls"])

    assert failed.value.__traceback__ is not None  # and with it every frame
    assert [each.fileno() for each in opened] == [-1]


# --- a tunnel, opened again -----------------------------------------------------------


@pytest.fixture
def through_a_tunnel(https_server, tunnel, write_kubeconfig, pki):
    """A connection whose server closes each connection after one answer."""
    https_server.script((200, {"Connection": "close"}, FOUND[2]))
    path = write_kubeconfig(
        *("https://127.0.0.1:6443", {"token": "t"}),
        **{"proxy-url": tunnel.url, "certificate-authority": str(pki / "ca.crt")},
    )
    with Cluster.connect(path) as cluster:
        yield cluster
    assert len(https_server.requests) == len(tunnel.asked) == 2


def test_again_after_a_cancel(through_a_tunnel):
    """A run that was cancelled does not end the next one on the same connection."""
    token = CancelToken()

    through_a_tunnel.for_run(token).get(MAPS, "a", "x")
    token.cancel("enough")

    through_a_tunnel.for_run(CancelToken()).get(MAPS, "a", "x")


def test_again_much_later(through_a_tunnel, monkeypatch):
    """The time of the request before does not count for the next one."""
    through_a_tunnel.get(MAPS, "a", "x")
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600)
    monkeypatch.setattr(_exchange, "time", later)

    through_a_tunnel.create(MAPS, {"metadata": {"name": "a"}}, namespace="x")


def test_again_with_a_slow_handshake(through_a_tunnel, tunnel, monkeypatch):
    """A handshake may take as long the second time as it may the first time."""
    monkeypatch.setattr(_exchange, "_LOOK_EVERY", 0.01)
    through_a_tunnel.get(MAPS, "a", "x")
    tunnel.before_use = partial(time.sleep, 0.3)

    through_a_tunnel.create(MAPS, {"metadata": {"name": "a"}}, namespace="x")


def test_nobody_s_reader():
    """Who connects reads a proxy's answer himself, whatever was read before."""
    connection = _exchange.HTTPConnection("cluster.test")
    connection.response_class = None
    exchange = Exchange("GET /", CancelToken(), connect_timeout=1, read_timeout=1)

    exchange.connect(connection, lambda: None)

    assert connection.response_class is not None


# --- time -----------------------------------------------------------------------------


@pytest.fixture
def hurried(settings):
    """Settings that give up soon, and try once."""
    soon = timedelta(seconds=0.5)
    return attrs.evolve(settings, read_timeout=soon, retry_budget=timedelta(0.001))


@pytest.mark.parametrize(
    ("behave", "told"),
    [
        (lambda server: partial(server.drip, HEAD), "the head of the answer was not"),
        (lambda server: server.say_nothing, "the head of the answer was not whole"),
        (lambda server: server.stop_in_body, "nothing more of the answer came"),
    ],
    ids=["head drips", "no answer", "no body"],
)
def test_too_late(stubborn, connect, hurried, behave, told):
    """A head that is not whole in time is an error that says what was asked how."""
    stubborn.behave = behave(stubborn)
    cluster = connect(settings=hurried)

    with pytest.raises(ClusterUnreachableError) as caught:
        cluster.delete(MAPS, "a", namespace="x")

    message = str(caught.value)
    assert "delete configmaps" in message
    assert "/api/v1/namespaces/x/configmaps/a" in message
    assert told in message
    assert "within 0.5 s" in message
    assert stubborn.gave_up.wait(10)


def test_a_slow_body(stubborn, connect, hurried):
    """A body may take as long as it likes while it comes."""

    def behave(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n")
        stubborn.drip(b"{}" + b" " * 118, connection)

    stubborn.behave = behave
    patient = attrs.evolve(hurried, read_timeout=timedelta(seconds=2))

    connect(settings=patient).delete(MAPS, "a", namespace="x")

    assert not stubborn.gave_up.is_set()


def test_a_request_that_nobody_takes(stubborn, connect, hurried):
    """A server that takes no more of a request is given up."""
    stubborn.behave = stubborn.take_nothing
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    item["data"] = {"k": "x" * MORE_THAN_A_SOCKET_HOLDS}

    with pytest.raises(ClusterUnreachableError, match="took nothing more"):
        connect(settings=hurried).create(MAPS, item, namespace="x")

    stubborn.gave_up.set()


def test_not_connected_in_time(stubborn, connect, hurried):
    """A proxy that never ends its answer is given up, and not asked for ever."""
    stubborn.behave = partial(stubborn.drip, PROXY_HEAD)
    soon = attrs.evolve(hurried, connect_timeout=timedelta(seconds=0.1))
    proxy = {"proxy-url": f"http://{stubborn.address}"}

    with pytest.raises(ClusterUnreachableError, match="no connection in time"):
        connect("https", settings=soon, **proxy).delete(MAPS, "a", namespace="x")

    assert stubborn.gave_up.wait(10)


def test_a_proxy_that_urllib3_takes_for_one_that_refuses(connect, monkeypatch):
    """Which it is depends on who closed the connection first; it was not in time."""
    late = ConnectTimeoutError("not connected")

    def refuse(*_, **__):
        raise ProxyError("Unable to connect to proxy", late) from late

    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", refuse)

    with pytest.raises(ClusterUnreachableError, match="no connection in time"):
        connect().delete(MAPS, "a", namespace="x")
