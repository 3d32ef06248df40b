"""The simulated cluster refuses bodies that make no sense as a real API server does."""

import json
import urllib.error
import urllib.request

import pytest

from kbackup.testing import SimulatedCluster

MAPS = "/api/v1/namespaces/default/configmaps"
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
PODS = "/api/v1/namespaces/default/pods"
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster():
    """A simulated cluster with one ConfigMap."""
    with SimulatedCluster() as cluster:
        cluster.load([{**MAP, "metadata": {"name": "kept", "namespace": "default"}}])
        yield cluster


def ask(cluster, method, path, data, content_type=JSON):
    """Send bytes; return the status and the decoded answer."""
    request = urllib.request.Request(  # noqa: S310 - the server is ours
        cluster.url + path,
        method=method,
        data=data if isinstance(data, bytes) else json.dumps(data).encode(),
        headers={"Content-Type": content_type},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.loads(exc.read())


def named(**metadata):
    """A ConfigMap whose metadata has these fields as well."""
    return {**MAP, "metadata": {"name": "odd", **metadata}}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"nonsense", 400),
        (b"\xff\xfe{}", 400),
        (b"[" * 100_000, 400),
        (b"null", 400),
        ([], 400),
        ("text", 400),
        (7, 400),
        ({}, 422),
        ({**MAP, "kind": "Secret"}, 400),
        ({**MAP, "kind": 7}, 400),
        ({**MAP, "apiVersion": ["v1"]}, 400),
        ({**MAP, "metadata": None}, 422),
        ({**MAP, "metadata": "x"}, 400),
        (named(name=7), 400),
        (named(name=["x"]), 400),
        (named(generateName={}), 400),
        (named(namespace=7), 400),
        (named(labels=["x"]), 400),
        (named(labels={"a": 7}), 400),
        (named(annotations="x"), 400),
        (named(finalizers=[7]), 400),
        (named(ownerReferences=[None]), 400),
        (named(ownerReferences=[{"uid": 7}]), 400),
        (named(managedFields=["x"]), 400),
        (named(managedFields=[{"manager": "m", "fieldsV1": []}]), 400),
        (named(managedFields=[{"manager": "m", "fieldsV1": {"f:a": 7}}]), 400),
        (named(generation="x"), 400),
    ],
)
def test_what_is_created(cluster, data, status):
    """A body that is no such object is answered with a Status, and nothing is stored."""
    code, answer = ask(cluster, "POST", MAPS, data)

    assert (code, answer["kind"], answer["code"]) == (status, "Status", status)
    assert answer["reason"] in {"BadRequest", "Invalid"}
    assert answer["message"]
    names = [each["metadata"]["name"] for each in cluster.objects("configmaps")]
    assert "odd" not in names


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (PODS, {**POD, "spec": "x"}),
        (PODS, {**POD, "spec": {"containers": 7}}),
        (PODS, {**POD, "spec": {"containers": ["x"]}}),
        (PODS, {**POD, "spec": {"containers": [{"name": "a", "ports": [7]}]}}),
        (DEFINITIONS, {"metadata": {"name": "a.b.c"}, "spec": ["x"]}),
        (DEFINITIONS, {"metadata": {"name": "a.b.c"}, "spec": {"names": "x"}}),
        (REVIEWS, []),
        (REVIEWS, {"spec": "x"}),
    ],
)
def test_what_a_type_cannot_be(cluster, path, data):
    """A field that has another form than its type is a bad request or invalid."""
    code, answer = ask(cluster, "POST", path, data)

    assert code in {400, 422}
    assert (answer["kind"], answer["code"]) == ("Status", code)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-thing", MERGE])
def test_media_types_that_are_not_understood(cluster, content_type):
    """A body of another media type is not even read."""
    for method, path in (("POST", MAPS), ("PUT", f"{MAPS}/kept")):
        code, answer = ask(cluster, method, path, b"nonsense", content_type)

        assert (code, answer["reason"]) == (415, "UnsupportedMediaType")
    code, answer = ask(cluster, "PATCH", f"{MAPS}/kept", b"nonsense", JSON)
    assert (code, answer["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("method", "content_type", "data"),
    [
        ("PUT", JSON, b""),
        ("PUT", JSON, []),
        ("PUT", JSON, named(name="another")),
        ("PUT", JSON, {**MAP, "metadata": {"name": "kept", "labels": 7}}),
        ("PATCH", MERGE, b""),
        ("PATCH", MERGE, []),
        ("PATCH", MERGE, {"metadata": "x"}),
        ("PATCH", MERGE, {"metadata": {"labels": ["x"]}}),
        ("PATCH", MERGE, {"kind": "Secret"}),
        ("PATCH", "application/json-patch+json", {}),
        ("PATCH", "application/json-patch+json", ["x"]),
        ("PATCH", "application/json-patch+json", [{"op": "no", "path": "/a"}]),
        ("PATCH", "application/strategic-merge-patch+json", {"metadata": 7}),
        ("PATCH", APPLY, b""),
        ("PATCH", APPLY, b"a: [b"),
        ("PATCH", APPLY, {"metadata": {"finalizers": 7}}),
        ("DELETE", JSON, ["x"]),
        ("DELETE", JSON, {"preconditions": "x"}),
        ("DELETE", JSON, {"propagationPolicy": 7}),
    ],
)
def test_what_is_written_over_an_object(cluster, method, content_type, data):
    """The object stays as it is."""
    before = cluster.objects("configmaps", "default")

    code, answer = ask(
        cluster, method, f"{MAPS}/kept?fieldManager=test", data, content_type
    )

    assert code in {400, 422}
    assert (answer["kind"], answer["code"]) == ("Status", code)
    assert cluster.objects("configmaps", "default") == before
