"""Namespaces that were deleted on a real API server, with its controllers at work."""

import time

import attrs
import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, GroupResource, RestoreSpec
from kbackup.restore import RestoreEngine
from workloads import (
    INGRESS,
    back_up,
    check_workloads,
    come_to_rest,
    delete,
    drop,
    is_settled,
    watched,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def source(real_cluster):
    """The source cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@attrs.frozen
class Lost:
    """A namespace that was backed up and deleted.

    Attributes:
        namespace: Its name.
        store: Where the backup is.
        live: What the backup and the cluster differed in before the deletion.
    """

    namespace: str
    store: BackupStore
    live: object


@pytest.fixture(scope="module")
def lost(source, wait_for, side_by_side, tmp_path_factory):
    """Namespaces that were backed up and deleted, by a word."""
    number = time.time_ns() % 10**8

    def lose(word):
        namespace = f"{word}-{number}"
        store = BackupStore.open(tmp_path_factory.mktemp(word))
        back_up(source, namespace, store, wait_for)
        live = RestoreEngine(source, store).compare("b-1")
        drop(source, namespace, wait_for)
        return Lost(namespace, store, live)

    words = ("whole", "compared")
    found = dict(zip(words, side_by_side(lose, words), strict=True))
    yield found
    for each in found.values():
        each.store.close()
        delete(source, each.namespace)


def test_delete_and_restore(source, lost, wait_for, side_by_side):
    """A deleted namespace comes back whole; controllers delete nothing of it."""
    namespace, store = lost["whole"].namespace, lost["whole"].store
    engine = RestoreEngine(source, store)
    pods = source.discover().by_kind("v1", "Pod")
    listing = source.list(pods)
    list(listing)
    since = listing.resource_version

    result = engine.run("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    come_to_rest(source, namespace, wait_for)
    check_workloads(source, namespace)
    assert watched(source, namespace, since, "DELETED", side_by_side) == []
    again = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    assert again.is_empty, str(again)
    changed = [entry for entry in again.entries if entry.differences]
    assert changed == [], str(again)
    assert engine.compare("b-1").is_empty, str(engine.compare("b-1"))


def _change(cluster, namespace):
    """Change, delete and add objects by hand."""
    discovery = cluster.discover()

    def kind(version, name):
        return discovery.by_kind(version, name)

    patch = {"metadata": {"labels": {"more": "x"}}}
    accounts, settings = kind("v1", "ServiceAccount"), kind("v1", "ConfigMap")
    cluster.patch(accounts, "runner", patch, namespace=namespace)
    cluster.patch(settings, "settings", {"data": {"mode": "slow"}}, namespace=namespace)
    secret = {"data": {"key": "b3RoZXI="}}
    cluster.patch(kind("v1", "Secret"), "key", secret, namespace=namespace)
    scaled = {"spec": {"replicas": 1}}
    cluster.patch(kind("apps/v1", "Deployment"), "web", scaled, namespace=namespace)
    cluster.delete(kind("v1", "Service"), "web", namespace=namespace)
    ingresses = kind("networking.k8s.io/v1", "Ingress")  # also served as extensions
    cluster.delete(ingresses, "web", namespace=namespace)
    body = {"metadata": {"name": "new"}, "spec": INGRESS}
    cluster.create(ingresses, body, namespace=namespace)
    cluster.delete(
        kind("batch/v1", "Job"), "work", namespace=namespace, propagation="Background"
    )
    budgets = GroupResource.parse("poddisruptionbudgets.policy")
    for resource in (kind("v1", "ConfigMap"), discovery.get(budgets)):
        version, name = resource.api_version, resource.kind
        body = {"apiVersion": version, "kind": name, "metadata": {"name": "new"}}
        cluster.create(resource, body, namespace=namespace)


def test_diff_names_what_was_changed(source, lost, wait_for):
    """After a restore nothing differs; then exactly what was changed by hand does.

    What the controllers do about it (Pods that go and come, Endpoints, slices) is none
    of it.
    """
    namespace, live = lost["compared"].namespace, lost["compared"].live
    engine = RestoreEngine(source, lost["compared"].store)
    assert live.is_empty, str(live)
    gone = engine.compare("b-1")
    assert f"namespaces/{namespace}" in [str(x) for x in gone.removed]
    assert gone.same == len(gone.changed) == len(gone.added) == 0
    engine.run("r-1", RestoreSpec(backup_name="b-1"))
    wait_for("all Pods", lambda: is_settled(source, namespace))
    restored = engine.compare("b-1")
    assert restored.is_empty, str(restored)
    assert restored.same == len(gone.removed)

    _change(source, namespace)

    wait_for("the end of a Pod", lambda: not is_settled(source, namespace))
    found = engine.compare("b-1")
    assert [str(x) for x in found.removed] == [
        f"ingresses.networking.k8s.io/{namespace}/web",
        f"jobs.batch/{namespace}/work",
        f"services/{namespace}/web",
    ]
    assert [str(x) for x in found.added] == [
        f"configmaps/{namespace}/new",
        f"ingresses.networking.k8s.io/{namespace}/new",
        f"poddisruptionbudgets.policy/{namespace}/new",
    ]
    changed = {
        str(item.identifier): [difference.path for difference in item.differences]
        for item in found.changed
    }
    assert changed == {
        f"configmaps/{namespace}/settings": ["data.mode"],
        f"deployments.apps/{namespace}/web": ["spec.replicas"],
        f"secrets/{namespace}/key": ["data.key"],
        f"serviceaccounts/{namespace}/runner": ["metadata.labels"],
    }
    assert found.unknown == ()
    assert "b3RoZXI=" not in f"{found!r}{found.to_json()}"

    spec = BackupSpec(included_namespaces=[namespace])
    store = lost["compared"].store
    assert BackupEngine(source, store).run("b-2", spec).results.errors == ()
    between = store.diff("b-1", "b-2")
    assert (between.removed, between.added) == (found.removed, found.added)
    assert between.changed == found.changed, str(between)
    assert between.unknown == ()
