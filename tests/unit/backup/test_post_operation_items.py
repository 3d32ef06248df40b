"""What operations leave is in the backup as it is when they have ended."""

import pytest

from kbackup.catalog import SideFile
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, PhaseChanged
from offered_actions import plugins_offering

pytestmark = pytest.mark.usefixtures("impatient")

SPEC = BackupSpec(included_resources=["secrets"])
RESULT = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "result")
SECRET = ResourceIdentifier(GroupResource("", "secrets"), "shop", "s")


class Move:
    """Moves what a Secret stands for; its progress does what the test says."""

    name = "example.com/move"
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self, *again, act=lambda cluster: None, error=""):
        """Want these items again; act before the operation ends."""
        self._again, self._act, self._error = again, act, error
        self.seen, self.begun = [], 0

    def execute(self, given):
        """Want to begin, whenever asked."""
        self.seen.append(str(given.backup.status.phase))
        return BackupOutput(
            item=given.item, wants_begin=True, post_operation_items=self._again
        )

    def begin(self, given, cluster):
        """Act at once: nobody looks before the operation ends."""
        self.begun += 1
        self._act(cluster)
        return ItemOperation(spec=ItemOperationSpec(operation_id="o-1"))

    def progress(self, given):
        """It has ended."""
        return OperationProgress(completed=True, error=self._error)

    def cancel(self, given, cluster):
        """Nothing to cancel."""


class Mark:
    """Changes each ConfigMap that is stored, and may ask for more."""

    name = "example.com/mark"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self, *more):
        """Ask for these."""
        self._more = more
        self.seen = []

    def execute(self, given):
        """Add a key."""
        self.seen.append(given.identifier.name)
        item = {**given.item, "data": {**given.item.get("data", {}), "marked": "yes"}}
        return BackupOutput(item=item, additional_items=self._more)

    def skipping(self):
        """Leave everything out instead."""
        self.execute = lambda given: BackupOutput(item=given.item, skip="not this one")
        return self


def create_result(cluster):
    """Create what the operation results in."""
    cluster.create(result())


def result(name="result", **metadata):
    """A ConfigMap."""
    metadata = {"name": name, "namespace": "shop", **metadata}
    data = {"size": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def change_secret(cluster):
    """Change the Secret that the operation began for."""
    patch = {"data": {"moved": "eWVz"}}
    cluster.patch(SECRET, patch)


@pytest.fixture
def shop(scene):
    """A scene with one Secret."""
    scene.load(scene.secret("s"))
    return scene


def use(scene, *actions):
    """Let the engine use these actions and nothing else."""
    scene.plugins = plugins_offering(backup=actions)


def wanted_in_file(scene):
    """The items that the file of operations names."""
    (operation,) = scene.store.side_file("b", SideFile.ITEM_OPERATIONS)
    return [each["Name"] for each in operation["spec"].get("postOperationItems", ())]


def test_what_an_operation_results_in_is_in_the_backup(shop):
    """It is added though no filter wants it; counts, lists and manifest have it."""
    use(shop, Move(RESULT, act=create_result))

    made = shop.engine().run("b", SPEC)

    assert made.backup.status.phase is BackupPhase.COMPLETED
    assert shop.stored() == ["configmaps/shop/result", "secrets/shop/s"]
    assert made.backup.status.progress.items_backed_up == 2
    assert made.backup.status.progress.total_items == 2
    assert shop.store.manifest("b").items == 2
    assert shop.store.manifest("b").entries == 5
    listed = shop.store.side_file("b", SideFile.RESOURCE_LIST)
    assert listed == {"v1/ConfigMap": ["shop/result"], "v1/Secret": ["shop/s"]}
    assert wanted_in_file(shop) == ["result"]
    assert shop.store.verify("b").problems == ()


def test_what_an_operation_changes_is_replaced(shop):
    """The archive has it once, as it is after the operation."""
    use(shop, Move(SECRET, act=change_secret))

    made = shop.engine().run("b", SPEC)

    assert shop.stored() == ["secrets/shop/s"]
    assert shop.item("secrets/shop/s")["data"] == {"moved": "eWVz"}
    assert made.backup.status.progress.items_backed_up == 1
    assert shop.store.manifest("b").items == 1
    assert shop.store.verify("b").problems == ()


def test_actions_see_that_the_backup_is_finalized(shop):
    """They are asked again, may change what is stored, and nothing begins any more."""
    move, mark = Move(SECRET, RESULT, act=create_result), Mark()
    use(shop, move, mark)

    made = shop.engine().run("b", SPEC)

    assert made.results.errors == ()
    assert move.seen == ["InProgress", "Finalizing"]
    assert move.begun == 1
    assert shop.item(str(RESULT))["data"] == {"size": "1", "marked": "yes"}


def test_what_actions_ask_for_then_is_stored_as_well(shop):
    """Each item once, also where they ask for each other in a circle."""
    shop.load(result("more"))
    more = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "more")
    mark = Mark(more, RESULT)
    use(shop, Move(RESULT, act=create_result), mark)

    made = shop.engine().run("b", SPEC)

    assert made.results.errors == ()
    assert mark.seen == ["result", "more"]
    assert str(more) in shop.stored()


