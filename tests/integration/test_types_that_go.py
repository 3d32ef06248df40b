"""A type that a real API server stops serving while a backup runs."""

from contextlib import suppress

import pytest

from definitions import definition
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import ItemNotFoundError
from kbackup.models import BackupOptions, BackupPhase, BackupSpec

pytestmark = pytest.mark.integration


@pytest.fixture(name="cluster")
def fixture_cluster(real_cluster):
    """A connection to the real cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture(name="group")
def fixture_group(cluster, namespace, wait_for_versions):
    """The group of a new type, with one object in a namespace that has a Secret."""
    group = f"{namespace}.example.com"
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}},
        definition(group, "widgets", "Widget"),
        {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "blue"}},
    ]
    for item in made:
        served = cluster.discover().by_kind(item["apiVersion"], item["kind"])
        scope = namespace if served.namespaced else ""
        cluster.create(served, item, namespace=scope)
        if item["kind"] == "CustomResourceDefinition":
            wait_for_versions(cluster, group, "v1")
    yield group
    with suppress(ItemNotFoundError):
        cluster.delete(cluster.discover().resolve("crds"), f"widgets.{group}")
    cluster.delete(cluster.discover().resolve("namespaces"), namespace)
    wait_for_versions(cluster, group)


def test_type_that_is_deleted_while_the_backup_runs(
    cluster, group, namespace, tmp_path, wait_for_versions
):
    """A definition that goes after the first list makes a warning, and no gap."""
    widgets = f"widgets.{group}"

    def remove_widgets(item):
        if item["metadata"]["name"] == "s":
            cluster.delete(cluster.discover().resolve("crds"), widgets)
            wait_for_versions(cluster, group)
        return True

    spec = BackupSpec(
        included_namespaces=[namespace], included_resources=["secrets", widgets]
    )
    with BackupStore.open(tmp_path) as store:
        options = BackupOptions(where=remove_widgets)
        result = BackupEngine(cluster, store).run("b", spec, options)
        gaps = store.manifest("b").not_covered

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert gaps == ()
    told = [str(each) for each in result.results.warnings]
    assert told == [f"{widgets} was deleted while the backup ran"]
