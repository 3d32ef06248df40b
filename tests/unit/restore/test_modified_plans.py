"""Resource modifiers in plans and restores: shown before, done after, and no others."""

import json

import attrs
import pytest
from shop_samples import COPY, NAMESPACE, SECRET, SETTINGS, WEB

from kbackup._kits.differences import HIDDEN
from kbackup.errors import (
    ForbiddenError,
    InvalidPlanError,
    InvalidSpecError,
    PlanOutdatedError,
)
from kbackup.models import (
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
    TypedLocalObjectReference,
)
from kbackup.restore import PlanAction, RestorePlan, quiesce

SPEC = RestoreSpec(backup_name="shop-1")
NAMED = attrs.evolve(
    COPY, resource_modifier=TypedLocalObjectReference(kind="ConfigMap", name="mods")
)
ALL = [NAMESPACE, WEB, SETTINGS, SECRET]
HEAD = "version: v1\nresourceModifierRules:\n"
FEWER = """\
- conditions: {groupResource: deployments.apps, namespaces: [shop]}
  patches:
  - {operation: replace, path: /spec/replicas, value: 1}
"""
GREEN = """\
- conditions: {groupResource: configmaps, resourceNameRegex: ^settings$}
  mergePatches: [{patchData: "data: {colour: green}"}]
"""
BROKEN = """\
- conditions: {groupResource: configmaps, resourceNameRegex: ^settings$}
  patches: [{operation: replace, path: /data/size, value: "9"}]
"""
TYPO = """\
- conditions: {groupResource: deployment}
  patches: [{operation: replace, path: /spec/replicas, value: 1}]
"""
ONE = "resource modifier rule 1"
TWO = "resource modifier rule 2"


def rules(*texts):
    """Rules of their texts."""
    return ResourceModifiers.from_yaml(HEAD + "".join(texts))


def modified(*texts, **more):
    """Options with rules."""
    return RestoreOptions(resource_modifiers=rules(*texts), **more)


def entry_of(plan, kind):
    """The line of the backup's one item of a kind."""
    (entry,) = [x for x in plan.entries if x.kind == kind and x.target.name != "mods"]
    return entry


def config_map(*texts, **data):
    """The ConfigMap in the namespace of the target's Velero."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "mods", "namespace": "velero"},
            "data": data or {"any-key.yaml": HEAD + "".join(texts)},
        },
    ]


def test_what_rules_change_is_shown_and_done(make_shop):
    """The plan says which rule changes what; the cluster then has it."""
    shop = make_shop(ALL)

    plan = shop.engine.plan("try-1", COPY, modified(FEWER, GREEN))
    result = shop.engine.apply(plan)

    entry = entry_of(plan, "Deployment")
    assert (entry.changed_by, entry.errors) == ((ONE,), ())
    assert entry.reason == f"changed by {ONE}"
    assert "~ spec.replicas: 3 -> 1" in str(plan)
    assert entry_of(plan, "ConfigMap").changed_by == (TWO,)
    assert entry_of(plan, "Secret").changed_by == ()
    assert "modifiers 2 rules, given with the restore, sha256:" in str(plan)
    assert result.exit_code == 0
    assert shop.object("deployments.apps", "copy", "web")["spec"]["replicas"] == 1
    assert shop.object("configmaps", "copy", "settings")["data"] == {"colour": "green"}


def test_a_rule_that_does_not_fit(make_shop):
    """The item is restored without it, the plan says so, and the restore ends with it."""
    shop = make_shop(ALL)

    plan = shop.engine.plan("try-1", COPY, modified(FEWER, BROKEN))
    result = shop.engine.apply(plan)

    entry = entry_of(plan, "ConfigMap")
    error = f"{TWO} is not applied: replace /data/size fails: there is nothing at"
    assert entry.action is PlanAction.CREATE
    assert entry.errors[0].startswith(error)
    assert f"! {error}" in str(plan)
    assert f"! {error}" in plan.summary()
    assert plan.numbers().endswith("; 1 item with errors")
    assert plan.exit_code == 5
    assert result.restore.status.phase == "PartiallyFailed"
    (told,) = result.results.errors
    assert (told.message, told.item) == (entry.errors[0], entry.target)
    assert shop.object("configmaps", "copy", "settings")["data"] == {"colour": "blue"}


def test_a_rule_that_matches_nothing(make_shop):
    """Who writes a kind where a type belongs is told; the other rules are not named."""
    shop = make_shop(ALL)

    plan = shop.engine.plan("try-1", COPY, modified(FEWER, TYPO))

    said = [
        notice.what for notice in plan.notices if "resource modifier" in notice.what
    ]
    assert said == [f"{TWO}, for deployment, matches no item of this restore"]


def test_namespaces_that_are_made_for_what_is_in_them(make_shop):
    """A Namespace that the selection left out meets the rules as well."""
    shop = make_shop(ALL)
    spec = attrs.evolve(COPY, included_resources=("configmaps",))
    label = """\
