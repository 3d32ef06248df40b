"""What item actions answer is not believed: a wrong answer costs its item alone."""

import msgspec
import pytest

from kbackup.backup._item_backupper import ItemBackupper
from kbackup.models import (
    BackupOptions,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering


def plugin(change):
    """Return plugins with an action that changes the ConfigMap ``a``."""

    def execute(given):
        is_meant = given.identifier.name == "a"
        return BackupOutput(item=change(given.item) if is_meant else given.item)

    return plugin_of(execute)


def plugin_of(execute, resource="configmaps"):
    """Return plugins with an action that answers with *execute*."""

    class Action:
        """Answers for one item with another one."""

        name = "example.com/answers"
        applies_to = ResourceSelector(included_resources=(resource,))

        def execute(self, given):
            """Answer."""
            return execute(given)

    return plugins_offering(backup=[Action()])


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
    "a namespace of two lines": with_metadata(namespace="x\ny"),
    "a name that ends a path": with_metadata(name="x\0y"),
    "a name that no object has": with_metadata(name="x" * 254),
    "no namespace": with_metadata(namespace=""),
    "another kind": lambda item: {**item, "kind": "Secret"},
    "another group": lambda item: {**item, "apiVersion": "example.com/v1"},
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


def wipe(given):
    """Wipe the password out of the very item that was given."""
    given.item["data"]["password"] = ""
    return BackupOutput(item=given.item)


def wipe_and_copy(given):
    """Wipe it there, and answer with another item."""
    given.item["data"]["password"] = ""
    return BackupOutput(item={**given.item})


@pytest.mark.parametrize("execute", [wipe, wipe_and_copy])
def test_items_that_are_changed_in_place(scene, execute):
    """What an action wipes out of the item it was given is not stored; one warning says so."""
    scene.plugins = plugin_of(execute, "secrets")
    for name in "ab":
        password = {"password": "c2VjcmV0"}
        scene.load(scene.made("Secret", name, "shop", data=password))

    result = scene.back_up(included_resources=["secrets"])

    assert str(result.backup.status.phase) == "Completed"
    assert scene.item("secrets/shop/a")["data"] == {"password": ""}
    (warning,) = result.results.warnings
    assert (str(warning.item), warning.plugin) == (
        "secrets/shop/a",
        "example.com/answers",
    )
    assert "changed in place by action example.com/answers" in warning.message


def test_an_action_that_answers_with_a_new_item(scene):
    """To store something else than was given is what actions are for: no warning."""
    scene.plugins = plugin(lambda item: {**item, "data": {"a": "b"}})
    scene.load(scene.made("ConfigMap", "a", "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    assert scene.item("configmaps/shop/a")["data"] == {"a": "b"}
    assert result.results.warnings == ()


def test_where_does_not_change_what_is_stored(scene):
    """A function that only chooses has no say in what an item is."""

    def careless(item):
        item["metadata"]["labels"] = {"chosen": "yes"}
        return item.pop("data") is not None

    scene.plugins = plugin_of(lambda given: BackupOutput(item=given.item))
    scene.load(scene.made("ConfigMap", "a", "shop", data={"a": "1"}))

    scene.back_up(
        included_resources=["configmaps"], options=BackupOptions(where=careless)
    )

    stored = scene.item("configmaps/shop/a")
    assert stored["data"] == {"a": "1"}
    assert "labels" not in stored["metadata"]


def test_two_items_of_one_name(scene):
    """An action that gives two items one name loses the second, and says so."""
    scene.plugins = plugin_of(
        lambda given: BackupOutput(item=with_metadata(name="b")(given.item))
    )
    for name in "abc":
        scene.load(scene.made("ConfigMap", name, "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    lost = [str(each.item) for each in result.results.errors]
    assert lost == ["configmaps/shop/b", "configmaps/shop/c"]
    assert "shop/a is stored as shop/b" in result.results.errors[0].message
    assert scene.store.verify("b").problems == ()


def test_a_renamed_item_that_asks_for_itself(scene):
    """It is stored once: the backup ends, however often it is asked for."""
    asked = []

    def rename(given):
        asked.append(given.identifier)
        assert len(asked) < 10, "it does not end"
        item = with_metadata(name="other")(given.item)
        return BackupOutput(item=item, additional_items=(given.identifier,))

    scene.plugins = plugin_of(rename)
    scene.load(scene.made("ConfigMap", "a", "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    assert str(result.backup.status.phase) == "Completed"
    assert scene.stored() == ["configmaps/shop/other"]
    assert scene.store.verify("b").problems == ()


def test_another_version(scene):
    """An action may store an item in another version: the backup is whole."""
    scene.plugins = plugin(lambda item: {**item, "apiVersion": "v2"})
    for name in "ab":
        scene.load(scene.made("ConfigMap", name, "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    assert str(result.backup.status.phase) == "Completed"
    assert scene.item("configmaps/shop/a")["apiVersion"] == "v2"
    assert scene.store.verify("b").problems == ()


def test_a_namespace_that_a_type_does_not_have(scene):
    """A cluster-scoped item that is asked for in a namespace is stored as what it is."""
    classes = GroupResource("storage.k8s.io", "storageclasses")
    wanted = ResourceIdentifier(classes, "shop", "fast")
    scene.plugins = plugin_of(
        lambda given: BackupOutput(
            item=given.item,
            additional_items=(wanted,),
            must_include_additional_items=True,
        )
    )
    scene.load(
        scene.made("ConfigMap", "a", "shop"),
        scene.made("StorageClass", "fast", api_version="storage.k8s.io/v1"),
    )

    scene.back_up(included_namespaces=["shop"])

    assert "storageclasses.storage.k8s.io/fast" in scene.stored()
    assert scene.store.verify("b").problems == ()


def test_an_error_that_says_nothing(scene):
    """An action whose error cannot even be read costs its item alone."""

    class MuteError(Exception):
        """An error whose text is an error."""

        def __str__(self):
            raise RuntimeError

    def fail(_):
        raise MuteError

    scene.plugins = plugin(fail)
    for name in "ab":
        scene.load(scene.made("ConfigMap", name, "shop"))

    result = scene.back_up(included_resources=["configmaps"])

    assert "MuteError" in result.results.errors[0].message
    assert scene.stored() == ["configmaps/shop/b"]


def test_an_item_that_is_listed_twice(scene, monkeypatch):
    """What a server lists twice in one page is stored once."""
    listed = ItemBackupper.back_up_page

    def twice(self, resource, items, tally):
        listed(self, resource, [*items, *items], tally)

    monkeypatch.setattr(ItemBackupper, "back_up_page", twice)
    scene.plugins = plugin(lambda item: {**item, "data": {"a": "b"}})
    scene.load(scene.made("ConfigMap", "a", "shop"))

    scene.back_up(included_resources=["configmaps"])

    with scene.store.open_archive("b") as archive:
        assert [str(item.identifier) for item in archive] == ["configmaps/shop/a"]


LEVELS = 100_000  # where every Python gives up: a newer one follows for longer
DEEP = b'{"a":' * LEVELS + b"1" + b"}" * LEVELS


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param(b'"s"', b'"t"', id="another object"),
        pytest.param(b'"Opaque"', DEEP, id="an object nested too deeply"),
    ],
)
def test_an_answer_that_cannot_be_stored(scene, monkeypatch, was, becomes):
    """Where a server answers a GET with what no restore can read, the item is lost."""
    wanted = ResourceIdentifier(GroupResource("", "secrets"), "shop", "s")
    scene.plugins = plugin_of(
        lambda given: BackupOutput(item=given.item, additional_items=(wanted,))
    )
    chosen = scene.made("ConfigMap", "a", "shop", metadata={"labels": {"for": "this"}})
    scene.load(chosen, scene.secret("s"))
    fetched = scene.cluster.get

    def other(cluster, resource, name, namespace=""):
        item = fetched(resource, name, namespace)
        if name != "s":
            return item
        return msgspec.structs.replace(item, raw=item.raw.replace(was, becomes))

    monkeypatch.setattr(type(scene.cluster), "get", other)

    result = scene.back_up(
        included_namespaces=["shop"], label_selector=LabelSelector.parse("for=this")
    )

    assert [str(each.item) for each in result.results.errors] == ["secrets/shop/s"]
    assert scene.store.verify("b").problems == ()
