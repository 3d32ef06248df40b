"""The simulated cluster: faults, commands, discovery in one document, its life."""

import gc
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings

import pytest
import websocket

from kbackup.testing import SimulatedCluster

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json"
)


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster():
    """A running simulated cluster."""
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def no_faults(cluster):
    """Each test starts without faults."""
    cluster.faults.clear()


def ask(cluster, path, *, method="GET", body=None, token="", accept="*/*"):
    """Send one request; return status, headers and the decoded answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": accept}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(  # noqa: S310 - the server is ours
        cluster.url + path, method=method, data=data, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers, json.loads(exc.read())


def secret(name, namespace="default"):
    """Return a Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"k": "dg=="},
    }


def test_a_fault_happens_as_often_as_asked(cluster):
    """A failing verb fails as often as said, then goes well."""
    fault = cluster.faults.fail(verb="list", resource="secrets", status=503, times=2)

    statuses = [ask(cluster, "/api/v1/secrets")[0] for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert fault.happened == 2
    assert ask(cluster, "/api/v1/configmaps")[0] == 200


def test_a_fault_can_wait(cluster):
    """With skip the first requests go well."""
    cluster.faults.fail(resource="secrets", skip=1)

    statuses = [ask(cluster, "/api/v1/secrets")[0] for _ in range(3)]

    assert statuses == [200, 500, 200]


def test_throttling_names_the_time(cluster):
    """A 429 says when to come again, in header and body."""
    cluster.faults.throttle(resource="secrets", retry_after=3)

    status, headers, body = ask(cluster, "/api/v1/secrets")

    assert (status, headers["Retry-After"]) == (429, "3")
    assert body["details"]["retryAfterSeconds"] == 3
    assert body["reason"] == "TooManyRequests"


def test_what_is_forbidden_is_said_by_reviews(cluster):
    """An access review denies what a request would be refused."""
    cluster.faults.forbid(verb="list", resource="secrets")
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def may(verb, resource):
        spec = {"resourceAttributes": {"verb": verb, "resource": resource}}
        _, _, body = ask(cluster, path, method="POST", body={"spec": spec})
        return body["status"]["allowed"]

    assert ask(cluster, "/api/v1/secrets")[0] == 403
    assert (may("list", "secrets"), may("get", "secrets")) == (False, True)
    assert may("list", "pods")


@pytest.mark.parametrize(("after", "there"), [(False, 404), (True, 200)])
def test_a_broken_connection(cluster, after, there):
    """A dropped request has its effect only if it was dropped afterwards."""
    name = f"dropped-{str(after).lower()}"
    cluster.faults.drop(verb="create", resource="secrets", after=after)

    with pytest.raises(OSError, match=r"closed|reset"):
        ask(
            cluster,
            "/api/v1/namespaces/default/secrets",
            method="POST",
            body=secret(name),
        )

    path = f"/api/v1/namespaces/default/secrets/{name}"
    assert ask(cluster, path)[0] == there


def test_discovery_in_one_document(cluster):
    """Who asks for it gets all groups, resources and sub-resources at once."""
    _, headers, core = ask(cluster, "/api", accept=AGGREGATED)
    _, _, groups = ask(cluster, "/apis", accept=AGGREGATED)

    assert "as=APIGroupDiscoveryList" in headers["Content-Type"]
    (legacy,) = core["items"]
    pods = {r["resource"]: r for r in legacy["versions"][0]["resources"]}["pods"]
    assert (pods["scope"], pods["shortNames"]) == ("Namespaced", ["po"])
    assert {s["subresource"] for s in pods["subresources"]} == {
        "exec",
        "log",
        "status",
    }
    named = {group["metadata"]["name"]: group for group in groups["items"]}
    versions = [v["version"] for v in named["autoscaling"]["versions"]]
    assert versions == ["v2", "v1"]
    (apps,) = named["apps"]["versions"]
    deployments = {r["resource"]: r for r in apps["resources"]}["deployments"]
    kinds = {s["subresource"]: s["responseKind"] for s in deployments["subresources"]}
    assert kinds == {
        "scale": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "status": {"group": "apps", "version": "v1", "kind": "Deployment"},
    }


def test_discovery_can_be_of_old():
    """A cluster can be one that knows discovery per group only."""
    with SimulatedCluster(aggregated_discovery=False) as old:
        _, _, answer = ask(old, "/apis", accept=AGGREGATED)

    assert answer["kind"] == "APIGroupList"


def test_who_scales_manages_the_replicas(cluster):
    """Whoever writes a Scale manages the replicas alone, as with servers since 1.22."""
    made = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "scaled", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}},
        },
    }
    cluster.load([made])
    path = "/apis/apps/v1/namespaces/default/replicasets/scaled"
    scale = {"metadata": {"name": "scaled"}, "spec": {"replicas": 3}}

    ask(cluster, f"{path}/scale?fieldManager=me", method="PUT", body=scale)

    entries = ask(cluster, path)[2]["metadata"]["managedFields"]
    owners = [e for e in entries if "f:replicas" in e["fieldsV1"].get("f:spec", {})]
    assert [(e["manager"], e["subresource"], e["fieldsV1"]) for e in owners] == [
        ("me", "scale", {"f:spec": {"f:replicas": {}}})
    ]


