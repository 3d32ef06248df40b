"""Restores on a real API server with its controllers at work."""

import time
from datetime import timedelta

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
}
SETTLED_SECONDS = 15


def _objects(namespace):
    """A workload of each kind, and what it is configured by."""
    selector = {"matchLabels": {"app": "web"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    job = {
        "metadata": {"labels": {"app": "job"}},
        "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"},
    }
    bodies = {
        ("v1", "ConfigMap", "settings"): {"data": {"mode": "fast"}},
        ("v1", "Secret", "key"): {"data": {"key": "bm90LXJlYWw="}},
        ("v1", "ServiceAccount", "runner"): {},
        ("v1", "Service", "web"): {
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        },
        ("apps/v1", "Deployment", "web"): {
            "spec": {"replicas": 2, "selector": selector, "template": TEMPLATE}
        },
        ("apps/v1", "StatefulSet", "db"): {
            "spec": {
                "replicas": 1,
                "serviceName": "db",
                "selector": selector,
                "template": TEMPLATE,
                "volumeClaimTemplates": [claim],
            }
        },
        ("batch/v1", "Job", "work"): {"spec": {"template": job}},
    }
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            **body,
        }
        for (version, kind, name), body in bodies.items()
    ]


def _create(cluster, namespace, objects):
    """Create a namespace and objects in it."""
    discovery = cluster.discover()
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": "shop"}},
    }
    cluster.create(discovery.by_kind("v1", "Namespace"), body)
    for item in objects:
        resource = discovery.by_kind(item["apiVersion"], item["kind"])
        cluster.create(resource, item, namespace=namespace)


def _names(cluster, version, kind, namespace):
    """The names of the objects of a kind."""
    resource = cluster.discover().by_kind(version, kind)
    return sorted(item.name for item in cluster.list(resource, namespace=namespace))


def _is_settled(cluster, namespace):
    """Whether the controllers made every Pod."""
    return len(_names(cluster, "v1", "Pod", namespace)) >= 4


def _drop(cluster, namespace, wait_for):
    """Delete a namespace and wait until it is gone."""
    resource = cluster.discover().by_kind("v1", "Namespace")
    cluster.delete(resource, namespace)
    wait_for(
        f"the end of {namespace}",
        lambda: namespace not in _names(cluster, "v1", "Namespace", ""),
    )


@pytest.fixture
def source(real_cluster):
    """The source cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def backed_up(source, namespace, tmp_path, wait_for):
    """A namespace with workloads, settled and backed up; yields the store."""
    _create(source, namespace, _objects(namespace))
    wait_for("all Pods", lambda: _is_settled(source, namespace))
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        result = BackupEngine(source, store).run("b-1", spec)
        assert result.results.errors == ()
        yield store
    if namespace in _names(source, "v1", "Namespace", ""):
        _drop(source, namespace, wait_for)


def _watch_deletions(cluster, namespace, since):
    """What was deleted in a namespace since a resourceVersion, of any kind."""
    gone = []
    for version, kind in (
        ("v1", "Pod"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "ControllerRevision"),
        ("v1", "Secret"),
        ("v1", "PersistentVolumeClaim"),
        ("batch/v1", "Job"),
    ):
        resource = cluster.discover().by_kind(version, kind)
        events = cluster.watch(
            resource,
            namespace=namespace,
            resource_version=since,
            timeout=timedelta(seconds=2),
        )
        gone += [
            f"{kind}/{event.item['metadata']['name']}"
            for event in events
            if event.type == "DELETED"
        ]
    return gone


def _check_workloads(cluster, namespace):
    """Every workload has exactly its replicas, each Pod one controller."""
    kind = cluster.discover().by_kind("v1", "Pod").group_resource
    pods = cluster.reader().list(kind, namespace=namespace)
    owners = [
        f"{owner['kind']}"
        for pod in pods
        for owner in pod["metadata"]["ownerReferences"]
        if owner["controller"]
    ]
    assert sorted(owners) == ["Job", "ReplicaSet", "ReplicaSet", "StatefulSet"]
    assert len(_names(cluster, "apps/v1", "ReplicaSet", namespace)) == 1
    assert len(_names(cluster, "apps/v1", "ControllerRevision", namespace)) == 1


def test_delete_and_restore(source, backed_up, namespace, wait_for):
    """A deleted namespace comes back whole; controllers delete nothing of it."""
    engine = RestoreEngine(source, backed_up)
    _drop(source, namespace, wait_for)
    pods = source.discover().by_kind("v1", "Pod")
    listing = source.list(pods)
    list(listing)
    since = listing.resource_version

    result = engine.run("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    wait_for("all Pods", lambda: _is_settled(source, namespace))
    time.sleep(SETTLED_SECONDS)
    _check_workloads(source, namespace)
    assert _watch_deletions(source, namespace, since) == []
    again = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    assert again.is_empty, str(again)
    changed = [entry for entry in again.entries if entry.differences]
    assert changed == [], str(again)
    assert engine.compare("b-1").is_empty, str(engine.compare("b-1"))


def test_restore_over_the_live_namespace(source, backed_up):
    """With policy none nothing changes, no Pod starts."""
    resources = [
        resource
        for resource in source.discover().resources
        if resource.namespaced and resource.supports("list")
    ]

    def versions():
        return {
            (str(resource), item.name): item.resource_version
            for resource in resources
            if resource.resource not in ("events", "leases", "endpoints")
            for item in source.list(resource, namespace="")
            if item.namespace.startswith("t-")
        }

    engine = RestoreEngine(source, backed_up)
    time.sleep(2)
    before = versions()

    result = engine.run("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    assert {o.action for o in result.outcomes} <= {"unchanged", "skipped"}
    assert versions() == before


def test_under_another_name_on_another_cluster(
    backed_up, target_cluster, namespace, wait_for
):
    """On a second cluster, under another name, every workload has its replicas."""
    copy = f"{namespace}-copy"
    spec = RestoreSpec(backup_name="b-1", namespace_mapping={namespace: copy})
    with Cluster.connect(target_cluster.kubeconfig) as target:
        engine = RestoreEngine(target, backed_up)
        plan = engine.plan("r-1", spec)
        assert plan.head.same_cluster is False

        result = engine.apply(plan)

        assert result.results.errors == ()
        wait_for("all Pods", lambda: _is_settled(target, copy))
        time.sleep(SETTLED_SECONDS)
        _check_workloads(target, copy)
        assert engine.plan("r-1", spec).is_empty
        _drop(target, copy, wait_for)
