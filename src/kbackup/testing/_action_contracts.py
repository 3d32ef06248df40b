"""What every item action promises, as suites for pytest.

Subclass the suite of your kind of action, name the class ``Test...`` and give two
fixtures::

    class TestOwnerAction(RestoreItemActionContract):
        @pytest.fixture
        def action(self):
            return OwnerAction()

        @pytest.fixture(params=[...])
        def given(self):
            return restore_input("services", {...})

Give several inputs: those on which the action does something, one on which it does
nothing, and one with nothing but metadata. An action that begins something, or cleans up,
is let do so on a `RecordingCluster`, which holds the objects of the input's cluster.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kbackup.models import ItemOperation, OperationProgress, ResourceIdentifier
from kbackup.plugins import (
    BackupInput,
    BackupItemAction,
    BackupOutput,
    DeleteInput,
    DeleteItemAction,
    ItemBlockAction,
    PluginManager,
    RestoreInput,
    RestoreItemAction,
    RestoreOutput,
    hookimpl,
)
from kbackup.plugins.engine import ActionIndex
from kbackup.testing._action_clusters import RecordingCluster, operation_input


class _BackupPlugin:
    """A plugin that offers one backup item action."""

    def __init__(self, action: BackupItemAction) -> None:
        self._action = action

    @hookimpl
    def kbackup_register_backup_item_actions(self) -> Mapping[str, BackupItemAction]:
        return {self._action.name: self._action}


class _RestorePlugin:
    """A plugin that offers one restore item action."""

    def __init__(self, action: RestoreItemAction) -> None:
        self._action = action

    @hookimpl
    def kbackup_register_restore_item_actions(self) -> Mapping[str, RestoreItemAction]:
        return {self._action.name: self._action}


class _DeletePlugin:
    """A plugin that offers one delete item action."""

    def __init__(self, action: DeleteItemAction) -> None:
        self._action = action

    @hookimpl
    def kbackup_register_delete_item_actions(self) -> Mapping[str, DeleteItemAction]:
        return {self._action.name: self._action}


class _BlockPlugin:
    """A plugin that offers one item block action."""

    def __init__(self, action: ItemBlockAction) -> None:
        self._action = action

    @hookimpl
    def kbackup_register_item_block_actions(self) -> Mapping[str, ItemBlockAction]:
        return {self._action.name: self._action}


class _BeginContract:
    """What holds for actions that begin something, and for all others by itself."""

    def test_begins_only_when_it_is_asked_to(
        self, action: Any, given: BackupInput | RestoreInput
    ) -> None:
        """What `begin` starts can be followed and stopped without its writer.

        An engine asks `execute` as often as it likes, also for a plan, and calls
        `begin` once; afterwards the writer that it gave is revoked.
        """
        cluster = RecordingCluster(given.cluster)
        given = attrs.evolve(given, cluster=cluster.reader())
        wants_begin = action.execute(given).wants_begin
        assert cluster.writes == []
        if not wants_begin:
            return

        writer = cluster.writer()
        operation = action.begin(given, writer)
        writer.revoke()

        if operation is not None:
            _assert_followed(action, operation, given, cluster)


class BackupItemActionContract(_BeginContract):
    """Every `BackupItemAction` keeps these promises; fixtures: ``action``, ``given``."""

    def test_can_be_registered(self, action: BackupItemAction) -> None:
        """The manager accepts the action under its own name."""
        manager = PluginManager([_BackupPlugin(action)], strict=True)

        assert manager.backup_item_actions() == (action,)

    def test_applies_to_what_it_is_given(
        self, action: BackupItemAction, given: BackupInput
    ) -> None:
        """The action's selector wants the items that this suite gives it."""
        assert _wanted(action, given)

    def test_input_is_left_alone(
        self, action: BackupItemAction, given: BackupInput
    ) -> None:
        """The item given is the same afterwards, down to every leaf."""
        before = copy.deepcopy(given.item)

        action.execute(given)

        assert given.item == before

    def test_is_pure(self, action: BackupItemAction, given: BackupInput) -> None:
        """Asked twice the action answers the same, as planning may ask twice."""
        assert action.execute(given) == action.execute(given)

    def test_answer_is_well_formed(
        self, action: BackupItemAction, given: BackupInput
    ) -> None:
        """The answer is JSON about the same object, and names other objects."""
        output = action.execute(given)

        assert isinstance(output, BackupOutput)
        _assert_same_object(output.item, given.item)
        _assert_others(output.additional_items, given.identifier)
        _assert_others(output.post_operation_items, None)
        _assert_acts_on_wish(action, wants_begin=output.wants_begin)


class RestoreItemActionContract(_BeginContract):
    """Every `RestoreItemAction` keeps these promises; fixtures: ``action``, ``given``."""

    def test_can_be_registered(self, action: RestoreItemAction) -> None:
        """The manager accepts the action under its own name."""
        manager = PluginManager([_RestorePlugin(action)], strict=True)

        assert manager.restore_item_actions() == (action,)

    def test_applies_to_what_it_is_given(
        self, action: RestoreItemAction, given: RestoreInput
    ) -> None:
        """The action's selector wants the items that this suite gives it."""
        assert _wanted(action, given)

    def test_input_is_left_alone(
        self, action: RestoreItemAction, given: RestoreInput
    ) -> None:
        """Both items given are the same afterwards, down to every leaf."""
        before = copy.deepcopy((given.item, given.item_from_backup))

        action.execute(given)

        assert (given.item, given.item_from_backup) == before

    def test_is_pure(self, action: RestoreItemAction, given: RestoreInput) -> None:
        """Asked twice the action answers the same, as plan and apply both ask."""
        assert action.execute(given) == action.execute(given)

    def test_answer_is_well_formed(
        self, action: RestoreItemAction, given: RestoreInput
    ) -> None:
        """The answer is JSON about the same object, and names other objects."""
        output = action.execute(given)

        assert isinstance(output, RestoreOutput)
        _assert_same_object(output.item, given.item)
        _assert_others(output.additional_items, given.identifier)
        _assert_acts_on_wish(action, wants_begin=output.wants_begin)

    def test_tells_what_is_ready(
        self, action: RestoreItemAction, given: RestoreInput
    ) -> None:
        """Who waits for its additional items says yes or no, and writes nothing."""
        cluster = RecordingCluster(given.cluster)
        given = attrs.evolve(given, cluster=cluster.reader())
        output = action.execute(given)
        if not output.wait_for_additional_items or not output.additional_items:
            return

        asked = getattr(action, "are_additional_items_ready", None)
        assert callable(asked)
        assert isinstance(asked(given, output.additional_items), bool)
        assert cluster.writes == []


