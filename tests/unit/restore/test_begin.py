"""Actions begin while a plan is applied; the restore waits for what they began."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from queue import SimpleQueue

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.catalog import RestoreFile
from kbackup.errors import ClusterError, RunCancelledError
from kbackup.models import (
    EngineSettings,
    ExistingResourcePolicy,
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
from kbackup.plugins import RestoreOutput
from kbackup.restore._writes.gate import Gate
from offered_actions import plugins_offering

NAME = "example.com/fill"
SPEC = RestoreSpec(backup_name="shop-1")


class Action:
    """Begins an operation for each ConfigMap that ends at its second poll."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self, **more):
        """Change what the test wants otherwise."""
        self.begun, self.polls, self.cancelled, self.writers = [], [], [], []
        vars(self).update(more)

    def execute(self, given):
        """Want to begin."""
        return RestoreOutput(item=given.item, wants_begin=True)

    def begin(self, given, cluster):
        """Note what is there at this moment."""
        target = ResourceIdentifier(
            GroupResource("", "configmaps"),
            given.item["metadata"]["namespace"],
            given.item["metadata"]["name"],
        )
        self.begun.append((str(target), cluster.get(target) is not None))
        self.writers.append(cluster)
        operation_id = f"o-{target.name}"
        return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))

    def progress(self, given):
        """End at the second poll."""
        self.polls.append(given)
        ids = [each.operation.spec.operation_id for each in self.polls]
        ended = ids.count(given.operation.spec.operation_id) > 1
        return OperationProgress(completed=ended, n_completed=int(ended), n_total=1)

    def cancel(self, given, cluster):
        """Note it."""
        self.cancelled.append(given.operation.spec.operation_id)


def _config_map(name="a", **data):
    """A ConfigMap."""
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
OBJECTS = [NAMESPACE, _config_map("a", key="1"), _config_map("b", key="1")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Poll without pauses."""
    monkeypatch.setattr("kbackup.plugins._operations._FIRST_PAUSE", 0.001)


@pytest.fixture
def make(make_shop):
    """Makes a shop of two ConfigMaps whose engine uses one action."""

    def make(action, **more):
        return make_shop(OBJECTS, plugins=plugins_offering(restore=[action]), **more)

    return make


def test_a_restore_waits_for_what_its_actions_began(make):
    """Begin is called once an item, before it is written; the record counts the end."""
    action = Action()
    shop = make(action)

    result = shop.engine.run("try-1", SPEC)

    status = result.restore.status
    assert status.phase is RestorePhase.COMPLETED
    assert sorted(action.begun) == [
        ("configmaps/shop/a", False),
        ("configmaps/shop/b", False),
    ]
    assert shop.names("configmaps", "shop") == ["a", "b"]
    assert len(action.polls) == 4
    assert status.restore_item_operations_attempted == 2
    assert status.restore_item_operations_completed == 2
    assert action.polls[0].restore.name == "try-1"
    assert action.polls[0].backup.name == "shop-1"


def test_the_operations_are_a_file_of_the_restore(make):
    """Velero's file names each operation, by the item in the target."""
    shop = make(Action())
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})

    shop.engine.run("try-1", spec)

    listed = shop.store.restore_file("try-1", RestoreFile.ITEM_OPERATIONS)
    assert [each["spec"]["operationID"] for each in listed] == ["o-a", "o-b"]
    assert listed[0]["spec"]["restoreName"] == "try-1"
    assert listed[0]["spec"]["restoreItemAction"] == NAME
    assert listed[0]["spec"]["resourceIdentifier"]["Namespace"] == "copy"
    assert listed[0]["status"]["phase"] == "Completed"


def test_without_operations_there_is_no_file(make):
    """A restore whose actions began nothing to wait for has no list of operations."""
    shop = make(Action(begin=lambda given, cluster: None))

    result = shop.engine.run("try-1", SPEC)

    assert result.restore.status.restore_item_operations_attempted == 0
    assert shop.store.restore_file("try-1", RestoreFile.ITEM_OPERATIONS) is None


def test_a_plan_begins_nothing(make):
    """Neither a plan nor the server-side validation of one lets an action act."""
    action = Action()
    shop = make(action)
    shop.simulated.load([NAMESPACE])  # or nothing in it could be validated

    shop.engine.plan("try-1", SPEC)
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(validate=True))

    assert shop.writes() == 2  # dry runs of both
    assert not any("not tried" in notice for notice in map(str, plan.notices))
    assert action.begun == []


def test_what_is_not_written_begins_nothing(make):
    """An object that the plan leaves as it is gets no operation."""
    action = Action()
    shop = make(action)
    shop.simulated.load([NAMESPACE, _config_map("a", key="other")])

    shop.engine.run("try-1", SPEC)

    assert action.begun == [("configmaps/shop/b", False)]


def test_what_is_updated_begins_before_it_is_changed(make):
    """An update is a write, too."""
    action = Action()
    shop = make(action)
    shop.simulated.load([NAMESPACE, _config_map("a", key="other")])
    update = ExistingResourcePolicy.UPDATE

    result = shop.engine.run(
        "try-1", RestoreSpec(backup_name="shop-1", existing_resource_policy=update)
    )

    assert result.results.errors == ()
    assert sorted(action.begun) == [
        ("configmaps/shop/a", True),
        ("configmaps/shop/b", False),
    ]
    assert shop.object("configmaps", "shop", "a")["data"] == {"key": "1"}


