"""The action contracts notice actions that break their promises."""

import itertools

import pytest

from kbackup.errors import ClusterError, ItemNotFoundError, PluginLoadError
from kbackup.models import (
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, RestoreOutput
from kbackup.testing import (
    BackupItemActionContract,
    DeleteItemActionContract,
    ItemBlockActionContract,
    RecordingCluster,
    RestoreItemActionContract,
    StaticClusterReader,
    backup_input,
    delete_input,
    restore_input,
)

ITEM = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "shop", "labels": {}},
    "data": {"key": "value"},
}
SELF = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "a")
NEW = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "new")
NAMELESS = ResourceIdentifier(GroupResource("", "pods"), "shop", "")


class Action:
    """An action that answers with what *answer* makes of the item."""

    name = "example.com/a"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self, answer, **more):
        """Take what makes the answer, and what else is answered."""
        self._answer = answer
        self._more = more

    def execute(self, given):
        """Answer as told."""
        return RestoreOutput(item=self._answer(given.item), **self._more)


class BackupAction(Action):
    """The same for a backup."""

    def execute(self, given):
        """Answer as told."""
        return BackupOutput(item=self._answer(given.item), **self._more)


def mutate(item):
    """Break purity: change the input."""
    item["data"]["key"] = "other"
    return item


def rename(item):
    """Break identity: answer with another object."""
    return {**item, "metadata": {**item["metadata"], "name": "b"}}


NUMBERS = itertools.count()


def count(item):
    """Break purity: answer differently each time."""
    return {**item, "data": {"n": str(next(NUMBERS))}}


def same(item):
    """Answer without a change."""
    return item


FAULTS = {
    "mutates": ("test_input_is_left_alone", mutate, {}),
    "renames": ("test_answer_is_well_formed", rename, {}),
    "counts": ("test_is_pure", count, {}),
    "not JSON": (
        "test_answer_is_well_formed",
        lambda item: {**item, "data": {"key": ("a", "b")}},
        {},
    ),
    "asks for itself": (
        "test_answer_is_well_formed",
        same,
        {"additional_items": (SELF,)},
    ),
    "asks for nothing": (
        "test_answer_is_well_formed",
        same,
        {"additional_items": (NAMELESS,)},
    ),
    "begins with nothing": (
        "test_answer_is_well_formed",
        same,
        {"wants_begin": True},
    ),
}


def fresh():
    """A ConfigMap that no other test holds."""
    return {**ITEM, "data": dict(ITEM["data"])}


@pytest.mark.parametrize(("test", "answer", "more"), FAULTS.values(), ids=FAULTS)
def test_faulty_restore_actions_are_caught(test, answer, more):
    """Each way to break the contract of a restore action fails one of its tests."""
    action = Action(answer, **more)
    given = restore_input("configmaps", fresh())

    with pytest.raises(AssertionError):
        getattr(RestoreItemActionContract(), test)(action, given)


@pytest.mark.parametrize(("test", "answer", "more"), FAULTS.values(), ids=FAULTS)
def test_faulty_backup_actions_are_caught(test, answer, more):
    """Each way to break the contract of a backup action fails one of its tests."""
    action = BackupAction(answer, **more)
    given = backup_input("configmaps", fresh())

    with pytest.raises(AssertionError):
        getattr(BackupItemActionContract(), test)(action, given)


@pytest.mark.parametrize(
    ("contract", "action"),
    [
        (RestoreItemActionContract(), Action(same)),
        (BackupItemActionContract(), BackupAction(same)),
    ],
)
def test_misnamed_actions_are_caught(contract, action):
    """An action without a prefix in its name cannot be registered."""
    action.name = "a"

    with pytest.raises(PluginLoadError, match="has no prefix"):
        contract.test_can_be_registered(action)


class Starter(Action):
    """An action that makes a ConfigMap and says when it is there."""

    def __init__(self, **more):
        """Keep what the test wants otherwise."""
        super().__init__(same, wants_begin=True)
        vars(self).update(more)

    def begin(self, given, cluster):
        """Make the ConfigMap."""
        self.writer = cluster
        cluster.create({**fresh(), "metadata": {"name": "new", "namespace": "shop"}})
        return ItemOperation(spec=ItemOperationSpec(operation_id="o-1"))

    def progress(self, given):
        """Look whether it is there."""
        return OperationProgress(completed=given.cluster.get(NEW) is not None)

    def cancel(self, given, cluster):
        """Remove it."""
        cluster.delete(NEW)


def test_an_action_that_begins_keeps_the_contract():
    """An action that reads by what it is given, and not by its old writer, passes."""
    given = restore_input("configmaps", fresh())

    RestoreItemActionContract().test_begins_only_when_it_is_asked_to(Starter(), given)


