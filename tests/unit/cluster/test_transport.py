"""What is sent again, what is not, and what becomes of errors."""

from datetime import timedelta

import attrs
import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.cluster._exchange import Exchange
from kbackup.errors import (
    ClusterUnreachableError,
    ForbiddenError,
    InvalidItemError,
    ItemNotFoundError,
    ServerFaultError,
    ThrottledError,
    UnsupportedByServerError,
)
from kbackup.models import APIResource, EngineSettings

from .conftest import Hang, status

CONFIG_MAPS = APIResource(
    group="", version="v1", resource="configmaps", kind="ConfigMap", namespaced=True
)
SECRETS = attrs.evolve(CONFIG_MAPS, resource="secrets", kind="Secret")
FOUND = (200, {}, {"metadata": {"name": "a"}})
NAMED = {"details": {"name": "a"}}


@pytest.fixture
def cluster(server, write_kubeconfig, settings):
    """A connection with a static token."""
    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


@pytest.mark.parametrize("code", [500, 502, 503, 504, 429])
def test_reads_are_repeated(server, cluster, code):
    """A read is sent again after the server failed or asked for patience."""
    server.script(status(code), status(code), FOUND)

    item = cluster.get(CONFIG_MAPS, "a", "x")

    assert item.content["metadata"]["name"] == "a"
    assert len(server.requests) == 3


def test_the_host_says_how_long_connecting_may_take(
    server, write_kubeconfig, monkeypatch
):
    """Both limits of the settings are those of every request."""
    limits = []

    class Watched(Exchange):
        def __init__(self, *given, **more):
            limits.append((more["connect_timeout"], more["read_timeout"]))
            super().__init__(*given, **more)

    monkeypatch.setattr("kbackup.cluster._transport.Exchange", Watched)
    settings = EngineSettings(
        connect_timeout=timedelta(seconds=3), read_timeout=timedelta(seconds=7)
    )
    server.script(FOUND)
    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        cluster.get(CONFIG_MAPS, "a", "x")

    assert set(limits) == {(3.0, 7.0)}


def test_reads_survive_broken_connections(server, cluster):
    """A read whose connection broke is sent again."""
    server.script(FOUND, Hang, Hang, FOUND)

    cluster.get(CONFIG_MAPS, "a", "x")
    cluster.get(CONFIG_MAPS, "a", "x")

    assert len(server.requests) == 4


def test_reads_give_up(server, cluster):
    """A server that keeps failing is told after five tries."""
    server.script(status(503, "no webhook"))

    with pytest.raises(ServerFaultError, match="no webhook"):
        cluster.get(CONFIG_MAPS, "a", "x")

    assert len(server.requests) == 5


def test_lost_answer_to_a_write(server, cluster):
    """A write whose answer got lost is sent once: what became of it is unknown."""
    server.script(Hang)

    with pytest.raises(ClusterUnreachableError):
        cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="x")

    assert [r.method for r in server.requests] == ["POST"]


def test_failed_write(server, cluster):
    """A write that the server failed on is not sent again."""
    server.script(status(500))

    with pytest.raises(ServerFaultError):
        cluster.patch(CONFIG_MAPS, "a", {}, namespace="x")

    assert len(server.requests) == 1


def test_throttled_write(server, cluster):
    """A throttled write is tried three times, then the caller learns of it."""
    server.script(status(429))

    with pytest.raises(ThrottledError):
        cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="x")

    assert len(server.requests) == 3


class Waits(CancelToken):
    """Notes how long it was to wait, and does not."""

    def __init__(self):
        """Begin with no pause."""
        super().__init__()
        self.pauses = []

    def wait(self, seconds):
        """Note a pause."""
        self.pauses.append(seconds)


def test_retry_after(server, cluster):
    """The pause that the server asks for is kept."""
    server.script((429, {"Retry-After": "7"}, {}), FOUND)
    token = Waits()

    cluster.for_run(token).get(CONFIG_MAPS, "a", "x")

    assert len(server.requests) == 2
    (pause,) = token.pauses
    assert 7 <= pause < 60  # some more, for all were told the same


def test_pause_beyond_the_budget(server, cluster, settings):
    """A pause that is longer than the retry budget is an error at once."""
    server.script((429, {"Retry-After": "60"}, {}), FOUND)
    short = attrs.evolve(settings, retry_budget=timedelta(seconds=5))

    with pytest.raises(ThrottledError) as caught:
        cluster.for_run(CancelToken(), settings=short).get(CONFIG_MAPS, "a", "x")

    assert caught.value.retry_after == 60