- conditions: {groupResource: namespaces}
  mergePatches: [{patchData: "metadata: {labels: {team: a}}"}]
"""

    plan = shop.engine.plan("try-1", spec, modified(label))
    shop.engine.apply(plan)

    assert entry_of(plan, "Namespace").changed_by == (ONE,)
    assert not [x for x in plan.notices if "resource modifier" in x.what]
    assert shop.object("namespaces", "", "copy")["metadata"]["labels"]["team"] == "a"


def test_transforms_come_first(make_shop):
    """A rule sees what the transforms made, and has the last word."""
    shop = make_shop(ALL)
    test = "  - {operation: test, path: /spec/replicas, value: 0}\n"
    rule = FEWER.replace("  patches:\n", f"  patches:\n{test}")

    plan = shop.engine.plan("try-1", COPY, modified(rule, transforms=[quiesce]))
    shop.engine.apply(plan)

    by = ("kbackup.restore.quiesce", ONE)
    assert entry_of(plan, "Deployment").changed_by == by
    assert shop.object("deployments.apps", "copy", "web")["spec"]["replicas"] == 1


def test_a_renamed_item(make_shop):
    """A rule may give an item another name; the plan shows where it goes."""
    shop = make_shop(ALL)
    rule = GREEN.replace("data: {colour: green}", "metadata: {name: other}")

    plan = shop.engine.plan("try-1", COPY, modified(rule))
    shop.engine.apply(plan)

    assert entry_of(plan, "ConfigMap").target.qualified_name == "copy/other"
    assert "other" in shop.names("configmaps", "copy")


def test_values_of_secrets_are_not_shown(make_shop):
    """Neither what a Secret had nor what a rule puts into it is in the plan."""
    shop = make_shop(ALL)
    rule = (
        GREEN.replace("configmaps", "secrets")
        .replace("settings", "key")
        .replace("data: {colour: green}", "data: {key: bmV3}")
    )

    plan = shop.engine.plan("try-1", COPY, modified(rule))
    result = shop.engine.apply(plan)

    (change,) = entry_of(plan, "Secret").changes
    assert (change.left, change.right) == (HIDDEN, HIDDEN)
    for text in (str(plan), json.dumps(plan.to_json()), repr(plan), repr(result)):
        assert "b2xk" not in text
        assert "bmV3" not in text
    assert shop.object("secrets", "copy", "key")["data"] == {"key": "bmV3"}


def test_updates_show_it_among_their_differences(make_shop):
    """Of an object that is there the line is one of all that will change."""
    shop = make_shop(ALL)
    shop.engine.run("try-1", SPEC)
    spec = attrs.evolve(SPEC, existing_resource_policy="update")

    plan = shop.engine.plan("try-2", spec, modified(GREEN))
    shop.engine.apply(plan)

    entry = entry_of(plan, "ConfigMap")
    assert (entry.action, entry.changes) == (PlanAction.UPDATE, ())
    assert [x.path for x in entry.differences] == ["data.colour"]
    assert entry.changed_by == (ONE,)
    assert shop.object("configmaps", "shop", "settings")["data"] == {"colour": "green"}


def test_run_again_it_is_done(make_shop):
    """The same restore once more finds everything as the rules made it."""
    shop = make_shop(ALL)
    shop.engine.run("try-1", COPY, modified(FEWER, GREEN))

    plan = shop.engine.plan("try-1", COPY, modified(FEWER, GREEN))

    assert plan.is_empty
    assert not [x for x in plan.notices if "resource modifier" in x.what]


def test_other_rules_make_another_restore(make_shop):
    """What decides what is written decides which restore it is; layout does not."""
    shop = make_shop(ALL)

    uids = [
        shop.engine.plan("try-1", COPY, options).head.restore_uid
        for options in (
            RestoreOptions(),
            modified(FEWER),
            RestoreOptions(
                resource_modifiers=ResourceModifiers.from_yaml(f"# new\n{HEAD}{FEWER}")
            ),
            modified(GREEN),
        )
    ]

    assert uids[1] == uids[2]
    assert len(set(uids)) == 3


# --- what cannot be applied -----------------------------------------------------------


def test_all_faults_before_anything_is_read(make_shop):
    """Bad rules are refused with every fault, and no request was sent for it."""
    shop = make_shop(ALL)
    calls = dict(shop.simulated.calls)
    options = RestoreOptions(
        resource_modifiers=rules(
            FEWER.replace("/spec/replicas", "replicas"),
            GREEN.replace("^settings$", "("),
        )
    )

    with pytest.raises(InvalidSpecError) as caught:
        shop.engine.plan("try-1", COPY, options)

    assert [fault[:24] for fault in caught.value.violations] == [ONE, TWO]
    assert dict(shop.simulated.calls) == calls


def test_two_sources(make_shop):
    """Rules that are given and rules that are named are too many."""
    shop = make_shop(ALL)

    with pytest.raises(InvalidSpecError, match="cannot be combined"):
        shop.engine.plan("try-1", NAMED, modified(FEWER))


# --- rules in a ConfigMap -------------------------------------------------------------


def test_rules_of_a_config_map(make_shop):
    """What the specification names is read in the target's namespace of Velero."""
    shop = make_shop(ALL)
    shop.simulated.load(config_map(FEWER))

    plan = shop.engine.plan("try-1", NAMED)
    result = shop.engine.apply(plan)

    assert "modifiers 1 rule, ConfigMap velero/mods, sha256:" in str(plan)
    assert entry_of(plan, "Deployment").changed_by == (ONE,)
    assert result.exit_code == 0
    assert shop.object("deployments.apps", "copy", "web")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([], "resourceModifier: the target has no ConfigMap velero/mods"),
        (
            config_map(a="x", b="y"),
            "ConfigMap velero/mods: it takes one key with the rules, and has 2",
        ),
        (
            config_map(a="version: v1\nrulez: []"),
            "ConfigMap velero/mods: document: expected no other fields",
        ),
        (
            config_map(a=f"{HEAD}- {{conditionz: 1}}"),
            f"ConfigMap velero/mods: {ONE}: document: expected no other fields",
        ),
        (
            config_map(FEWER.replace("/spec/replicas", "replicas")),
            f"ConfigMap velero/mods: {ONE}: patches[0].path: 'replicas' does not begin",
        ),
    ],
)
def test_config_maps_that_are_none(make_shop, objects, message):
    """A ConfigMap that is not there, or is not right, is named with its fault."""
    shop = make_shop(ALL)
    if objects:
        shop.simulated.load(objects)

    with pytest.raises(InvalidSpecError) as caught:
        shop.engine.plan("try-1", NAMED)

    assert str(caught.value).startswith(message)
    assert shop.writes() == 0