def test_what_does_not_exist_is_an_error_by_name(shop):
    """Item and action are named; no file promises what the archive lacks."""
    use(shop, Move(RESULT))

    made = shop.engine().run("b", SPEC)

    assert made.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    (error,) = made.results.errors
    assert (error.item, error.plugin) == (RESULT, "example.com/move")
    assert "does not exist" in error.message
    assert wanted_in_file(shop) == []
    (gap,) = shop.store.manifest("b").not_covered
    assert "result: it does not exist" in str(gap)
    assert shop.store.verify("b").problems == ()


def test_what_an_action_fails_on_is_an_error_by_name(shop):
    """The item is lost with the action's name, and the manifest says so."""
    mark = Mark()
    mark.execute = lambda given: 1 / 0
    use(shop, Move(RESULT, act=create_result), mark)

    made = shop.engine().run("b", SPEC)

    (error,) = made.results.errors
    assert (error.item, error.plugin) == (RESULT, "example.com/mark")
    (gap,) = shop.store.manifest("b").not_covered
    assert "result: failed" in str(gap)
    assert made.backup.status.progress.total_items == 2
    assert made.backup.status.progress.items_backed_up == 1


def test_what_is_gone_stays_as_it_was(shop):
    """The archive keeps what it had, and the error says so."""
    use(shop, Move(SECRET, act=lambda cluster: cluster.delete(SECRET)))

    made = shop.engine().run("b", SPEC)

    (error,) = made.results.errors
    assert "it is in the backup as it was before" in error.message
    assert shop.stored() == ["secrets/shop/s"]
    assert shop.store.manifest("b").not_covered == ()


def test_a_type_that_is_not_served_is_an_error_by_name(shop):
    """So an operation whose definition is missing is told."""
    upload = ResourceIdentifier(GroupResource("velero.io", "datauploads"), "shop", "u")
    use(shop, Move(upload))

    made = shop.engine().run("b", SPEC)

    (error,) = made.results.errors
    assert error.item == upload
    assert "serves no such type" in error.message


def test_what_a_failed_operation_leaves_is_stored_too(shop):
    """It tells what went wrong."""
    events = []
    use(shop, Move(RESULT, act=create_result, error="no space"))

    made = shop.engine(observer=events.append).run("b", SPEC)

    assert made.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert "configmaps/shop/result" in shop.stored()
    phases = [each.phase for each in events if isinstance(each, PhaseChanged)]
    assert "FinalizingPartiallyFailed" in phases


@pytest.mark.parametrize(
    ("labels", "marked"),
    [
        ({"velero.io/exclude-from-backup": "true"}, False),
        ({}, True),
    ],
    ids=["excluded by label", "skipped by an action"],
)
def test_what_is_left_out_on_purpose_is_a_warning(shop, labels, marked):
    """Whoever labels it, or an action that skips it, has the last word."""
    act = lambda cluster: cluster.create(result(labels=labels))  # noqa: E731
    actions = [Mark().skipping()] if marked else []
    use(shop, Move(RESULT, act=act), *actions)

    made = shop.engine().run("b", SPEC)

    assert made.backup.status.phase is BackupPhase.COMPLETED
    assert [w.item for w in made.results.warnings] == [RESULT]
    assert wanted_in_file(shop) == []


def test_references_are_looked_at_when_all_is_stored(shop):
    """What an operation adds is not missing, and what that refers to may be."""
    container = {"name": "web", "envFrom": [{"configMapRef": {"name": "result"}}]}
    shop.load(shop.made("Pod", "web", "shop", spec={"containers": [container]}))
    use(shop, Move(RESULT, act=create_result))

    made = shop.engine().run("b", BackupSpec(included_resources=["secrets", "pods"]))

    missing = [str(each.refers_to) for each in shop.store.manifest("b").missing]
    assert str(RESULT) not in missing
    assert not any("configmaps result" in str(w) for w in made.results.warnings)


def test_a_claim_that_an_operation_makes_is_a_volume_of_the_backup(shop):
    """The manifest tells of it that it has no data here."""
    spec = {
        "volumeName": "pv-1",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    claim = shop.made("PersistentVolumeClaim", "disk", "shop", spec=spec)
    wanted = ResourceIdentifier(
        GroupResource("", "persistentvolumeclaims"), "shop", "disk"
    )
    use(shop, Move(wanted, act=lambda cluster: cluster.create(claim)))

    made = shop.engine().run("b", SPEC)

    volumes = shop.store.manifest("b").volumes
    assert [(v.claim, v.volume, v.data) for v in volumes] == [
        ("shop/disk", "pv-1", "none")
    ]
    assert any(
        "no data in this backup: shop/disk" in str(w) for w in made.results.warnings
    )
