"""Backups of every version that a cluster serves."""

import gzip
import io
import json
import tarfile

import attrs
import pytest

from definitions import served_version
from kbackup.backup._draft import Draft
from kbackup.backup._ledger import Ledger
from kbackup.backup._side_files import resource_list
from kbackup.catalog import Manifest
from kbackup.cluster import ListedItem
from kbackup.cluster._access import Reader
from kbackup.errors import InvalidSpecError
from kbackup.models import (
    APIResource,
    Backup,
    BackupOptions,
    BackupPhase,
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    LabelSelector,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
    Results,
)
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering

THINGS = GroupResource("example.com", "things")
EVERY = BackupOptions(enable_api_group_versions=True)
REMAP = "velero.io/crd-remap-version"


@pytest.fixture(name="things")
def fixture_things(scene):
    """A cluster with a type of versions v2, preferred, v1 and v1beta1, and two of it."""
    definition = scene.definition("things", "Thing")
    definition["spec"]["versions"] = [
        served_version("v2", storage=False),
        served_version("v1"),
        served_version("v1beta1", storage=False),
        served_version("v1alpha1", storage=False, deprecated=True) | {"served": False},
    ]
    objects = [_thing(scene, name) for name in ("one", "two")]
    scene.load(definition, *objects, scene.secret("other"))
    return scene


def _thing(scene, name, **metadata):
    """Return a thing, as it is stored."""
    version = "example.com/v1"
    return scene.made(
        "Thing", name, "shop", api_version=version, spec={"a": 1}, metadata=metadata
    )


def entries(scene):
    """Return the things in a backup's archive, by their paths, of which none is twice."""
    packed = io.BytesIO()
    scene.objects.get("backups/b/b.tar.gz", packed)
    packed.seek(0)
    found = {}
    with tarfile.open(fileobj=packed) as archive:
        for path in archive.getnames():
            _, _, below = path.partition("resources/things.example.com/")
            if below:
                assert below not in found
                found[below] = json.load(archive.extractfile(path))
    return found


def back_up(scene, *, options=EVERY, **spec):
    """Back up the namespace of the things."""
    return scene.back_up(options=options, included_namespaces=("shop",), **spec)


def listed(scene):
    """Return the resource list of a backup."""
    packed = io.BytesIO()
    scene.objects.get("backups/b/b-resource-list.json.gz", packed)
    return json.loads(gzip.decompress(packed.getvalue()))


def use(scene, action):
    """Let a scene's engines use an action."""
    scene.plugins = plugins_offering(backup=[action])


class Action:
    """An action for things; what it does with each is given."""

    name = "example.com/things"
    applies_to = ResourceSelector(included_resources=("things.example.com",))

    def __init__(self, execute):
        """Keep what it does."""
        self.execute = execute
        self.begun = []

    def begin(self, given, cluster):
        """Note what begins."""
        del cluster
        self.begun.append((given.item["apiVersion"], given.identifier.name))
        return ItemOperation(spec=ItemOperationSpec(operation_id="o"))

    def progress(self, given):
        """Be done."""
        del given
        return OperationProgress(completed=True)

    def cancel(self, given, cluster):
        """Have nothing to cancel."""


def test_each_version_lies_in_its_directory(things):
    """The layout is Velero's: the preferred version also un-versioned, others apart."""
    result = back_up(things)

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert {path: body["apiVersion"] for path, body in entries(things).items()} == {
        f"{directory}namespaces/shop/{name}.json": f"example.com/{version}"
        for directory, version in (
            ("", "v2"),
            ("v2-preferredversion/", "v2"),
            ("v1/", "v1"),
            ("v1beta1/", "v1beta1"),
        )
        for name in ("one", "two")
    }


