"""Item actions have settings: of a ConfigMap of the target, or given with the restore."""

import json

import attrs
import pytest

from kbackup.errors import InvalidConfigError, InvalidSpecError, PlanOutdatedError
from kbackup.models import ResourceSelector, RestoreOptions, RestoreSpec
from kbackup.plugins import PluginManager, RestoreOutput, hookimpl
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan

CLASSES = "velero.io/change-storage-class"
IMAGES = "velero.io/change-image-name"
SPEC = RestoreSpec(backup_name="shop-1")
NEW_CLASS = RestoreOptions(action_settings={CLASSES: {"old": "new"}})
NEW_IMAGE = RestoreOptions(action_settings={IMAGES: {"a": "docker.io,mirror"}})


def named(api_version, kind, name, namespace="", **parts):
    """An object."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def storage_class(name):
    """A StorageClass."""
    return named(
        "storage.k8s.io/v1", "StorageClass", name, provisioner="example.com/disk"
    )


def claim_spec(name):
    """The spec of a claim of a class."""
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }


def template(image):
    """A Pod template."""
    containers = [{"name": "web", "image": image}]
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}


NAMESPACE = named("v1", "Namespace", "shop")
CLAIM = named("v1", "PersistentVolumeClaim", "data", "shop", spec=claim_spec("old"))
OTHER_CLAIM = named(
    "v1", "PersistentVolumeClaim", "other", "shop", spec=claim_spec("standard")
)
WEB = named(
    "apps/v1",
    "Deployment",
    "web",
    "shop",
    spec={
        "selector": {"matchLabels": {"a": "b"}},
        "template": template("docker.io/web:1"),
    },
)
DB = named(
    "apps/v1",
    "StatefulSet",
    "db",
    "shop",
    spec={
        "serviceName": "db",
        "selector": {"matchLabels": {"a": "b"}},
        "template": template("docker.io/db:1"),
        "volumeClaimTemplates": [
            {"metadata": {"name": "data"}, "spec": claim_spec("old")}
        ],
    },
)
BACKUP = [NAMESPACE, CLAIM, OTHER_CLAIM, WEB, DB]


def config_map(name, action, **data):
    """A ConfigMap as Velero has them for its plugins."""
    item = named("v1", "ConfigMap", name, "velero", data=data)
    found = {"velero.io/plugin-config": "", action: "RestoreItemAction"}
    item["metadata"]["labels"] = found
    return item


@attrs.define
class Painting:
    """An action of a plugin that notes its settings on each ConfigMap."""

    name: str = "acme.io/paint"
    begun: list = attrs.field(factory=list)
    spoils: bool = False

    @property
    def applies_to(self):
        """Every ConfigMap."""
        return ResourceSelector(included_resources=("configmaps",))

    def execute(self, given):
        """Put the settings into the data; wish to begin."""
        if self.spoils:
            given.settings["colour"] = "white"
        item = {**given.item, "data": dict(given.settings)}
        return RestoreOutput(item=item, wants_begin=True)

    def begin(self, given, cluster):
        """Remember the settings."""
        self.begun.append(dict(given.settings))

    @hookimpl
    def kbackup_register_restore_item_actions(self):
        """Offer itself."""
        return {self.name: self}


@pytest.fixture
def shop(make_shop):
    """A backup of claims and workloads, and a target with other storage classes."""
    shop = make_shop(BACKUP)
    velero = named("v1", "Namespace", "velero")
    shop.simulated.load([velero, storage_class("new"), storage_class("standard")])
    return shop


def line(plan, name):
    """The line of an item."""
    (entry,) = [x for x in plan.entries if x.identifier.name == name]
    return entry


def saved(plan):
    """The plan as another process reads it."""
    return RestorePlan.from_json(json.dumps(plan.to_json()))


def test_a_plan_shows_settings_and_what_they_change(shop):
    """The head names them, and each changed item says what is changed by which action."""
    plan = shop.engine.plan("r", SPEC, NEW_CLASS)

    assert f"settings of {CLASSES} old=new\n" in str(plan)
    assert line(plan, "data").changed_by == (CLASSES,)
    assert line(plan, "data").reason.endswith(f"; changed by {CLASSES}")
    (change,) = line(plan, "db").changes
    path = "spec.volumeClaimTemplates[0].spec.storageClassName"
    assert (change.path, change.left, change.right) == (path, "old", "new")
    assert line(plan, "other").changed_by == ()
    assert line(plan, "web").changed_by == ()


def test_settings_are_carried_out(shop):
    """Claim, template and images are written as they were planned."""
    options = RestoreOptions(
        action_settings={CLASSES: {"old": "new"}, IMAGES: {"a": "docker.io,mirror"}}
    )

    result = shop.engine.apply(saved(shop.engine.plan("r", SPEC, options)))

    assert result.results.errors == ()
    claim = shop.object("persistentvolumeclaims", "shop", "data")
    assert claim["spec"]["storageClassName"] == "new"
    made = shop.object("statefulsets.apps", "shop", "db")["spec"]
    assert made["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "new"
    web = shop.object("deployments.apps", "shop", "web")["spec"]["template"]["spec"]
    for found in (made["template"]["spec"], web):
        assert found["containers"][0]["image"].startswith("mirror/")


def test_the_same_again_changes_nothing(shop):
    """Whoever restores once more with the same settings has nothing to do."""
    shop.engine.run("r", SPEC, NEW_CLASS)

    assert shop.engine.plan("r", SPEC, NEW_CLASS).is_empty


def test_settings_of_the_target(shop):
    """A labelled ConfigMap of namespace velero holds as if it were given, and is named."""
    shop.simulated.load([config_map("sc", CLASSES, old="new")])

    plan = shop.engine.plan("r", SPEC)

    assert f"settings of {CLASSES} old=new (ConfigMap velero/sc)\n" in str(plan)
    assert line(plan, "data").changed_by == (CLASSES,)
    given = shop.engine.plan("r", SPEC, NEW_CLASS)
    assert plan.head.restore_uid == given.head.restore_uid
    assert [x.digest for x in plan.entries] == [x.digest for x in given.entries]


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["metadata"].update(namespace="shop"),
        lambda item: item["metadata"]["labels"].pop("velero.io/plugin-config"),
        lambda item: item["metadata"]["labels"].pop(CLASSES),
        lambda item: item["metadata"]["labels"].update({CLASSES: "BackupItemAction"}),
        lambda item: item.pop("data"),
    ],
)
def test_what_is_no_settings(shop, change):
    """Of another namespace, without one of the labels, for a backup, or empty: default."""
    item = config_map("sc", CLASSES, old="new")
    change(item)
    shop.simulated.load([NAMESPACE, item])

    plan = shop.engine.plan("r", SPEC)

    assert plan.options.action_settings == {}
    assert line(plan, "data").changed_by == ()


def test_settings_of_what_is_not_installed(shop):
    """What Velero has settings for, and kbackup no action, is passed over."""
    shop.simulated.load(
        [config_map("node", "velero.io/change-pvc-node-selector", a="b")]
    )

    assert shop.engine.plan("r", SPEC).options.action_settings == {}


def test_given_settings_go_first(shop):
    """The target's are not looked at then, however many or wrong they are."""
    shop.simulated.load([config_map(name, CLASSES, old="standard") for name in "ab"])
    shop.simulated.load([config_map("img", IMAGES, a="docker.io,mirror")])

    plan = shop.engine.plan("r", SPEC, NEW_CLASS)

    assert plan.options.action_settings[CLASSES] == {"old": "new"}
    assert plan.head.settings_from == {IMAGES: "velero/img"}