@pytest.mark.parametrize(
    ("faulty", "error"),
    [
        ({"begin": lambda given, cluster: "o-1"}, AssertionError),
        ({"begin": lambda given, cluster: ItemOperation()}, AssertionError),
        ({"progress": lambda given: True}, AssertionError),
        ({"progress": None}, TypeError),
        ({"cancel": lambda given: None}, TypeError),
    ],
    ids=["no operation", "no id", "no progress", "progress missing", "cancel"],
)
def test_actions_that_begin_badly_are_caught(faulty, error):
    """What an engine could not follow or stop fails the suite."""
    given = restore_input("configmaps", fresh())

    with pytest.raises(error):
        RestoreItemActionContract().test_begins_only_when_it_is_asked_to(
            Starter(**faulty), given
        )


@pytest.mark.parametrize(
    "answer",
    [lambda given, items: True, lambda given, items: "yes", None],
    ids=["right", "no bool", "no method"],
)
def test_an_action_that_waits(answer):
    """Who waits and cannot say whether it still has to fails the suite."""
    action = Action(same, additional_items=(NEW,), wait_for_additional_items=True)
    action.are_additional_items_ready = answer
    given = restore_input("configmaps", fresh())
    contract = RestoreItemActionContract()

    if answer is not None and answer(given, ()) is True:
        contract.test_tells_what_is_ready(action, given)
        return
    with pytest.raises(AssertionError):
        contract.test_tells_what_is_ready(action, given)


def test_a_writer_that_is_kept_is_caught():
    """An action that asks its revoked writer while it is followed fails the suite."""
    action = Starter()
    action.progress = lambda given: action.writer.get(SELF)
    given = restore_input("configmaps", fresh())

    with pytest.raises(ClusterError, match="revoked"):
        RestoreItemActionContract().test_begins_only_when_it_is_asked_to(action, given)


def test_inputs_of_another_type_are_caught():
    """A suite whose inputs are not what the action applies to tests nothing: it fails."""
    given = restore_input("secrets", fresh())

    with pytest.raises(AssertionError):
        RestoreItemActionContract().test_applies_to_what_it_is_given(
            Action(same), given
        )


class Cleaner(Action):
    """An action that cleans up as *execute* says."""

    def __init__(self, execute):
        """Take what is done."""
        super().__init__(same)
        self.execute = execute


def test_an_action_that_cleans_up_keeps_the_contract():
    """An action that deletes, and lets go what is gone, passes the whole suite."""
    action = Cleaner(lambda given: given.cluster.delete(NEW))
    suite, given = DeleteItemActionContract(), delete_input("configmaps", fresh())

    suite.test_can_be_registered(action)
    suite.test_applies_to_what_it_is_given(action, given)
    suite.test_input_is_left_alone(action, given)
    suite.test_can_be_repeated(action, given)


@pytest.mark.parametrize(
    ("test", "execute"),
    [
        ("test_input_is_left_alone", lambda given: mutate(given.item) and None),
        ("test_can_be_repeated", lambda given: given.item),
        (
            "test_can_be_repeated",
            lambda given: (
                given.cluster.create(
                    {**fresh(), "metadata": {"name": f"n-{next(NUMBERS)}"}}
                )
                and None
            ),
        ),
    ],
    ids=["mutates", "answers", "adds each time"],
)
def test_actions_that_clean_up_badly_are_caught(test, execute):
    """What a deletion could not repeat, or does not expect, fails the suite."""
    given = delete_input("configmaps", fresh())

    with pytest.raises(AssertionError):
        getattr(DeleteItemActionContract(), test)(Cleaner(execute), given)


def test_an_action_that_expects_what_is_gone_is_caught():
    """An action that patches what it deletes cannot be repeated."""

    def patch_and_delete(given):
        given.cluster.patch(SELF, {"data": {}})
        given.cluster.delete(SELF)

    cluster = RecordingCluster(StaticClusterReader({"configmaps": [fresh()]}))
    given = delete_input("configmaps", fresh(), cluster=cluster)

    with pytest.raises(ItemNotFoundError):
        DeleteItemActionContract().test_can_be_repeated(
            Cleaner(patch_and_delete), given
        )


class Block:
    """An item block action whose answer is the test's."""

    name = "example.com/block"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self, answer):
        self._answer = answer

    def related_items(self, given):
        """Answer as the test says."""
        return self._answer(given.item)


def _growing():
    """Return a function that names one more item each time."""
    found = []

    def more(_):
        found.append(ResourceIdentifier(SELF.group_resource, "shop", f"n-{len(found)}"))
        return tuple(found)

    return more


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("test_input_is_left_alone", lambda item: item.update(data={}) or ()),
        ("test_is_pure", _growing()),
        ("test_answer_is_well_formed", lambda _: (SELF,)),
        ("test_answer_is_well_formed", lambda _: [NAMELESS]),
        ("test_answer_is_well_formed", lambda _: (NAMELESS,)),
    ],
    ids=["changes", "differs", "itself", "list", "nothing"],
)
def test_faulty_item_block_actions_are_caught(test, answer):
    """Each way to break the contract fails one of its tests."""
    with pytest.raises(AssertionError):
        getattr(ItemBlockActionContract(), test)(
            Block(answer), backup_input("configmaps", fresh())
        )