def test_a_config_map_that_may_not_be_read(make_shop):
    """That is the cluster's answer, and the restore does not go on without the rules."""
    shop = make_shop(ALL)
    shop.simulated.load(config_map(FEWER))
    shop.simulated.faults.forbid(verb="get", resource="configmaps")

    with pytest.raises(ForbiddenError):
        shop.engine.plan("try-1", NAMED)


# --- saved plans ----------------------------------------------------------------------


def test_a_saved_plan_has_the_digest_only(make_shop):
    """It is applied with the same rules, given again; it holds nothing of them."""
    shop = make_shop(ALL)
    options = modified(FEWER, BROKEN)
    saved = json.dumps(shop.engine.plan("try-1", COPY, options).to_json())

    plan = RestorePlan.from_json(saved, resource_modifiers=options.resource_modifiers)
    result = shop.engine.apply(plan)

    assert "/data/size" not in json.dumps(json.loads(saved)["options"])
    assert plan.head.modifiers.digest == options.resource_modifiers.digest
    assert entry_of(plan, "ConfigMap").errors
    assert len(result.results.errors) == 1
    assert shop.object("deployments.apps", "copy", "web")["spec"]["replicas"] == 1


@pytest.mark.parametrize("others", [None, rules(GREEN)])
def test_a_saved_plan_refuses_other_rules(make_shop, others):
    """Without its rules, or with others, it is not even read."""
    shop = make_shop(ALL)
    saved = shop.engine.plan("try-1", COPY, modified(FEWER)).to_json()

    with pytest.raises(InvalidPlanError, match="resource_modifiers: named is sha256:"):
        RestorePlan.from_json(saved, resource_modifiers=others)


