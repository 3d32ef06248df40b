"""Backups, copies and plans held against a real API server with its controllers at work."""

import time

import attrs
import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine
from workloads import back_up, delete, is_settled

pytestmark = pytest.mark.integration


@attrs.frozen
class Place:
    """A namespace with workloads that was backed up as ``b-1``."""

    namespace: str
    cluster: Cluster
    store: BackupStore
    engine: RestoreEngine

    def change(self, namespace):
        """Change a setting by hand."""
        settings = self.cluster.discover().by_kind("v1", "ConfigMap")
        slow = {"data": {"mode": "slow"}}
        self.cluster.patch(settings, "settings", slow, namespace=namespace)


@pytest.fixture(scope="module")
def place(real_cluster, wait_for, tmp_path_factory):
    """The namespace, settled, and the store."""
    namespace = f"diff-{time.time_ns() % 10**8}"
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path_factory.mktemp("diff")) as store,
    ):
        back_up(cluster, namespace, store, wait_for)
        yield Place(namespace, cluster, store, RestoreEngine(cluster, store))
        delete(cluster, namespace)


def test_two_backups_of_a_quiet_namespace(place):
    """With its controllers at work, and nobody else, a namespace is as it was."""
    spec = BackupSpec(included_namespaces=[place.namespace])
    BackupEngine(place.cluster, place.store).run("b-2", spec)

    between = place.store.diff("b-1", "b-2")
    live = place.engine.compare("b-2", namespaces=[place.namespace])

    assert between.is_empty, str(between)
    assert live.is_empty, str(live)
    assert between.same > 10
    assert between.not_covered == 0


def test_a_copy_equals_its_backup(place, wait_for):
    """A copy, with its controllers at work, differs in what was changed in it alone."""
    copy = f"{place.namespace}-copy"
    mapping = {place.namespace: copy}
    spec = RestoreSpec(backup_name="b-1", namespace_mapping=mapping)
    place.engine.run("r-1", spec)
    wait_for("all Pods", lambda: is_settled(place.cluster, copy))
    wanted = {"namespaces": [place.namespace], "namespace_mapping": mapping}
    fresh = place.engine.compare("b-1", **wanted)
    place.change(copy)

    found = place.engine.compare("b-1", **wanted)

    delete(place.cluster, copy)
    assert fresh.is_empty, str(fresh)
    assert [str(x.target) for x in found.changed] == [f"configmaps/{copy}/settings"]
    assert found.removed == found.added == found.unknown == ()


def test_a_plan_names_what_differs(place):
    """What a plan's diff names is what differed, and after it was applied nothing does."""
    secrets = place.cluster.discover().by_kind("v1", "Secret")
    place.change(place.namespace)
    place.cluster.delete(secrets, "key", namespace=place.namespace)
    engine, chosen = place.engine, [place.namespace]
    found = engine.compare("b-1", namespaces=chosen)
    spec = RestoreSpec(backup_name="b-1", existing_resource_policy="update")

    plan = engine.plan("r-2", spec)
    engine.apply(plan)

    told = plan.diff()
    assert [str(x) for x in told.added] == [f"secrets/{place.namespace}/key"]
    assert [str(x.identifier) for x in told.changed] == [
        f"configmaps/{place.namespace}/settings"
    ]
    assert told.added == found.removed
    assert [x.identifier for x in told.changed] == [x.identifier for x in found.changed]
    assert engine.compare("b-1", namespaces=chosen).is_empty
    assert engine.plan("r-3", spec).diff().is_empty
