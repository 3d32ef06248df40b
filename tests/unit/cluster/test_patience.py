"""A server that refuses for want of room, for longer than anybody waits."""

from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import ThrottledError
from kbackup.models import APIResource, EngineSettings
from kbackup.testing import FrozenClock

from .conftest import status

CONFIG_MAPS = APIResource(
    group="", version="v1", resource="configmaps", kind="ConfigMap", namespaced=True
)
FOUND = (200, {}, {"metadata": {"name": "a"}})
BUSY = status(429, "too many requests")


@pytest.fixture
def clock(monkeypatch):
    """The time of the transport, which moves where somebody waits, and in large steps."""
    clock = FrozenClock(datetime(2024, 5, 1, tzinfo=UTC))
    monkeypatch.setattr("kbackup.cluster._transport.time", clock)
    monkeypatch.setattr("kbackup.cluster._transport._FIRST_DELAY", 4.0)
    monkeypatch.setattr("kbackup.cluster._transport._LONGEST_DELAY", 64.0)
    return clock


@pytest.fixture
def run(clock, server, write_kubeconfig):
    """Makes the connection of one run, with the list of what it tells while it waits."""

    class Waits(CancelToken):
        def wait(self, seconds):
            clock.sleep(seconds)

    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=EngineSettings()) as cluster:

        def make(settings=None):
            told = []
            view = cluster.for_run(
                Waits(), settings=settings, waits=lambda *given: told.append(given)
            )
            return view, told

        yield make


def test_it_ends_within_the_budget(server, run, clock):
    """The error names the request and for how long the server refused; it was told before."""
    server.script(BUSY)
    cluster, told = run()

    with pytest.raises(ThrottledError) as caught:
        cluster.get(CONFIG_MAPS, "a", "x")

    assert 480 < clock.monotonic() <= 600
    text = str(caught.value)
    assert text.startswith("cannot get configmaps x/a: throttled: too many requests; ")
    assert "the server has refused for" in text
    assert text.endswith(", and requests are repeated for 10m0s")
    assert "retry_budget" in caught.value.hint
    assert {what for what, _ in told} == {
        "the API server, which refuses every request for now (HTTP 429)"
    }
    lefts = [left for _, left in told]
    assert lefts == sorted(lefts, reverse=True)
    assert 560 < lefts[0] <= 595  # a short refusal is not worth a word


def test_what_the_server_asks_for_is_told(server, run, clock):
    """A pause that is longer than the budget is not begun, and the error has it."""
    server.script((429, {"Retry-After": "60"}, {}))
    cluster, told = run(EngineSettings(retry_budget=timedelta(seconds=5)))

    with pytest.raises(ThrottledError, match=r"for 0s, asks for 1m0s more, and .* 5s"):
        cluster.get(CONFIG_MAPS, "a", "x")

    assert clock.monotonic() == 0
    assert told == []


def test_the_budget_is_that_of_all_requests(server, run, clock):
    """Where nothing passes, each of many types does not wait as long as the first."""
    server.script(BUSY)
    cluster, _ = run()

    for name in "abc":
        with pytest.raises(ThrottledError, match=r"has refused for (8m|9m|10m)"):
            cluster.get(CONFIG_MAPS, name, "x")

    with pytest.raises(ThrottledError):
        cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="x")

    assert clock.monotonic() <= 610


def test_what_passes_renews_the_budget(server, run):
    """A server that is only slow to let us in ends nothing."""
    server.script(BUSY)
    cluster, _ = run()
    with pytest.raises(ThrottledError):
        cluster.get(CONFIG_MAPS, "a", "x")

    server.script(FOUND, *[BUSY] * 5, FOUND)
    cluster.get(CONFIG_MAPS, "a", "x")
    item = cluster.get(CONFIG_MAPS, "a", "x")

    assert item.content["metadata"]["name"] == "a"


def test_a_request_that_alone_is_refused_ends(server, run, clock):
    """What others get through does not keep one that is refused for ever waiting."""
    server.answer = lambda request: BUSY if request.path.endswith("/a") else FOUND
    cluster, _ = run()
    other, _ = run()
    wait = clock.sleep
    clock.sleep = lambda seconds: (wait(seconds), other.get(CONFIG_MAPS, "b", "x"))

    with pytest.raises(ThrottledError, match="has refused for"):
        cluster.get(CONFIG_MAPS, "a", "x")

    assert clock.monotonic() <= 600


@pytest.mark.parametrize("later", ["another run", "an hour after"])
def test_who_asks_later_has_a_budget_of_their_own(server, run, clock, later):
    """Neither another run nor the same connection, much later, is refused at once."""
    server.script(BUSY)
    cluster, _ = run()
    with pytest.raises(ThrottledError):
        cluster.get(CONFIG_MAPS, "a", "x")

    if later == "another run":
        cluster, _ = run()
    else:
        clock.advance(timedelta(hours=1))
    server.script(BUSY, BUSY, FOUND)

    assert cluster.get(CONFIG_MAPS, "a", "x").content