class ItemBlockActionContract:
    """Every `ItemBlockAction` keeps these promises; fixtures: ``action``, ``given``."""

    def test_can_be_registered(self, action: ItemBlockAction) -> None:
        """The manager accepts the action under its own name."""
        manager = PluginManager([_BlockPlugin(action)], strict=True)

        assert manager.item_block_actions() == (action,)

    def test_applies_to_what_it_is_given(
        self, action: ItemBlockAction, given: BackupInput
    ) -> None:
        """The action's selector wants the items that this suite gives it."""
        assert _wanted(action, given)

    def test_input_is_left_alone(
        self, action: ItemBlockAction, given: BackupInput
    ) -> None:
        """The item given is the same afterwards, down to every leaf."""
        before = copy.deepcopy(given.item)

        action.related_items(given)

        assert given.item == before

    def test_is_pure(self, action: ItemBlockAction, given: BackupInput) -> None:
        """Asked twice the action answers the same, as planning asks as well."""
        assert action.related_items(given) == action.related_items(given)

    def test_answer_is_well_formed(
        self, action: ItemBlockAction, given: BackupInput
    ) -> None:
        """The answer names other objects, each once."""
        _assert_others(action.related_items(given), given.identifier)


class DeleteItemActionContract:
    """Every `DeleteItemAction` keeps these promises; fixtures: ``action``, ``given``."""

    def test_can_be_registered(self, action: DeleteItemAction) -> None:
        """The manager accepts the action under its own name."""
        manager = PluginManager([_DeletePlugin(action)], strict=True)

        assert manager.delete_item_actions() == (action,)

    def test_applies_to_what_it_is_given(
        self, action: DeleteItemAction, given: DeleteInput
    ) -> None:
        """The action's selector wants the items that this suite gives it."""
        assert _wanted(action, given)

    def test_input_is_left_alone(
        self, action: DeleteItemAction, given: DeleteInput
    ) -> None:
        """The item given is the same afterwards, down to every leaf."""
        before = copy.deepcopy(given.item)

        _clean_up(action, given, RecordingCluster(given.cluster))

        assert given.item == before

    def test_can_be_repeated(
        self, action: DeleteItemAction, given: DeleteInput
    ) -> None:
        """What is gone already is success: a deletion that failed is tried again.

        Whatever fails, for any item, keeps the whole backup, and the next try calls
        every action for every item once more.
        """
        cluster = RecordingCluster(given.cluster)
        _clean_up(action, given, cluster)
        cleaned = dict(cluster.objects)

        _clean_up(action, given, cluster)

        assert cluster.objects == cleaned


def _clean_up(
    action: DeleteItemAction, given: DeleteInput, cluster: RecordingCluster
) -> None:
    """Let an action clean up as a deletion does; it has nothing to answer."""
    execute: Callable[[DeleteInput], object] = action.execute
    assert execute(attrs.evolve(given, cluster=cluster.writer())) is None


def _assert_followed(
    action: Any,
    operation: Any,
    given: BackupInput | RestoreInput,
    cluster: RecordingCluster,
) -> None:
    """Fail where an operation has no name, or cannot be asked about or stopped."""
    assert isinstance(operation, ItemOperation)
    assert operation.spec.operation_id
    about = operation_input(operation, given)
    assert isinstance(action.progress(about), OperationProgress)
    if getattr(action, "cancel", None) is not None:
        action.cancel(about, cluster.writer())


def _wanted(
    action: BackupItemAction | RestoreItemAction | DeleteItemAction | ItemBlockAction,
    given: BackupInput | RestoreInput | DeleteInput,
) -> bool:
    index = ActionIndex((action,), given.cluster.resolve)
    labels = given.item["metadata"].get("labels")
    return any(
        found.wants(given.identifier.namespace, labels)
        for found in index.for_type(given.identifier.group_resource)
    )


def _assert_same_object(item: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Fail where an item stands for another object or could not be written."""
    assert json.loads(json.dumps(item)) == item
    assert [item[key] for key in ("apiVersion", "kind")] == [
        given[key] for key in ("apiVersion", "kind")
    ]
    for key in ("name", "namespace"):
        assert item["metadata"].get(key) == given["metadata"].get(key)


def _assert_others(
    identifiers: tuple[ResourceIdentifier, ...], own: ResourceIdentifier | None
) -> None:
    """Fail where identifiers are no identifiers, name one twice or the item itself."""
    assert isinstance(identifiers, tuple)
    assert all(isinstance(other, ResourceIdentifier) for other in identifiers)
    assert all(other.name for other in identifiers)
    assert len(set(identifiers)) == len(identifiers)
    assert own not in identifiers


def _assert_acts_on_wish(action: object, *, wants_begin: bool) -> None:
    """Fail where an action wants to begin and has nothing to begin with."""
    assert not wants_begin or callable(getattr(action, "begin", None))
