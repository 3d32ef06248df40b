"""What item actions answer is not believed: a wrong answer costs its item alone."""

import pytest

from kbackup.models import ResourceSelector
from kbackup.plugins import BackupOutput, PluginManager, hookimpl


def plugin(change):
    """Return plugins with an action that changes the ConfigMap ``a``."""

    class Action:
        """Answers for one item with another one."""

        name = "example.com/answers"
        applies_to = ResourceSelector(included_resources=("configmaps",))

        def execute(self, given):
            """Change the one, keep the others."""
            is_meant = given.identifier.name == "a"
            return BackupOutput(item=change(given.item) if is_meant else given.item)

    class Module:
        """A plugin."""

        __name__ = "test_plugin"

        @staticmethod
        @hookimpl
        def kbackup_register_backup_item_actions():
            return {Action.name: Action()}

    return PluginManager(plugins=[Module])


def with_metadata(**metadata):
    """Return a change of an item's metadata."""
    return lambda item: {**item, "metadata": {**item["metadata"], **metadata}}


@pytest.mark.parametrize(
    "change",
    [
        with_metadata(name=""),
        with_metadata(name=5),
        with_metadata(name="x/y"),
        with_metadata(name=".."),
        with_metadata(namespace=None),
        with_metadata(namespace=["x"]),
        with_metadata(namespace=".."),
        lambda item: {**item, "metadata": "a"},
        lambda item: {**item, "kind": ""},
        lambda item: {**item, "apiVersion": 1},
        lambda item: {**item, "data": object()},
        lambda item: None,
        lambda item: [item],
    ],
)
def test_an_answer_that_is_no_object(scene, change):
    """The item is an error that names it; the others are stored."""
    scene.plugins = plugin(change)
    for name in "ab":
        scene.load(scene.made("ConfigMap", name, "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    assert [str(each.item) for each in result.results.errors] == ["configmaps/shop/a"]
    assert str(result.backup.status.phase) == "PartiallyFailed"
    assert scene.stored() == ["configmaps/shop/b"]
    assert scene.store.verify("b").problems == ()
