"""Which version of a type is restored, where the backup holds several."""

import io
import json
from datetime import timedelta

import attrs
import pytest

from definitions import definition, served_version
from kbackup.archive import ArchiveWriter
from kbackup.catalog import Manifest
from kbackup.errors import InvalidConfigError, InvalidPlanError, InvalidSpecError
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupStatus,
    ObjectMeta,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestorePlan, unserved_types

SPEC = RestoreSpec(backup_name="shop-1")
CHOOSE = RestoreOptions(enable_api_group_versions=True)
WIDGETS = "widgets.example.com"
CONFIG_MAP = "ConfigMap velero/enableapigroupversions"
SOON = timedelta(seconds=0.5)
UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"


def named(kind, name, namespace="", *, api_version="v1", **parts):
    """Return an object."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def widget(name, version):
    """Return a widget, whose spec says of which version it is."""
    version = f"example.com/{version}"
    spec = {"written": version}
    return named("Widget", name, "shop", api_version=version, spec=spec)


def versioned(*names, stored="", conversion=None, group="example.com"):
    """Return a CRD of widgets with these versions."""
    served = [
        served_version(name, storage=name == (stored or names[0])) for name in names
    ]
    spec = {"conversion": conversion} if conversion else {}
    return definition(group, "widgets", "Widget", *served, **spec)


def add(archive, resource, item, *, preferred=True):
    """Write an item in one version."""
    metadata = item["metadata"]
    archive.add(
        resource=resource,
        version=item["apiVersion"].rpartition("/")[2],
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        body=json.dumps(item).encode(),
        preferred=preferred,
    )


@pytest.fixture
def hold(make_shop):
    """Makes a shop whose backup holds a widget ``one`` in some versions.

    The first one is what the source preferred. Only in that there is a widget ``two``.
    """

    def make(*versions, definitions=(), **more):
        shop = make_shop([], **more)
        out = io.BytesIO()
        with ArchiveWriter(out, mtime=0) as archive:
            add(archive, "namespaces", named("Namespace", "shop"))
            for each in definitions:
                crds = "customresourcedefinitions.apiextensions.k8s.io"
                add(archive, crds, each)
            for version in versions:
                preferred = version == versions[0]
                add(archive, WIDGETS, widget("one", version), preferred=preferred)
            add(archive, WIDGETS, widget("two", versions[0]))
        shop.store.delete("shop-1", files_only=True)
        backup = Backup(
            metadata=ObjectMeta(name="shop-1", uid=UID),
            status=BackupStatus(phase=BackupPhase.COMPLETED),
        )
        items = archive.items - len(versions) + 1
        manifest = Manifest(items=items, entries=archive.entries)
        with shop.store.claim("shop-1", run_uid=UID) as claim:
            content = {"shop-1.tar.gz": out.getvalue()}
            shop.store.publish(claim, backup, content, manifest)
        return shop

    return make


def listed(priority):
    """Return the options with a user's list of versions."""
    return RestoreOptions(
        enable_api_group_versions=True, restore_resources_version_priority=priority
    )


def line(plan, name="one"):
    """Return the line about a widget."""
    return next(x for x in plan.entries if x.target.name == name and x.kind == "Widget")


def notices(plan):
    """Return the notices as they are printed."""
    return [str(notice) for notice in plan.notices]


def written(shop, name="one"):
    """Return in which version a widget was written."""
    return shop.object(WIDGETS, "shop", name)["spec"]["written"]