def test_no_settings_are_given(shop):
    """An empty mapping means the default behaviour, whatever the target has."""
    shop.simulated.load([config_map("sc", CLASSES, old="new")])
    options = RestoreOptions(action_settings={CLASSES: {}})

    plan = shop.engine.plan("r", SPEC, options)

    assert f"settings of {CLASSES} none\n" in str(plan)
    assert line(plan, "data").changed_by == ()


def test_two_config_maps(shop):
    """Which of two is meant nobody knows: both are named, and how to go on."""
    shop.simulated.load([config_map(name, CLASSES, old="new") for name in "ab"])

    with pytest.raises(InvalidSpecError, match="velero/a and velero/b both") as caught:
        shop.engine.plan("r", SPEC)

    assert "give the settings themselves" in caught.value.hint


@pytest.mark.parametrize(
    ("action", "fact", "hint"),
    [
        ("velero.io/change-storage-clas", "no restore item action", CLASSES),
        ("velero.io/nothing-alike", "no restore item action", ""),
        ("velero.io/change-pvc-node-selector", "no restore item action", ""),
        ("velero.io/service", "velero.io/service takes no settings", ""),
    ],
)
def test_settings_for_nobody(shop, action, fact, hint):
    """Settings that no action takes are refused by name, with the nearest one."""
    options = RestoreOptions(action_settings={action: {"old": "new"}})

    with pytest.raises(InvalidSpecError, match=fact) as caught:
        shop.engine.plan("r", SPEC, options)

    assert action in str(caught.value)
    assert caught.value.hint == (f"the nearest action is {hint}" if hint else "")


