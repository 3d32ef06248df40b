"""Actions begin while a backup runs; it waits for them before anything is visible."""

import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.catalog import SideFile
from kbackup.errors import BackupOwnsDataError, ClusterError, RunCancelledError
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    EngineSettings,
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering

pytestmark = pytest.mark.usefixtures("impatient")

NAME = "example.com/copy"
SPEC = BackupSpec(included_resources=["secrets"])


class Action:
    """Begins an operation for each Secret that ends at its second poll."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self, **more):
        """Change what the test wants otherwise."""
        self.begun, self.polls, self.cancelled, self.writers = [], [], [], []
        self.again = ()
        vars(self).update(more)

    def execute(self, given):
        """Want to begin."""
        return BackupOutput(
            item=given.item, wants_begin=True, post_operation_items=self.again
        )

    def begin(self, given, cluster):
        """Leave a mark in the cluster."""
        self.begun.append(given.identifier.name)
        self.writers.append(cluster)
        cluster.create(_mark(given.identifier))
        operation_id = f"o-{given.identifier.name}"
        return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))

    def progress(self, given):
        """End at the second poll."""
        self.polls.append(given.operation.spec.operation_id)
        ended = self.polls.count(given.operation.spec.operation_id) > 1
        return OperationProgress(completed=ended, n_completed=int(ended), n_total=1)

    def cancel(self, given, cluster):
        """Remove the mark."""
        self.cancelled.append(given.operation.spec.operation_id)
        secret = given.operation.spec.resource_identifier.identifier
        marks = GroupResource("", "configmaps")
        name = f"mark-{secret.name}"
        cluster.delete(ResourceIdentifier(marks, secret.namespace, name))


def _mark(secret):
    """A ConfigMap."""
    metadata = {"name": f"mark-{secret.name}", "namespace": secret.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _use(scene, action):
    """Let a scene's engines use an action and nothing else."""
    scene.plugins = plugins_offering(backup=[action])
    return action


def _marks(scene):
    """The marks in the cluster."""
    found = scene.server.objects("configmaps", "shop")
    return sorted(each["metadata"]["name"] for each in found)


@pytest.fixture
def secrets(scene):
    """Two Secrets."""
    scene.load(scene.secret("a"), scene.secret("b"))
    return scene


def test_a_backup_waits_for_what_its_actions_began(secrets):
    """Begin is called once an item, and the record counts what has ended."""
    action = _use(secrets, Action())
    visible = []
    action.progress = lambda given: (
        visible.append([i.key for i in secrets.objects.list("")])
        or (Action.progress(action, given))
    )

    result = secrets.engine().run("b", SPEC)

    status = result.backup.status
    assert status.phase is BackupPhase.COMPLETED
    assert action.begun == ["a", "b"]
    assert _marks(secrets) == ["mark-a", "mark-b"]
    assert status.backup_item_operations_attempted == 2
    assert status.backup_item_operations_completed == 2
    assert status.backup_item_operations_failed == 0
    assert len(visible) == 4
    assert not any("backups/" in key for keys in visible for key in keys)


def test_the_operations_are_a_file_of_the_backup(secrets):
    """Velero's file names each operation, and the manifest names the file."""
    _use(secrets, Action())

    secrets.engine().run("b", SPEC)

    listed = secrets.store.side_file("b", SideFile.ITEM_OPERATIONS)
    assert [each["spec"]["operationID"] for each in listed] == ["o-a", "o-b"]
    first = listed[0]
    assert first["spec"]["backupName"] == "b"
    assert first["spec"]["backupItemAction"] == NAME
    assert first["spec"]["resourceIdentifier"] == {
        "Group": "",
        "Resource": "secrets",
        "Namespace": "shop",
        "Name": "a",
    }
    assert first["status"]["phase"] == "Completed"
    names = [each.name for each in secrets.store.manifest("b").objects]
    assert "b-itemoperations.json.gz" in names
    assert secrets.store.verify("b").problems == ()


def test_a_backup_with_operations_is_not_deleted_with_its_files_alone(secrets):
    """What an operation made outside the store must not be forgotten."""
    _use(secrets, Action())
    secrets.engine().run("b", SPEC)

    with pytest.raises(BackupOwnsDataError, match="2 operations"):
        secrets.store.delete("b")