def test_a_type_behind_a_conversion_webhook(scene):
    """A webhook that is down costs the copies that need it, which is told, and no item."""
    definition = scene.definition("things", "Thing")
    definition["spec"]["versions"] = [
        served_version("v2", storage=False),
        served_version("v1"),
    ]
    hook = {"clientConfig": {"service": {"namespace": "shop", "name": "hook"}}}
    hook["conversionReviewVersions"] = ["v1"]
    definition["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
    scene.load(definition, _thing(scene, "one"))

    result = back_up(scene)

    (error,) = result.results.errors
    assert "in version v2: " in error.message
    assert "conversion webhook" in error.message
    assert entries(scene).keys() == {
        "namespaces/shop/one.json",
        "v1-preferredversion/namespaces/shop/one.json",
    }


def test_nothing_more_is_read_unless_it_is_asked_for(things):
    """A backup without the option lists each type once, and stores one version."""
    result = back_up(things, options=None)

    versions = [x.version for x in result.report.lists if x.resource == THINGS]
    assert versions == ["v2"]
    assert len(entries(things)) == 4


def test_what_a_backup_of_every_version_says_of_itself(things):
    """Objects are counted once; every version is in the list of resources."""
    result = back_up(things)

    manifest = things.store.manifest("b")
    assert manifest.items == result.backup.status.progress.items_backed_up
    assert manifest.items == len(things.stored())
    assert things.store.verify("b").problems == ()
    assert manifest.options["enable_api_group_versions"] is True
    names = ["shop/one", "shop/two"]
    found = {k: v for k, v in listed(things).items() if k.endswith("/Thing")}
    assert found == {f"example.com/{v}/Thing": names for v in ("v1", "v1beta1", "v2")}
    sums = {
        x.version: (x.listed, x.stored, dict(x.skipped))
        for x in manifest.lists
        if x.resource == THINGS
    }
    beside = {"stored beside the preferred version": 2}
    assert sums == {"v2": (2, 2, {}), "v1": (2, 0, beside), "v1beta1": (2, 0, beside)}


def test_a_plan_counts_objects_not_versions(things):
    """The plan of such a backup tells how many objects it would hold."""
    plan = things.engine().plan(things.spec(included_namespaces=("shop",)), EVERY)
    result = back_up(things)

    assert plan.total == result.backup.status.progress.items_backed_up


def test_a_selection_holds_for_every_version(things):
    """What a function does not want has no copy in another version either."""
    asked = []

    def where(item):
        asked.append(item["apiVersion"])
        return item["metadata"]["name"] != "two"

    back_up(things, options=BackupOptions(enable_api_group_versions=True, where=where))

    assert {path.rpartition("/")[2] for path in entries(things)} == {"one.json"}
    assert "example.com/v1" not in asked


def test_what_a_label_excludes_has_no_copies(things):
    """An item that is labelled to be left out is so in every version."""
    labels = {"velero.io/exclude-from-backup": "true"}
    things.load(_thing(things, "three", labels=labels))

    result = back_up(things)

    assert {path.rpartition("/")[2] for path in entries(things)} == {
        "one.json",
        "two.json",
    }
    lists = [x for x in result.report.lists if x.resource == THINGS]
    assert [sum(x.skipped.values()) for x in lists] == [1, 3, 3]


def test_what_actions_change_is_changed_in_every_version(things):
    """What an action takes out of an item is in no copy of it, and it begins once."""

    def execute(given):
        return BackupOutput(item={**given.item, "spec": {}}, wants_begin=True)

    action = Action(execute)
    use(things, action)

    back_up(things)

    assert [body["spec"] for body in entries(things).values()] == [{}] * 8
    assert action.begun == [("example.com/v2", "one"), ("example.com/v2", "two")]


def test_an_item_that_is_stored_again_has_no_older_copies(things):
    """What an operation changed is in the backup as it is then, and in no older state."""
    one = ResourceIdentifier(THINGS, "shop", "one")
    finalized = []

    def execute(given):
        begins = given.identifier == one
        again = (one,) if begins else ()
        if given.backup.status.phase is BackupPhase.FINALIZING:
            finalized.append((given.item["apiVersion"], given.identifier))
        return BackupOutput(
            item=given.item, wants_begin=begins, post_operation_items=again
        )

    use(things, Action(execute))

    result = back_up(things)

    assert result.results.errors == ()
    assert things.store.verify("b").problems == ()
    assert sorted(x for x in entries(things) if x.startswith("v1/")) == [
        "v1/namespaces/shop/two.json"
    ]
    assert listed(things)["example.com/v1/Thing"] == ["shop/two"]
    assert finalized == [("example.com/v2", one)]  # though it was stored in three
    assert things.store.manifest("b").items == result.backup.status.progress.total_items


def test_a_draft_keeps_what_has_copies():
    """A run that goes on after its process was killed counts as the first one."""
    resource = APIResource(
        group="example.com",
        version="v2",
        resource="things",
        kind="Thing",
        namespaced=True,
    )
    ledger = Ledger()
    page = ledger.of_type(resource)
    page.stored = {"shop/one", "shop/two"}
    page.copied = {"example.com/v1": {"shop/one"}}
    draft = Draft(record=Backup(), manifest=Manifest(), ledger=ledger)

    content = json.loads(gzip.decompress(draft.encode(Results())))
    found, _ = Draft.decode(content)

    assert found.ledger.copies == ledger.copies == 1
    assert resource_list(found.ledger) == resource_list(ledger)


def test_copies_follow_an_item_that_was_renamed(things):
    """An action's new name is that of the copies as well."""

    def execute(given):
        metadata = given.item["metadata"]
        renamed = {**metadata, "name": f"new-{metadata['name']}"}
        return BackupOutput(item={**given.item, "metadata": renamed})

    use(things, Action(execute))

    result = back_up(things)

    assert result.results.errors == ()
    assert {path.rpartition("/")[2] for path in entries(things)} == {
        "new-one.json",
        "new-two.json",
    }


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda item: {**item, "spec": {1: object()}}, "no JSON"),
        (
            lambda item: {**item, "metadata": {**item["metadata"], "name": "x"}},
            "another name than in the preferred version",
        ),
    ],
)
def test_a_copy_that_is_lost(things, answer, told):
    """An action that fails on a copy costs that one; the item is in the backup."""

    def execute(given):
        if given.item["apiVersion"] != "example.com/v1":
            return BackupOutput(item=given.item)
        return BackupOutput(item=answer(given.item))

    use(things, Action(execute))

    result = back_up(things)

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    first = result.results.errors[0]
    assert first.message.startswith("not backed up in v1: ")
    assert told in first.message
    assert "things.example.com/shop/one" in things.stored()
    assert not [path for path in entries(things) if path.startswith("v1/")]
    assert things.store.verify("b").problems == ()