def test_an_action_that_was_left_out(shop, make_shop):
    """Settings of a built-in action that is switched off are refused as well."""
    plugins = PluginManager(disable=[CLASSES])
    other = make_shop(BACKUP, plugins=plugins)

    with pytest.raises(InvalidSpecError, match="no restore item action"):
        other.engine.plan("r", SPEC, NEW_CLASS)


@pytest.mark.parametrize("from_target", [True, False])
def test_settings_that_cannot_be_meant(shop, from_target):
    """They are refused where they are: by ConfigMap or option, action and key."""
    options, where = NEW_IMAGE, "ConfigMap velero/img"
    if from_target:
        shop.simulated.load([config_map("img", IMAGES, case1="half")])
        options = None
    else:
        options = RestoreOptions(action_settings={IMAGES: {"case1": "half"}})
        where = "action_settings"

    with pytest.raises(InvalidSpecError, match=f"{where}: {IMAGES}: case1: expected"):
        shop.engine.plan("r", SPEC, options)


@pytest.mark.parametrize(
    "given", [{CLASSES: "old=new"}, {CLASSES: {"old": 1}}, {1: {}}, [CLASSES]]
)
def test_wrong_types(given):
    """Settings are a mapping of mappings of strings, and nothing else."""
    with pytest.raises(InvalidConfigError, match="action_settings"):
        RestoreOptions(action_settings=given)


# --- the new class --------------------------------------------------------------------


def test_a_class_that_is_not_there(shop):
    """What would wait for it for ever is a conflict of the plan; all else is restored."""
    options = RestoreOptions(action_settings={CLASSES: {"old": "gone"}})

    plan = shop.engine.plan("r", SPEC, options)

    for name in ("data", "db"):
        assert line(plan, name).action is PlanAction.CONFLICT
        assert "storage class gone is neither in the target" in line(plan, name).reason
    assert line(plan, "other").action is PlanAction.CREATE


def test_a_class_that_comes_along(make_shop):
    """The new class may be one that this very restore brings."""
    shop = make_shop([*BACKUP, storage_class("new")])

    plan = shop.engine.plan("r", SPEC, NEW_CLASS)

    assert line(plan, "data").action is PlanAction.CREATE
    assert line(plan, "db").action is PlanAction.CREATE


def test_classes_that_may_not_be_read(shop):
    """Then nobody knows, and the plan says that instead of refusing."""
    shop.simulated.faults.forbid(resource="storageclasses.storage.k8s.io")

    plan = shop.engine.plan("r", SPEC, NEW_CLASS)

    assert line(plan, "data").action is PlanAction.CREATE
    (notice,) = [x for x in plan.notices if "cannot be read" in x.what]
    assert [str(x) for x in notice.items] == ["storageclasses.storage.k8s.io/new"]


