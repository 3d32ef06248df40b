"""Custom resources whose kinds are called as Kubernetes' own, there and back."""

from contextlib import ExitStack

import pytest

from definitions import definition
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine
from kbackup.testing import SimulatedCluster

pytestmark = pytest.mark.integration

KINDS = (
    "ConfigMap",
    "Job",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicaSet",
    "Secret",
    "ServiceAccount",
)
# What the kind of Kubernetes has of each name is left to, is finished, or is merged.
BODIES = {
    "Job": {"status": {"completionTime": "2024-05-01T00:00:00Z"}},
    "Pod": {"status": {"phase": "Succeeded"}},
    "ServiceAccount": {"secrets": [{"name": "a"}]},
}
OWNERS = {
    "Job": ("batch/v1", "CronJob"),
    "Pod": ("batch/v1", "Job"),
    "PersistentVolumeClaim": ("apps/v1", "StatefulSet"),
    "ReplicaSet": ("apps/v1", "Deployment"),
}


@pytest.fixture(params=["simulated", "real"])
def cluster(request):
    """A connection to an API server: first the simulated, then the real one."""
    with ExitStack() as stack:
        if request.param == "real":
            kubeconfig = request.getfixturevalue("real_cluster").kubeconfig
            yield stack.enter_context(Cluster.connect(kubeconfig))
        else:
            simulated = stack.enter_context(SimulatedCluster())
            yield stack.enter_context(simulated.connect())


@pytest.fixture
def group(cluster, namespace, wait_for, wait_for_versions):
    """A group with those kinds, which goes with the test."""
    group = f"{namespace}.example.com"
    definitions = cluster.discover().by_kind(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition"
    )
    made = [definition(group, f"{kind.lower()}s", kind) for kind in KINDS]
    for each in made:
        cluster.create(definitions, each)

    def served():
        types = cluster.discover(refresh=True)
        return all(types.by_kind(f"{group}/v1", kind) for kind in KINDS)

    wait_for(f"the kinds of {group}", served)
    yield group
    for each in made:
        cluster.delete(definitions, each["metadata"]["name"])
    wait_for_versions(cluster, group)


def thing(group, kind, namespace):
    """Return an object of a kind of that group, owned as Kubernetes' own would be."""
    metadata = {"name": "x", "namespace": namespace}
    if kind in OWNERS:
        version, by = OWNERS[kind]
        owner = {"apiVersion": version, "kind": by, "name": "gone", "controller": True}
        uid = "00000000-0000-4000-8000-000000000000"
        metadata["ownerReferences"] = [owner | {"uid": uid}]
    own = BODIES.get(kind, {})
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, **own}


def test_plurals_of_other_groups(cluster, group):
    """A plural without group means Kubernetes' own type."""
    types = cluster.discover()

    assert str(types.resolve("pods")) == "pods"
    assert str(types.resolve("jobs")) == "jobs.batch"
    assert str(types.resolve("replicasets")) == "replicasets.apps"
    assert str(types.resolve(f"jobs.{group}")) == f"jobs.{group}"


def test_kinds_of_other_groups(cluster, group, namespace, tmp_path):
    """All of them come back, and are updated as any custom resource is."""
    types = cluster.discover()
    namespaces = types.by_kind("v1", "Namespace")
    copy = f"{namespace}-copy"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.create(namespaces, body)
    # A real collector would have deleted by now what is owned by nothing that is there.
    with SimulatedCluster() as source, source.connect() as there:
        source.load([body])
        for kind in KINDS:
            source.load([definition(group, f"{kind.lower()}s", kind)])
        source.load([thing(group, kind, namespace) for kind in KINDS])
        store = BackupStore.open(tmp_path / "store")
        BackupEngine(there, store).run("b-1", BackupSpec())
    mapping = {namespace: copy}
    spec = RestoreSpec(backup_name="b-1", namespace_mapping=mapping)
    engine = RestoreEngine(cluster, store)

    result = engine.run("r-1", spec)

    assert result.results.errors == ()
    of_kind = {kind: types.by_kind(f"{group}/v1", kind) for kind in KINDS}
    for kind in KINDS:
        assert cluster.get(of_kind[kind], "x", copy).content["kind"] == kind
    account = of_kind["ServiceAccount"]
    cluster.patch(account, "x", {"secrets": [{"name": "b"}]}, namespace=copy)
    again = RestoreSpec(
        backup_name="b-1", namespace_mapping=mapping, existing_resource_policy="update"
    )
    engine.run("r-2", again)
    live = cluster.get(account, "x", copy).content
    assert live["secrets"] == [{"name": "a"}]
    for each in (namespace, copy):
        cluster.delete(namespaces, each)
    store.close()
