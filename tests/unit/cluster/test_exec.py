"""Commands in containers: over a live WebSocket, in both versions of its protocol."""

import socket
import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken, call_with_timeout
from kbackup.cluster import Cluster
from kbackup.cluster._errors import Subject
from kbackup.cluster._exec import read_exit_code
from kbackup.cluster._stream import ChannelStream
from kbackup.errors import (
    ExecError,
    ForbiddenError,
    ItemNotFoundError,
    OperationTimeoutError,
    UnauthorizedError,
)
from kbackup.testing import SimulatedCluster

from .conftest import status

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "x"},
    "spec": {"containers": [{"name": "main", "image": "example.com/any:1"}]},
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
MEBIBYTE = 2**20


@pytest.fixture
def simulated():
    """A cluster with one Pod."""
    with SimulatedCluster() as simulated:
        simulated.load([SPACE, POD])
        yield simulated


@pytest.fixture
def cluster(simulated):
    """A connection to it."""
    with simulated.connect() as cluster:
        yield cluster


@pytest.fixture(params=["v4", "v5"])
def version(request, monkeypatch):
    """The one version of the protocol that the server speaks."""
    monkeypatch.setattr(
        "kbackup.testing._simulator.execution.PROTOCOLS",
        (f"{request.param}.channel.k8s.io",),
    )
    return request.param


@pytest.mark.usefixtures("version")
def test_streams_stay_apart(simulated, cluster):
    """Exit code, stdout and stderr come back, each by itself."""

    def run(call):
        call.stdout.write(b"out ")
        call.stderr.write(b"err ")
        call.stdout.write(" ".join(call.command).encode())
        return 3

    simulated.on_exec(run)

    result = cluster.exec("x", "p", ["say", "a b", "ä&=?"])

    assert result.exit_code == 3
    assert result.stdout == "out say a b ä&=?".encode()
    assert result.stderr == b"err "


@pytest.mark.usefixtures("version")
def test_success(simulated, cluster):
    """A command that says nothing and succeeds has exit code 0."""
    simulated.on_exec(lambda call: 0)

    result = cluster.exec("x", "p", ["true"], container="main")

    assert (result.exit_code, result.stdout, result.stderr) == (0, b"", b"")


def test_container(simulated, cluster):
    """The container that was named is the one that is asked."""
    seen = []
    simulated.on_exec(
        lambda call: seen.append((call.namespace, call.pod, call.container))
    )

    cluster.exec("x", "p", ["true"], container="main")

    assert seen == [("x", "p", "main")]


@pytest.mark.usefixtures("version")
def test_stdin_by_length(simulated, cluster):
    """A command gets its input, however much it takes of it."""

    def run(call):
        call.stdout.write(call.stdin.read(5))

    simulated.on_exec(run)

    result = cluster.exec("x", "p", ["head"], stdin=b"12345" + b"x" * MEBIBYTE)

    assert result.stdout == b"12345"


def test_stdin_to_its_end(simulated, cluster):
    """A server of version 5 tells the command where its input ends."""

    def run(call):
        call.stdout.write(str(len(call.stdin.read())).encode())

    simulated.on_exec(run)

    result = cluster.exec("x", "p", ["wc"], stdin=b"x" * MEBIBYTE)

    assert result.stdout == str(MEBIBYTE).encode()


def test_no_stdin(simulated, cluster):
    """Without input the command reads the end at once."""
    simulated.on_exec(lambda call: len(call.stdin.read()))

    assert cluster.exec("x", "p", ["wc"]).exit_code == 0


def test_kept_output(simulated, cluster):
    """Of a command that never stops talking, the end is kept, and no more held."""
    held = []

    def run(call):
        for number in range(400):
            call.stdout.write(b"%07d\n" % number * 128)
        call.stderr.write(b"short")

    def forget(stream, channel, keep, known=ChannelStream.forget):
        known(stream, channel, keep)
        held.append(sum(map(len, stream.received.get(channel, ()))))

    simulated.on_exec(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChannelStream, "forget", forget)
        result = cluster.exec("x", "p", ["say"], keep=12)
    nothing = cluster.exec("x", "p", ["say"], keep=0)

    assert result.stdout == b"399\n0000399\n"
    assert result.stderr == b"short"
    assert max(held) < 32 * 1024
    assert (nothing.stdout, nothing.stderr) == (b"", b"")


