"""Which action is asked about which item."""

import attrs
import pytest

from kbackup.models import APIResource, GroupResource, ResourceSelector
from kbackup.plugins.engine import ActionIndex

PODS = GroupResource("", "pods")
JOBS = GroupResource("batch", "jobs")
VOLUMES = GroupResource("", "persistentvolumes")

SERVED = {
    "po": APIResource(
        group="", version="v1", resource="pods", kind="Pod", namespaced=True
    ),
    "jobs": JOBS,
}


@attrs.frozen
class Action:
    """An action that only selects."""

    name: str
    applies_to: ResourceSelector


def index_of(**selection):
    """An index with one action, over the types of `SERVED`."""
    action = Action("example.com/a", ResourceSelector(**selection))
    return ActionIndex((action,), SERVED.get)


def wanted(index, group_resource, namespace="shop", labels=None):
    """Whether any action of *index* wants such an item."""
    return any(a.wants(namespace, labels) for a in index.for_type(group_resource))


@pytest.mark.parametrize("name", ["po", "pods"])
def test_names_are_resolved(name):
    """Types are found by short names; a name unknown to the server counts as written."""
    index = index_of(included_resources=(name,))

    assert wanted(index, PODS)
    assert index.for_type(JOBS) == ()


def test_groups_are_resolved():
    """A plural name stands for the type that the server serves under it."""
    index = index_of(included_resources=("jobs",))

    assert wanted(index, JOBS)
    assert not wanted(index, GroupResource("", "jobs"))


@pytest.mark.parametrize("included", [(), ("*",)])
def test_everything(included):
    """No included type, or an asterisk, is every type and every scope."""
    index = index_of(included_resources=included)

    assert wanted(index, PODS)
    assert wanted(index, VOLUMES, namespace="")


def test_excluded_types_win():
    """An excluded type is not wanted although all are included."""
    index = index_of(excluded_resources=("po",))

    assert not wanted(index, PODS)
    assert wanted(index, JOBS)


def test_namespaces():
    """Namespaces are matched with wildcards, and excludes win."""
    index = index_of(included_namespaces=("shop-*",), excluded_namespaces=("shop-b",))

    assert wanted(index, PODS, namespace="shop-a")
    assert not wanted(index, PODS, namespace="shop-b")
    assert not wanted(index, PODS, namespace="bank")


@pytest.mark.parametrize(
    "selection",
    [{"included_namespaces": ("shop",)}, {"excluded_namespaces": ("bank",)}],
    ids=["included", "excluded"],
)
def test_cluster_scoped_items_and_namespaces(selection):
    """A cluster-scoped item is not for an action that filters namespaces."""
    assert not wanted(index_of(**selection), VOLUMES, namespace="")


def test_labels():
    """An item without the label is not for an action that selects by it."""
    index = index_of(label_selector="tier in (web,db),!legacy")

    assert wanted(index, PODS, labels={"tier": "web"})
    assert not wanted(index, PODS, labels={"tier": "web", "legacy": ""})
    assert not wanted(index, PODS, labels=None)


def test_order_is_kept():
    """The actions of a type come in the order in which the index got them."""
    everything = ResourceSelector()
    actions = [Action(f"example.com/{name}", everything) for name in "cab"]

    index = ActionIndex(actions, SERVED.get)

    assert [found.action for found in index.for_type(PODS)] == actions


def test_types_are_looked_up_once():
    """Asking for a type again gives the same tuple: the fast path of a run."""
    index = index_of(included_resources=("pods",))

    assert index.for_type(PODS) is index.for_type(PODS)
