"""What a backup refers to and does not hold, with the objects of a real API server."""

from contextlib import ExitStack

import pytest

import workloads
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec

pytestmark = pytest.mark.integration

SYSTEM = ["kube-system", "kube-public", "kube-node-lease", "default"]
POD = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "serviceAccountName": "runner",
        "containers": [
            {
                "name": "web",
                "image": "example.com/web:1",
                "envFrom": [
                    {"secretRef": {"name": "keys"}},
                    {"configMapRef": {"name": "extras", "optional": True}},
                ],
            }
        ],
    },
}
SELECTOR = {"matchLabels": {"app": "web"}}
JOB = {**POD, "spec": {**POD["spec"], "restartPolicy": "Never"}}


def thing(version, kind, name, **spec):
    """An object."""
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def without_pods():
    """Workloads that have no Pods yet, and what belongs to them."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    more = {"replicas": 0, "selector": SELECTOR, "template": POD}
    run = {"jobTemplate": {"spec": {"template": JOB}}}
    return [
        thing("apps/v1", "Deployment", "web", **more),
        thing("apps/v1", "StatefulSet", "db", serviceName="db", **more),
        thing("batch/v1beta1", "CronJob", "run", schedule="0 0 1 1 *", **run),
        thing(
            "networking.k8s.io/v1",
            "Ingress",
            "web",
            defaultBackend=backend,
            tls=[{"hosts": ["example.com"], "secretName": "cert"}],
        ),
        thing(
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            "web",
            scaleTargetRef=target,
            maxReplicas=3,
        ),
    ]


@pytest.fixture
def store(tmp_path):
    """An open store in a directory."""
    with BackupStore.open(tmp_path / "store") as found:
        yield found


def test_what_has_no_pods_yet(real_cluster, namespace, store):
    """What is scaled to nothing or runs once a year is missing its Secret in the backup."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        workloads.create(cluster, namespace, without_pods())

        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(cluster, store).run("b-1", spec)

    missing = {str(each.refers_to) for each in store.manifest("b-1").missing}
    assert missing == {
        f"secrets/{namespace}/keys",
        f"serviceaccounts/{namespace}/runner",
        f"services/{namespace}/db",
        f"secrets/{namespace}/cert",
        f"services/{namespace}/web",
    }


def test_what_every_cluster_has(real_cluster, store):
    """The namespaces that a cluster begins with miss nothing."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        BackupEngine(cluster, store).run("b-1", BackupSpec(included_namespaces=SYSTEM))

    assert store.manifest("b-1").missing == ()