def test_output_while_input(simulated, cluster):
    """A command that writes far more than it reads stalls nobody."""

    def run(call):
        for _ in range(16):
            call.stdout.write(call.stdin.read(MEBIBYTE // 4) * 8)

    simulated.on_exec(run)

    result = cluster.exec(
        "x", "p", ["echo"], stdin=b"x" * (4 * MEBIBYTE), timeout=timedelta(seconds=60)
    )

    assert len(result.stdout) == 32 * MEBIBYTE


def test_timeout(simulated, cluster):
    """A command that does not end in time is told by its Pod, and is left."""
    ended = threading.Event()
    simulated.on_exec(lambda call: ended.wait(30) and 0)

    with pytest.raises(OperationTimeoutError, match="x/p"):
        cluster.exec("x", "p", ["sleep"], timeout=timedelta(seconds=0.2))

    ended.set()


def test_timeout_of_unread_input(simulated, cluster):
    """The time is over, too, for a command that never reads what it is sent."""
    ended = threading.Event()
    simulated.on_exec(lambda call: ended.wait(30) and 0)

    with pytest.raises(OperationTimeoutError):
        cluster.exec(
            *("x", "p", ["sleep"]),
            stdin=b"x" * (64 * MEBIBYTE),
            timeout=timedelta(seconds=0.5),
        )

    ended.set()


def test_cancel(simulated, cluster):
    """A cancelled run leaves the command that it waits for."""
    ended, token = threading.Event(), CancelToken()

    def run(call):
        token.cancel("enough")
        ended.wait(30)

    simulated.on_exec(run)

    with pytest.raises(Cancelled, match="enough"):
        cluster.for_run(token).exec("x", "p", ["sleep"])

    ended.set()


def test_cancelled_before(simulated, cluster):
    """A cancelled run starts no command."""
    seen, token = [], CancelToken()
    simulated.on_exec(seen.append)
    token.cancel()

    with pytest.raises(Cancelled):
        cluster.for_run(token).exec("x", "p", ["true"])

    assert seen == []


def test_unknown_pod(cluster):
    """A Pod that is not there is told as any object is."""
    with pytest.raises(ItemNotFoundError, match="x/none"):
        cluster.exec("x", "none", ["true"])


def test_a_command_that_cannot_run(simulated, cluster):
    """What keeps a command from running is an error, not an exit code."""

    def run(call):
        raise RuntimeError("no such runtime")

    simulated.on_exec(run)

    with pytest.raises(ExecError, match="no such runtime"):
        cluster.exec("x", "p", ["true"])


def test_one_string(cluster):
    """One string is refused: it would become a list of letters."""
    with pytest.raises(TypeError, match="list"):
        cluster.exec("x", "p", "true")


def test_counted(simulated, cluster):
    """An exec is counted as a request."""
    counted = []
    simulated.on_exec(lambda call: 0)

    cluster.for_run(CancelToken(), count=counted.append).exec("x", "p", ["true"])

    assert counted == ["exec pods"]


def test_no_connection_is_left(simulated, cluster):
    """Many commands one after the other leave other requests as they were."""
    simulated.on_exec(lambda call: 0)
    pods = cluster.discover().resolve("pods")

    for _ in range(20):
        cluster.exec("x", "p", ["true"])

    assert [item.name for item in cluster.list(pods)] == ["p"]


@pytest.fixture
def connect(server, write_kubeconfig, settings):
    """Return a function that connects to the scripted server."""

    def connect(**how):
        path = write_kubeconfig(server.url + "/below", {"token": "t0ken"})
        return Cluster.connect(path, settings=settings, **how)

    return connect


def test_request(server, connect):
    """The handshake carries the login, whom to impersonate, and the whole query."""
    server.script(status(403, "you may not"))

    with (
        connect(as_user="ann") as cluster,
        pytest.raises(ForbiddenError, match="you may not"),
    ):
        cluster.exec("x", "p", ["a", "b c"], container="main", stdin=b"")

    (request,) = server.requests
    assert request.path == "/below/api/v1/namespaces/x/pods/p/exec"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Impersonate-User"] == "ann"
    assert request.headers["Host"] == server.url.removeprefix("http://")
    assert request.query["container"] == "main"
    assert request.query["stdin"] == request.query["stdout"] == "true"


def test_login_refused(server, connect):
    """A login that is refused for good is an error that does not hold the token."""
    server.script(status(401))

    with connect() as cluster, pytest.raises(UnauthorizedError) as caught:
        cluster.exec("x", "p", ["true"])

    assert "t0ken" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


def test_new_token(server, write_kubeconfig, tmp_path):
    """A token file that was rotated is read again when a command is refused."""
    token = tmp_path / "token"
    token.write_text("one")
    path = write_kubeconfig(server.url, {"tokenFile": str(token)})
    server.script(status(401), status(403))

    with Cluster.connect(path) as cluster:
        token.write_text("two")
        with pytest.raises(ForbiddenError):
            cluster.exec("x", "p", ["true"])

    assert [request.token for request in server.requests] == ["one", "two"]


def test_redirect(server, connect):
    """A redirect is not followed: the login would go wherever it says."""
    server.script((302, {"Location": f"{server.url}/elsewhere"}, b""))

    with connect() as cluster, pytest.raises(ExecError):
        cluster.exec("x", "p", ["true"])

    assert len(server.requests) == 1


def test_no_websocket(server, connect):
    """An answer that is no WebSocket is an error."""
    server.script((200, {}, b"hello"))

    with connect() as cluster, pytest.raises(ExecError):
        cluster.exec("x", "p", ["true"])


def test_a_server_that_says_nothing(write_kubeconfig):
    """Nobody waits longer for the stream than the command may take."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        timeout = timedelta(seconds=0.2)
        with (
            Cluster.connect(write_kubeconfig(url, {"token": "t"})) as cluster,
            pytest.raises(ExecError),
        ):
            call_with_timeout(cluster.exec, 20, "x", "p", ["true"], timeout=timeout)


def test_nobody_listens(write_kubeconfig):
    """An address where nobody listens is told as such."""
    path = write_kubeconfig("http://127.0.0.1:1", {"token": "t"})

    with Cluster.connect(path) as cluster, pytest.raises(ExecError, match="refused"):
        cluster.exec("x", "p", ["true"])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"plain words\n", "plain words"),
        (b'{"status":"Failure","message":"no runtime"}', "no runtime"),
        (b'{"status":"Failure","reason":"InternalError"}', "InternalError"),
        (b"{}", "unknown reason"),
        (
            b'{"message":"odd","details":{"causes":[{"reason":"ExitCode"}]}}',
            "odd",
        ),
    ],
)
def test_not_run(raw, words):
    """What a server says about a command that did not run becomes the error's reason."""
    with pytest.raises(ExecError, match=words):
        read_exit_code(Subject("exec", "pods", "x/p"), raw)