def bound():
    """A claim of the old class, and the volume that it has."""
    spec = claim_spec("old") | {"volumeName": "pv-1"}
    held = named("v1", "PersistentVolumeClaim", "data", "shop", spec=spec)
    volume = named(
        "v1",
        "PersistentVolume",
        "pv-1",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/x"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "old",
        },
    )
    return held | {"status": {"phase": "Bound"}}, volume


def test_a_live_volume_of_the_old_class(shop):
    """A claim of another class waits in vain for it, and its line says so."""
    held, volume = bound()
    shop.replace_backup([NAMESPACE, held], as_is=True)
    shop.simulated.load([volume])
    options = attrs.evolve(NEW_CLASS, released_volumes="reattach")

    (told,) = shop.engine.plan("r", SPEC, options).claims

    assert told.problems == ("waits: PV pv-1 has storage class old, not new",)


def test_a_volume_that_points_at_the_original_disk(shop):
    """It has the new class as its claim has, so that the two find each other."""
    held, volume = bound()
    volume["spec"]["claimRef"] = {"namespace": "shop", "name": "data", "uid": "u"}
    shop.replace_backup([NAMESPACE, held, volume], as_is=True)
    options = attrs.evolve(NEW_CLASS, retained_volumes="reuse")

    plan = shop.engine.plan("r", SPEC, options)
    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert line(plan, "pv-1").changed_by == (CLASSES,)
    made = shop.object("persistentvolumes", "", "pv-1")["spec"]
    claim = shop.object("persistentvolumeclaims", "shop", "data")["spec"]
    assert (made["storageClassName"], claim["storageClassName"]) == ("new", "new")
    assert claim["volumeName"] == "pv-1"


# --- rights ---------------------------------------------------------------------------


def test_config_maps_that_may_not_be_listed(shop):
    """The restore goes on as by default, and its plan says so."""
    shop.simulated.load([config_map("sc", CLASSES, old="new")])
    shop.simulated.faults.forbid(resource="configmaps", namespace="velero")

    plan = shop.engine.plan("r", SPEC)

    assert line(plan, "data").changed_by == ()
    assert "! ConfigMaps of namespace velero may not be listed" in str(plan)


def test_no_velero_in_the_target(make_shop):
    """Without its namespace nothing is said: nobody asked for anything."""
    plan = make_shop(BACKUP).engine.plan("r", SPEC)

    assert "velero" not in " ".join(str(notice) for notice in plan.notices)


# --- saved plans ----------------------------------------------------------------------


def test_settings_change_after_planning(shop):
    """A plan whose settings were changed since is refused; what both are is said."""
    shop.simulated.load([config_map("sc", CLASSES, old="new")])
    plan = saved(shop.engine.plan("r", SPEC))
    found = shop.cluster.discover().resolve("configmaps")
    shop.cluster.patch(found, "sc", {"data": {"old": "standard"}}, namespace="velero")
    writes = shop.writes()

    for refuse in (shop.engine.check, shop.engine.apply):
        with pytest.raises(
            PlanOutdatedError, match="planned was old=new, found is old=s"
        ):
            refuse(plan)

    assert shop.writes() == writes


def test_settings_come_after_planning(shop):
    """What was planned without settings is not written once there are some."""
    plan = saved(shop.engine.plan("r", SPEC))
    shop.simulated.load([config_map("sc", CLASSES, old="new")])

    with pytest.raises(PlanOutdatedError, match="planned was none, found is old=new"):
        shop.engine.apply(plan)


def test_given_settings_of_a_plan_hold(shop):
    """Those that were given are the plan's own, whatever the target has by then."""
    plan = saved(shop.engine.plan("r", SPEC, NEW_CLASS))
    shop.simulated.load([config_map("sc", CLASSES, old="standard")])

    assert shop.engine.apply(plan).exit_code == 0


def test_two_config_maps_after_planning(shop):
    """A plan is refused where nobody knows any more which settings are meant."""
    shop.simulated.load([config_map("a", CLASSES, old="new")])
    plan = saved(shop.engine.plan("r", SPEC))
    shop.simulated.load([config_map("b", CLASSES, old="new")])

    with pytest.raises(PlanOutdatedError, match="both have settings"):
        shop.engine.apply(plan)


