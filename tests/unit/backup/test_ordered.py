"""What is stored first of its type: ``orderedResources``."""

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    BackupSpec,
    LabelSelector,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, PhaseChanged, PluginManager, hookimpl


def _load(scene):
    """Put five Secrets into two namespaces, of which one is kept out by its label."""
    labelled = {"labels": {"app": "web"}}
    scene.load(
        *(scene.secret(name, **labelled) for name in ("a", "b", "c")),
        scene.secret("d", labels={"velero.io/exclude-from-backup": "true"}),
        scene.secret("a", "bank"),
    )


def _order(scene, type_="secrets", name="b"):
    """Return what a backup holds of a type, in the order of the archive."""
    with scene.store.open_archive(name) as archive:
        found = [item.identifier for item in archive]
    return [x.qualified_name for x in found if str(x.group_resource) == type_]


def _told(result):
    """Return the warnings that are about the order."""
    messages = [entry.message for entry in result.results.warnings]
    return [each for each in messages if "orderedResources" in each]


def _list_of(result, type_="secrets"):
    """Return the records of the lists of one type."""
    return [x for x in result.report.lists if str(x.resource) == type_]


@pytest.mark.parametrize("namespaces", [("shop", "bank"), ("*",)], ids=str)
def test_what_is_named_comes_first(scene, namespaces):
    """In the order given, over all namespaces, before what else there is of the type."""
    _load(scene)

    result = scene.back_up(
        included_namespaces=namespaces,
        ordered_resources={"secrets": "shop/c, bank/a,shop/b"},
    )

    assert _order(scene) == ["shop/c", "bank/a", "shop/b", "shop/a"]
    assert result.backup.spec.ordered_resources == {"secrets": "shop/c, bank/a,shop/b"}
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert _told(result) == []
    assert scene.store.verify("b").problems == ()


def test_nothing_is_counted_twice(scene):
    """The lists, the record and the manifest have the same numbers as without an order."""
    _load(scene)
    names = ["shop", "bank"]

    plain = scene.back_up(name="plain", included_namespaces=names)
    ordered = scene.back_up(
        included_namespaces=names, ordered_resources={"secrets": "shop/c,shop/d,bank/a"}
    )
    assert _told(ordered) == ["orderedResources: no such secrets selected: shop/d"]

    def counts(result):
        return [
            (x.resource, x.namespace, x.listed, x.stored, x.failed, dict(x.skipped))
            for x in result.report.lists
        ]

    assert counts(ordered) == counts(plain)
    assert ordered.backup.status.progress == plain.backup.status.progress
    manifests = [scene.store.manifest(name) for name in ("b", "plain")]
    assert manifests[0].items == manifests[1].items == 6


@pytest.mark.parametrize("key", ["roles", "roles.rbac.authorization.k8s.io", "role"])
def test_a_type_of_a_group(scene, key):
    """A type is named by its plural, with its group, or as kubectl takes it."""
    roles = [
        scene.made("Role", name, "shop", api_version="rbac.authorization.k8s.io/v1")
        for name in ("a", "b")
    ]
    scene.load(*roles)

    scene.back_up(included_namespaces=["shop"], ordered_resources={key: "shop/b"})

    assert _order(scene, "roles.rbac.authorization.k8s.io") == ["shop/b", "shop/a"]


def test_cluster_scoped_objects(scene):
    """What is in no namespace is named by its name alone."""
    for name in ("pv-1", "pv-2"):
        scene.load(
            scene.made("PersistentVolume", name, spec={"hostPath": {"path": "/"}})
        )

    scene.back_up(ordered_resources={"persistentvolumes": "pv-2"})

    assert _order(scene, "persistentvolumes") == ["pv-2", "pv-1"]


def test_what_is_not_there_is_a_warning(scene):
    """A name that is not selected is told, whether it exists elsewhere or nowhere."""
    _load(scene)
    ordered = {"secrets": "shop/x,bank/a,shop/b", "gadgets": "shop/y"}

    result = scene.back_up(included_namespaces=["shop"], ordered_resources=ordered)

    assert _order(scene) == ["shop/b", "shop/a", "shop/c"]
    assert sorted(_told(result)) == [
        "orderedResources: no such secrets selected: shop/x, bank/a",
        "orderedResources: nothing is listed that is called 'gadgets'",
    ]
    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_labels_count_for_what_comes_first(scene):
    """The order selects nothing: what the labels leave out stays out."""
    _load(scene)
    selectors = [LabelSelector.parse(text) for text in ("app=web", "app in (web,db)")]

    result = scene.back_up(
        or_label_selectors=selectors, ordered_resources={"secrets": "bank/a,shop/c"}
    )

    assert _order(scene) == ["shop/c", "shop/a", "shop/b"]
    assert _told(result) == ["orderedResources: no such secrets selected: bank/a"]
    first, second = _list_of(result)
    assert (first.listed, first.stored) == (3, 3)
    assert (second.listed, dict(second.skipped)) == (3, {"selected twice": 3})


