"""DeleteItemActions clean up before anything of a backup is removed, or nothing goes."""

import io
import json
import threading
import time
import types
from datetime import timedelta

import attrs
import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup._kits.workers import CancelToken
from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore
from kbackup.errors import (
    ActionError,
    ActionTimeoutError,
    BackupCleanupError,
    BackupDamagedError,
    BackupInProgressError,
    BackupOwnsDataError,
    ClusterError,
    PluginConflictError,
    RunCancelledError,
    StoreFullError,
)
from kbackup.models import EngineSettings, ResourceSelector, dump_json
from kbackup.plugins import PluginManager, hookimpl
from kbackup.stores import BackupFiles
from kbackup.testing import FailingStore, FrozenClock, MemoryStore, RecordingCluster

ARCHIVE = "backups/shop/shop.tar.gz"
SECRET, CLAIM = "secrets/shop/a", "persistentvolumeclaims/shop/data"
SECRETS = ResourceSelector(included_resources=("secrets",))


class Action:
    """Remembers what it was called for, and does what a test wants otherwise."""

    def __init__(self, name, calls, *, applies_to=SECRETS, act=None):
        """Take a name, where calls are noted, and what else is done."""
        self.name, self.applies_to = name, applies_to
        self._calls, self._act = calls, act

    def execute(self, given):
        """Note the call."""
        self._calls.append((self.name, str(given.identifier)))
        if self._act is not None:
            return self._act(given)
        return None


def plugin(*actions, module="test_plugin"):
    """A module that offers actions."""

    @hookimpl
    def kbackup_register_delete_item_actions():
        return {action.name: action for action in actions}

    made = types.ModuleType(module)
    made.kbackup_register_delete_item_actions = kbackup_register_delete_item_actions
    return made


@attrs.define
class Scene:
    """A store in memory with the backup ``shop``; what was called, a cluster."""

    objects: FailingStore
    clock: FrozenClock
    calls: list = attrs.field(factory=list)
    cluster: RecordingCluster = attrs.field(factory=RecordingCluster)

    def action(self, name="example.com/clean", **more):
        """Make an action whose calls are noted here."""
        return Action(name, self.calls, **more)

    def store(self, *actions):
        """Open the store with these actions in one plugin."""
        return self.opened(plugin(*actions))

    def opened(self, *plugins):
        """Open the store with plugins."""
        manager = PluginManager(plugins=plugins)
        return BackupStore(self.objects, plugins=manager, clock=self.clock)

    def keys(self):
        """What of the backup is there."""
        return [info.key for info in self.objects.list("backups/shop/")]

    def reads(self):
        """How often its archive was read."""
        return self.objects.calls.count(("get", ARCHIVE))


@pytest.fixture
def scene(clock):
    """A store in memory with a backup of one Secret and one claim."""
    scene = Scene(FailingStore(MemoryStore()), clock)
    manifest = samples.manifest_of(lists=())  # which say nothing of what is stored
    samples.make(scene.store(), "shop", manifest=manifest)
    scene.objects.calls.clear()
    return scene


def test_actions_run_on_what_they_want_before_anything_goes(scene):
    """Each action gets the items of its selector while all of the backup is there."""
    before = scene.keys()
    there = []
    secret = scene.action(act=lambda _: there.append(scene.keys()))
    claim = scene.action(
        "example.com/volume",
        applies_to=ResourceSelector(included_resources=("persistentvolumeclaims",)),
    )

    report = scene.store(secret, claim).delete("shop", cluster=scene.cluster)

    assert report.left == ()

    assert there == [before]
    assert sorted(scene.calls) == [
        ("example.com/clean", SECRET),
        ("example.com/volume", CLAIM),
    ]
    assert scene.keys() == []
    assert scene.reads() == 1