def test_a_plan_applied_by_somebody_with_fewer_rights(shop):
    """Who may not read the ConfigMap carries out what was approved."""
    shop.simulated.load([config_map("sc", CLASSES, old="new")])
    plan = saved(shop.engine.plan("r", SPEC))
    shop.simulated.faults.forbid(resource="configmaps", verb="list", namespace="velero")

    assert shop.engine.apply(plan).exit_code == 0
    claim = shop.object("persistentvolumeclaims", "shop", "data")
    assert claim["spec"]["storageClassName"] == "new"


def test_other_settings_make_another_restore(shop):
    """A killed restore is not completed with other settings under its name."""
    uids = {
        shop.engine.plan("r", SPEC, options).head.restore_uid
        for options in (None, NEW_CLASS, NEW_IMAGE)
    }

    assert len(uids) == 3


def test_settings_are_on_record(shop):
    """Who looks at a restore later sees what it was done with."""
    result = shop.engine.run("r", SPEC, NEW_CLASS)

    noted = result.restore.metadata.annotations["kbackup.io/options"]
    assert json.loads(noted) == {"action_settings": {CLASSES: {"old": "new"}}}


def test_settings_stay_in_their_line(shop):
    """Nobody who may write such a ConfigMap writes lines of the plan by it."""
    forged = config_map("img", IMAGES, a="docker.io,mirror\ncluster   another")
    shop.simulated.load([forged])

    text = str(shop.engine.plan("r", SPEC))

    assert "'a=docker.io,mirror\\ncluster   another' (ConfigMap velero/img)\n" in text
    assert "\ncluster   another" not in text


def test_an_action_that_is_gone(shop):
    """A saved plan needs the actions that it has settings for, used or not."""
    options = RestoreOptions(action_settings={IMAGES: {"a": "nowhere,mirror"}})
    plan = saved(shop.engine.plan("r", SPEC, options))
    without = PluginManager(disable=[IMAGES])
    engine = RestoreEngine(shop.cluster, shop.store, plugins=without)

    with pytest.raises(PlanOutdatedError, match=f"no restore item action {IMAGES}"):
        engine.apply(plan)


# --- actions of others ----------------------------------------------------------------


@pytest.mark.parametrize("from_target", [True, False])
def test_an_action_of_a_plugin_gets_its_settings(make_shop, from_target):
    """In `execute` and in `begin`, from either source, and no settings of others."""
    action = Painting()
    backup = [NAMESPACE, named("v1", "ConfigMap", "wall", "shop", data={})]
    shop = make_shop(backup, plugins=PluginManager([action]))
    shop.simulated.load([named("v1", "Namespace", "velero")])
    options = RestoreOptions(action_settings={action.name: {"colour": "red"}})
    if from_target:
        shop.simulated.load([config_map("p", action.name, colour="red")])
        options = None

    shop.engine.run("r", SPEC, options)

    assert shop.object("configmaps", "shop", "wall")["data"] == {"colour": "red"}
    assert action.begun == [{"colour": "red"}]


@pytest.mark.parametrize("given", [{"colour": "red"}, {}])
def test_an_action_that_changes_its_settings(make_shop, given):
    """It fails on its item, and spoils them for no other."""
    action = Painting(spoils=True)
    backup = [NAMESPACE, named("v1", "ConfigMap", "wall", "shop", data={})]
    shop = make_shop(backup, plugins=PluginManager([action]))
    options = RestoreOptions(action_settings={action.name: given})

    plan = shop.engine.plan("r", SPEC, options)

    assert line(plan, "wall").action is PlanAction.CONFLICT
    assert plan.options.action_settings == {action.name: given}


def test_without_settings_an_action_gets_none(make_shop):
    """Default behaviour is no settings, not an absent field."""
    action = Painting()
    backup = [NAMESPACE, named("v1", "ConfigMap", "wall", "shop", data={})]
    shop = make_shop(backup, plugins=PluginManager([action]))

    shop.engine.run("r", SPEC)

    assert action.begun == [{}]