@pytest.mark.parametrize(
    ("stored", "served", "priority", "expected"),
    [
        (["v2", "v1"], ["v2", "v1"], "v3,v1", ("v1", "the list of versions names it")),
        (
            ["v2", "v1"],
            ["v3", "v2", "v1"],
            "v3,v1",
            ("v1", "the list of versions names it"),
        ),
        (["v1", "v2"], ["v2", "v1"], "v1,v2", ("v1", "")),
        (["v1", "v2"], ["v2", "v1"], "", ("v2", "the target prefers it")),
        (["v1", "v1beta1"], ["v1beta1"], "", ("v1beta1", "the target prefers it")),
        (["v2", "v1"], ["v3", "v2", "v1"], "", ("v2", "")),
        (["v3", "v1", "v2"], ["v4", "v2", "v1"], "", ("v2", "the best that both have")),
        (["v1", "v2"], ["v3"], "", ("v1", "")),
        (["v1", "v2"], [], "", ("v1", "")),
    ],
    ids=[
        "the first of the list that both have",
        "the first of the list that the backup has",
        "the list names what the source preferred",
        "what the target prefers",
        "the only one that both have",
        "what the source preferred",
        "the best that both have",
        "none in common",
        "no such type",
    ],
)
def test_order_of_the_choice(hold, stored, served, priority, expected):
    """The user's list, the target's, the source's, the best that both have."""
    shop, (version, reason) = hold(*stored), expected
    if served:
        shop.simulated.load([versioned(*served)])
    options = listed({WIDGETS: priority}) if priority else CHOOSE

    plan = shop.engine.plan("r", SPEC, options)

    told = [(x.version, x.instead_of, x.reason) for x in plan.head.versions.chosen]
    assert told == ([(version, stored[0], reason)] if reason else [])
    assert line(plan).api_version == f"example.com/{version}"


def test_versions_are_those_of_the_type(hold):
    """A group may serve a type in some of its versions only, and those are what counts."""
    shop = hold("v1", "v2")
    gadgets = definition("example.com", "gadgets", "Gadget", served_version("v2"))
    shop.simulated.load([versioned("v1"), gadgets])

    plan = shop.engine.plan("r", SPEC, listed({WIDGETS: ["v2"]}))

    assert plan.head.versions.chosen == ()
    assert line(plan).api_version == "example.com/v1"


def test_what_is_written_is_of_the_chosen_version(hold):
    """The version's own body is written, and the plan says which and why."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])

    plan = shop.engine.plan("r", SPEC, CHOOSE)
    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert written(shop) == "example.com/v2"
    assert (
        "versions  widgets.example.com v2 instead of v1: the target prefers it"
        in str(plan).splitlines()
    )
    assert shop.engine.plan("r", SPEC, CHOOSE).is_empty


def test_an_item_without_a_copy_comes_as_it_is(hold):
    """What the backup has in one version only is restored in that."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])

    result = shop.engine.run("r", SPEC, CHOOSE)

    assert result.results.errors == ()
    assert written(shop, "two") == "example.com/v1"


def test_nothing_is_chosen_unless_it_is_asked_for(hold):
    """A restore without the option takes what the source preferred, and says nothing."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])

    plan = shop.engine.plan("r", SPEC)
    shop.engine.apply(plan)

    assert written(shop) == "example.com/v1"
    assert plan.head.versions is None
    assert plan.to_json()["head"]["versions"] is None
    assert "versions" not in str(plan)


def test_that_there_is_a_choice_is_told_where_it_is_needed(hold):
    """A conflict over the version says that the backup has one that the target takes."""
    shop = hold("v2", "v1")
    shop.simulated.load([versioned("v1")])

    plan = shop.engine.plan("r", SPEC)
    with shop.store.open_contents("shop-1") as contents:
        told = unserved_types(contents, shop.cluster.discover())
    asked = shop.engine.plan("r", SPEC, CHOOSE)

    reason = "it has v1, too: --enable-api-group-versions takes that"
    assert reason in line(plan).reason
    assert reason in "".join(told)
    assert line(asked).action is PlanAction.CREATE
    assert line(asked, "two").action is PlanAction.CONFLICT
    assert "--enable" not in line(asked, "two").reason


def test_a_damaged_backup_is_chosen_from_as_well(hold):
    """Reading what is readable takes nothing from the choice."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])
    options = attrs.evolve(CHOOSE, salvage=True)

    plan = shop.engine.plan("r", SPEC, options)

    assert line(plan).api_version == "example.com/v2"


