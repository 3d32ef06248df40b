"""A backup of an old API server on its way to a newer one."""

import json

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine, unserved_types
from kbackup.testing import SimulatedCluster

pytestmark = pytest.mark.integration

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
SELECTOR = {"matchLabels": {"app": "web"}}
POD = {
    "restartPolicy": "Never",
    "containers": [{"name": "main", "image": "example.com/any:1"}],
}
OBJECTS = [
    ("networking.k8s.io/v1", "ingresses", {"defaultBackend": BACKEND}),
    ("policy/v1beta1", "poddisruptionbudgets", {"selector": SELECTOR}),
    (
        "batch/v1beta1",
        "cronjobs",
        {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"spec": {"template": {"spec": POD}}},
        },
    ),
]


def test_what_a_newer_target_does_not_take(real_cluster, namespace, tmp_path):
    """What is told beforehand are the conflicts of the plan, and no Ingress."""
    body = {"metadata": {"name": namespace}}
    assert real_cluster.request("POST", "/api/v1/namespaces", body)[0] == 201
    for version, resource, spec in OBJECTS:
        body = {"metadata": {"name": "web"}, "spec": spec}
        path = f"/apis/{version}/namespaces/{namespace}/{resource}"
        status, answer = real_cluster.request("POST", path, body)
        assert status == 201, json.dumps(answer)

    with (
        Cluster.connect(real_cluster.kubeconfig) as source,
        SimulatedCluster() as simulated,
        simulated.connect() as target,
        BackupStore.open(tmp_path / "store") as store,
    ):
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(source, store).run("old", spec)
        with store.open_contents("old") as contents:
            stored = {str(resource) for resource in contents.resources()}
            told = unserved_types(contents, target.discover())
        plan = RestoreEngine(target, store).plan("r", RestoreSpec(backup_name="old"))

    conflicts = {x.reason for x in plan.entries if x.action is PlanAction.CONFLICT}
    assert {"ingresses.extensions", "ingresses.networking.k8s.io"} <= stored
    assert set(told) == conflicts
    assert [sentence.partition(", ")[0] for sentence in told] == [
        "the target serves batch/v1 of cronjobs.batch",
        "the target serves policy/v1 of poddisruptionbudgets.policy",
    ]
