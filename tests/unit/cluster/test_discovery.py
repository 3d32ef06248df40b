"""What a server serves, as it says in either form."""

import pytest

from kbackup.cluster import Cluster, Discovery
from kbackup.errors import ServerFaultError
from kbackup.models import APIResource, GroupResource

from .conftest import status


@pytest.fixture
def cluster(server, write_kubeconfig, settings):
    """A connection with a static token."""
    path = write_kubeconfig(server.url, {"token": "t"})
    with Cluster.connect(path, settings=settings) as cluster:
        yield cluster


def entry(name, kind, **more):
    """Return a line of a classic resource list."""
    return {"name": name, "kind": kind, "namespaced": True, "verbs": ["list"]} | more


def group(name, *versions):
    """Return a line of the classic group list; the first version is preferred."""
    lines = [{"version": v, "groupVersion": f"{name}/{v}"} for v in versions]
    return {"name": name, "versions": lines, "preferredVersion": lines[0]}


CLASSIC = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            group("extensions", "v1beta1"),
            group("apps", "v1", "v1beta1"),
            group("metrics.k8s.io", "v1beta1"),
        ],
    },
    "/api/v1": {
        "resources": [
            entry("pods", "Pod", shortNames=["po"], singularName="pod"),
            entry("pods/log", "Pod"),
        ]
    },
    "/apis/extensions/v1beta1": {"resources": [entry("ingresses", "Ingress")]},
    "/apis/apps/v1": {
        "resources": [entry("deployments", "Deployment", shortNames=["deploy"])]
    },
    "/apis/apps/v1beta1": {
        "resources": [entry("deployments", "Deployment"), entry("olds", "Old")]
    },
}


def version(name, *resources, **more):
    """Return a version of aggregated discovery."""
    lines = [
        {
            "resource": plural,
            "responseKind": {"kind": kind},
            "scope": "Namespaced",
            "verbs": ["list"],
            "singularResource": kind.lower(),
            "subresources": [{"subresource": "status"}],
        }
        for plural, kind in resources
    ]
    return {"version": name, "resources": lines} | more


def aggregated(*groups):
    """Return an answer of aggregated discovery."""
    items = [{"metadata": {"name": n} if n else {}, "versions": v} for n, v in groups]
    return {"kind": "APIGroupDiscoveryList", "items": items}


AGGREGATED = {
    "/api": aggregated(("", [version("v1", ("pods", "Pod"))])),
    "/apis": aggregated(
        ("extensions", [version("v1beta1", ("ingresses", "Ingress"))]),
        (
            "apps",
            [
                version("v1", ("deployments", "Deployment")),
                version("v1beta1", ("deployments", "Deployment"), ("olds", "Old")),
            ],
        ),
        ("metrics.k8s.io", [version("v1beta1", freshness="Stale")]),
    ),
}


def serve(server, documents):
    """Answer with *documents*, and 503 for what they lack."""
    server.answer = lambda request: (
        (200, {}, documents[request.path])
        if request.path in documents
        else status(503, "down")
    )


@pytest.mark.parametrize("documents", [CLASSIC, AGGREGATED], ids=["v1", "aggregated"])
def test_both_forms(server, cluster, documents):
    """Either form tells the same: order, preferred versions, what is broken."""
    serve(server, documents)

    found = cluster.discover()

    assert [f"{r} {r.version}" for r in found.resources] == [
        "pods v1",
        "deployments.apps v1",
        "olds.apps v1beta1",
        "ingresses.extensions v1beta1",
    ]
    assert [f.group_version for f in found.failures] == ["metrics.k8s.io/v1beta1"]
    assert found.by_kind("apps/v1beta1", "Deployment").version == "v1beta1"
    assert found.get(GroupResource("apps", "deployments")).version == "v1"


def test_aggregated_is_two_requests(server, cluster):
    """Aggregated discovery asks twice and is then remembered."""
    serve(server, AGGREGATED)

    cluster.discover()
    cluster.discover()

    assert sorted(server.paths) == ["/api", "/apis"]
    assert "v=v2;" in server.requests[0].headers["Accept"]
    assert "v=v2beta1;" in server.requests[0].headers["Accept"]


