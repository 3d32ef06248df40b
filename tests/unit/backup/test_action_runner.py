"""Item actions: broken, hanging and well-behaved ones."""

import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.backup._action_runner import ActionCall, ActionRunner
from kbackup.errors import ActionError, ActionTimeoutError, ForbiddenError
from kbackup.models import (
    Backup,
    EngineSettings,
    GroupResource,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, Run

PODS = GroupResource("", "pods")


class Action:
    """An action that does what a function says."""

    applies_to = ResourceSelector()

    def __init__(self, name, execute):
        self.name = name
        self.execute = execute


def _pod(name):
    """Return the identifier of a Pod."""
    return ResourceIdentifier(PODS, "shop", name)


def _calls(*actions, names=("a", "b", "c")):
    """Return a call of the actions for each Pod."""
    return [
        ActionCall(
            identifier=_pod(name),
            item={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}},
            actions=actions,
        )
        for name in names
    ]


def _forbidden(given):
    """Ask the cluster for something that may not be read."""
    raise ForbiddenError("get", "secrets", "shop/x")


@pytest.fixture
def cancel():
    """The run's cancel token."""
    return CancelToken()


@pytest.fixture
def runner(cancel):
    """A runner that gives actions a fifth of a second."""
    settings = EngineSettings(action_timeout=timedelta(seconds=0.2))
    run = Run(uid="u", kind="backup", name="b", settings=settings, cancel=cancel)
    runner = ActionRunner(run, Backup(), cluster=None)
    yield runner
    runner.close()


def _labelled(key):
    """Return an action that adds a label."""

    def execute(given):
        labels = {**given.item.get("labels", {}), key: "x"}
        return BackupOutput(item={**given.item, "labels": labels})

    return Action(f"test/{key}", execute)


def test_actions_run_in_order_on_what_the_one_before_left(runner):
    """Each action is given what the one before it returned."""
    outcomes = runner.execute(_calls(_labelled("one"), _labelled("two")))

    assert [list(each.item["labels"]) for each in outcomes] == [["one", "two"]] * 3
    assert [each.item["metadata"]["name"] for each in outcomes] == ["a", "b", "c"]


def test_an_unchanged_item_is_the_very_one_given(runner):
    """What no action changed can be told by identity, so its bytes can be kept."""
    calls = _calls(Action("test/none", lambda given: BackupOutput(item=given.item)))

    outcomes = runner.execute(calls)

    assert all(
        outcome.item is call.item for outcome, call in zip(outcomes, calls, strict=True)
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(lambda given: 1 / 0, "ZeroDivisionError", id="raises"),
        pytest.param(_forbidden, "cannot get secrets shop/x: forbidden", id="ours"),
        pytest.param(
            lambda given: None, "it returned a NoneType, not a Backup", id="nothing"
        ),
        pytest.param(
            lambda given: BackupOutput(item="x"), "it did not return a", id="no-item"
        ),
        pytest.param(
            lambda given: BackupOutput(item=given.item, skip=5),
            "it returned a int as the reason",
            id="no-reason",
        ),
        pytest.param(
            lambda given: BackupOutput(item=given.item, additional_items=("a",)),
            "it returned a str as an additional item",
            id="no-identifier",
        ),
        pytest.param(
            lambda given: BackupOutput(item=given.item, post_operation_items=None),
            "it returned a NoneType as the post-operation items",
            id="nothing-again",
        ),
    ],
)
def test_a_broken_action_costs_its_item_and_no_other(runner, broken, said):
    """Whatever an action does wrong is an error with its name and the item's."""

    def execute(given):
        if given.identifier.name == "b":
            return broken(given)
        return BackupOutput(item=given.item)

    outcomes = runner.execute(_calls(Action("test/broken", execute)))

    assert [each.error is None for each in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, ActionError)
    assert outcomes[1].error.plugin == "test/broken"
    assert f"test/broken failed on pods/shop/b: {said}" in str(outcomes[1].error)


def test_why_a_secret_is_skipped_does_not_quote_it(runner):
    """An action's words about a Secret may quote it: only who skips it is told."""
    secret = ResourceIdentifier(GroupResource("", "secrets"), "shop", "a")
    skip = Action(
        "test/skip",
        lambda given: BackupOutput(item=given.item, skip=str(given.item["data"])),
    )
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a"},
        "data": {"password": "c2VjcmV0"},
    }
    call = ActionCall(identifier=secret, item=item, actions=(skip,))

    (outcome,) = runner.execute([call])

    assert outcome.skip == "left out by action test/skip"


def test_an_action_that_exits_costs_its_item(runner):
    """SystemExit in an action ends neither the run nor the worker."""

    def execute(given):
        raise SystemExit(3)

    outcomes = runner.execute(_calls(Action("test/exit", execute)))

    assert [type(each.error) for each in outcomes] == 3 * [ActionError]


def test_a_hanging_action_is_given_up(runner):
    """Its item fails, it is not called again, the others still run, late results go."""
    release, called = threading.Event(), []

    def execute(given):
        called.append(given.identifier.name)
        if given.identifier.name == "b":
            release.wait(30)
        return BackupOutput(item={**given.item, "late": True})

    outcomes = runner.execute(_calls(Action("test/hang", execute), _labelled("one")))
    release.set()

    assert called == ["a", "b"]
    assert isinstance(outcomes[1].error, ActionTimeoutError)
    assert outcomes[1].error.plugin == "test/hang"
    assert "late" not in outcomes[1].item
    assert outcomes[2].error is None
    assert outcomes[2].item["labels"] == {"one": "x"}
    assert runner.passed_over == {"test/hang": 1}


def test_a_cancel_does_not_wait_for_an_action(runner, cancel):
    """A cancelled run leaves a running action behind."""
    release = threading.Event()

    def execute(given):
        cancel.cancel("enough")
        release.wait(30)
        return BackupOutput(item=given.item)

    with pytest.raises(Cancelled, match="enough"):
        runner.execute(_calls(Action("test/slow", execute)))
    release.set()


def test_additional_items_and_skips_are_collected(runner):
    """What is asked for is kept with whether filters count, and by whom; a skip ends it."""
    other = _pod("other")
    ask = Action(
        "test/ask",
        lambda given: BackupOutput(
            item=given.item,
            additional_items=(other,),
            must_include_additional_items=True,
        ),
    )
    skip = Action(
        "test/skip", lambda given: BackupOutput(item=given.item, skip="not mine")
    )

    outcome = runner.execute(_calls(ask, skip, _labelled("never"), names=["a"]))[0]

    assert outcome.additional == [(other, True, "test/ask")]
    assert outcome.skip == "not mine"
    assert "labels" not in outcome.item
