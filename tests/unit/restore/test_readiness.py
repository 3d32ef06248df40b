"""An action may wait until what it asked for is ready, before its own item is written."""

from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.errors import RunCancelledError
from kbackup.models import (
    EngineSettings,
    GroupResource,
    ResourceIdentifier,
    ResourceSelector,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.plugins import RestoreOutput
from kbackup.restore import RestorePlan
from kbackup.testing import FrozenClock
from offered_actions import plugins_offering

NAME = "example.com/after"
SPEC = RestoreSpec(backup_name="shop-1")
SETTINGS = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "settings")


def _object(kind, name, **more):
    """An object in the shop."""
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
OBJECTS = [NAMESPACE, _object("Secret", "app"), _object("ConfigMap", "settings")]


class Action:
    """Each Secret waits for the ConfigMap, which is ready at the third look."""

    name = NAME
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self, ready=3, *, items=(SETTINGS,), timeout=None, clock=None):
        self.asked, self.ready = [], ready
        self.items, self.timeout, self.clock = items, timeout, clock

    def execute(self, given):
        """Ask for the ConfigMap and want to wait for it."""
        return RestoreOutput(
            item=given.item,
            additional_items=self.items,
            wait_for_additional_items=True,
            additional_items_ready_timeout=self.timeout,
        )

    def are_additional_items_ready(self, given, additional_items):
        """Note what is there, let a minute pass, and answer."""
        secret = ResourceIdentifier(GroupResource("", "secrets"), "copy", "app")
        there = given.cluster.get(additional_items[0]) is not None
        missing = given.cluster.get(secret) is None
        self.asked.append(([str(each) for each in additional_items], there, missing))
        if self.clock is not None:
            self.clock.advance(timedelta(minutes=1))
        if callable(self.ready):
            return self.ready()
        return len(self.asked) >= self.ready


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Try what waits without pauses."""
    monkeypatch.setattr("kbackup.restore._writes.writer._FIRST_PAUSE", 0.001)


@pytest.fixture
def make(make_shop):
    """Makes a shop of a Secret and a ConfigMap whose engine uses one action."""

    def make(action, objects=OBJECTS, **more):
        return make_shop(objects, plugins=plugins_offering(restore=[action]), **more)

    return make


def _errors(result):
    """What was lost, by item."""
    return [(str(each.item), each.message) for each in result.results.errors]


def test_an_item_is_written_once_what_it_asked_for_is_ready(make):
    """The action is asked again and again, by the names of the target, until it says yes."""
    action = Action()
    shop = make(action)
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})

    result = shop.engine.run("try-1", spec)

    assert action.asked == [(["configmaps/copy/settings"], True, True)] * 3
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert shop.names("secrets", "copy") == ["app"]


def test_the_plan_says_who_waits(make):
    """A plan tells it before, also one that was saved, and nobody is asked for it."""
    action = Action(timeout=timedelta(minutes=2))
    shop = make(action)

    plan = shop.engine.plan("try-1", SPEC)

    text = f"waits until {NAME} says that 1 additional item can be used, 2m0s at most"
    assert text in str(plan)
    (entry,) = [each for each in plan.entries if each.waits]
    assert str(entry.target) == "secrets/shop/app"
    assert RestorePlan.from_json(plan.to_json()).entries == plan.entries
    assert action.asked == []


def test_a_plan_that_is_held_against_the_server_waits_for_nobody(make):
    """A trial writes nothing, so that nothing will ever be ready for it."""
    action = Action(ready=lambda: False)
    shop = make(action)

    shop.engine.plan("try-1", SPEC, RestoreOptions(validate=True))

    assert action.asked == []


@pytest.mark.parametrize(
    ("timeout", "deadline", "asked"),
    [(None, 20, 10), (2, 20, 2), (0, 20, 10), (30, 5, 5)],
    ids=["ten minutes", "its own timeout", "none means ten minutes", "the deadline"],
)
def test_who_waits_too_long_is_an_error(make, timeout, deadline, asked):
    """The item is written all the same, and the error names both, and who waited."""
    clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
    if timeout is not None:
        timeout = timedelta(minutes=timeout)
    action = Action(ready=lambda: False, timeout=timeout, clock=clock)
    shop = make(action, clock=clock)
    options = RestoreOptions(deadline=timedelta(minutes=deadline))

    result = shop.engine.run("try-1", SPEC, options)

    message = (
        f"additional items are not ready: configmaps/shop/settings (says {NAME}), "
        f"{asked}m0s long; it is written all the same"
    )
    assert _errors(result) == [("secrets/shop/app", message)]
    assert result.results.errors[0].plugin == NAME
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert len(action.asked) == asked
    assert shop.names("secrets", "shop") == ["app"]


def _raises():
    raise OSError("no such pool")


@pytest.mark.parametrize(
    ("ready", "fact"),
    [
        (_raises, "OSError"),
        (lambda: "yes", "are_additional_items_ready returned a str, not a bool"),
    ],
    ids=["raises", "answers otherwise"],
)
def test_an_action_that_fails_when_it_is_asked(make, ready, fact):
    """It is asked once, the error names it, and the item is written all the same."""
    action = Action(ready=ready)
    shop = make(action)

    result = shop.engine.run("try-1", SPEC)

    ((item, message),) = _errors(result)
    assert item == "secrets/shop/app"
    assert message.startswith("whether additional items are ready cannot be told: ")
    assert NAME in message
    assert fact in message
    assert "no such pool" not in message  # it may quote the Secret
    assert len(action.asked) == 1
    assert shop.names("secrets", "shop") == ["app"]


def test_an_action_that_cannot_be_asked(make):
    """Who wants to wait and has no method for it is an error of the item."""
    action = Action()
    action.are_additional_items_ready = None
    shop = make(action)

    result = shop.engine.run("try-1", SPEC)

    assert "it has no method are_additional_items_ready" in _errors(result)[0][1]
    assert shop.names("secrets", "shop") == ["app"]


@pytest.mark.parametrize("timeout", [timedelta(seconds=-1), 30])
def test_a_timeout_that_is_none(make, timeout):
    """A plan names the action that answers what is no time to wait."""
    shop = make(Action(timeout=timeout))

    plan = shop.engine.plan("try-1", SPEC)

    assert "that is no time to wait" in str(plan)
    assert plan.counts["conflict"] == 1


def test_nobody_waits_for_what_is_not_restored(make):
    """Of items that neither backup nor target has no action is asked."""
    gone = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "gone")
    action = Action(ready=lambda: False, items=(gone,))
    shop = make(action)

    result = shop.engine.run("try-1", SPEC)

    assert action.asked == []
    assert _errors(result) == []
    assert shop.names("secrets", "shop") == ["app"]


def test_nobody_waits_for_what_has_failed(make):
    """An additional item that the server refuses is an error of its own only."""
    action = Action(ready=lambda: False)
    shop = make(action)
    shop.simulated.faults.forbid(verb="create", resource="configmaps")

    result = shop.engine.run("try-1", SPEC)

    assert [item for item, _ in _errors(result)] == ["configmaps/shop/settings"]
    assert action.asked == []
    assert shop.names("secrets", "shop") == ["app"]


def test_what_the_target_has_is_waited_for(make):
    """An additional item that is there already must be ready as well."""
    action = Action()
    shop = make(action)
    shop.simulated.load([NAMESPACE, _object("ConfigMap", "settings")])

    shop.engine.run("try-1", SPEC)

    assert len(action.asked) == 3
    assert shop.names("secrets", "shop") == ["app"]


def test_a_cancel_ends_the_waiting(make):
    """Whoever waits is stopped at once, and its item is not written."""
    token = CancelToken()
    shop = make(Action(ready=lambda: token.cancel("enough") or False))

    with pytest.raises(RunCancelledError, match="enough"):
        shop.engine.run("try-1", SPEC, cancel=token)

    assert shop.names("secrets", "shop") == []


def test_others_are_written_while_one_waits(make):
    """No thread waits: with one worker everything else is written first."""
    there = []
    secrets = [_object("Secret", name) for name in ("a", "b", "c")]
    objects = [NAMESPACE, *secrets, _object("ConfigMap", "settings")]
    action = Action(ready=lambda: bool(there))
    services = _object("Service", "web", spec={"ports": [{"port": 80}]})
    shop = make(action, [*objects, services], settings=EngineSettings(workers=1))
    action.ready = lambda: shop.names("services", "shop") == ["web"]

    result = shop.engine.run("try-1", SPEC)

    assert _errors(result) == []
    assert shop.names("secrets", "shop") == ["a", "b", "c"]