def test_refresh(server, cluster):
    """A refresh asks again and finds what is new."""
    serve(
        server,
        {k: v for k, v in AGGREGATED.items() if k == "/api"} | {"/apis": aggregated()},
    )
    before = cluster.discover()
    serve(server, AGGREGATED)

    after = cluster.discover(refresh=True)

    assert before.resolve("deployments") is None
    assert after.resolve("deployments") is not None


def test_subresources(server, cluster):
    """What lies below a type belongs to it and is no type of its own."""
    serve(server, CLASSIC)

    pods = cluster.discover().resolve("pods")

    assert pods.subresources == {"log"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("po", "pods"),
        ("Pod", "pods"),
        ("DEPLOY", "deployments.apps"),
        ("deployments.apps", "deployments.apps"),
        ("deployment.apps", "deployments.apps"),
        ("deployments.v1beta1.apps", "deployments.apps"),
        ("deployments.extensions", None),
        ("things", None),
    ],
)
def test_resolve(server, cluster, text, expected):
    """Plurals, short names, kinds and full names mean their type, others nothing."""
    serve(server, CLASSIC)

    found = cluster.discover().resolve(text)

    assert (found and str(found)) == expected
    if found and "v1beta1" in text:
        assert found.version == "v1beta1"


def test_plural_wins_over_short_name():
    """A type whose plural is another's short name keeps its name."""
    short = APIResource(
        group="", version="v1", resource="as", kind="A", namespaced=True,
        short_names=("bs",),
    )  # fmt: skip
    plural = APIResource(
        group="g", version="v1", resource="bs", kind="B", namespaced=True
    )

    assert Discovery([short, plural]).resolve("bs") is plural


def served_in(*versions):
    """Return one type as its versions serve it, the first preferred."""
    return [
        APIResource(
            group="g", version=name, resource="things", kind="Thing", namespaced=True,
            preferred=name == versions[0],
        )
        for name in versions
    ]  # fmt: skip


def test_preferring_another_version():
    """A type is then found in that version, and in that one alone among the types."""
    things = GroupResource("g", "things")
    found = Discovery(served_in("v2", "v1")).preferring({things: "v1"})

    assert [each.version for each in found.resources] == ["v1"]
    assert found.get(things) is found.by_kind("g/v1", "Thing")
    assert found.resolve("things").version == "v1"
    assert found.by_kind("g/v2", "Thing") is not None


def test_preferring_a_version_that_is_not_served():
    """The server's own preference stays."""
    things = GroupResource("g", "things")
    found = Discovery(served_in("v2", "v1")).preferring({things: "v3"})

    assert found.get(things).version == "v2"


FAILURE = {"kind": "Status", "status": "Failure", "code": 503}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(FAILURE, id="a failure"),
        pytest.param({"resources": [{"name": 5}, None]}, id="garbage"),
        pytest.param({"resources": [{"name": "olds"}]}, id="no kind"),
    ],
)
def test_a_group_that_is_no_list(server, cluster, answer):
    """A group of which nothing can be known, with status 200 too, is told as unread."""
    serve(server, CLASSIC | {"/apis/apps/v1": answer})

    found = cluster.discover()

    (failure,) = (f for f in found.failures if f.group_version == "apps/v1")
    assert failure.reason == "the answer is no list of types"
    assert found.resolve("pods") is not None


@pytest.mark.parametrize("path", ["/api", "/apis"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(FAILURE, id="a failure"),
        pytest.param({"kind": "APIGroupDiscoveryList"}, id="no items"),
        pytest.param({"kind": "APIGroupDiscoveryList", "items": [5]}, id="a number"),
    ],
)
def test_no_list_of_groups(server, cluster, path, answer):
    """A server that does not say what it serves is not taken for one without types."""
    serve(server, CLASSIC | {path: answer})

    with pytest.raises(ServerFaultError, match="no list of API groups"):
        cluster.discover()
