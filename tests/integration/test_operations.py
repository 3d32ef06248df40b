"""Actions that act on a real API server: a run waits for what they began, or gives up."""

from datetime import timedelta

import pytest

import kbackup_plugins_local
from kbackup import actions
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore, EntryState, RestoreFile, SideFile
from kbackup.errors import BackupCleanupError, BackupOwnsDataError, ClusterError
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.plugins import BackupOutput, RestoreOutput
from kbackup.restore import RestoreEngine
from offered_actions import plugins_offering

pytestmark = pytest.mark.integration

SECRETS = GroupResource("", "secrets")
CONFIG_MAPS = GroupResource("", "configmaps")
SHORT = timedelta(seconds=2)


class CopyAction:
    """Leaves a Secret beside each ConfigMap labelled ``copy`` and marks each poll on it.

    What it knows of an operation lies in the cluster, as with a data mover.
    """

    applies_to = ResourceSelector(
        included_resources=("configmaps",), label_selector="copy"
    )

    def __init__(self, name, output, *, polls):
        """Answer with *output*; end at the poll of that number."""
        self.name = name
        self._output = output
        self._polls = polls
        self.asked = 0
        self.writer = None

    def execute(self, given):
        """Want to begin."""
        return self._output(item=given.item, wants_begin=True)

    def begin(self, given, cluster):
        """Create the Secret; its name is that of the operation."""
        self.writer = cluster
        metadata = given.item["metadata"]
        name = f"{given.run.name}-{metadata['name']}"
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": metadata["namespace"]},
            }
        )
        return ItemOperation(spec=ItemOperationSpec(operation_id=name))

    def progress(self, given):
        """Read the Secret, count."""
        assert given.cluster.get(_secret(given)) is not None
        self.asked += 1
        ended = self.asked >= self._polls
        return OperationProgress(
            completed=ended, n_completed=self.asked, n_total=self._polls
        )

    def cancel(self, given, cluster):
        """Remove the Secret."""
        cluster.delete(_secret(given))


def _secret(given):
    """The Secret of an operation."""
    spec = given.operation.spec
    namespace = spec.resource_identifier.namespace
    return ResourceIdentifier(SECRETS, namespace, spec.operation_id)


def _plugins(**offered):
    """The built-in actions, and those of the test."""
    return plugins_offering(actions, **offered)


@pytest.fixture
def settings_map(cluster, namespace):
    """A namespace with one labelled ConfigMap; its names are given."""
    writer = cluster.writer()
    metadata = {"name": "settings", "namespace": namespace, "labels": {"copy": "yes"}}
    writer.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    writer.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    spaces = GroupResource("", "namespaces")
    yield namespace
    writer.delete(ResourceIdentifier(spaces, "", namespace))


def _left(cluster, namespace):
    """The Secrets that actions left in a namespace."""
    found = cluster.reader().list(SECRETS, namespace=namespace)
    names = (each["metadata"]["name"] for each in found)
    return sorted(name for name in names if name.endswith("-settings"))


def test_backup_and_restore_wait(cluster, store, settings_map):
    """Both runs end after the second poll of what their actions made in the cluster."""
    copy = f"{settings_map}-copy"
    backup = CopyAction("example.com/copy", BackupOutput, polls=2)
    restore = CopyAction("example.com/fill", RestoreOutput, polls=2)
    spec = RestoreSpec(backup_name="b-1", namespace_mapping={settings_map: copy})

    made = BackupEngine(cluster, store, plugins=_plugins(backup=[backup])).run(
        "b-1", BackupSpec(included_namespaces=[settings_map])
    )
    engine = RestoreEngine(cluster, store, plugins=_plugins(restore=[restore]))
    plan = engine.plan("r-1", spec)
    assert _left(cluster, copy) == []
    applied = engine.apply(plan)

    assert made.backup.status.phase is BackupPhase.COMPLETED
    assert made.backup.status.backup_item_operations_completed == 1
    assert applied.restore.status.phase is RestorePhase.COMPLETED
    assert applied.restore.status.restore_item_operations_completed == 1
    assert (backup.asked, restore.asked) == (2, 2)
    assert _left(cluster, settings_map) == ["b-1-settings"]
    assert _left(cluster, copy) == ["r-1-settings"]
    for listed in (
        store.side_file("b-1", SideFile.ITEM_OPERATIONS),
        store.restore_file("r-1", RestoreFile.ITEM_OPERATIONS),
    ):
        assert [each["status"]["phase"] for each in listed] == ["Completed"]
    with pytest.raises(ClusterError, match="revoked"):
        restore.writer.delete(ResourceIdentifier(SECRETS, copy, "r-1-settings"))
    cluster.writer().delete(
        ResourceIdentifier(GroupResource("", "namespaces"), "", copy)
    )


