"""A backup of an old API server on its way to a newer one."""

import json

import pytest

from definitions import definition, served_version
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreOptions, RestorePhase, RestoreSpec
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


CONVERTED = {
    "CronJob": ("batch/v1beta1", "batch/v1"),
    "PodDisruptionBudget": ("policy/v1beta1", "policy/v1"),
}


def test_what_a_newer_target_does_not_take(real_cluster, namespace, tmp_path):
    """What is told beforehand are the conflicts of a plan: nothing that is converted."""
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
        engine, spec = RestoreEngine(target, store), RestoreSpec(backup_name="old")
        plan = engine.plan("r", spec)
        plain = engine.plan("p", spec, RestoreOptions(convert=False))

    conflicts = {x.reason for x in plan.entries if x.action is PlanAction.CONFLICT}
    assert {"ingresses.extensions", "ingresses.networking.k8s.io"} <= stored
    assert set(told) == conflicts == set()
    assert {
        x.kind: (x.converted_from, x.api_version)
        for x in plan.entries
        if x.converted_from
    } == CONVERTED
    unconverted = {x.reason for x in plain.entries if x.action is PlanAction.CONFLICT}
    assert {reason.partition(", ")[0] for reason in unconverted} == {
        "the target serves batch/v1 of cronjobs.batch",
        "the target serves policy/v1 of poddisruptionbudgets.policy",
    }


def test_a_definition_that_stays_without_the_version(
    real_cluster, namespace, tmp_path, wait_for_versions
):
    """What an older CRD of the target does not serve is told at once, not waited for."""
    group = f"{namespace}.example.com"
    newer = definition(group, "orders", "Order")
    older = definition(group, "orders", "Order", served_version("v1alpha1"))
    spec, told = RestoreSpec(backup_name="new"), "its CRD exists and is left as it is"
    update = RestoreOptions(existing_cluster_resource_policy="update")
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        types = cluster.discover()
        crds = types.by_kind(newer["apiVersion"], newer["kind"])
        space = {"apiVersion": "v1", "kind": "Namespace"}
        space["metadata"] = {"name": namespace}
        cluster.create(types.by_kind("v1", "Namespace"), space)
        cluster.create(crds, newer)
        wait_for_versions(cluster, group, "v1")
        orders = cluster.discover().by_kind(f"{group}/v1", "Order")
        first = {"apiVersion": f"{group}/v1", "kind": "Order"}
        first["metadata"] = {"name": "first"}
        cluster.create(orders, first, namespace=namespace)
        BackupEngine(cluster, store).run(
            "new", BackupSpec(included_namespaces=[namespace])
        )
        cluster.delete(crds, f"orders.{group}")
        wait_for_versions(cluster, group)
        cluster.create(crds, older)
        wait_for_versions(cluster, group, "v1alpha1")
        engine = RestoreEngine(cluster, store)

        result = engine.run("r-1", spec)
        forced = engine.plan("r-2", spec, update)
        with store.open_contents("new") as contents:
            unserved = unserved_types(contents, cluster.discover())
        cluster.delete(crds, f"orders.{group}")
        wait_for_versions(cluster, group)

    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    (error,) = result.results.errors
    assert told in error.message
    assert told in "".join(unserved)
    conflicts = {x.kind: x.reason for x in forced.entries if x.action == "conflict"}
    assert conflicts.keys() == {"CustomResourceDefinition", "Order"}
    assert conflicts["Order"].endswith("its CRD exists and is not changed")
