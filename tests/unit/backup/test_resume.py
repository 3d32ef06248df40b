"""Another process goes on where a backup died, and the backup is as if it had not."""

import json
from datetime import timedelta

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.catalog import BackupStore, EntryState, SideFile
from kbackup.errors import (
    BackupExistsError,
    BackupInProgressError,
    BackupNotFoundError,
    BackupOwnsDataError,
    PluginNotFoundError,
    RunCancelledError,
    StoreError,
    StoreUnavailableError,
    TargetMismatchError,
)
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
from kbackup.plugins import BackupOutput, WaitingFor
from kbackup.testing import MemoryStore, SimulatedCluster
from offered_actions import plugins_offering

pytestmark = pytest.mark.usefixtures("impatient")

NAME = "example.com/copy"
SPEC = BackupSpec(included_resources=["secrets"], excluded_resources=["unknowns"])
LATE = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "result")
MOST_WRITES = 100


class KilledError(BaseException):
    """The process is dead."""


class MortalStore(MemoryStore):
    """A store whose process dies just before a write: from then on it does nothing."""

    def __init__(self):
        super().__init__()
        self.writes, self.fatal, self.dead = 0, 0, False

    def revive(self):
        """Be there for another process, which sees that the first is gone."""
        self.writes, self.fatal, self.dead = 0, 0, False
        for key, content in self.objects.items():
            if key.startswith("plugins/kbackup.io/claims/"):
                claim = {**json.loads(content), "began": "0"}
                self.objects[key] = json.dumps(claim).encode()

    def put(self, key, source, **how):
        """Write, or die."""
        self._write()
        return super().put(key, source, **how)

    def delete(self, key):
        """Delete, or die."""
        self._write()
        super().delete(key)

    def get(self, key, target, **how):
        """Read while alive."""
        self._require_life()
        return super().get(key, target, **how)

    def list(self, prefix, **how):
        """List while alive."""
        self._require_life()
        return super().list(prefix, **how)

    def _write(self):
        self.writes += 1
        self.dead = self.dead or self.writes == self.fatal
        self._require_life()

    def _require_life(self):
        if self.dead:
            raise KilledError


