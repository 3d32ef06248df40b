"""What actions begin is followed to its end, whatever the action does."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import attrs
import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import (
    BackupInProgressError,
    ClusterError,
    ForbiddenError,
    InvalidItemError,
    StoreUnavailableError,
)
from kbackup.models import (
    EngineSettings,
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationPhase,
    OperationProgress,
    OperationStatus,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import OperationProgressed, PhaseChanged, Run, WaitingFor
from kbackup.plugins.engine import Operations
from kbackup.testing import FrozenClock, RecordingCluster, backup_input

NAME = "example.com/copy"
MINUTE = timedelta(minutes=1)


class QuickToken(CancelToken):
    """Waits by moving the clock; remembers for how long."""

    def __init__(self, clock):
        """Use *clock*."""
        super().__init__()
        self._clock = clock
        self.pauses = []

    def wait(self, seconds):
        """Move the clock on."""
        self.pauses.append(seconds)
        self._clock.sleep(seconds)
        self.check()


class Action:
    """Begins an operation; its progress is what the test says."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self, *answers, **more):
        """Give these answers one after the other, the last one for ever."""
        self.answers = list(answers) or [OperationProgress(completed=True)]
        self.writers, self.cancelled = [], []
        vars(self).update(more)

    def begin(self, given, cluster):
        """Begin under the name of the item."""
        self.writers.append(cluster)
        return ItemOperation(
            spec=ItemOperationSpec(operation_id=f"o-{given.identifier.name}")
        )

    def progress(self, given):
        """Answer as told."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, given, cluster):
        """Note it, and write."""
        cluster.delete(given.operation.spec.resource_identifier.identifier)
        self.cancelled.append(given.operation.spec.operation_id)


def _named(operation_id):
    """An operation."""
    return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))


def _given(name="a", kind="Secret"):
    """What begin is given about an item."""
    item = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
    return backup_input(f"{kind.lower()}s", item)


class Scene:
    """A run, a cluster, operations.

    Attributes:
        events: What observers were told.
    """

    def __init__(self, *, timeout=MINUTE, settings=None):
        self.clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.token = QuickToken(self.clock)
        self.events = []
        self.run = Run(
            uid="u-1",
            kind="backup",
            name="nightly",
            clock=self.clock,
            cancel=self.token,
            observer=self.events.append,
            settings=settings,
        )
        self.cluster = RecordingCluster()
        self.operations = Operations(self.run, self.cluster, timeout)

    def begin(self, action, name="a", kind="Secret", **more):
        """Let an action begin for an item."""
        given = _given(name, kind)
        self.operations.begin(action, given, given.identifier, **more)

    def follow(self, action, *names):
        """Begin for each name and wait."""
        for name in names or ["a"]:
            self.begin(action, name)
        with self.operations:
            self.operations.follow()

    @property
    def errors(self):
        """The errors so far, as text."""
        return [str(entry) for entry in self.run.results.errors]

    @property
    def phases(self):
        """The phases of all operations."""
        return [each.status.phase for each in self.operations.records]


@pytest.fixture
def scene():
    """Everything, with a minute for each operation."""
    return Scene()


def test_an_operation_is_followed_to_its_end(scene):
    """The run waits until the action says that it has ended; its record says it all."""
    half = OperationProgress(
        n_completed=1, n_total=2, operation_units="Bytes", description="half"
    )
    done = OperationProgress(
        completed=True, n_completed=2, n_total=2, operation_units="Bytes"
    )

    scene.follow(Action(OperationProgress(), half, done))

    (record,) = scene.operations.records
    assert scene.errors == []
    assert attrs.asdict(record.spec, recurse=False) == attrs.asdict(
        ItemOperationSpec(
            backup_name="nightly",
            backup_uid="u-1",
            backup_item_action=NAME,
            resource_identifier=_given().identifier,
            operation_id="o-a",
        ),
        recurse=False,
    )
    assert record.status.phase is OperationPhase.COMPLETED
    assert (record.status.n_completed, record.status.n_total) == (2, 2)
    assert record.status.created == datetime(2026, 1, 1, tzinfo=UTC)


def test_observers_see_how_far_an_operation_is(scene):
    """Each change is an event; that a run waits is a phase of its own."""
    half = OperationProgress(n_completed=1, n_total=2, operation_units="Bytes")

    scene.follow(Action(half, half, OperationProgress(completed=True)))

    seen = [e for e in scene.events if isinstance(e, OperationProgressed)]
    assert [(e.phase, e.n_completed, e.operation_id) for e in seen] == [
        (OperationPhase.NEW, 0, "o-a"),
        (OperationPhase.IN_PROGRESS, 1, "o-a"),
        (OperationPhase.COMPLETED, 0, "o-a"),
    ]
    (phase,) = [e for e in scene.events if isinstance(e, PhaseChanged)]
    assert (phase.phase, phase.total) == ("WaitingForPluginOperations", 1)


def test_observers_hear_how_long_an_operation_has_still(scene):
    """As long as it waits a run says for what, and when it will give up."""
    half = OperationProgress(n_completed=1, n_total=2)

    scene.follow(Action(half, half, half, OperationProgress(completed=True)))

    waits = [e for e in scene.events if isinstance(e, WaitingFor)]
    left = [each.seconds_left for each in waits]
    assert len({each.what for each in waits}) == 1
    assert len(left) == 4
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] < left[0]


def test_a_run_with_errors_waits_under_the_phase_of_its_errors(scene):
    """As in Velero, the phase says that something has failed already."""
    scene.run.error("lost")

    scene.follow(Action())

    (phase,) = [e for e in scene.events if isinstance(e, PhaseChanged)]
    assert phase.phase == "WaitingForPluginOperationsPartiallyFailed"


def test_without_operations_nobody_waits(scene):
    """Where no action began anything there is no phase and no pause."""
    scene.begin(Action(begin=lambda given, cluster: None))

    with scene.operations:
        scene.operations.follow()

    assert scene.events == []
    assert scene.token.pauses == []
    assert scene.operations.records == ()


def test_pauses_grow_until_an_operation_ends():
    """Long work is not asked about often; after an end the next is looked for soon."""
    scene = Scene(timeout=timedelta(hours=4))
    waiting, done = OperationProgress(), OperationProgress(completed=True)
    one, other = Action(*[waiting] * 7, done), Action(*[waiting] * 8, done)
    scene.begin(one, "a")
    scene.begin(other, "b")

    scene.operations.follow()

    assert scene.token.pauses == [0.5, 1, 2, 4, 8, 10, 10, 0.5]


def test_a_failed_operation_is_an_error_by_item_plugin_and_name(scene):
    """What the action says of a failure stands in the result and in the record."""
    failed = OperationProgress(completed=True, error="disk full")
    scene.begin(Action(failed), kind="ConfigMap")
    scene.operations.follow()

    (entry,) = scene.run.results.errors
    assert entry.message == "operation o-a failed: disk full"
    assert (entry.item, entry.plugin) == (_given(kind="ConfigMap").identifier, NAME)
    (record,) = scene.operations.records
    assert (record.status.phase, record.status.error) == ("Failed", "disk full")


def test_an_operation_that_does_not_end_in_time_is_cancelled():
    """At its deadline it is asked for once more, then stopped and failed."""
    scene, action = Scene(), Action(OperationProgress())

    scene.follow(action)

    assert sum(scene.token.pauses) == MINUTE.total_seconds()
    assert action.cancelled == ["o-a"]
    assert scene.cluster.writes == ["delete secrets/a"]
    assert scene.errors == [
        f"secrets/a: operation o-a failed: not done within 60 s (plugin {NAME})"
    ]


def test_one_that_ends_at_the_last_moment_has_ended(scene):
    """An operation that is done when its time is over is done."""
    pauses = [OperationProgress()] * 9

    scene.follow(Action(*pauses, OperationProgress(completed=True)))

    assert scene.phases == [OperationPhase.COMPLETED]


@pytest.mark.parametrize(
    ("faulty", "text"),
    [
        ({"cancel": None}, "it has no method cancel"),
        ({"cancel": lambda given, cluster: 1 / 0}, "ZeroDivisionError"),
    ],
    ids=["missing", "raises"],
)
def test_what_cannot_be_cancelled_may_go_on(scene, faulty, text):
    """That an overdue operation could not be stopped is a warning by its name."""
    scene.follow(Action(OperationProgress(), **faulty))

    (warning,) = scene.run.results.warnings
    assert "operation o-a was not cancelled and may go on" in warning.message
    assert text in warning.message
    assert scene.phases == [OperationPhase.FAILED]


@pytest.mark.parametrize(
    ("faulty", "text"),
    [
        ({"answers": [ValueError("broken")]}, "ValueError"),
        ({"answers": [None]}, "returned a NoneType, not an OperationProgress"),
        ({"answers": [OperationProgress(n_completed="half")]}, "CodecError"),
        ({"progress": None}, "it has no method progress"),
    ],
    ids=["raises", "nothing", "nonsense", "missing"],
)
def test_a_broken_progress_fails_its_operation(scene, faulty, text):
    """An action that cannot say how far it is costs its operation, not the run."""
    scene.follow(Action(**faulty))

    (error,) = scene.errors
    assert "operation o-a failed" in error
    assert text in error


def test_a_passing_fault_of_progress_costs_nothing(scene):
    """An operation is asked for again after a fault; only those in a row count."""
    fault, fine = ConnectionError("blip"), OperationProgress()
    done = OperationProgress(completed=True)

    scene.follow(Action(*[fault] * 4, fine, *[fault] * 4, done))

    assert scene.errors == []
    assert scene.phases == [OperationPhase.COMPLETED]


def test_a_progress_that_keeps_failing_has_its_operation_cancelled(scene):
    """Of what nobody can ask about any more the action is told to stop it."""
    action = Action(ConnectionError("gone"))

    scene.follow(action)

    assert len(scene.token.pauses) == 4
    assert action.cancelled == ["o-a"]
    assert scene.phases == [OperationPhase.FAILED]
    assert "operation o-a failed" in scene.errors[0]


def test_faults_of_progress_do_not_prolong_an_operation():
    """At its deadline an operation that cannot be asked for is stopped."""
    scene = Scene(timeout=timedelta(seconds=1))
    action = Action(ConnectionError("gone"))

    scene.follow(action)

    assert sum(scene.token.pauses) == 1
    assert action.cancelled == ["o-a"]


def _forbidden(given, cluster):
    """Begin with something that may not be made."""
    raise ForbiddenError("create", "configmaps", "b")


@pytest.mark.parametrize(
    ("begin", "text"),
    [
        (None, "it has no method begin"),
        (lambda given, cluster: 1 / 0, "ZeroDivisionError"),
        (_forbidden, f"{NAME} failed on configmaps/a: cannot create configmaps b"),
        (lambda given, cluster: "o-1", "returned a str, not an ItemOperation"),
        (lambda given, cluster: ItemOperation(), "an operation without an id"),
        (lambda given, cluster: _named(5), "expected a string"),
    ],
    ids=["missing", "raises", "forbidden", "nonsense", "nameless", "number"],
)
def test_a_broken_begin_is_an_error_of_item_and_plugin(scene, begin, text):
    """Whatever begin does wrong is told by name, and nothing is waited for."""
    scene.begin(Action(begin=begin), kind="ConfigMap")

    (entry,) = scene.run.results.errors
    assert entry.message.startswith("could not begin: ")
    assert text in entry.message
    assert (entry.item.name, entry.plugin) == ("a", NAME)
    assert scene.operations.records == ()


def test_an_error_about_a_secret_quotes_nothing(scene):
    """What an action raises about a Secret may hold its values: only the kind is kept."""

    def begin(given, cluster):
        raise ValueError("hunter2")

    scene.begin(Action(begin=begin))

    assert "ValueError" in scene.errors[0]
    assert "hunter2" not in scene.errors[0]


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_an_answer_of_the_server_about_what_is_hidden_quotes_nothing(scene, kind):
    """A server repeats what it refuses: of a hidden item that is not told."""

    def fail(*_):
        raise InvalidItemError("create", "secrets", "a", "invalid value: hunter2")

    scene.begin(Action(begin=fail), "a", kind, hide=kind == "ConfigMap")
    scene.begin(
        Action(OperationProgress(), cancel=fail), "b", kind, hide=kind == "ConfigMap"
    )
    scene.operations.follow()

    told = [*scene.run.results.errors, *scene.run.results.warnings]
    assert [entry.message.count("InvalidItemError") for entry in told] == [1, 0, 1]
    assert "hunter2" not in str(told)


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_what_is_said_of_an_operation_on_what_is_hidden_is_not_repeated(scene, kind):
    """Neither in the results nor in the record, nor to observers."""
    half = OperationProgress(n_completed=1, n_total=2, description="copying hunter2")
    failed = OperationProgress(completed=True, error="refused: hunter2")

    scene.begin(Action(half, failed), kind=kind, hide=kind == "ConfigMap")
    scene.operations.follow()

    (entry,) = scene.run.results.errors
    assert entry.message == (
        "operation o-a failed: its action says why in words that may quote the item"
    )
    (record,) = scene.operations.records
    told = [event for event in scene.events if isinstance(event, OperationProgressed)]
    assert record.status.phase is OperationPhase.FAILED
    assert [event.n_completed for event in told][:2] == [0, 1]
    assert "hunter2" not in repr((record, scene.events, scene.run.results))


def test_the_writer_is_revoked_when_begin_returns(scene):
    """An action that keeps its writer cannot act later."""
    action = Action()

    scene.begin(action)

    with pytest.raises(ClusterError, match="revoked"):
        action.writers[0].create({"kind": "ConfigMap", "metadata": {"name": "late"}})
    assert scene.cluster.writes == []


def test_a_begin_that_hangs_is_left_behind():
    """Its writer is revoked, its late operation thrown away, it is not called again."""
    scene = Scene(settings=EngineSettings(action_timeout=timedelta(milliseconds=50)))
    release, late = threading.Event(), SimpleQueue()

    def begin(given, cluster):
        release.wait(30)
        try:
            cluster.create({"kind": "ConfigMap", "metadata": {"name": "late"}})
        except ClusterError as exc:
            late.put(exc)
        return ItemOperation(spec=ItemOperationSpec(operation_id="late"))

    action = Action(begin=begin)
    scene.begin(action)
    scene.begin(action, "b")
    release.set()
    late.get(timeout=30)

    assert [entry.plugin for entry in scene.run.results.errors] == [NAME, NAME]
    assert "did not come back" in scene.errors[0]
    assert "what it began may go on" in scene.errors[0]
    assert "not called again" in scene.errors[1]
    assert "go on" not in scene.errors[1]
    assert scene.cluster.writes == []
    assert scene.operations.records == ()


class _SlowBegin(Action):
    """Begins only when released, and has the run cancelled meanwhile."""

    def __init__(self, scene):
        """Cancel the run of *scene*."""
        super().__init__(OperationProgress())
        self.scene, self.released = scene, threading.Event()

    def begin(self, given, cluster):
        """Wait, then begin."""
        self.scene.token.cancel("enough")
        self.released.wait(30)
        return super().begin(given, cluster)

    @contextmanager
    def released_at_the_end(self):
        """Let it begin once the context is left."""
        try:
            yield
        finally:
            self.released.set()


def test_what_a_begin_began_after_the_cancel_is_cancelled(scene):
    """A run that is cancelled while an action begins stops what that begins later."""
    action = _SlowBegin(scene)

    with pytest.raises(Cancelled), scene.operations, action.released_at_the_end():
        scene.begin(action)

    assert action.cancelled == ["o-a"]
    assert "operation o-a failed: the run ended before it" in scene.errors[0]
    assert scene.run.results.warnings == ()


def test_a_begin_that_a_cancelled_run_leaves_behind_is_told(scene, monkeypatch):
    """A begin that is still under way when the run is over is a warning by name."""
    grace = timedelta(milliseconds=50)
    monkeypatch.setattr("kbackup.plugins._operations._GRACE", grace)
    action = _SlowBegin(scene)

    with pytest.raises(Cancelled), scene.operations:
        scene.begin(action)
    action.released.set()

    (warning,) = scene.run.results.warnings
    assert warning.message == "begin was left behind; what it began may go on"
    assert (warning.item, warning.plugin) == (_given().identifier, NAME)
    assert scene.operations.records == ()


def test_a_begin_that_was_not_called_leaves_nothing_behind(scene):
    """After the cancel nothing begins, so there is nothing to warn of."""
    scene.token.cancel("enough")

    with pytest.raises(Cancelled), scene.operations:
        scene.begin(Action())

    assert scene.run.results.warnings == ()


def test_a_progress_that_hangs_ends_all_operations_of_its_action():
    """A plugin that hangs is not asked again; the operations of others go on."""
    scene = Scene(settings=EngineSettings(action_timeout=timedelta(milliseconds=50)))
    release = threading.Event()
    stuck = Action(progress=lambda given: release.wait(30))
    fine = Action(name="example.com/fine")
    scene.begin(stuck, "a")
    scene.begin(stuck, "b")
    scene.begin(fine, "c")

    scene.operations.follow()
    release.set()

    assert scene.phases == ["Failed", "Failed", "Completed"]
    assert "did not come back from secrets/a within" in scene.errors[0]
    assert "not called again" in scene.errors[1]
    told = [entry.message for entry in scene.run.results.warnings]
    assert [text.partition(":")[0] for text in told] == [
        "operation o-a was not cancelled and may go on",
        "operation o-b was not cancelled and may go on",
    ]


def test_a_cancel_while_waiting_cancels_the_operations(scene):
    """A cancelled run stops what it began, with a writer of its own."""
    action = Action(OperationProgress())
    scene.begin(action, "a")
    scene.begin(action, "b")
    scene.token.wait = lambda seconds: (
        scene.token.cancel("enough"),
        scene.token.check(),
    )

    with pytest.raises(Cancelled, match="enough"), scene.operations:
        scene.operations.follow()

    assert action.cancelled == ["o-a", "o-b"]
    assert scene.phases == ["Failed", "Failed"]
    assert len(scene.errors) == 2
    assert all("the run ended before it" in e for e in scene.errors)


def test_a_cancel_that_hangs_keeps_nobody(scene, monkeypatch):
    """A run that is over waits for the cancels of its actions for a short time only."""
    grace = timedelta(milliseconds=50)
    monkeypatch.setattr("kbackup.plugins._operations._GRACE", grace)
    release = threading.Event()
    action = Action(cancel=lambda given, cluster: release.wait(30))
    scene.begin(action, "a")
    scene.begin(action, "b")

    with scene.operations:
        pass
    release.set()

    told = [entry.message for entry in scene.run.results.warnings]
    assert len(told) == 2
    assert all("was not cancelled and may go on" in message for message in told)
    assert scene.phases == ["Failed", "Failed"]


def test_a_run_that_fails_cancels_what_it_began(scene):
    """An error that ends the run leaves no operation behind, and stays the error."""
    action = Action()
    scene.begin(action)

    with pytest.raises(ZeroDivisionError), scene.operations:
        _ = 1 / 0

    assert action.cancelled == ["o-a"]


def test_an_operation_knows_what_is_stored_after_it(scene):
    """What execute and begin want to be stored again is in the record, each once."""
    late = ResourceIdentifier(GroupResource("velero.io", "datauploads"), "velero", "x")
    asked = ResourceIdentifier(GroupResource("", "secrets"), "", "y")
    spec = ItemOperationSpec(operation_id="o-1", post_operation_items=[late, asked])
    action = Action(begin=lambda given, cluster: ItemOperation(spec=spec))

    scene.begin(action, post_operation_items=(asked,))

    (record,) = scene.operations.records
    assert [each.identifier for each in record.spec.post_operation_items] == [
        asked,
        late,
    ]


class Keeper:
    """Keeps operations in a list; refuses when it is told to."""

    def __init__(self):
        """Keep nothing yet."""
        self.kept, self.refusal = [], None

    def keep(self, operation):
        """Keep the name and the phase."""
        if self.refusal is not None:
            raise self.refusal
        self.kept.append(
            (operation.spec.operation_id, operation.status.phase or OperationPhase.NEW)
        )

    def check(self):
        """Refuse where told to."""
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def kept():
    """A scene whose operations are kept, and who keeps them."""
    scene = Scene()
    keeper = Keeper()
    scene.operations = Operations(scene.run, scene.cluster, MINUTE, keeper)
    return scene, keeper


def test_beginnings_and_ends_are_kept(kept):
    """Progress in between is not: another process asks for it."""
    scene, keeper = kept
    half = OperationProgress(n_completed=1, n_total=2)
    broken = OperationProgress(completed=True, error="broken")

    scene.begin(Action(half, OperationProgress(completed=True)), "a")
    scene.begin(Action(half, broken), "b")
    with scene.operations:
        scene.operations.follow()

    assert keeper.kept == [
        ("o-a", OperationPhase.NEW),
        ("o-b", OperationPhase.NEW),
        ("o-a", OperationPhase.COMPLETED),
        ("o-b", OperationPhase.FAILED),
    ]


def test_what_cannot_be_kept_is_cancelled(kept):
    """A run that could not be resumed lets nothing go on that it has begun."""
    scene, keeper = kept
    action = Action(OperationProgress())

    def begin_and_break():
        with scene.operations:
            keeper.keep = _raise(StoreUnavailableError("journal"))
            scene.begin(action)

    with pytest.raises(StoreUnavailableError):
        begin_and_break()

    assert action.cancelled == ["o-a"]


def _raise(error):
    """A function that raises, once; then it does nothing."""
    errors = [error]

    def keep(_):
        if errors:
            raise errors.pop()

    return keep


def test_what_another_process_follows_is_not_cancelled(kept):
    """Who has lost the run ends, and leaves its operations to whoever has it."""
    scene, keeper = kept
    action = Action(OperationProgress())
    scene.begin(action)
    keeper.refusal = BackupInProgressError("nightly")

    with pytest.raises(BackupInProgressError), scene.operations:
        scene.operations.follow()

    assert action.cancelled == []


def _begun(name="a", *, phase=OperationPhase.NEW, created=None, error=""):
    """An operation as an earlier process has kept it."""
    return ItemOperation(
        spec=ItemOperationSpec(
            backup_name="nightly",
            backup_item_action=NAME,
            resource_identifier=_given(name).identifier,
            operation_id=f"o-{name}",
        ),
        status=OperationStatus(phase=phase, created=created, error=error),
    )


def test_operations_of_an_earlier_process_are_followed(scene):
    """Those that are open are asked about, those that have ended count as they did."""
    action = Action(OperationProgress(), OperationProgress(completed=True))
    done = _begun("b", phase=OperationPhase.COMPLETED)
    failed = _begun("c", phase=OperationPhase.FAILED, error="broken")
    operations = [_begun("a"), done, failed]

    scene.operations.resume(operations, {NAME: action}, backup=_given().backup)
    with scene.operations:
        scene.operations.follow()

    assert scene.phases == [
        OperationPhase.COMPLETED,
        OperationPhase.COMPLETED,
        OperationPhase.FAILED,
    ]
    assert scene.errors == [f"secrets/c: operation o-c failed: broken (plugin {NAME})"]


@pytest.mark.parametrize(
    ("age", "left"),
    [(timedelta(seconds=20), 40), (timedelta(hours=1), 0), (-timedelta(days=1), 60)],
    ids=["young", "overdue", "from a clock that is ahead"],
)
def test_the_time_of_an_operation_counts_from_its_beginning(scene, age, left):
    """Whoever follows it; a clock that is wrong gives it its time at most."""
    action = Action(OperationProgress())
    started = scene.clock.now()
    begun = _begun(created=started - age)

    scene.operations.resume([begun], {NAME: action}, backup=_given().backup)
    with scene.operations:
        scene.operations.follow()

    assert action.cancelled == ["o-a"]
    assert scene.clock.now() - started == timedelta(seconds=left)


def test_what_goes_on_is_not_begun_again(scene):
    """Only what failed in an earlier process is, and then that failure is gone."""
    again = Action()
    failed = _begun("b", phase=OperationPhase.FAILED, error="cancelled")

    scene.operations.resume(
        [_begun("a"), failed], {NAME: again}, backup=_given().backup
    )
    scene.begin(again, "a")
    scene.begin(again, "b")
    with scene.operations:
        scene.operations.follow()

    assert len(again.writers) == 1
    assert scene.errors == []
    assert scene.phases == [OperationPhase.COMPLETED] * 2


def test_an_action_is_told_all_about_its_operation(scene):
    """What progress is given suffices for another process: names, backup, cluster."""
    told = []
    action = Action(
        progress=lambda g: told.append(g) or OperationProgress(completed=True)
    )

    scene.follow(action)

    (given,) = told
    assert given.operation.spec.backup_name == "nightly"
    assert given.backup.name == "nightly"
    assert given.restore is None
    assert given.run is scene.run
    assert not hasattr(given.cluster, "create")
