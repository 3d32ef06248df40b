"""What actions ask for: stored by the same rules as the rest, and never without end."""

import pytest
from pod_samples import bound_claim, frozen

from kbackup import actions
from kbackup.models import (
    BackupPhase,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering

SECRETS, MAPS = GroupResource("", "secrets"), GroupResource("", "configmaps")


def _asking(wanted, *modules, forced=False):
    """Return plugins with an action that asks for *wanted*, by the asking item's name.

    *forced* is whether the filters do not count, or the names of those who ask so.
    """

    class Action:
        """Asks."""

        name = "example.com/asks"
        applies_to = ResourceSelector(
            included_resources=("secrets", "configmaps", "pods", "pvc")
        )

        @staticmethod
        def execute(given):
            """Ask for what the test wants."""
            name = given.identifier.name
            return BackupOutput(
                item=given.item,
                additional_items=tuple(wanted.get(name, ())),
                must_include_additional_items=forced is True or name in (forced or ()),
            )

    return plugins_offering(*modules, backup=[Action()])


@pytest.mark.parametrize("forced", [False, True], ids=["filtered", "forced"])
@pytest.mark.parametrize("why", ["label", "deletion"])
def test_what_is_not_to_be_stored(scene, why, forced):
    """The exclude label, or being deleted, counts for additional items as for others."""
    kept_out = {"velero.io/exclude-from-backup": "true"} if why == "label" else {}
    metadata = {"labels": kept_out, "finalizers": ["example.com/wait"]}
    scene.load(scene.made("ConfigMap", "c", "shop", metadata=metadata))
    scene.load(scene.secret("s", labels={"app": "web"}))
    if why == "deletion":
        maps = scene.cluster.discover().resolve("configmaps")
        scene.cluster.delete(maps, "c", namespace="shop")
    asked = ResourceIdentifier(MAPS, "shop", "c")
    scene.plugins = _asking({"s": [asked]}, forced=forced)

    result = scene.back_up(label_selector=LabelSelector.parse("app=web"))

    assert "secrets/shop/s" in scene.stored()
    assert "configmaps/shop/c" not in scene.stored()
    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_a_type_that_is_not_served(scene):
    """It is a warning by name of what was asked for, and by whom; who asked is stored."""
    scene.load(scene.secret("s"))
    asked = ResourceIdentifier(GroupResource("example.com", "widgets"), "shop", "w")
    scene.plugins = _asking({"s": [asked]})

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.COMPLETED
    (told,) = [x for x in result.results.warnings if x.item == asked]
    assert told.message == (
        "asked for by action example.com/asks for secrets/shop/s, but the cluster serves "
        "no such type"
    )
    assert told.plugin == "example.com/asks"


def test_a_namespace_that_a_missing_item_does_not_have(scene):
    """Who asks is told as well where the item is told under another name."""
    scene.load(scene.secret("s"))
    classes = GroupResource("storage.k8s.io", "storageclasses")
    asked = ResourceIdentifier(classes, "shop", "gone")
    scene.plugins = _asking({"s": [asked]}, forced=True)

    result = scene.back_up(included_namespaces=["shop"])

    (told,) = [x for x in result.results.warnings if x.item and x.item.name == "gone"]
    assert told.item.namespace == ""
    assert told.plugin == "example.com/asks"
    assert "for secrets/shop/s, but it does not exist" in told.message


def test_items_that_ask_for_each_other(scene):
    """A circle ends: each item of it is stored once."""
    names = ("a", "b", "c")
    scene.load(*(scene.made("ConfigMap", name, "shop") for name in names))
    scene.load(scene.secret("s", labels={"app": "web"}))
    refs = {name: ResourceIdentifier(MAPS, "shop", name) for name in names}
    start = ResourceIdentifier(SECRETS, "shop", "s")
    scene.plugins = _asking(
        {
            "s": [refs["a"], start],
            "a": [refs["b"]],
            "b": [refs["c"]],
            "c": [refs["a"], start],
        }
    )

    result = scene.back_up(label_selector=LabelSelector.parse("app=web"))

    maps = [text for text in scene.stored() if text.startswith("configmaps")]
    assert maps == [f"configmaps/shop/{name}" for name in names]
    assert result.backup.status.progress.items_backed_up == len(scene.stored())
    assert result.results.errors == ()


def test_a_thousand_items(scene):
    """However many one item asks for, each is stored."""
    names = [f"c{n:04}" for n in range(1000)]
    scene.server.load([scene.made("Namespace", "shop")])
    scene.server.load(scene.made("ConfigMap", name, "shop") for name in names)
    scene.server.load([scene.secret("s", labels={"app": "web"})])
    asked = [ResourceIdentifier(MAPS, "shop", name) for name in names]
    scene.plugins = _asking({"s": asked})

    result = scene.back_up(label_selector=LabelSelector.parse("app=web"))

    assert sum(x.startswith("configmaps/shop/c") for x in scene.stored()) == 1000
    assert result.results.errors == ()


@pytest.mark.parametrize(
    ("forced", "expected"),
    [("a", True), ("b", True), ("", False)],
    ids=["first", "second", "none"],
)
@pytest.mark.parametrize("told", [False, True], ids=["one name", "two names"])
def test_an_item_that_is_asked_for_twice(scene, forced, expected, told):
    """One who asks without filters is enough, whoever asks first, and by what name."""
    classes = GroupResource("storage.k8s.io", "storageclasses")
    group = {"api_version": "storage.k8s.io/v1"}
    fast = scene.made("StorageClass", "fast", provisioner="example.com/disk", **group)
    scene.load(scene.secret("a"), scene.secret("b"), fast)
    named = [ResourceIdentifier(classes, where, "fast") for where in ("", "shop")]
    asked = {"a": named[:1], "b": named[told:][:1]}
    scene.plugins = _asking(asked, forced=forced)

    scene.back_up(included_resources=["secrets"])

    assert ("storageclasses.storage.k8s.io/fast" in scene.stored()) is expected


@pytest.mark.parametrize("forced", ["web", "data-1", "data-2", "m-1", "m-2"])
def test_an_item_that_a_block_asks_for_twice(spied, forced):
    """Likewise a Pod with hooks, its claims, and what they ask for in their turn."""
    asked = ResourceIdentifier(MAPS, "bank", "c")
    claims, maps = ("data-1", "data-2"), ("m-1", "m-2")
    spied.load(spied.made("ConfigMap", "c", "bank"), frozen(spied, "web", *claims))
    for claim in claims:
        spied.load(*bound_claim(spied, claim))
    spied.load(*(spied.made("ConfigMap", name, "shop") for name in maps))
    wanted = {name: [asked] for name in (*claims, *maps)}
    wanted["web"] = [asked, *(ResourceIdentifier(MAPS, "shop", name) for name in maps)]
    spied.plugins = _asking(wanted, actions, forced=[forced])

    spied.back_up(included_namespaces=["shop"])

    assert "configmaps/bank/c" in spied.stored()