def test_what_never_ends_times_out(cluster, store, settings_map):
    """An operation without end costs its run the deadline of the spec, and no more."""
    copy = f"{settings_map}-copy"
    backup = CopyAction("example.com/copy", BackupOutput, polls=1_000_000)
    restore = CopyAction("example.com/fill", RestoreOutput, polls=1_000_000)

    made = BackupEngine(cluster, store, plugins=_plugins(backup=[backup])).run(
        "b-1",
        BackupSpec(included_namespaces=[settings_map], item_operation_timeout=SHORT),
    )
    engine = RestoreEngine(cluster, store, plugins=_plugins(restore=[restore]))
    applied = engine.run(
        "r-1",
        RestoreSpec(
            backup_name="b-1",
            namespace_mapping={settings_map: copy},
            item_operation_timeout=SHORT,
        ),
    )

    assert made.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert made.backup.status.backup_item_operations_failed == 1
    assert applied.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert applied.restore.status.restore_item_operations_failed == 1
    assert store.entry("b-1").state is EntryState.COMPLETE
    for result, plugin in ((made, backup.name), (applied, restore.name)):
        (error,) = result.results.errors
        assert "not done within 2 s" in error.message
        assert (error.plugin, error.item.name) == (plugin, "settings")
    assert _left(cluster, settings_map) == []  # they were cancelled
    assert _left(cluster, copy) == []
    cluster.writer().delete(
        ResourceIdentifier(GroupResource("", "namespaces"), "", copy)
    )


class Wipe:
    """Wipes in place, and asks for a namespace in a namespace."""

    name = "example.com/wipe"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def execute(self, given):
        """Leave a mark."""
        given.item["data"] = {"wiped": "yes"}
        spaces = GroupResource("", "namespaces")
        wanted = ResourceIdentifier(spaces, given.identifier.namespace, "default")
        return BackupOutput(
            item=given.item,
            additional_items=(wanted,),
            must_include_additional_items=True,
        )


class Back:
    """Begins with what was stored."""

    name = "example.com/back"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def execute(self, given):
        """Put everything back."""
        return RestoreOutput(item=dict(given.item_from_backup))


def test_careless_actions(cluster, store, settings_map):
    """What actions change in place is stored, and said; what they put back is not made."""
    copy = f"{settings_map}-copy"
    spec = RestoreSpec(
        backup_name="b-1",
        included_namespaces=[settings_map],
        namespace_mapping={settings_map: copy},
    )

    made = BackupEngine(cluster, store, plugins=_plugins(backup=[Wipe()])).run(
        "b-1", BackupSpec(included_namespaces=[settings_map])
    )
    engine = RestoreEngine(cluster, store, plugins=_plugins(restore=[Back()]))
    applied = engine.run("r-1", spec, RestoreOptions(deadline=SHORT))

    assert store.verify("b-1").problems == ()
    warned = [each.message for each in made.results.warnings if each.plugin]
    assert len(warned) == 1
    assert "changed in place by action example.com/wipe" in warned[0]
    assert applied.restore.status.phase is RestorePhase.COMPLETED
    copied = ResourceIdentifier(GroupResource("", "configmaps"), copy, "settings")
    assert cluster.reader().get(copied)["data"] == {"wiped": "yes"}
    cluster.writer().delete(
        ResourceIdentifier(GroupResource("", "namespaces"), "", copy)
    )


class CopyCleanup:
    """Removes the Secrets that `CopyAction` left when the backup was made."""

    name = "example.com/copy"
    applies_to = CopyAction.applies_to

    def __init__(self):
        """Fail once."""
        self.writers = []

    def execute(self, given):
        """Delete the Secret; the first time something comes in between."""
        self.writers.append(given.cluster)
        if len(self.writers) == 1:
            raise OSError("away")
        namespace = given.identifier.namespace
        name = f"{given.backup.metadata.name}-{given.identifier.name}"
        given.cluster.delete(ResourceIdentifier(SECRETS, namespace, name))