def test_objects_under_two_versions(cluster):
    """One object is served under each version of its type."""
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {"maxReplicas": 3},
    }
    cluster.load([scaler])

    path = "namespaces/default/horizontalpodautoscalers/h"
    found = [
        ask(cluster, f"/apis/autoscaling/{version}/{path}")[2]["apiVersion"]
        for version in ("v1", "v2")
    ]

    assert found == ["autoscaling/v1", "autoscaling/v2"]


def test_a_token_is_asked_for():
    """With a token every request must carry it."""
    with SimulatedCluster(token="let-me-in") as closed:
        statuses = [
            ask(closed, "/api/v1/namespaces", token=token)[0]
            for token in ("", "wrong", "let-me-in")
        ]

    assert statuses == [401, 401, 200]


def test_history_is_bounded():
    """Beyond its history a cluster forgets, and says so with 410."""
    with SimulatedCluster(history=10) as short:
        _, _, before = ask(short, "/api/v1/secrets")
        short.load(secret(f"s-{number}") for number in range(20))
        version = before["metadata"]["resourceVersion"]
        exact = f"resourceVersion={version}&resourceVersionMatch=Exact"
        status, _, body = ask(short, f"/api/v1/secrets?{exact}")

    assert (status, body["reason"]) == (410, "Expired")


