"""A killed restore is run again under its name: what its actions began is not lost."""

import json

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.catalog import Journal
from kbackup.catalog._claim import NameClaim
from kbackup.errors import PluginNotFoundError, RunCancelledError
from kbackup.models import (
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceSelector,
    RestorePhase,
    RestoreSpec,
)
from kbackup.plugins import RestoreOutput, WaitingFor
from kbackup.restore import RestoreEngine
from kbackup.restore._writes.operations import RestoreJournal
from offered_actions import plugins_offering

NAME = "example.com/fill"
SPEC = RestoreSpec(backup_name="shop-1")
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


class KilledError(BaseException):
    """The process is dead."""


class Fill:
    """Begins an operation for each ConfigMap."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self):
        """Nothing has begun; what is asked about has ended."""
        self.begun, self.polled, self.cancelled = [], [], []
        self.ended = True

    def execute(self, given):
        """Want to begin."""
        return RestoreOutput(item=given.item, wants_begin=True)

    def begin(self, given, cluster):
        """Note it."""
        self.begun.append(given.identifier.name)
        operation_id = f"o-{given.identifier.name}"
        return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))

    def progress(self, given):
        """Say what the test wants."""
        self.polled.append(given.operation.spec.operation_id)
        return OperationProgress(completed=self.ended)

    def cancel(self, given, cluster):
        """Note it."""
        self.cancelled.append(given.operation.spec.operation_id)


def _config_map(name):
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.fixture
def fill():
    """An action that begins operations."""
    return Fill()


@pytest.fixture
def shop(make_shop, fill):
    """A backup of two ConfigMaps, and an empty target."""
    objects = [NAMESPACE, _config_map("a"), _config_map("b")]
    return make_shop(objects, plugins=plugins_offering(restore=[fill]))


@pytest.fixture
def kill(shop, tmp_path):
    """A function that runs the restore in a process which dies when it is told to."""

    def run(*, keep=None, waiting=False):
        """Die instead of keeping an operation, or as soon as it waits."""
        with pytest.MonkeyPatch.context() as patch:

            def die(*_):
                raise KilledError

            def watch(event):
                if waiting and isinstance(event, WaitingFor):
                    patch.setattr(RestoreJournal, "check", die)
                    die()

            def die_holding(claim):  # its heartbeat dies with it
                claim._ended.set()
                raise KilledError

            patch.setattr(NameClaim, "release", die_holding)
            if keep is not None:
                patch.setattr(RestoreJournal, "check", die)
                patch.setattr(RestoreJournal, "keep", keep)
            with pytest.raises(KilledError):
                _engine(shop, observer=watch).run("try-1", SPEC)
        for path in tmp_path.rglob("restore-claims/*.json"):
            claim = {**json.loads(path.read_text()), "began": "0"}
            path.write_text(json.dumps(claim))

    return run


def _engine(shop, **more):
    """An engine like that of the shop."""
    mine = shop.engine._given.plugins
    return RestoreEngine(shop.cluster, shop.store, **{"plugins": mine, **more})


def _journals(tmp_path):
    return [path.name for path in tmp_path.rglob("plugins/kbackup.io/journal/*/*")]


def test_what_a_killed_restore_waited_for_is_followed(shop, fill, kill, tmp_path):
    """Its objects are there, so nothing is begun again; the record has its operations."""
    kill(waiting=True)
    fill.polled.clear()

    result = shop.engine.run("try-1", SPEC)

    assert sorted(fill.begun) == ["a", "b"]
    assert sorted(set(fill.polled)) == ["o-a", "o-b"]
    assert fill.cancelled == []
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert result.restore.status.restore_item_operations_completed == 2
    assert _journals(tmp_path) == []


def test_killed_before_a_beginning_is_kept(shop, fill, kill):
    """The object is not written yet, so its action begins again."""

    def die(self, operation):
        raise KilledError

    kill(keep=die)
    first = list(fill.begun)

    result = shop.engine.run("try-1", SPEC)

    assert first != []
    assert sorted(fill.begun) == sorted([*first, "a", "b"])
    assert result.results.errors == ()
    assert shop.names("configmaps", "shop") == ["a", "b"]


def test_killed_before_the_object_is_written(shop, fill, kill):
    """What was begun for it goes on; the object is written, and nothing begun twice."""
    keep = RestoreJournal.keep

    def keep_and_die(self, operation):
        keep(self, operation)
        raise KilledError

    kill(keep=keep_and_die)

    result = shop.engine.run("try-1", SPEC)

    assert sorted(fill.begun) == ["a", "b"]
    assert result.restore.status.restore_item_operations_completed == 2
    assert shop.names("configmaps", "shop") == ["a", "b"]


def test_what_a_cancelled_restore_gave_up_is_told(shop, fill):
    """Run again it says which operations were cancelled: their objects are there."""
    token = CancelToken()

    def cancel(event):
        if isinstance(event, WaitingFor):
            token.cancel("enough")

    fill.ended = False
    with pytest.raises(RunCancelledError):
        _engine(shop, observer=cancel).run("try-1", SPEC, cancel=token)
    fill.ended = True

    result = shop.engine.run("try-1", SPEC)

    assert sorted(fill.cancelled) == ["o-a", "o-b"]
    assert sorted(fill.begun) == ["a", "b"]
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    failed = sorted(each.item.name for each in result.results.errors)
    assert failed == ["a", "b"]
    assert "the run ended before it" in str(result.results.errors[0])


def test_without_the_action_nothing_is_lost(shop, fill, kill):
    """Who lacks the plugin is told so before anything is written."""
    kill(waiting=True)
    other = _engine(shop, plugins=plugins_offering())

    with pytest.raises(PluginNotFoundError, match=NAME):
        other.run("try-1", SPEC)

    result = shop.engine.run("try-1", SPEC)
    assert result.restore.status.restore_item_operations_completed == 2


def test_a_deletion_forgets_what_a_killed_restore_began(shop, kill, tmp_path):
    """The restore is given up: nothing of it is left in the store."""
    kill(waiting=True)
    before = _journals(tmp_path)

    shop.store.delete_restore("try-1")

    assert before != []
    assert _journals(tmp_path) == []


def test_hooks_and_operations_have_one_journal(shop, fill, monkeypatch):
    """Who keeps something counts with all others: a store may let two take one number."""
    appended = []
    append = Journal.append

    def watch(journal, entry):
        appended.append((journal, *(set(entry) & {"operation", "restoreHooks"})))
        append(journal, entry)

    monkeypatch.setattr(Journal, "append", watch)
    metadata = {"name": "db", "namespace": "shop", "annotations": {}}
    for key, text in (("command", '["true"]'), ("wait-timeout", "1ms")):
        metadata["annotations"][f"post.hook.restore.velero.io/{key}"] = text
    spec = {"containers": [{"name": "main", "image": "db:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    shop.add_backup([NAMESPACE, _config_map("a"), pod], "shop-2")

    shop.engine.run("try-2", RestoreSpec(backup_name="shop-2"))

    (journal,) = {journal for journal, *kind in appended if kind}
    assert {kind for each, *kinds in appended if each is journal for kind in kinds} == {
        "operation",
        "restoreHooks",
    }
