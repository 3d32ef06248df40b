"""Watches: begun, gone on with, begun again."""

import json
from datetime import timedelta

import pytest

from kbackup.cluster import Cluster
from kbackup.models import APIResource

from .conftest import status

PODS = APIResource(group="", version="v1", resource="pods", kind="Pod", namespaced=True)


@pytest.fixture
def cluster(server, write_kubeconfig, settings, monkeypatch):
    """A connection with a static token."""
    monkeypatch.setattr("kbackup.cluster._watch._PAUSE", 0.01)
    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


def pod(name, version):
    """Return a Pod."""
    return {"metadata": {"name": name, "namespace": "x", "resourceVersion": version}}


def stream(*events):
    """Return an answer of events, one on each line."""
    lines = [json.dumps({"type": t, "object": o}) + "\n" for t, o in events]
    return 200, {}, "".join(lines).encode()


def listing(version, *pods):
    """Return an answer to a LIST."""
    return 200, {}, {"metadata": {"resourceVersion": version}, "items": list(pods)}


def take(events, count):
    """Return type and name of the next events."""
    found = [next(events) for _ in range(count)]
    return [(e.type, e.item["metadata"]["name"]) for e in found]


def test_goes_on(server, cluster):
    """After the end of a connection it goes on from the last version, bookmarks too."""
    server.script(
        stream(("ADDED", pod("a", "5")), ("BOOKMARK", pod("", "9"))),
        stream(("MODIFIED", pod("a", "10"))),
    )

    events = cluster.watch(PODS, namespace="x", resource_version="4")

    assert take(events, 2) == [("ADDED", "a"), ("MODIFIED", "a")]
    asked = [r.query["resourceVersion"] for r in server.requests]
    assert asked == ["4", "9"]


@pytest.mark.parametrize(
    "gone",
    [status(410), stream(("ERROR", {"kind": "Status", "code": 410}))],
    ids=["answer", "event"],
)
def test_gone(server, cluster, gone):
    """When its version is gone it lists again and tells what changed, deletions too."""
    server.script(
        listing("4", pod("a", "1"), pod("b", "2"), pod("c", "3")),
        gone,
        listing("9", pod("a", "1"), pod("b", "8"), pod("d", "7")),
        stream(("MODIFIED", pod("d", "11"))),
    )

    events = cluster.watch(PODS, namespace="x")

    assert take(events, 7) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("ADDED", "c"),
        ("MODIFIED", "b"),
        ("ADDED", "d"),
        ("DELETED", "c"),
        ("MODIFIED", "d"),
    ]


def test_ends_in_time(server, cluster):
    """A watch with a time ends then, though nothing happens."""
    server.script(stream())

    events = cluster.watch(
        PODS, resource_version="4", timeout=timedelta(milliseconds=300)
    )

    assert list(events) == []