def test_an_action_is_given_item_backup_and_cluster(scene):
    """It sees the item as it was stored and the record, and acts in the cluster."""
    seen = []

    def act(given):
        seen.append((given.item, given.backup.metadata.name))
        given.logger.info("cleaning up")
        given.cluster.delete(given.identifier)
        seen.append(given.cluster)

    scene.store(scene.action(act=act)).delete("shop", cluster=scene.cluster)

    (item, backup), writer = seen
    assert item == json.loads(samples.item_body("secrets", "shop", "a"))
    assert backup == "shop"
    assert scene.cluster.writes == ["delete secrets/shop/a"]
    with pytest.raises(ClusterError, match="revoked"):
        writer.delete(None)


def test_actions_run_in_their_order_item_by_item(scene):
    """Built-in actions come first, by name, then others by plugin and name."""
    every = ResourceSelector()
    theirs = [scene.action(f"example.com/{n}", applies_to=every) for n in "ba"]
    ours = [scene.action(f"velero.io/{n}", applies_to=every) for n in "ba"]
    store = scene.opened(plugin(*theirs), plugin(*ours, module="kbackup.actions"))

    store.delete("shop", cluster=scene.cluster)

    names = ["velero.io/a", "velero.io/b", "example.com/a", "example.com/b"]
    assert scene.calls == [(name, item) for item in (CLAIM, SECRET) for name in names]


def test_one_action_does_not_see_what_another_changed(scene):
    """Each gets an item of its own: nobody cleans up by what somebody else wrote."""
    names = []

    def rename(given):
        names.append(given.item["metadata"]["name"])
        given.item["metadata"]["name"] = "other"

    actions = [scene.action(f"example.com/{n}", act=rename) for n in "ab"]
    scene.store(*actions).delete("shop", cluster=scene.cluster)

    assert names == ["a", "a"]


@pytest.mark.parametrize(
    ("selector", "called"),
    [
        (ResourceSelector(included_namespaces=("shop",)), 2),
        (ResourceSelector(included_namespaces=("bank",)), 0),
        (ResourceSelector(excluded_resources=("secrets",)), 1),
        (ResourceSelector(label_selector="app=web"), 0),
        (ResourceSelector(label_selector="app!=web"), 2),
        (ResourceSelector(included_resources=("widgets.example.com",)), 0),
    ],
)
def test_selectors_are_those_of_all_item_actions(scene, selector, called):
    """Namespaces, types and labels decide, as in a backup and a restore."""
    action = scene.action(applies_to=selector)

    scene.store(action).delete("shop", cluster=scene.cluster)

    assert len(scene.calls) == called
    assert scene.keys() == []


def with_widgets(scene):
    """Make the backup anew, of two widgets, one of them with a label."""
    scene.store().delete("shop")
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as writer:
        for name, labels in (("a", {"app": "web"}), ("b", None)):
            metadata = {"name": name, "namespace": "shop", "labels": labels}
            body = {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "metadata": metadata,
            }
            writer.add(
                resource="widgets.example.com",
                version="v1",
                namespace="shop",
                name=name,
                body=json.dumps(body).encode(),
            )
    files = samples.files_of("shop", **{".tar.gz": out.getvalue()})
    samples.make(scene.store(), "shop", files=files)


@pytest.mark.parametrize(
    ("selector", "called"),
    [
        (ResourceSelector(label_selector="app=web"), "a"),
        (ResourceSelector(label_selector="!app"), "b"),
        (ResourceSelector(included_resources=("widgets",)), "ab"),
    ],
)
def test_custom_resources_are_found_by_plural_and_label(scene, selector, called):
    """What the archive holds tells what a plural means, also without its definition."""
    with_widgets(scene)
    action = scene.action(applies_to=selector)

    plan = scene.store(action).plan_deletion("shop")
    scene.store(action).delete("shop", cluster=scene.cluster)

    assert plan.actions == {"example.com/clean": len(called)}
    assert [item[-1] for _, item in scene.calls] == list(called)


def test_without_an_action_nothing_is_read(scene):
    """Who has no DeleteItemAction deletes as before, and needs no cluster."""
    scene.objects.fail_on = refusing("get", ARCHIVE)

    scene.store().delete("shop")

    assert scene.keys() == []