def test_a_plan_begins_nothing(secrets):
    """A plan asks what actions want and lets none act."""
    action = _use(secrets, Action())

    plan = secrets.engine().plan(SPEC)

    assert plan.results.errors == ()
    assert action.begun == []
    assert _marks(secrets) == []


def test_an_item_that_is_lost_gets_no_operation(secrets):
    """Begin comes after the storing: nothing begins for what is not in the backup."""

    def execute(given):
        if given.identifier.name == "a":
            return BackupOutput(item={**given.item, "kind": ""}, wants_begin=True)
        return BackupOutput(item=given.item, wants_begin=True)

    action = _use(secrets, Action(execute=execute))

    result = secrets.engine().run("b", SPEC)

    assert action.begun == ["b"]
    assert len(result.results.errors) == 1


def test_begin_sees_what_was_stored(secrets):
    """What begin is given is the item as it lies in the backup."""
    seen = []

    def execute(given):
        item = {**given.item, "type": "example.com/other"}
        return BackupOutput(item=item, wants_begin=True)

    _use(
        secrets,
        Action(execute=execute, begin=lambda given, _: seen.append(given.item["type"])),
    )

    secrets.engine().run("b", SPEC)

    assert seen == ["example.com/other"] * 2


def test_a_begin_that_fails_leaves_the_item_stored(secrets):
    """It is an error of plugin and item; the object is in the backup."""
    _use(secrets, Action(begin=lambda given, cluster: 1 / 0))

    result = secrets.engine().run("b", SPEC)

    assert secrets.stored() == ["secrets/shop/a", "secrets/shop/b"]
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert {(e.plugin, e.item.name) for e in result.results.errors} == {
        (NAME, "a"),
        (NAME, "b"),
    }


def test_writers_are_of_no_use_after_begin(secrets):
    """An action that keeps what it was given to write with cannot write later."""
    action = _use(secrets, Action())
    secrets.engine().run("b", SPEC)

    for writer in action.writers:
        with pytest.raises(ClusterError, match="revoked"):
            writer.create({"apiVersion": "v1", "kind": "Secret"})


def test_a_begin_that_hangs_costs_no_backup(secrets):
    """The plugin is named, asked nothing more, and the backup is published."""
    release = threading.Event()
    begun = []

    def begin(given, cluster):
        begun.append(given.identifier.name)
        release.wait(30)

    _use(secrets, Action(begin=begin))
    settings = EngineSettings(action_timeout=timedelta(milliseconds=50))

    result = secrets.engine(settings=settings).run("b", SPEC)
    release.set()

    assert begun == ["a"]
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert secrets.stored() == ["secrets/shop/a", "secrets/shop/b"]
    assert [e.plugin for e in result.results.errors] == [NAME, NAME]


def test_an_operation_without_end_ends_with_its_time(secrets):
    """The specification says how long an operation may take; then it is cancelled."""
    action = _use(secrets, Action(progress=lambda given: OperationProgress()))
    spec = BackupSpec(
        included_resources=["secrets"],
        item_operation_timeout=timedelta(milliseconds=30),
    )

    result = secrets.engine().run("b", spec)

    assert result.exit_code == 3
    assert result.backup.status.backup_item_operations_failed == 2
    assert sorted(action.cancelled) == ["o-a", "o-b"]
    assert _marks(secrets) == []


def test_a_cancelled_backup_stops_what_it_began(secrets):
    """A cancel while the run waits publishes nothing and leaves nothing going on."""
    token = CancelToken()

    def progress(given):
        token.cancel("enough")
        return OperationProgress()

    action = _use(secrets, Action(progress=progress))

    with pytest.raises(RunCancelledError) as caught:
        secrets.engine().run("b", SPEC, cancel=token)

    assert action.cancelled == ["o-a", "o-b"]
    assert _marks(secrets) == []
    assert "o-a" in str(caught.value.result.results.errors[0])
    assert list(secrets.store.list()) == []


def test_items_wanted_after_an_operation_that_are_not_there(secrets):
    """What cannot be stored again is an error, and the backup stays whole."""
    late = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "result")
    _use(secrets, Action(again=(late,)))

    result = secrets.engine().run("b", SPEC)

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert all("configmaps/shop/result" in str(e) for e in result.results.errors)
    assert secrets.store.verify("b").problems == ()