def test_a_config_map_that_changed_since(make_shop):
    """A plan whose rules are in the cluster is refused once they are others."""
    shop = make_shop(ALL)
    shop.simulated.load(config_map(FEWER))
    plan = shop.engine.plan("try-1", NAMED)
    saved = RestorePlan.from_json(json.dumps(plan.to_json()))
    maps = shop.cluster.discover().resolve("configmaps")
    data = {"any-key.yaml": HEAD + GREEN}
    shop.cluster.patch(maps, "mods", {"data": data}, namespace="velero")

    for each in (plan, saved):
        with pytest.raises(
            PlanOutdatedError, match="not those of the plan: planned was"
        ):
            shop.engine.check(each)
        with pytest.raises(PlanOutdatedError, match="ConfigMap velero/mods, sha256:"):
            shop.engine.apply(each)
    assert "copy" not in shop.names("namespaces")
    again = shop.engine.plan("try-1", NAMED)
    assert again.head.restore_uid != plan.head.restore_uid


def test_a_saved_plan_with_rules_of_the_cluster(make_shop):
    """Nothing has to be given: the ConfigMap is read again when the plan is applied."""
    shop = make_shop(ALL)
    shop.simulated.load(config_map(FEWER))
    saved = json.dumps(shop.engine.plan("try-1", NAMED).to_json())

    result = shop.engine.apply(RestorePlan.from_json(saved))

    assert result.exit_code == 0
    assert shop.object("deployments.apps", "copy", "web")["spec"]["replicas"] == 1


def test_the_record_names_the_rules(make_shop):
    """The record of a restore has the digest of its rules, and no rule."""
    shop = make_shop(ALL)
    options = modified(FEWER)

    result = shop.engine.run("try-1", COPY, options)

    noted = str(shop.store.get_restore("try-1").metadata.annotations)
    assert options.resource_modifiers.digest in noted
    assert "/spec/replicas" not in noted
    assert result.exit_code == 0


# --- claims and volumes ---------------------------------------------------------------


def _stored_disk():
    """A claim and its volume, with no other disk than its own."""
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv-data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": "shop", "name": "data"},
            "csi": {"driver": "csi.example.com", "volumeHandle": "disk-1"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "fast",
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
            "volumeName": "pv-data",
        },
    }
    return [NAMESPACE, claim, volume]


def test_another_storage_class(make_shop):
    """The class that a rule gives a claim is the one that the plan looks for."""
    shop = make_shop(_stored_disk())
    rule = """\
- conditions:
    groupResource: persistentvolumeclaims
    matches: [{path: /spec/storageClassName, value: fast}]
  patches: [{operation: replace, path: /spec/storageClassName, value: slow}]
"""

    plan = shop.engine.plan("try-1", COPY, modified(rule))
    shop.engine.apply(plan)

    (line,) = plan.claims
    assert any("slow" in problem for problem in line.problems)
    assert not any("fast" in problem for problem in line.problems)
    claim = shop.object("persistentvolumeclaims", "copy", "data")
    assert claim["spec"]["storageClassName"] == "slow"
    assert "volumeName" not in claim["spec"]


def test_a_volume_whose_name_is_taken(make_shop):
    """Where a rule may move it, it is not passed over for the one that has its name."""
    shop = make_shop(_stored_disk())
    live = _stored_disk()[2]
    live["spec"]["claimRef"] = {"namespace": "other", "name": "data"}
    shop.simulated.load([live])
    rule = """\
- conditions: {groupResource: persistentvolumes}
  mergePatches: [{patchData: "metadata: {name: pv-other}"}]
"""
    spec = attrs.evolve(SPEC, include_cluster_resources=True)

    plain = shop.engine.plan("try-1", spec)
    plan = shop.engine.plan("try-1", spec, modified(rule))

    reasons = [entry_of(each, "PersistentVolume").reason for each in (plain, plan)]
    assert reasons[0] == "exists; it is left as it is"
    assert reasons[1].startswith("it points at the original disk")
