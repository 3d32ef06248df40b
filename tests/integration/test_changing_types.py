"""Types of a real API server that go while a backup runs, or that became older."""

from contextlib import suppress

import pytest

from definitions import definition, served_version
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.errors import ItemNotFoundError
from kbackup.models import BackupOptions, BackupPhase, BackupSpec, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine

pytestmark = pytest.mark.integration


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


def test_older_definition_in_the_target(
    cluster, group, namespace, tmp_path, wait_for_versions
):
    """Objects of a version that the target's definition lacks are a conflict at once."""
    crds = cluster.discover().resolve("crds")
    newer = definition(
        group,
        "widgets",
        "Widget",
        served_version("v2"),
        served_version("v1", storage=False),
    )
    older = cluster.get(crds, f"widgets.{group}").content

    def become(spec, *versions):
        cluster.delete(crds, f"widgets.{group}")
        wait_for_versions(cluster, group)
        cluster.create(crds, {**newer, "spec": spec})
        wait_for_versions(cluster, group, *versions)

    become(newer["spec"], "v1", "v2")
    head = {"apiVersion": f"{group}/v2", "kind": "Widget"}
    widgets = cluster.discover().by_kind(*head.values())
    cluster.create(widgets, {**head, "metadata": {"name": "red"}}, namespace=namespace)
    with BackupStore.open(tmp_path) as store:
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b", spec).results.errors == ()
        become(older["spec"], "v1")
        plan = RestoreEngine(cluster, store).plan("r", RestoreSpec(backup_name="b"))

    (red,) = (entry for entry in plan.entries if entry.kind == "Widget")
    assert red.action is PlanAction.CONFLICT
    assert red.reason == (
        f"the target serves {group}/v1 of widgets.{group}, the backup has {group}/v2; "
        "its CRD exists and is left as it is; "
        "--existing-cluster-resource-policy update changes it"
    )