def refusing(verb, key):
    """Fail one kind of call on one object."""

    def fail(operation, wanted):
        if (operation, wanted) == (verb, key):
            return AssertionError(f"{verb} {key}")
        return None

    return fail


def listed(**stored):
    """A manifest whose lists name all that was stored."""
    lists = [
        samples.ListRecord(resource=samples.GroupResource.parse(each), stored=count)
        for each, count in stored.items()
    ]
    return samples.manifest_of(lists=lists)


@pytest.mark.parametrize("name", ["pods", "widgets.example.com"])
def test_an_archive_without_such_items_is_not_read(scene, name):
    """Where the manifest tells that no action wants any type, that is enough."""
    scene.store().delete("shop")
    manifest = listed(secrets=1, persistentvolumeclaims=1)
    samples.make(scene.store(), "shop", manifest=manifest)
    scene.objects.calls.clear()
    selector = ResourceSelector(included_resources=(name,))

    scene.store(scene.action(applies_to=selector)).delete("shop")

    assert scene.reads() == 0
    assert scene.keys() == []


def test_what_came_along_without_a_list_is_cleaned_up_after(scene):
    """Lists that tell of fewer items than there are decide nothing."""
    scene.store().delete("shop")
    samples.make(scene.store(), "shop", manifest=listed(persistentvolumeclaims=1))

    scene.store(scene.action()).delete("shop", cluster=scene.cluster)

    assert scene.calls == [("example.com/clean", SECRET)]


def boom(_given):
    """Fail as any foreign code may."""
    raise ValueError("no such bucket")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (boom, "example.com/clean failed on persistentvolumeclaims/shop/data: "),
        (lambda given: given.item, "it returned a dict, not None"),
        (lambda _: {}["x"], "KeyError"),
    ],
)
def test_a_failing_action_keeps_the_backup(scene, act, told):
    """Nothing is removed, plugin and item are named, the other items had their turn."""
    before = scene.keys()
    wanted = ResourceSelector()
    store = scene.store(
        scene.action(applies_to=wanted, act=act),
        scene.action("example.com/later", applies_to=wanted),
    )

    with pytest.raises(BackupCleanupError) as caught:
        store.delete("shop", cluster=scene.cluster)

    assert told in str(caught.value)
    assert "--files-only" in caught.value.hint
    assert len(scene.calls) == 4
    failures = caught.value.failures
    assert [(type(each), each.plugin, each.item) for each in failures] == [
        (ActionError, "example.com/clean", item) for item in (CLAIM, SECRET)
    ]
    assert scene.keys() == before
    assert store.verify("shop").problems == ()


def test_what_is_said_about_a_secret_is_not_repeated(scene):
    """What an action raises may quote a value of the Secret that it looked at."""

    def leak(given):
        raise ValueError(f"cannot clean up after {given.item} hunter2")

    with pytest.raises(BackupCleanupError) as caught:
        scene.store(scene.action(act=leak)).delete("shop", cluster=scene.cluster)

    assert "ValueError" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_deletion_that_failed_can_be_repeated(scene):
    """The next one runs every action on every item once more, and then removes all."""
    failing = [True]

    def once(_given):
        if failing:
            failing.pop()
            raise OSError("away")

    store = scene.store(scene.action(applies_to=ResourceSelector(), act=once))
    with pytest.raises(BackupCleanupError):
        store.delete("shop", cluster=scene.cluster)

    store.delete("shop", cluster=scene.cluster)

    assert [item for _, item in scene.calls] == [CLAIM, SECRET] * 2
    assert scene.keys() == []