def test_an_item_that_fails_fails_once(scene):
    """Of what is lost before its list the sums hold as well, and it is one error."""
    _load(scene)

    def where(item):
        if item["kind"] == "Secret" and item["metadata"]["name"] == "b":
            raise ValueError("no")
        return True

    result = scene.back_up(
        included_namespaces=["shop"],
        options=BackupOptions(where=where),
        ordered_resources={"secrets": "shop/b,shop/c"},
    )

    (record,) = _list_of(result)
    assert (record.listed, record.stored, record.failed) == (4, 2, 1)
    assert dict(record.skipped) == {"excluded by label": 1}
    assert len(result.results.errors) == 1
    assert _order(scene) == ["shop/c", "shop/a"]


class _Recorder:
    """A plugin whose action notes which Secrets it is asked about."""

    name = "test.io/recorder"
    applies_to = ResourceSelector(included_resources=("secrets",))

    def __init__(self):
        self.asked = []

    def execute(self, given):
        self.asked.append(given.item["metadata"]["name"])
        return BackupOutput(item=given.item)

    @hookimpl
    def kbackup_register_backup_item_actions(self):
        return {self.name: self}


def test_actions_see_the_order_and_each_item_once(scene):
    """An action that depends on the order gets it."""
    _load(scene)
    recorder = _Recorder()
    scene.plugins = PluginManager(plugins=[recorder])

    scene.back_up(
        included_namespaces=["shop"], ordered_resources={"secrets": "shop/c,shop/b"}
    )

    assert recorder.asked == ["c", "b", "a"]


def test_what_comes_first_is_as_old_as_all_lists(scene):
    """An object that changes while the backup runs is stored as it was at its moment."""
    _load(scene)
    secrets = scene.cluster.discover().resolve("secrets")

    def observer(event):
        if isinstance(event, PhaseChanged) and event.phase == "lists":
            change = {"metadata": {"labels": {"app": "changed"}}}
            scene.cluster.patch(secrets, "c", change, namespace="shop")

    engine = scene.engine(observer=observer)
    result = engine.run("b", BackupSpec(ordered_resources={"secrets": "shop/c"}))

    assert scene.item("secrets/shop/c")["metadata"]["labels"] == {"app": "web"}
    assert len({record.resource_version for record in result.report.lists}) == 1
    assert scene.store.manifest("b").consistent


def test_a_server_that_cannot_list_by_name(scene):
    """What cannot be read first is stored with its type, and a warning says so."""
    _load(scene)
    scene.server.faults.fail(
        verb="list", resource="secrets", namespace="shop", status=400, times=None
    )  # all others are listed for the whole cluster

    result = scene.back_up(ordered_resources={"secrets": "shop/c"})

    assert _order(scene) == ["bank/a", "shop/a", "shop/b", "shop/c"]
    assert result.backup.status.phase is BackupPhase.COMPLETED
    (told,) = _told(result)
    assert told.startswith("orderedResources: c is not stored first: cannot list")


@pytest.mark.parametrize(
    ("ordered", "told"),
    [
        (
            {"secrets": "a"},
            "orderedResources.secrets: expected namespace/name, got 'a'",
        ),
        (
            {"persistentvolumes": "shop/pv-1"},
            (
                "orderedResources.persistentvolumes: persistentvolumes have no namespace, "
                "got 'shop/pv-1'"
            ),
        ),
    ],
)
def test_names_of_the_wrong_scope_are_refused(scene, ordered, told):
    """A name that can fit no object of its type is a slip, and nothing is published."""
    with pytest.raises(InvalidSpecError) as caught:
        scene.back_up(ordered_resources=ordered)

    assert list(caught.value.violations) == [told]
    assert not any(key.startswith("backups/") for key in scene.objects.objects)


def test_a_plan_knows_the_order(scene):
    """A plan warns as the backup would, and counts the same."""
    _load(scene)
    spec = BackupSpec(
        included_namespaces=["shop"], ordered_resources={"secrets": "shop/c,shop/x"}
    )

    plan = scene.engine().plan(spec)

    assert plan.total == 4
    assert [entry.message for entry in plan.results.warnings] == [
        "orderedResources: no such secrets selected: shop/x"
    ]
