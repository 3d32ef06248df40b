"""What item actions and transforms answer is not believed while a restore is planned."""

from datetime import timedelta

import pytest

from kbackup import RestoreEngine, RestoreOptions, RestoreSpec
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreOutput
from offered_actions import plugins_offering


def with_metadata(**metadata):
    """Return a change of an item's metadata."""
    return lambda item: {**item, "metadata": {**item["metadata"], **metadata}}


CHANGES = {
    "no name": with_metadata(name=""),
    "a number for a name": with_metadata(name=5),
    "null for a namespace": with_metadata(namespace=None),
    "a list for a namespace": with_metadata(namespace=["x"]),
    "text for metadata": lambda item: {**item, "metadata": "a"},
    "no kind": lambda item: {**item, "kind": ""},
    "a number for a version": lambda item: {**item, "apiVersion": 1},
    "what is no JSON": lambda item: {**item, "data": object()},
    "half a character": lambda item: {**item, "data": {"a": "\ud800"}},
    "a list": lambda item: [item],
    "text": lambda item: "text",
}


def only(change):
    """Return a function that changes the ConfigMap ``a`` alone."""

    def changed(item):
        return change(item) if item["metadata"]["name"] == "a" else item

    return changed


def plugin(change):
    """Return plugins with an action that answers what *change* makes of an item."""

    class Action:
        """Answers for one item with another one."""

        name = "example.com/answers"
        applies_to = ResourceSelector(included_resources=("configmaps",))

        def execute(self, given):
            """Change the one, keep the others."""
            return RestoreOutput(item=only(change)(given.item))

    return plugins_offering(restore=[Action()])


@pytest.fixture(name="configured")
def fixture_configured(make_shop):
    """A backup of two ConfigMaps, which the cluster lacks."""
    return make_shop(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "shop"},
            "data": {"mode": "fast"},
        }
        for name in "ab"
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("by", ["action", "transform"])
def test_an_answer_that_is_no_object(configured, change, by):
    """The item is an error that names it; the other is restored."""
    plugins = plugin(change if by == "action" else lambda item: item)
    transforms = (only(change),) if by == "transform" else ()
    engine = RestoreEngine(configured.cluster, configured.store, plugins=plugins)
    spec = RestoreSpec(backup_name="shop-1")
    options = RestoreOptions(transforms=transforms, deadline=timedelta(seconds=1))

    result = engine.run("r", spec, options)

    assert [each.item.name for each in result.results.errors] == ["a"]
    assert configured.names("configmaps", "shop") == ["b"]


def test_an_item_that_is_changed_in_place(configured):
    """The plan names the action and shows what it changed, as though it had answered so."""

    def change(item):
        item["data"]["mode"] = "slow"
        return item

    engine = RestoreEngine(configured.cluster, configured.store, plugins=plugin(change))

    plan = engine.plan("r", RestoreSpec(backup_name="shop-1"))

    (line,) = [str(entry) for entry in plan.entries if entry.changes]
    assert "configmaps/shop/a: changed by example.com/answers" in line
    assert "~ data.mode: 'fast' -> 'slow'" in str(plan)
