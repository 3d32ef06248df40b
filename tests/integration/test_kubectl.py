"""A person's kubectl: the same commands against the simulated and the real API server."""

import re

import pytest

pytestmark = pytest.mark.integration

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
"""


@pytest.fixture(params=["simulated", "real"])
def kubectl(request, kubectl_of, tmp_path):
    """A function that runs kubectl against a cluster and returns what it says."""
    if request.param == "real":
        return kubectl_of(request.getfixturevalue("real_cluster").kubeconfig)
    simulated = request.getfixturevalue("simulated_cluster")
    return kubectl_of(simulated.kubeconfig(tmp_path / "kubeconfig"))


def test_usual_commands(kubectl, namespace):
    """A person's usual commands work: create, apply, get, patch, describe, delete."""
    created = kubectl("create", "namespace", namespace)
    in_kube = ("--namespace", namespace)
    first = kubectl("apply", *in_kube, "-f", "-", stdin=DEPLOYMENT)
    again = kubectl("apply", *in_kube, "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
    third = kubectl("apply", *in_kube, "-f", "-", stdin=changed)
    table = kubectl("get", "deployments", *in_kube)
    kubectl("patch", "deployment", "web", *in_kube, "-p", '{"spec":{"paused":true}}')
    paused = kubectl("get", "deploy/web", *in_kube, "-o", "jsonpath={.spec.paused}")
    described = kubectl("describe", "deployment", "web", *in_kube)
    kubectl("label", "deployment", "web", *in_kube, "tier=front")
    chosen = kubectl("get", "deploy", "-A", "-l", "tier=front", "-o", "name")
    kubectl("delete", "deployment", "web", *in_kube)
    deleted = kubectl("delete", "namespace", namespace, "--timeout=100s")

    assert f"namespace/{namespace} created" in created
    assert [text.split()[-1] for text in (first, again, third)] == [
        "created",
        "unchanged",
        "configured",
    ]
    assert table.split()[:5] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert re.search(r" [0-3]/3 ", table)  # Pods run where there is a kubelet
    assert paused == "true"
    assert "Selector:" in described
    assert chosen.strip() == "deployment.apps/web"
    assert f'namespace "{namespace}" deleted' in deleted


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_scale(kubectl, namespace, kind):
    """What is scaled has its replicas; with a wrong guess at them it keeps those."""
    kubectl("create", "namespace", namespace)
    in_kube = ("--namespace", namespace)
    made = DEPLOYMENT.replace("Deployment", kind)
    kubectl("apply", *in_kube, "-f", "-", stdin=made)
    scale = ("scale", f"{kind}/web", *in_kube)

    kubectl(*scale, "--replicas", "5")
    kubectl(*scale, "--current-replicas", "5", "--replicas", "4")
    with pytest.raises(AssertionError, match=r"(?i)expected replicas"):
        kubectl(*scale, "--current-replicas", "9", "--replicas", "1")

    path = "jsonpath={.spec.replicas}"
    assert kubectl("get", f"{kind}/web", *in_kube, "-o", path) == "4"
    kubectl("delete", "namespace", namespace, "--wait=false")