def test_a_deletion_cleans_up_what_a_backup_left(cluster, tmp_path, settings_map):
    """What actions made goes before the backup does, and the backup only with it."""
    copy, cleanup = (
        CopyAction("example.com/copy", BackupOutput, polls=1),
        CopyCleanup(),
    )

    spec = BackupSpec(included_namespaces=[settings_map])
    with BackupStore.open(tmp_path / "store") as store:
        BackupEngine(cluster, store, plugins=_plugins(backup=[copy])).run("b-1", spec)
        with pytest.raises(BackupOwnsDataError, match="1 operation"):
            store.delete("b-1", cluster=cluster)
    made = _left(cluster, settings_map)

    plugins = plugins_offering(kbackup_plugins_local, delete=[cleanup])
    with BackupStore.open(tmp_path / "store", plugins=plugins) as store:
        plan = store.plan_deletion("b-1", cluster=cluster)
        with pytest.raises(
            BackupCleanupError, match=r"configmaps/.*/settings: OSError"
        ):
            store.delete("b-1", cluster=cluster)
        kept = _left(cluster, settings_map)
        whole = store.verify("b-1").problems == ()
        store.delete("b-1", cluster=cluster)
        left = store.list()

    assert plan.actions == {"example.com/copy": 1}
    assert whole
    assert made == kept == ["b-1-settings"]
    assert _left(cluster, settings_map) == []
    assert left == []
    with pytest.raises(ClusterError, match="revoked"):
        cleanup.writers[-1].delete(
            ResourceIdentifier(SECRETS, settings_map, "b-1-settings")
        )


class AfterAction:
    """Each Secret asks for the ConfigMap and waits until somebody marks it."""

    name = "example.com/after"
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self, writer, *, marks):
        """Mark the ConfigMap at the second look; or never."""
        self._writer = writer
        self._marks = marks
        self.asked = 0

    def execute(self, given):
        """Ask and wait."""
        namespace = given.item["metadata"]["namespace"]
        settings = ResourceIdentifier(CONFIG_MAPS, namespace, "settings")
        return RestoreOutput(
            item=given.item,
            additional_items=(settings,),
            wait_for_additional_items=True,
            additional_items_ready_timeout=SHORT,
        )

    def are_additional_items_ready(self, given, additional_items):
        """Look for the mark."""
        self.asked += 1
        (settings,) = additional_items
        found = given.cluster.get(settings)
        if self._marks and self.asked == 2:
            self._writer.patch(settings, {"metadata": {"labels": {"ready": "yes"}}})
        return found["metadata"]["labels"].get("ready") == "yes"


@pytest.mark.parametrize("marks", [True, False])
def test_a_restore_waits_for_additional_items(cluster, store, settings_map, marks):
    """The item is written once the other is ready, or with an error when time is over."""
    copy = f"{settings_map}-ready"
    writer = cluster.writer()
    metadata = {"name": "app", "namespace": settings_map}
    writer.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    BackupEngine(cluster, store, plugins=_plugins()).run(
        "b-1", BackupSpec(included_namespaces=[settings_map])
    )
    action = AfterAction(writer, marks=marks)
    engine = RestoreEngine(cluster, store, plugins=_plugins(restore=[action]))

    result = engine.run(
        "r-1", RestoreSpec(backup_name="b-1", namespace_mapping={settings_map: copy})
    )

    app = cluster.reader().get(ResourceIdentifier(SECRETS, copy, "app"))
    settings = cluster.reader().get(ResourceIdentifier(CONFIG_MAPS, copy, "settings"))
    assert int(app["metadata"]["resourceVersion"]) > int(
        settings["metadata"]["resourceVersion"]
    )
    assert action.asked >= 3
    errors = [each.message for each in result.results.errors]
    assert bool(errors) is not marks
    assert all("additional items are not ready" in each for each in errors)
    writer.delete(ResourceIdentifier(GroupResource("", "namespaces"), "", copy))