class Copy:
    """Begins an operation for each Secret, which ends when the test says so."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self):
        """Nothing has begun."""
        self.begun, self.polled, self.cancelled = [], [], []
        self.ended, self.again, self.error = True, (), ""

    def execute(self, given):
        """Want to begin."""
        return BackupOutput(
            item=given.item, wants_begin=True, post_operation_items=self.again
        )

    def begin(self, given, cluster):
        """Note it."""
        self.begun.append(given.identifier.name)
        operation_id = f"o-{given.identifier.name}"
        return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))

    def progress(self, given):
        """Say what the test wants."""
        self.polled.append(given)
        return OperationProgress(completed=self.ended, error=self.error)

    def cancel(self, given, cluster):
        """Note it."""
        self.cancelled.append(given.operation.spec.operation_id)


@pytest.fixture
def copy():
    """An action that begins operations."""
    return Copy()


@pytest.fixture
def shop(scene, copy):
    """A scene with two Secrets, what an operation leaves, and a store that can die."""
    scene.load(
        scene.secret("a"),
        scene.secret("b"),
        scene.made("ConfigMap", "result", "shop", data={"size": "1"}),
    )
    scene.plugins = plugins_offering(backup=[copy])
    _new_store(scene)
    return scene


def _new_store(scene):
    scene.objects = MortalStore()
    scene.store = BackupStore(scene.objects)


def _killed_while_waiting(scene):
    """Run a backup in a process that is killed when it begins to wait."""

    def die(event):
        if isinstance(event, WaitingFor):
            scene.objects.dead = True
            raise KilledError

    with pytest.raises(KilledError):
        scene.engine(observer=die).run("b", SPEC)
    scene.objects.revive()


def _killed_at_write(scene, number, function):
    """Call in a process that is killed at a write; tell whether it got through."""
    scene.objects.fatal = number
    try:
        function()
    except KilledError:
        return False
    finally:
        scene.objects.revive()
    return True


def _journals(scene):
    return [key for key in scene.objects.objects if "/journal/" in key]


def test_a_backup_is_resumed_as_if_it_had_not_died(shop, copy):
    """What was begun is followed, not begun again, and every file is as without a kill."""
    shop.engine().run("whole", SPEC)
    copy.begun.clear()
    _killed_while_waiting(shop)
    journal = _journals(shop)
    copy.polled.clear()

    result = shop.engine().resume("b")

    whole = shop.store.get("whole")
    assert journal != []
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert result.backup.status.progress == whole.status.progress
    assert result.backup.status.backup_item_operations_completed == 2
    assert copy.begun == ["a", "b"]
    assert shop.stored("b") == shop.stored("whole")
    assert shop.store.verify("b").problems == ()
    for side in (SideFile.RESOURCE_LIST, SideFile.RESULTS):
        assert shop.store.side_file("b", side) == shop.store.side_file("whole", side)
    assert [each.listed for each in shop.store.manifest("b").lists] == [
        each.listed for each in shop.store.manifest("whole").lists
    ]
    given = copy.polled[0]
    assert given.backup.metadata.uid == result.backup.metadata.uid
    assert given.operation.spec.backup_uid == result.backup.metadata.uid
    assert f"/{result.backup.metadata.uid}/" in journal[0]
    assert any("unknowns" in str(each) for each in result.results.warnings)
    assert _journals(shop) == []


def test_the_log_of_a_resumed_backup_is_one(shop):
    """Lines of both processes are in the log, those of the first once."""
    _killed_while_waiting(shop)

    shop.engine().resume("b")

    lines = [line for line in shop.store.logs("b") if "phase: " in line]
    assert [line.split("phase: ")[1].split('"')[0] for line in lines] == [
        "discovery",
        "namespaces",
        "lists",
        "additional items",
        "references",
        "WaitingForPluginOperations",
        "Finalizing",
    ]
    assert any("resumed" in line for line in shop.store.logs("b"))


def test_a_backup_killed_at_every_write(shop, copy):
    """Wherever a run dies: it is resumed with what it began, or begins anew."""
    copy.again = (LATE,)
    number, through, resumed = 1, False, 0
    while not through:
        _new_store(shop)
        copy.begun.clear()
        through = _killed_at_write(shop, number, lambda: shop.engine().run("b", SPEC))
        known = shop.store.unended("b")
        if known is not None and known.can_be_resumed:
            with pytest.raises(BackupExistsError, match="can be resumed"):
                shop.engine().run("b", SPEC)
        try:
            result = shop.engine().resume("b")
            resumed += not through
            assert copy.begun == ["a", "b"]
        except BackupNotFoundError:
            result = shop.engine().run("b", SPEC)
        assert result.backup.status.phase is BackupPhase.COMPLETED
        assert shop.store.verify("b").problems == ()
        assert [str(e.state) for e in shop.store.list()] == ["complete"]
        assert str(LATE) in shop.stored("b")
        shop.store.delete("b", files_only=True)
        assert _journals(shop) == []
        number += 1
        assert number < MOST_WRITES

    assert resumed > 10


def test_a_resume_killed_at_every_write(shop, copy):
    """A resume that dies is resumed; nothing is begun twice and nothing lost."""
    copy.again = (LATE,)
    number, through = 1, False
    while not through:
        _new_store(shop)
        copy.begun.clear()
        _killed_while_waiting(shop)
        through = _killed_at_write(shop, number, lambda: shop.engine().resume("b"))
        result = shop.engine().resume("b")
        assert copy.begun == ["a", "b"]
        assert result.backup.status.phase is BackupPhase.COMPLETED
        assert shop.store.verify("b").problems == ()
        assert str(LATE) in shop.stored("b")
        number += 1
        assert number < MOST_WRITES

    assert number > 10


def test_a_store_that_fails_at_the_end_costs_no_operation(shop, copy, monkeypatch):
    """When all has been waited for and cannot be stored, a resume stores it."""
    put = shop.objects.put

    def fail(key, source, **how):
        if key.endswith("velero-backup.json"):
            raise StoreUnavailableError(key)
        return put(key, source, **how)

    monkeypatch.setattr(shop.objects, "put", fail)
    with pytest.raises(StoreError) as caught:
        shop.engine().run("b", SPEC)
    monkeypatch.undo()

    result = shop.engine().resume("b")

    assert "backup resume b" in caught.value.hint
    assert copy.cancelled == []
    assert copy.begun == ["a", "b"]
    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_of_two_resumes_one_wins(shop, copy):
    """While one waits another is refused, and touches nothing."""
    refused = []

    def resume_too(event):
        if isinstance(event, WaitingFor) and not refused:
            with pytest.raises(BackupInProgressError) as caught:
                shop.engine().resume("b")
            refused.append(caught.value)

    _killed_while_waiting(shop)

    result = shop.engine(observer=resume_too).resume("b")

    assert len(refused) == 1
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert copy.cancelled == []


def test_a_run_that_was_only_stopped_cancels_nothing_of_its_successor(shop, copy):
    """Who wakes up when another has resumed its backup ends, and leaves all alone."""
    results = []

    def lose(event):
        if isinstance(event, WaitingFor) and not results:
            shop.objects.revive()  # it looks dead from elsewhere
            results.append(shop.engine().resume("b"))

    with pytest.raises(BackupInProgressError):
        shop.engine(observer=lose).run("b", SPEC)

    assert copy.cancelled == []
    assert shop.store.get("b") == results[0].backup
    assert shop.store.verify("b").problems == ()


def test_a_run_that_was_only_stopped_leaves_what_its_successor_needs(shop, copy):
    """Also where that was killed meanwhile: it can be resumed once more."""
    killed = []

    def lose(event):
        if isinstance(event, WaitingFor) and not killed:
            killed.append(event)
            shop.objects.revive()  # it looks dead from elsewhere

            def die(event):
                if isinstance(event, WaitingFor):
                    shop.objects.dead = True
                    raise KilledError

            with pytest.raises(KilledError):
                shop.engine(observer=die).resume("b")
            shop.objects.revive()

    with pytest.raises(BackupInProgressError):
        shop.engine(observer=lose).run("b", SPEC)

    assert copy.cancelled == []
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED


def test_a_resume_that_is_interrupted_cancels_what_was_begun(shop, copy):
    """Whatever ends the waiting but a kill: what is cancelled cannot be resumed."""

    def interrupt(event):
        if isinstance(event, WaitingFor):
            raise KeyboardInterrupt

    _killed_while_waiting(shop)
    with pytest.raises(KeyboardInterrupt):
        shop.engine(observer=interrupt).resume("b")

    assert copy.cancelled == ["o-a", "o-b"]
    assert _journals(shop) == []


def test_a_run_under_way_is_not_resumed(shop):
    """Whose process lives is left to it."""
    refused = []

    def resume(event):
        if isinstance(event, WaitingFor) and not refused:
            with pytest.raises(BackupInProgressError, match="process"):
                shop.engine().resume("b")
            with pytest.raises(BackupInProgressError):
                shop.engine().run("b", SPEC)
            refused.append(event)

    result = shop.engine(observer=resume).run("b", SPEC)

    assert refused
    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_without_the_action_nothing_is_lost(shop, copy):
    """Who lacks the plugin is told which, and another resumes."""
    _killed_while_waiting(shop)
    mine, shop.plugins = shop.plugins, plugins_offering()

    with pytest.raises(PluginNotFoundError, match=NAME) as caught:
        shop.engine().resume("b")

    assert caught.value.plugin == NAME
    shop.plugins = mine
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED
    assert copy.cancelled == []


def test_another_cluster_is_not_asked(shop, copy):
    """What goes on in one cluster is not looked for, and not cancelled, in another."""
    _killed_while_waiting(shop)
    copy.polled.clear()
    mine = shop.cluster
    with (
        SimulatedCluster() as other,
        other.connect() as shop.cluster,
        pytest.raises(TargetMismatchError, match="it is of cluster"),
    ):
        shop.engine().resume("b")
    shop.cluster = mine

    assert (copy.polled, copy.cancelled) == ([], [])
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED


def test_a_run_that_died_while_it_read_is_not_resumed(shop, copy):
    """What may go on is named, begins anew, and the new backup warns of it."""
    shop.objects.fatal = 5  # location, claim, journal: after the first operation
    with pytest.raises(KilledError):
        shop.engine().run("b", SPEC)
    shop.objects.revive()
    (listed,) = shop.store.list()

    with pytest.raises(BackupNotFoundError, match="o-a of secrets/shop/a") as caught:
        shop.engine().resume("b")
    result = shop.engine().run("b", SPEC)

    assert listed.state is EntryState.INCOMPLETE
    assert "o-a of secrets/shop/a" in listed.reason
    assert "begins anew" in caught.value.hint
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert [w for w in result.results.warnings if "o-a of secrets" in w.message]
    assert _journals(shop) == []


def test_what_can_be_resumed_is_listed_and_refuses_its_name(shop):
    """A list says so, and a new backup of the name says what to do."""
    _killed_while_waiting(shop)

    (listed,) = shop.store.list()
    with pytest.raises(BackupExistsError) as caught:
        shop.engine().run("b", SPEC)
    with pytest.raises(BackupNotFoundError, match="can be resumed") as missing:
        shop.store.get("b")

    assert listed.state is EntryState.INCOMPLETE
    assert "can be resumed" in listed.reason
    assert "kbackup backup resume b" in caught.value.hint
    assert "kbackup backup resume b" in missing.value.hint
    assert shop.store.unended("b").can_be_resumed


def test_what_can_be_resumed_is_given_up_by_a_deletion(shop):
    """It owns operations, so only its files alone are deleted, and only if asked to."""
    _killed_while_waiting(shop)

    with pytest.raises(BackupOwnsDataError, match="2 operations"):
        shop.store.delete("b")
    kept = shop.store.unended("b")
    shop.store.delete("b", files_only=True)

    assert kept.can_be_resumed
    assert _journals(shop) == []
    assert shop.engine().run("b", SPEC).backup.status.phase is BackupPhase.COMPLETED


def test_a_cancelled_resume_cancels_what_was_begun(shop, copy):
    """As a run that is cancelled: nothing goes on and nothing is left."""
    _killed_while_waiting(shop)
    token = CancelToken()

    def cancel(event):
        if isinstance(event, WaitingFor):
            token.cancel("enough")

    copy.ended = False
    with pytest.raises(RunCancelledError):
        shop.engine(observer=cancel).resume("b", cancel=token)

    assert copy.cancelled == ["o-a", "o-b"]
    assert list(shop.store.list()) == []
    assert _journals(shop) == []


def test_a_resume_cancelled_before_it_began_leaves_all_as_it_was(shop, copy):
    """Nothing was touched yet: it can be resumed later."""
    _killed_while_waiting(shop)
    token = CancelToken()
    get = shop.objects.get

    def cancel(key, target, **how):
        if key.endswith("archive.tar.gz"):
            token.cancel("not now")
        return get(key, target, **how)

    shop.objects.get = cancel
    with pytest.raises(RunCancelledError):
        shop.engine().resume("b", cancel=token)
    shop.objects.get = get

    assert copy.cancelled == []
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED


def test_the_time_of_an_operation_goes_on_while_nobody_looks(shop, copy, later):
    """What took too long meanwhile is cancelled, unless it has ended by then."""
    _killed_while_waiting(shop)
    copy.ended = False

    result = shop.engine(clock=later(timedelta(hours=5))).resume("b")

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert result.backup.status.backup_item_operations_failed == 2
    assert copy.cancelled == ["o-a", "o-b"]


def test_what_ended_while_nobody_looked_has_ended(shop, copy, later):
    """It is asked for its progress first, however late."""
    _killed_while_waiting(shop)

    result = shop.engine(clock=later(timedelta(hours=5))).resume("b")

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert copy.cancelled == []


@pytest.fixture
def later():
    """A function that returns a clock which is ahead."""
    from kbackup._kits.clock import SystemClock  # noqa: PLC0415 - only here

    class Ahead(SystemClock):
        def __init__(self, by):
            self.by = by

        def now(self):
            """Return a later time."""
            return super().now() + self.by

    return Ahead


def test_failures_of_both_processes_are_in_the_results(shop, copy):
    """What failed before the kill is told by the backup that was resumed."""
    copy.error = "broken"

    def die(event):
        if isinstance(event, WaitingFor) and copy.polled:
            shop.objects.dead = True
            raise KilledError

    polls = iter(
        [OperationProgress(completed=True, error="broken"), OperationProgress()]
    )
    copy.progress = lambda given: copy.polled.append(given) or next(polls)
    with pytest.raises(KilledError):
        shop.engine(observer=die).run("b", SPEC)
    shop.objects.revive()
    copy.progress = lambda given: OperationProgress(completed=True)

    result = shop.engine().resume("b")

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    (entry,) = result.results.errors
    assert (entry.item.name, entry.plugin) == ("a", NAME)
    assert entry.message.startswith("operation o-a failed: its action says why")
    assert result.backup.status.backup_item_operations_completed == 1
    assert result.backup.status.backup_item_operations_failed == 1


@pytest.mark.parametrize("file", ["archive.tar.gz", "books.json.gz", "log.gz"])
def test_what_was_kept_and_altered_is_refused(shop, copy, file):
    """Nothing is published of it, and nothing removed."""
    _killed_while_waiting(shop)
    (key,) = [key for key in _journals(shop) if key.endswith(file)]
    right = shop.objects.objects[key]
    shop.objects.objects[key] = right[:-9] + b"x" + right[-8:]

    with pytest.raises(StoreError, match=file):
        shop.engine().resume("b")

    assert copy.cancelled == []
    shop.objects.objects[key] = right
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED


def test_a_repair_leaves_what_can_be_resumed(shop, later):
    """However old: operations may take days, and nobody may want to lose them."""
    _killed_while_waiting(shop)
    shop.store = BackupStore(shop.objects, clock=later(timedelta(days=3)))

    plan = shop.store.plan_repair()
    shop.store.repair(plan)

    assert any("backup b can still be resumed" in text for text in plan.left)
    assert shop.engine().resume("b").backup.status.phase is BackupPhase.COMPLETED


def test_a_backup_without_operations_keeps_nothing(shop):
    """Who begins nothing writes no journal."""
    shop.plugins = plugins_offering()
    written = []
    put = shop.objects.put
    shop.objects.put = lambda key, source, **how: (
        written.append(key) or put(key, source, **how)
    )

    shop.engine().run("b", SPEC)

    assert not any("/journal/" in key for key in written)
