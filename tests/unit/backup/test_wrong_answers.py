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


CHANGES = {
    "no name": with_metadata(name=""),
    "a number for a name": with_metadata(name=5),
    "a name with a slash": with_metadata(name="x/y"),
    "a name that climbs": with_metadata(name=".."),
    "null for a namespace": with_metadata(namespace=None),
    "a list for a namespace": with_metadata(namespace=["x"]),
    "a namespace that climbs": with_metadata(namespace=".."),
    "text for metadata": lambda item: {**item, "metadata": "a"},
    "no kind": lambda item: {**item, "kind": ""},
    "a number for a version": lambda item: {**item, "apiVersion": 1},
    "what is no JSON": lambda item: {**item, "data": object()},
    "half a character": lambda item: {**item, "data": {"a": "\ud800"}},
    "nothing": lambda item: None,
    "a list": lambda item: [item],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
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