def test_cancelled_while_waiting(server, cluster):
    """A cancel token ends the pause before the next try."""
    server.script((429, {"Retry-After": "60"}, {}))
    token = CancelToken().after(timedelta(milliseconds=300))

    with pytest.raises(Cancelled):
        cluster.for_run(token).get(CONFIG_MAPS, "a", "x")

    assert len(server.requests) == 1


def test_cancelled_before(server, cluster):
    """A cancelled run sends nothing."""
    token = CancelToken()
    token.cancel()

    with pytest.raises(Cancelled):
        cluster.for_run(token).get(CONFIG_MAPS, "a", "x")

    assert server.requests == []


def test_requests_are_counted(server, cluster):
    """Every request is counted, those sent again too."""
    server.script(status(503), FOUND)
    counted = []

    cluster.for_run(CancelToken(), count=counted.append).get(CONFIG_MAPS, "a", "x")

    assert counted == ["get configmaps", "get configmaps"]


def test_nobody_listens(write_kubeconfig, settings):
    """An address where nobody listens is told soon, with its reason as the cause."""
    path = write_kubeconfig("http://127.0.0.1:1", {"token": "t"})

    with (
        Cluster.connect(path, settings=settings) as cluster,
        pytest.raises(ClusterUnreachableError, match="refused") as caught,
    ):
        cluster.version()

    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(404, "gone", **NAMED), ItemNotFoundError),
        ((404, {}, b"404 page not found\n"), UnsupportedByServerError),
        (status(403), ForbiddenError),
        (status(422), InvalidItemError),
    ],
    ids=["object", "endpoint", "forbidden", "invalid"],
)
def test_refusals(server, cluster, answer, kind):
    """A refusal is the error of its kind, and names the object."""
    server.script(answer)

    with pytest.raises(kind, match="configmaps x/a"):
        cluster.get(CONFIG_MAPS, "a", "x")


@pytest.mark.parametrize(
    "answer",
    [
        status(
            422,
            'Secret "a" is invalid: data[k]: Invalid value: "hunter2"',
            reason="Invalid",
            details={
                "name": "a",
                "causes": [
                    {
                        "reason": "FieldValueInvalid",
                        "field": "data[k]",
                        "message": 'Invalid value: "hunter2"',
                    }
                ],
            },
        ),
        status(400, 'admission webhook "w" denied the request: hunter2 is weak'),
        status(403, 'admission webhook "w" denied the request: hunter2 is weak'),
        (400, {}, b"bad: hunter2"),
    ],
    ids=["invalid", "webhook-400", "webhook-403", "text"],
)
def test_secret_values_are_cut(server, cluster, answer):
    """An error about a Secret holds no value, neither in its text nor in its body."""
    server.script(answer)

    with pytest.raises((InvalidItemError, ForbiddenError)) as caught:
        cluster.create(SECRETS, {"metadata": {"name": "a"}}, namespace="x")

    assert "hunter2" not in f"{caught.value}{caught.value.body}{caught.value!r}"


@pytest.mark.parametrize("name", [".", ".."])
def test_names_stay_below_their_type(server, cluster, name):
    """A name that leads to another path is refused before anything is sent."""
    with pytest.raises(InvalidItemError):
        cluster.delete(CONFIG_MAPS, name, namespace="x")

    assert server.requests == []


def test_delete_preconditions(server, cluster):
    """Uid, version, propagation and dry-run travel in the body of a delete."""
    cluster.delete(
        *(CONFIG_MAPS, "a"),
        namespace="x",
        uid="u",
        resource_version="7",
        propagation="Orphan",
        dry_run=True,
    )

    assert server.requests[0].body == (
        b'{"apiVersion":"v1","kind":"DeleteOptions",'
        b'"preconditions":{"uid":"u","resourceVersion":"7"},'
        b'"propagationPolicy":"Orphan","dryRun":["All"]}'
    )


def test_impersonation(server, write_kubeconfig, settings):
    """``as_user`` is sent with every request."""
    path = write_kubeconfig(server.url, {"token": "t"})
    server.script(FOUND)

    with Cluster.connect(path, as_user="ann", settings=settings) as cluster:
        cluster.get(CONFIG_MAPS, "a", "x")

    assert server.requests[0].headers["Impersonate-User"] == "ann"