def test_types_that_are_not_restored_are_not_told(hold):
    """The choice is about what the restore takes."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])
    spec = RestoreSpec(backup_name="shop-1", included_resources=["namespaces"])

    plan = shop.engine.plan("r", spec, CHOOSE)

    assert plan.head.versions.chosen == ()
    assert "versions  as the source preferred" in str(plan).splitlines()


def test_behind_a_webhook_it_is_what_the_target_stores(hold):
    """Objects need no conversion webhook, which may be part of the restore itself."""
    hook = {
        "clientConfig": {"service": {"namespace": "shop", "name": "hook"}},
        "conversionReviewVersions": ["v1"],
    }
    conversion = {"strategy": "Webhook", "webhook": hook}
    shop = hold("v3", "v2", "v1")
    shop.simulated.load(
        [versioned("v3", "v2", "v1", stored="v1", conversion=conversion)]
    )

    plan = shop.engine.plan("r", SPEC, CHOOSE)

    (choice,) = plan.head.versions.chosen
    assert (choice.version, choice.instead_of) == ("v1", "v3")
    assert "a webhook converts the others" in choice.reason
    assert "conversion webhook" not in line(plan).reason


# --- saved plans ----------------------------------------------------------------------


def saved(plan):
    """Return a plan's document, as it is read from a file."""
    return json.loads(json.dumps(plan.to_json()))


def test_a_saved_plan_restores_what_it_chose(hold):
    """Also where the target has come to prefer another version since."""
    shop = hold("v1", "v2", "v3")
    shop.simulated.load([versioned("v2", "v1")])
    plan = shop.engine.plan("r", SPEC, listed({"pods": "v1"}))
    document = saved(plan)
    crds = shop.cluster.discover().resolve("crds")
    newer = versioned("v3", "v2", "v1", stored="v2")["spec"]["versions"]
    patch = {"spec": {"versions": newer}}
    shop.cluster.patch(crds, WIDGETS, patch)

    loaded = RestorePlan.from_json(document)
    result = shop.engine.apply(loaded)

    assert loaded == plan
    assert document["head"]["versions"]["chosen"][0]["version"] == "v2"
    assert result.results.errors == ()
    assert written(shop) == "example.com/v2"


def test_a_choice_that_was_changed_in_a_file(hold):
    """The choice is part of what the plan's digest is of."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1")])
    document = saved(shop.engine.plan("r", SPEC, CHOOSE))
    document["head"]["versions"]["chosen"] = []

    with pytest.raises(InvalidPlanError, match="its digest does not fit"):
        RestorePlan.from_json(document)


def test_a_version_that_goes_between_plan_and_apply(hold):
    """Nothing else is written in its place: an error by name."""
    shop = hold("v1", "v2")
    shop.simulated.load([versioned("v2", "v1", stored="v1")])
    plan = shop.engine.plan("r", SPEC, attrs.evolve(CHOOSE, deadline=SOON))
    crds = shop.cluster.discover().resolve("crds")
    patch = {"spec": {"versions": versioned("v1")["spec"]["versions"]}}
    shop.cluster.patch(crds, WIDGETS, patch)

    result = shop.engine.apply(plan)

    assert [str(x.item) for x in result.results.errors] == [f"{WIDGETS}/shop/one"]


def test_another_choice_is_another_restore(hold):
    """A restore that is run again has the same uid only with the same list."""
    shop = hold("v1", "v2")
    uids = {
        shop.engine.plan("r", SPEC, options).head.restore_uid
        for options in (None, CHOOSE, listed({WIDGETS: "v1"}), listed({WIDGETS: "v2"}))
    }

    assert len(uids) == 4


# --- the user's list ------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {WIDGETS: ["v1", "v2"]},
        {WIDGETS: "v1, v2"},
        f"\n {WIDGETS} = v1, v2\n",
    ],
    ids=["lists", "texts", "Velero's text"],
)
def test_a_list_that_is_given(hold, given):
    """The list is a mapping, or the text of Velero's ConfigMap; the head shows it."""
    shop = hold("v2", "v1")
    shop.simulated.load([versioned("v2", "v1")])
    options = listed(given)

    plan = shop.engine.plan("r", SPEC, options)

    assert options.restore_resources_version_priority == {WIDGETS: ("v1", "v2")}
    assert line(plan).api_version == "example.com/v1"
    assert "restore resources version priority widgets.example.com=v1,v2" in str(plan)