def test_an_action_that_hangs_is_called_once(scene):
    """It is named with its item; how often it was not called any more is told."""
    release = threading.Event()
    late = []

    def hang(given):
        release.wait(60)
        try:
            given.cluster.delete(given.identifier)
        except ClusterError as exc:
            late.append(str(exc))

    store = scene.store(scene.action(applies_to=ResourceSelector(), act=hang))
    settings = EngineSettings(action_timeout=timedelta(seconds=0.05))

    with pytest.raises(BackupCleanupError) as caught:
        store.delete("shop", cluster=scene.cluster, settings=settings)
    release.set()

    stuck, unasked = caught.value.failures
    assert isinstance(stuck, ActionTimeoutError)
    assert stuck.item == CLAIM
    assert "was not called for 1 more item" in str(unasked)
    assert len(scene.calls) == 1
    assert scene.keys()
    for _ in range(1000):
        if late:
            break
        time.sleep(0.01)
    assert "revoked" in late[0]
    assert scene.cluster.writes == []


def test_a_cancelled_deletion_removes_nothing(scene):
    """Between two items the token is asked, and the files stay."""
    token = CancelToken()
    every = ResourceSelector()
    action = scene.action(applies_to=every, act=lambda _: token.cancel("enough"))
    before = scene.keys()

    with pytest.raises(RunCancelledError, match="enough"):
        scene.store(action).delete("shop", cluster=scene.cluster, cancel=token)

    assert len(scene.calls) == 1
    assert scene.keys() == before
    assert scene.store(action).verify("shop").problems == ()


def test_a_cancel_among_the_files_leaves_what_can_be_deleted_again(scene):
    """The record has gone by then: what is left is offered as incomplete only."""
    token = CancelToken()

    def cancel(operation, key):
        if operation == "delete" and key == BackupFiles("shop").metadata:
            token.cancel("enough")

    scene.objects.fail_on = cancel
    with pytest.raises(RunCancelledError):
        scene.store().delete("shop", cancel=token)

    assert [entry.state for entry in scene.store().list()] == ["incomplete"]
    scene.store(scene.action()).delete("shop")
    assert scene.keys() == []
    assert scene.calls == []


def test_without_a_cluster_nothing_that_is_wanted_goes(scene):
    """Where an action would have to act nobody deletes without it by mistake."""
    before = scene.keys()

    with pytest.raises(BackupOwnsDataError, match=r"example.com/clean .* no cluster"):
        scene.store(scene.action()).delete("shop")

    assert scene.keys() == before
    assert scene.calls == []


def test_a_name_that_only_a_cluster_knows_is_not_passed_over(scene):
    """Without a cluster a short name may mean what is in the backup: it is refused."""
    short = ResourceSelector(included_resources=("pvc",))

    with pytest.raises(BackupOwnsDataError, match="'pvc'"):
        scene.store(scene.action(applies_to=short)).delete("shop")

    assert scene.keys()


@pytest.mark.parametrize(
    "fault",
    ["truncated", "missing"],
)
def test_a_damaged_archive_keeps_the_backup(scene, fault):
    """Items that cannot be read cannot be cleaned up after: only --files-only goes on."""
    content = scene.objects.store
    if fault == "missing":
        content.delete(ARCHIVE)
    else:
        content.put(ARCHIVE, samples.archive_bytes()[:-9])
    store = scene.store(scene.action())

    with pytest.raises(BackupDamagedError, match=r"example.com/clean") as caught:
        store.delete("shop", cluster=scene.cluster)
    assert "--files-only" in caught.value.hint
    assert scene.keys()

    store.delete("shop", files_only=True)

    assert scene.keys() == []
    assert scene.calls == []


def test_a_failed_backup_of_velero_without_an_archive_goes(scene):
    """Velero stores no archive of a backup that failed; nothing can be run on it."""
    record = samples.record_of("dead", "u1", phase=samples.BackupPhase.FAILED)
    key = BackupFiles("dead").metadata
    scene.objects.put(key, dump_json(record))

    scene.store(scene.action()).delete("dead", cluster=scene.cluster)

    assert list(scene.objects.list("backups/dead/")) == []


def test_two_deleters_do_not_run_actions_at_once(scene):
    """While one cleans up the other is refused."""
    refused = []

    def compete(_given):
        with pytest.raises(BackupInProgressError):
            scene.store().delete("shop")
        refused.append(True)

    scene.store(scene.action(act=compete)).delete("shop", cluster=scene.cluster)

    assert refused == [True]