def test_a_copy_that_an_action_does_not_want(things):
    """An action may leave out one version of an item."""

    def execute(given):
        skip = "old" if given.item["apiVersion"].endswith("v1beta1") else ""
        return BackupOutput(item=given.item, skip=skip)

    use(things, Action(execute))

    result = back_up(things)

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert not [path for path in entries(things) if path.startswith("v1beta1/")]


def unreadable(monkeypatch, scene, version):
    """Let things not be listed in a version."""
    plain = type(scene.cluster).list

    def listing(cluster, resource, **how):
        if (resource.resource, resource.version) == ("things", version):
            resource = attrs.evolve(resource, resource="nothings")
        return plain(cluster, resource, **how)

    monkeypatch.setattr(type(scene.cluster), "list", listing)


def test_a_version_that_cannot_be_read(things, monkeypatch):
    """The backup lacks what was asked for: an error by version, the items are stored."""
    unreadable(monkeypatch, things, "v1")

    result = back_up(things)

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    (gap,) = things.store.manifest("b").not_covered
    assert str(gap).startswith("things.example.com in shop: in version v1: ")
    assert len(entries(things)) == 6
    assert things.store.verify("b").problems == ()


def test_copies_of_what_could_not_be_read(things, monkeypatch):
    """Where only the preferred version fails there is nothing to make copies of."""
    unreadable(monkeypatch, things, "v2")

    result = back_up(things)

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert entries(things) == {}
    assert things.store.verify("b").problems == ()