def test_calls_are_counted():
    """A test can ask how often something was asked."""
    with SimulatedCluster() as fresh:
        ask(fresh, "/api/v1/secrets")
        ask(fresh, "/api/v1/secrets")
        ask(fresh, "/api/v1/namespaces/default")

        assert fresh.calls == {"list secrets": 2, "get namespaces": 1}


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
def test_a_command_runs(cluster, protocol):
    """A command gets its input, and what it writes and its exit code come back."""
    spec = {"containers": [{"name": "main", "image": "i"}]}
    name = protocol[:2]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    cluster.load([pod])

    def run(call):
        call.stderr.write(f"{call.pod}/{call.container}: {call.command}".encode())
        call.stdout.write(call.stdin.read(5).upper())
        return 3

    cluster.on_exec(run)
    url = cluster.url.replace("http", "ws")
    socket = websocket.create_connection(
        f"{url}/api/v1/namespaces/default/pods/{name}/exec"
        "?command=tar&command=-x&stdin=true&stdout=true&stderr=true",
        subprotocols=[protocol],
        timeout=30,
    )
    socket.send_binary(b"\x00hello")
    messages = {}
    while message := socket.recv():
        messages[message[0]] = messages.get(message[0], b"") + message[1:]
    socket.shutdown()  # close() leaves it open once the server closed

    assert messages[1] == b"HELLO"
    assert messages[2] == f"{name}/main: ('tar', '-x')".encode()
    status = json.loads(messages[3])
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_a_port_that_is_taken(cluster):
    """A second cluster on the same port is an OSError, not a thread that hangs."""
    port = int(cluster.url.rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        SimulatedCluster(port=port).start()


def test_closing_twice():
    """A cluster can be closed again, and one that never started too."""
    cluster = SimulatedCluster().start()
    cluster.close()
    cluster.close()
    SimulatedCluster().close()


def test_as_a_process(tmp_path):
    """``python -m kbackup.testing`` prints its URL and writes a kubeconfig."""
    kubeconfig = tmp_path / "kubeconfig"
    process = subprocess.Popen(
        [sys.executable, "-m", "kbackup.testing", "--kubeconfig", kubeconfig],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        url = process.stdout.readline().strip()
        status = urllib.request.urlopen(f"{url}/readyz", timeout=30)  # noqa: S310 - ours
        with status:
            assert status.read() == b"ok"
        process.terminate()

        assert process.wait(30) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert url in kubeconfig.read_text()


@pytest.fixture(name="kubectl")
def fixture_kubectl(cluster, kubectl_of, tmp_path):
    """A function that runs kubectl against the cluster and returns what it says."""
    return kubectl_of(cluster.kubeconfig(tmp_path / "kubeconfig"))


@pytest.mark.parametrize(
    ("arguments", "resource", "expected"),
    [
        (("configmap", "m", "--from-literal=a=1"), "configmaps", {"a": "1"}),
        (("secret", "generic", "m", "--from-literal=k=v"), "secrets", {"k": "dg=="}),
        (("serviceaccount", "m"), "serviceaccounts", None),
    ],
    ids=["configmap", "secret", "serviceaccount"],
)
def test_kubectl_create(cluster, kubectl, arguments, resource, expected):
    """What kubectl creates from arguments, in protobuf, arrives whole."""
    kubectl("create", *arguments)

    found = {obj["metadata"]["name"]: obj for obj in cluster.objects(resource)}
    assert found["m"].get("data") == expected


def test_custom_resources_follow_their_definition(cluster):
    """A definition and its objects can be loaded in one go; bad ones are told."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "mice.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "mice", "kind": "Mouse"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    mouse = {
        "apiVersion": "example.com/v1",
        "kind": "Mouse",
        "metadata": {"name": "jerry"},
    }

    assert cluster.load([definition, mouse]) == 2
    assert [m["metadata"]["name"] for m in cluster.objects("mice.example.com")] == [
        "jerry"
    ]
    with pytest.raises(ValueError, match="jerry"):
        cluster.load([mouse])


def test_the_past_is_bounded_in_bytes():
    """Large objects written again and again do not fill the memory."""
    with SimulatedCluster() as cluster:
        path = "/api/v1/namespaces/default/configmaps/big"
        big = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "big", "namespace": "default"},
            "data": {"blob": "x" * 1_000_000},
        }
        cluster.load([big])
        _, _, first = ask(cluster, "/api/v1/configmaps")
        for number in range(80):
            big["data"]["n"] = str(number)
            assert ask(cluster, path, method="PUT", body=big)[0] == 200
        version = first["metadata"]["resourceVersion"]
        exact = f"resourceVersion={version}&resourceVersionMatch=Exact"

        assert ask(cluster, f"/api/v1/configmaps?{exact}")[0] == 410
        assert ask(cluster, path)[2]["data"]["n"] == "79"


def test_an_answer_that_nobody_reads_ends_with_the_cluster():
    """A cluster that stops in the middle of an answer leaves no connection open."""
    blob = {"blob": "x" * 1_000_000}
    with SimulatedCluster() as cluster, socket.socket() as client:
        for name in "abcdefgh":
            cluster.load([{**secret(name), "stringData": blob}])
        client.connect(("127.0.0.1", int(cluster.url.rpartition(":")[2])))
        client.sendall(b"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b"H"

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cluster.close()
            gc.collect()

    assert [str(warning.message) for warning in said] == []


def test_kubeconfig_takes_a_path_in_a_string(cluster, tmp_path):
    """A path may be a string, as everywhere in Python."""
    written = cluster.kubeconfig(str(tmp_path / "kubeconfig"))

    assert written == tmp_path / "kubeconfig"
    assert cluster.url in written.read_text()
