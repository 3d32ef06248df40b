"""The tests' kubelet makes the real control plane run Pods and commands."""

import json
import ssl

import pytest
import websocket


def exec_in(cluster, path, *command, stdin=b""):
    """Run a command through the API server; return stdout, stderr and the status."""
    query = "&".join(f"command={word}" for word in command)
    streams = "stdout=true&stderr=true" + ("&stdin=true" if stdin else "")
    socket = websocket.create_connection(
        cluster.url.replace("https", "wss") + f"{path}/exec?{streams}&{query}",
        header=[f"Authorization: Bearer {cluster.token}"],
        subprotocols=["v4.channel.k8s.io"],
        sslopt={"ca_certs": str(cluster.ca), "cert_reqs": ssl.CERT_REQUIRED},
        timeout=30,
    )
    channels = {1: b"", 2: b"", 3: b""}
    try:
        if stdin:
            socket.send_binary(b"\x00" + stdin)
        while True:
            message = socket.recv()
            if not message:
                break
            if isinstance(message, str):
                message = message.encode()
            channels[message[0]] += message[1:]
    finally:
        socket.shutdown()  # close() leaves it open once the server closed
    return channels[1], channels[2], json.loads(channels[3])


@pytest.fixture(name="pod")
def fixture_pod(real_cluster, kubelet, namespace, wait_for):
    """The path of a Pod that runs."""
    body = {"metadata": {"name": namespace}}
    assert real_cluster.request("POST", "/api/v1/namespaces", body)[0] == 201
    spec = {"containers": [{"name": "main", "image": "example.com/any:1"}]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {"metadata": {"name": "p"}, "spec": spec}
    assert real_cluster.request("POST", pods, pod)[0] == 201

    def is_running():
        _, found = real_cluster.request("GET", f"{pods}/p")
        return found["status"]["phase"] == "Running"

    wait_for("the Pod", is_running)
    yield f"{pods}/p"
    real_cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")


def test_a_command_answers(real_cluster, pod):
    """What a command prints and that it succeeded come back."""
    out, err, status = exec_in(real_cluster, pod, "echo", "hello")

    assert (out, err, status["status"]) == (b"hello\n", b"", "Success")


def test_a_failing_command(real_cluster, pod):
    """The exit code of a command comes back as a cause."""
    out, err, status = exec_in(real_cluster, pod, "sh", "-c", "echo+no>%262%3Bexit+3")

    assert (out, err) == (b"", b"no\n")
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_a_command_reads_its_input(real_cluster, pod):
    """What is sent to a command arrives; it ends by length."""
    out, _, status = exec_in(real_cluster, pod, "head", "-c", "5", stdin=b"12345678")

    assert (out, status["status"]) == (b"12345", "Success")


def test_a_deployment_gets_its_pods(real_cluster, kubelet, namespace, wait_for):
    """With controllers and kubelet a Deployment becomes ready."""
    body = {"metadata": {"name": namespace}}
    real_cluster.request("POST", "/api/v1/namespaces", body)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    labels = {"app": "web"}
    spec = {"containers": [{"name": "web", "image": "example.com/web:1"}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }

    assert real_cluster.request("POST", path, deployment)[0] == 201

    def ready():
        _, found = real_cluster.request("GET", f"{path}/web")
        return found["status"].get("readyReplicas") == 2

    wait_for("two ready replicas", ready)
    real_cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