def test_a_list_in_the_target(hold):
    """Velero's ConfigMap is read, told, and among the options of the plan."""
    shop = hold("v2", "v1")
    data = {"restoreResourcesVersionPriority": f"{WIDGETS}=v1\nnonsense\n"}
    config = named("ConfigMap", "enableapigroupversions", "velero", data=data)
    shop.simulated.load([named("Namespace", "velero"), config, versioned("v2", "v1")])

    plan = shop.engine.plan("r", SPEC, CHOOSE)

    assert line(plan).api_version == "example.com/v1"
    assert plan.options.restore_resources_version_priority == {WIDGETS: ("v1",)}
    assert f"versions  preferred as in {CONFIG_MAP}" in str(plan).splitlines()
    assert f"{CONFIG_MAP}: passed over, as no list of versions: nonsense" in notices(
        plan
    )
    assert RestorePlan.from_json(saved(plan)) == plan


def test_a_given_list_goes_before_the_one_in_the_target(hold):
    """An empty one sets that aside."""
    shop = hold("v2", "v1")
    data = {"restoreResourcesVersionPriority": f"{WIDGETS}=v1"}
    config = named("ConfigMap", "enableapigroupversions", "velero", data=data)
    shop.simulated.load([named("Namespace", "velero"), config, versioned("v2", "v1")])

    plan = shop.engine.plan("r", SPEC, listed({}))

    assert line(plan).api_version == "example.com/v2"
    assert plan.head.versions.source == ""
    assert "restore resources version priority none" in str(plan)


def test_a_list_that_may_not_be_read(hold):
    """Rights in namespace velero are not needed; that they lack is told."""
    shop = hold("v2", "v1")
    shop.simulated.load([versioned("v2", "v1")])
    shop.simulated.faults.forbid(verb="get", resource="configmaps", namespace="velero")

    plan = shop.engine.plan("r", SPEC, CHOOSE)

    assert f"{CONFIG_MAP} may not be read: no versions are taken from there" in notices(
        plan
    )


@pytest.mark.parametrize(
    ("stored", "priority", "told"),
    [
        (["v1"], {}, "no type is in the backup in several versions"),
        (["v1", "v2"], {"things.x": ["v1"]}, "names things.x, of which the backup has"),
        (["v1", "v2"], {WIDGETS: ["v3"]}, f"none for {WIDGETS} that backup and target"),
    ],
)
def test_a_list_without_effect_is_told(hold, stored, priority, told):
    """It may be a slip."""
    shop = hold(*stored)
    shop.simulated.load([versioned("v3", "v2", "v1")])

    plan = shop.engine.plan("r", SPEC, listed(priority))

    assert any(told in text for text in notices(plan))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("widgets.example.com", "got 'widgets.example.com'"),
        ("a=v1=v2", "got 'a=v1=v2'"),
        (["v1"], "expected a mapping, got a list"),
        ({"a": 1}, r"\['a'\]: expected a list of strings"),
    ],
)
def test_a_list_that_is_none(given, told):
    """What cannot be meant is refused, with what was expected."""
    with pytest.raises(InvalidConfigError, match=told):
        listed(given)


def test_a_list_without_the_option(hold):
    """It would have no effect, which is not what was meant."""
    options = RestoreOptions(restore_resources_version_priority={WIDGETS: ["v1"]})

    with pytest.raises(InvalidSpecError, match="without enable_api_group_versions"):
        hold("v1").engine.plan("r", SPEC, options)