LEVELS = 100_000  # where every Python gives up
DEEP = b'{"a":' * LEVELS + b"1" + b"}" * LEVELS


def test_a_copy_that_no_action_can_be_given(things, monkeypatch):
    """A copy that cannot be read is an error by name, and the item is stored."""
    use(things, Action(lambda given: BackupOutput(item=given.item)))
    plain = ListedItem.json

    def json_of(item):
        body = plain(item)
        is_meant = item.name == "one" and b'"example.com/v1"' in body[:80]
        return body.replace(b'"a":1', b'"a":' + DEEP) if is_meant else body

    monkeypatch.setattr(ListedItem, "json", json_of)

    result = back_up(things)

    (error,) = result.results.errors
    assert error.message.startswith("not backed up in v1: ")
    assert str(error.item) == "things.example.com/shop/one"
    assert len(entries(things)) == 7


def test_a_type_that_may_not_be_read_is_told_once(things):
    """Rights are the same for all versions of a type, and so is what is said."""
    things.server.faults.forbid(verb="list", resource="things")

    result = back_up(things, included_resources=("things",))

    assert len(result.results.errors) == 1


def test_two_selectors_make_one_copy(things):
    """An item that two selectors select is in the archive once in each version."""
    labels = {"a": "b", "c": "d"}
    things.load(*(_thing(things, name, labels=labels) for name in ("x", "y")))
    selectors = [LabelSelector.parse("a=b"), LabelSelector.parse("c=d")]

    result = back_up(things, or_label_selectors=selectors)

    assert result.results.errors == ()
    assert len(entries(things)) == 8


@pytest.mark.parametrize("name", ["velero.io/crd-remap", "velero.io/pod"])
def test_an_action_that_does_not_wait_to_be_asked_for(scene, name):
    """A slip in the name of an action is refused, with the one that is meant."""
    with pytest.raises(InvalidSpecError, match=f"no {name} waits") as caught:
        scene.back_up(options=BackupOptions(enable_actions=[name]))

    assert REMAP in caught.value.hint or name == "velero.io/pod"


def test_both_ways_to_store_definitions_of_old(scene):
    """Who stores every version has no use for one that takes another's place."""
    options = BackupOptions(enable_actions=[REMAP], enable_api_group_versions=True)

    with pytest.raises(InvalidSpecError, match="has no place beside"):
        scene.back_up(options=options)


def test_a_definition_that_may_not_be_read_in_v1beta1(scene):
    """It is stored in v1, with a warning by name."""
    definition = scene.definition("things", "Thing")
    definition["spec"]["preserveUnknownFields"] = True
    scene.load(definition)
    scene.server.faults.forbid(verb="get", resource="customresourcedefinitions")

    def get(cluster, identifier, *, version=""):
        del version
        return plain(cluster, identifier)

    plain = Reader.get
    options = BackupOptions(enable_actions=[REMAP])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "get", get)  # as where v1beta1 is served
        result = scene.back_up(options=options, included_resources=["crds"])

    assert result.backup.status.phase is BackupPhase.COMPLETED
    (warning,) = [x for x in result.results.warnings if x.plugin == REMAP]
    assert "stored as it is in v1" in warning.message
    crd = "customresourcedefinitions.apiextensions.k8s.io/things.example.com"
    assert scene.item(crd)["apiVersion"] == "apiextensions.k8s.io/v1"


@pytest.mark.parametrize("asked", [True, False])
def test_definitions_of_old_are_remapped_only_where_it_is_asked_for(scene, asked):
    """Unless it is asked for, the action is not run at all."""
    definition = scene.definition("things", "Thing")
    scene.load(definition)
    options = BackupOptions(enable_actions=[REMAP] if asked else [])

    result = scene.back_up(options=options, included_resources=["crds"])

    called = any(REMAP in name for name in map(str, result.report.to_json().items()))
    assert called is asked