def test_a_store_without_room_is_cleaned_up_after_all_the_same(scene):
    """Deleting needs no space, not even for a claim, and forgets no action."""

    def full(operation, key):
        return StoreFullError(key) if operation == "put" else None

    scene.objects.fail_on = full

    scene.store(scene.action()).delete("shop", cluster=scene.cluster)

    assert scene.calls == [("example.com/clean", SECRET)]
    assert scene.keys() == []


def test_two_plugins_of_one_name_keep_the_backup(scene):
    """Nobody guesses which of two actions is meant; nothing was removed."""
    store = scene.opened(plugin(scene.action()), plugin(scene.action(), module="two"))

    with pytest.raises(PluginConflictError):
        store.delete("shop", cluster=scene.cluster)

    assert scene.keys()


def test_the_plan_tells_what_would_run_and_does_nothing(scene):
    """Each action with how many items it wants; those that want none are left out."""
    every, none = ResourceSelector(), ResourceSelector(included_resources=("pods",))
    store = scene.store(
        scene.action("example.com/all", applies_to=every),
        scene.action("example.com/none", applies_to=none),
        scene.action("example.com/one"),
    )
    before = scene.keys()

    plan = store.plan_deletion("shop")

    assert plan.actions == {"example.com/all": 2, "example.com/one": 1}
    assert str(plan) == (
        "shop: run example.com/all on 2 items, run example.com/one on 1 item, "
        "delete its files"
    )
    assert store.plan_deletion("shop", files_only=True).actions == {}
    assert scene.calls == []
    assert scene.keys() == before


# --- what actions began when the backup was made --------------------------------------


def begun(action, resource, name, phase="Completed"):
    """An operation as the file of operations has it."""
    item = {"Group": "", "Resource": resource, "Namespace": "shop", "Name": name}
    spec = {"backupItemAction": action, "resourceIdentifier": item, "operationID": "o"}
    return {"spec": spec, "status": {"phase": phase}}


def with_operations(scene, *operations):
    """Make the backup anew, with these operations on record."""
    scene.store().delete("shop")
    content = compress(json.dumps(operations).encode())
    files = samples.files_of("shop", **{"-itemoperations.json.gz": content})
    samples.make(scene.store(), "shop", files=files)


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_an_action_cleans_up_what_one_of_its_name_began(scene, phase):
    """A backup whose operations all have somebody who cleans up can be deleted."""
    with_operations(scene, begun("example.com/clean", "secrets", "a", phase))
    store = scene.store(scene.action())

    assert store.plan_deletion("shop").actions == {"example.com/clean": 1}
    store.delete("shop", cluster=scene.cluster)

    assert scene.calls == [("example.com/clean", SECRET)]
    assert scene.keys() == []


@pytest.mark.parametrize(
    "operation",
    [
        begun("example.com/other", "secrets", "a"),
        begun("example.com/clean", "secrets", "a", "InProgress"),
        begun("example.com/clean", "secrets", "gone"),
        begun("example.com/clean", "persistentvolumeclaims", "data"),
        {"spec": {"backupItemAction": ["?"]}},
    ],
    ids=["another's", "goes on", "not stored", "not selected", "unreadable"],
)
def test_an_operation_that_nobody_cleans_up_keeps_the_backup(scene, operation):
    """What would be forgotten is told before any action runs, unless it is meant to be."""
    with_operations(scene, begun("example.com/clean", "secrets", "a"), operation)
    store = scene.store(scene.action())

    with pytest.raises(BackupOwnsDataError, match="1 operation"):
        store.plan_deletion("shop")
    with pytest.raises(BackupOwnsDataError, match="1 operation"):
        store.delete("shop", cluster=scene.cluster)

    assert scene.calls == []
    assert scene.keys()

    scene.store().delete("shop", files_only=True)

    assert scene.calls == []
    assert scene.keys() == []
