"""Waves one after the other, a queue for what may pass, an outcome for everything."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.differences import Difference
from kbackup._kits.workers import Cancelled, CancelToken, WorkerPool
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.plugins import ItemRestored, Run, WaitingFor
from kbackup.restore import PlanAction, PlanEntry
from kbackup.restore._attempt import CREATED, FAILED, Attempt
from kbackup.restore._writes.writer import Writer, _Crew
from kbackup.testing import FrozenClock

CRDS = "customresourcedefinitions.apiextensions.k8s.io"


class QuickToken(CancelToken):
    """Waits by moving the clock."""

    def __init__(self, clock):
        """Use *clock*."""
        super().__init__()
        self._clock = clock

    def wait(self, seconds):
        """Move the clock on."""
        self._clock.sleep(seconds)
        self.check()


def _run(**more):
    """A run whose time passes at once."""
    clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
    token = QuickToken(clock)
    return Run(uid="r", kind="restore", name="try", clock=clock, cancel=token, **more)


def _entry(name, wave=10, action=PlanAction.CREATE, kind="secrets", **more):
    """A line of a plan."""
    namespace = "" if kind in ("namespaces", CRDS) else more.pop("namespace", "shop")
    ref = ResourceIdentifier(GroupResource.parse(kind), namespace, name)
    return PlanEntry(identifier=ref, target=ref, action=action, wave=wave, **more)


def _no_types(entries, deadline):
    """Every new type is served at once."""
    return []


def _writer(run, write, await_types=_no_types, workers=4, room=None):
    """A writer over a function."""
    return Writer(
        run,
        write=write,
        await_types=await_types,
        what_holds=lambda _: "",
        workers=workers,
        room=room or (lambda: workers),
    )


def _actions(outcomes):
    """Name to action."""
    return {outcome.identifier.name: outcome.action for outcome in outcomes}


def test_waves_follow_each_other():
    """No write of a wave begins before the last one of the wave before ended."""
    order, noting = [], threading.Lock()

    def write(entry):
        with noting:
            order.append(entry.wave)
        return Attempt(action=CREATED)

    entries = [_entry(f"s{n}", wave=n // 10) for n in range(50)]
    outcomes = _writer(_run(), write).write(entries, timedelta(minutes=10))

    assert order == sorted(order)
    assert len(outcomes) == 50


class _HastyPool(WorkerPool):
    """Whoever submits a call goes on when the call has ended."""

    def submit(self, function, /, *args, **kwargs):
        """Queue a call and wait for it."""
        future = super().submit(function, *args, **kwargs)
        future.exception()
        return future


def test_a_worker_may_be_quicker_than_who_called_it(monkeypatch):
    """Everything is written, also where the first worker ends before the call returns."""
    monkeypatch.setattr("kbackup.restore._writes.writer.WorkerPool", _HastyPool)
    entries = [_entry(f"s{n}") for n in range(8)]

    writer = _writer(_run(), lambda _: Attempt(action=CREATED))
    outcomes = writer.write(entries, timedelta(minutes=10))

    assert len(outcomes) == 8


def test_as_many_write_at_once_as_there_is_room_for():
    """Workers come while there is room, go when it shrinks, and everything is written."""
    limit, inside, most, by = [3], [0], [], []
    counting, full = threading.Lock(), threading.Event()

    def write(entry):
        with counting:
            inside[0] += 1
            most.append(inside[0])
            by.append(threading.get_ident())
            if len(most) == 60:
                limit[0] = 1
            if inside[0] == 3:
                full.set()
        full.wait(30)
        time.sleep(0.002)  # so that a worker that ought to go, and does not, is seen
        with counting:
            inside[0] -= 1
        return Attempt(action=CREATED)

    entries = [_entry(f"s{n}") for n in range(120)]
    writer = _writer(_run(), write, workers=8, room=lambda: limit[0])
    outcomes = writer.write(entries, timedelta(minutes=10))

    assert max(most) == 3
    *gone, _ = sorted(Counter(by[60:]).values())
    assert sum(gone) <= 2  # each of those that go may have taken one already
    assert len(outcomes) == 120


def test_nothing_more_is_written_once_a_worker_failed(monkeypatch):
    """What ends one worker ends the others: no write begins after it."""
    began, full, dismissed = [], threading.Event(), threading.Event()
    dismiss = _Crew.dismiss

    def noted(crew):
        dismiss(crew)
        dismissed.set()

    def write(entry):
        began.append(entry)
        if len(began) == 4:
            full.set()
        if entry.identifier.name == "s0":
            full.wait(30)
            raise RuntimeError("a fault")
        dismissed.wait(30)
        return Attempt(action=CREATED)

    monkeypatch.setattr(_Crew, "dismiss", noted)

    with pytest.raises(RuntimeError, match="a fault"):
        _writer(_run(), write).write(
            [_entry(f"s{n}") for n in range(10)], timedelta(minutes=10)
        )

    assert len(began) == 4


def test_what_may_pass_is_tried_again_after_everything_else():
    """A refused entry is tried again until it passes, and the others go first."""
    tries = []

    def write(entry):
        tries.append(entry.target.name)
        if entry.target.name == "late" and tries.count("late") < 4:
            return Attempt(reason="not yet")
        return Attempt(action=CREATED)

    run = _run()
    outcomes = _writer(run, write, workers=1).write(
        [_entry("late", 1), _entry("b", 2), _entry("c", 3)], timedelta(seconds=600)
    )

    assert tries == ["late", "b", "c", "late", "late", "late"]
    assert set(_actions(outcomes).values()) == {CREATED}
    assert run.results.errors == ()


def test_patience_begins_when_everything_else_is_written():
    """However long the writing takes, what waits is tried again afterwards."""
    run, tries = _run(), []

    def write(entry):
        tries.append(entry.target.name)
        run.clock.sleep(3600)  # a restore that writes for hours
        late = entry.target.name == "late" and tries.count("late") == 1
        return Attempt(reason="not yet") if late else Attempt(action=CREATED)

    outcomes = _writer(run, write, workers=1).write(
        [_entry("late", 1), _entry("b", 2)], timedelta(minutes=10)
    )

    assert tries == ["late", "b", "late"]
    assert set(_actions(outcomes).values()) == {CREATED}


def test_what_never_passes_is_an_error_with_the_last_answer():
    """At the deadline the last answer becomes the error."""
    run = _run()

    outcomes = _writer(run, lambda _: Attempt(reason="quota unknown")).write(
        [_entry("a")], timedelta(seconds=30)
    )

    assert _actions(outcomes) == {"a": FAILED}
    [error] = run.results.errors
    assert "the last answer was: quota unknown" in error.message


def test_lines_without_a_write_have_outcomes_too():
    """Unchanged, skipped and conflicting lines are told apart."""
    run = _run()
    differs = (Difference(path="data.a", op="change", left=1, right=2),)

    def write(entry):
        pytest.fail(f"{entry.target} was written")

    outcomes = _writer(run, write).write(
        [
            _entry("same", action=PlanAction.UNCHANGED),
            _entry("theirs", action=PlanAction.SKIP, reason="belongs to the cluster"),
            _entry("other", action=PlanAction.SKIP, differences=differs, reason="x"),
            _entry("clash", action=PlanAction.CONFLICT, reason="immutable field y"),
        ],
        timedelta(minutes=10),
    )

    assert _actions(outcomes) == {
        "same": "unchanged",
        "theirs": "skipped",
        "other": "skipped",
        "clash": "failed",
    }
    assert [w.item.name for w in run.results.warnings] == ["other"]
    assert [e.item.name for e in run.results.errors] == ["clash"]


def test_a_moved_object_is_a_warning():
    """An entry that was not written because its object moved is told by name."""
    run = _run()

    attempt = Attempt(action="skipped", reason="the live object changed", moved=True)
    _writer(run, lambda _: attempt).write([_entry("a")], timedelta(minutes=10))

    [warning] = run.results.warnings
    assert "the live object changed" in warning.message


def test_items_of_a_namespace_that_failed_are_not_tried():
    """Without their namespace items fail at once, with that reason."""
    tried = []

    def write(entry):
        tried.append(entry.target.name)
        failed = entry.target.name == "shop"
        return Attempt(action=FAILED if failed else CREATED, reason="forbidden")

    run = _run()
    outcomes = _writer(run, write).write(
        [_entry("shop", 1, kind="namespaces"), _entry("a", 2)], timedelta(seconds=600)
    )

    assert tried == ["shop"]
    assert _actions(outcomes) == {"shop": FAILED, "a": FAILED}
    assert "namespace shop could not be made" in run.results.errors[1].message


def test_items_of_a_type_that_did_not_come_are_not_tried():
    """A CRD that is not established fails its items at once."""
    crd = _entry("widgets.example.com", 1, kind=CRDS)
    widget = _entry("w", 2, kind="widgets.example.com")

    def write(entry):
        assert entry is crd
        return Attempt(action=CREATED)

    def await_types(entries, deadline):
        return [(crd, "the CRD is not Established")]

    run = _run()
    outcomes = _writer(run, write, await_types).write(
        [crd, widget], timedelta(minutes=10)
    )

    assert _actions(outcomes)["w"] == FAILED
    assert "the CRD is not Established" in run.results.errors[0].message


def test_a_type_whose_definition_failed_is_not_awaited():
    """A CRD that could not be written is one error, and nobody waits for its type."""
    crd = _entry("widgets.example.com", 1, kind=CRDS)

    def await_types(entries, deadline):
        pytest.fail(f"{entries} are awaited")

    run = _run()
    refused = Attempt(action=FAILED, reason="invalid")
    _writer(run, lambda _: refused, await_types).write([crd], timedelta(minutes=10))

    assert [x.message for x in run.results.errors] == ["not restored: invalid"]


def test_types_are_awaited_before_their_items():
    """Between the CRDs and everything else stands the wait for their types."""
    seen = []

    def write(entry):
        seen.append(entry.target.name)
        return Attempt(action=CREATED)

    def await_types(entries, deadline):
        seen.append([entry.target.name for entry in entries])
        return []

    crd = _entry("widgets.example.com", 1, kind=CRDS)
    widget = _entry("w", 2, kind="widgets.example.com")
    _writer(_run(), write, await_types).write([crd, widget], timedelta(minutes=10))

    assert seen == ["widgets.example.com", ["widgets.example.com"], "w"]


def test_cancelling_ends_the_run():
    """A cancel in one thread ends all of them, and is raised."""
    run = _run()

    def write(entry):
        run.cancel.cancel("enough")
        return Attempt(action=CREATED)

    with pytest.raises(Cancelled, match="enough"):
        _writer(run, write).write(
            [_entry(f"s{n}") for n in range(500)], timedelta(minutes=10)
        )


def test_observers_hear_of_each_item():
    """Each entry that is over is an event."""
    events = []
    run = _run(observer=events.append)

    _writer(run, lambda _: Attempt(action=CREATED)).write(
        [_entry("a")], timedelta(minutes=10)
    )

    restored = [e for e in events if isinstance(e, ItemRestored)]
    assert [(e.identifier.name, e.action) for e in restored] == [("a", "created")]


def test_observers_hear_what_is_waited_for_and_how_long_still():
    """One wait is told in the same words in every round, with the time that is left."""
    events = []
    run = _run(observer=events.append)
    refuse = Attempt(reason="not yet")
    entries = [_entry("b"), _entry("a")]  # the queue has b first

    _writer(run, lambda _: refuse, workers=1).write(entries, timedelta(seconds=30))

    waits = [event for event in events if isinstance(event, WaitingFor)]
    assert {each.what for each in waits} == {"secrets/shop/a and 1 more: not yet"}
    assert waits[0].seconds_left == 30
    assert 0 < waits[-1].seconds_left < 30