@pytest.mark.parametrize("policy", [None, ExistingResourcePolicy.UPDATE])
def test_an_object_that_moved_is_not_acted_on(make, policy):
    """Where the target is not as the plan saw it nothing begins, and that is said."""
    action = Action()
    shop = make(action)
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy=policy)
    if policy is not None:
        shop.simulated.load([NAMESPACE, _config_map("a", key="other")])
    plan = shop.engine.plan("try-1", spec)
    if policy is None:
        shop.simulated.load([NAMESPACE, _config_map("a", key="mine")])
    else:
        patch = {"data": {"key": "mine"}}
        maps = shop.cluster.discover().resolve("configmaps")
        shop.cluster.patch(maps, "a", patch, namespace="shop")

    result = shop.engine.apply(plan)

    assert action.begun == [("configmaps/shop/b", False)]
    told = [w for w in result.results.warnings if "did not begin" in w.message]
    assert [(w.plugin, w.item.name) for w in told] == [(NAME, "a")]
    assert shop.object("configmaps", "shop", "a")["data"] == {"key": "mine"}


def test_a_write_that_is_tried_again_begins_once(make):
    """Begin is called once however often the server wants to be asked."""
    action = Action()
    shop = make(action)
    shop.simulated.faults.fail(
        verb="create", resource="configmaps", status=503, times=6
    )

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert sorted(name for name, _ in action.begun) == [
        "configmaps/shop/a",
        "configmaps/shop/b",
    ]


def test_actions_act_beside_the_writes(make, monkeypatch):
    """What an action takes is not held against the server: it is no write."""
    inside, seen, writing = [], [], Gate.writing

    @contextmanager
    def watched(gate, size):
        with writing(gate, size):
            inside.append(gate)
            try:
                yield
            finally:
                inside.pop()

    monkeypatch.setattr(Gate, "writing", watched)
    action = Action(begin=lambda given, cluster: seen.append(len(inside)))

    make(action, settings=EngineSettings(workers=1)).engine.run("try-1", SPEC)

    assert seen == [0, 0]


def test_a_begin_that_fails_leaves_the_item_restored(make):
    """It is an error of plugin and item in the target; the object is written."""
    shop = make(Action(begin=lambda given, cluster: 1 / 0))

    result = shop.engine.run("try-1", SPEC)

    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert shop.names("configmaps", "shop") == ["a", "b"]
    assert {(e.plugin, e.item.name) for e in result.results.errors} == {
        (NAME, "a"),
        (NAME, "b"),
    }


def test_writers_are_of_no_use_after_begin(make):
    """An action that keeps what it was given to write with cannot write later."""
    action = Action()
    make(action).engine.run("try-1", SPEC)

    for writer in action.writers:
        with pytest.raises(ClusterError, match="revoked"):
            writer.create(_config_map("late"))


def test_a_begin_that_hangs_costs_no_restore(make):
    """Its item and those after it fail by name; what it writes late is refused."""
    release, late = threading.Event(), SimpleQueue()

    def begin(given, cluster):
        release.wait(30)
        try:
            cluster.create(_config_map("late"))
        except ClusterError as exc:
            late.put(exc)

    settings = EngineSettings(action_timeout=timedelta(milliseconds=200), workers=1)
    shop = make(Action(begin=begin), settings=settings)

    result = shop.engine.run("try-1", SPEC)
    release.set()
    late.get(timeout=30)

    errors = [str(e) for e in result.results.errors]
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert len(errors) == 3
    assert f"{NAME} did not come back from configmaps/shop/a" in errors[0]
    for name, error in zip("ab", errors[1:], strict=True):
        assert error.startswith(f"configmaps/shop/{name}: not restored: ")
        assert "not called again" in error
    assert shop.names("configmaps", "shop") == []  # nobody knows what they shall be


def test_an_operation_without_end_ends_with_its_time(make):
    """The specification says how long an operation may take; then it is cancelled."""
    action = Action(progress=lambda given: OperationProgress())
    shop = make(action)
    spec = RestoreSpec(
        backup_name="shop-1", item_operation_timeout=timedelta(milliseconds=30)
    )

    result = shop.engine.run("try-1", spec)

    assert result.exit_code == 3
    assert result.restore.status.restore_item_operations_failed == 2
    assert sorted(action.cancelled) == ["o-a", "o-b"]


def test_a_cancelled_restore_stops_what_it_began(make):
    """What was written stays; what was begun does not go on."""
    token = CancelToken()

    def progress(given):
        token.cancel("enough")
        return OperationProgress()

    action = Action(progress=progress)
    shop = make(action)

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.run("try-1", SPEC, cancel=token)

    assert sorted(action.cancelled) == ["o-a", "o-b"]
    assert shop.names("configmaps", "shop") == ["a", "b"]
    assert "o-a" in str(caught.value.result.results.errors)
