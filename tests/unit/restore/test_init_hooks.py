"""Init containers that hooks add to restored Pods: shown in the plan, and written so."""

import json
from datetime import timedelta

import attrs
import pytest
from plan_samples import namespace

from kbackup.models import (
    ExistingResourcePolicy,
    InitRestoreHook,
    LabelSelector,
    ResourceModifiers,
    RestoreHooks,
    RestoreOptions,
    RestoreResourceHook,
    RestoreResourceHookSpec,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestorePlan
from kbackup.testing import sample_shop

INIT = "init.hook.restore.velero.io/"
ANNOTATED = {f"{INIT}container-image": "tools:1", f"{INIT}command": '["prepare"]'}
HOOK = "velero.io/init-restore-hook"
ADDED = f"changed by {HOOK}"


def pod(name="db", annotations=None, *, image="db:1", **spec):
    """A Pod that nobody makes anew."""
    metadata = {"name": name, "namespace": "shop", "labels": {"app": name}}
    if annotations:
        metadata["annotations"] = annotations
    own = [{"name": "own", "image": "own:1"}]
    containers = [{"name": "main", "image": image}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"initContainers": own, "containers": containers, **spec},
    }


def wish(*containers, name="prepare", timeout=None, **more):
    """A spec with one hook."""
    init = InitRestoreHook(init_containers=containers, timeout=timeout)
    hook = RestoreResourceHook(init=init if containers else None)
    entry = RestoreResourceHookSpec(
        name=name,
        post_hooks=[hook],
        label_selector=more.pop("label_selector", None),
        included_namespaces=more.pop("included_namespaces", ()),
    )
    hooks = RestoreHooks(resources=[entry])
    return RestoreSpec(backup_name="shop-1", hooks=hooks, **more)


POD = next(x["metadata"]["name"] for x in sample_shop() if x["kind"] == "Pod")
A = {"name": "a", "image": "tools:1", "command": ["prepare"]}
PLAIN = RestoreSpec(backup_name="shop-1")
UPDATE = ExistingResourcePolicy.UPDATE


def line(plan, name="db"):
    """The line of a Pod."""
    (entry,) = [x for x in plan.entries if (x.kind, x.target.name) == ("Pod", name)]
    return entry


def inits(shop, name="db", space="shop"):
    """The names of a restored Pod's init containers."""
    spec = shop.object("pods", space, name)["spec"]
    return [each["name"] for each in spec["initContainers"]]


def notices(plan, word):
    """The notices with a word in them, as they are printed."""
    return [str(notice) for notice in plan.notices if word in str(notice)]


def test_a_pod_that_asks_for_it(make_shop):
    """Its init container is in the plan, field by field, and comes before its own ones."""
    shop = make_shop([namespace(), pod("db", ANNOTATED), pod("web")])

    plan = shop.engine.plan("try-1", PLAIN)
    result = shop.engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    entry = line(plan)
    (change,) = entry.changes
    name = inits(shop)[0]
    assert (entry.action, entry.reason, entry.changed_by) == (
        PlanAction.CREATE,
        ADDED,
        (HOOK,),
    )
    assert change.path == f"spec.initContainers[{name}]"
    assert (change.op, change.right["image"]) == ("add", "tools:1")
    assert line(plan, "web").changed_by == ()
    assert result.results.errors == ()
    assert inits(shop) == [name, "own"]
    assert name.startswith("velero-restore-init-")
    assert inits(shop, "web") == ["own"]


def test_the_spec_asks_for_it(make_shop):
    """Pods that its labels select get its containers, unless they state one themselves."""
    own = ANNOTATED | {f"{INIT}container-name": "mine"}
    shop = make_shop([namespace(), pod("db"), pod("web"), pod("own", own)])
    selector = LabelSelector.parse("app in (db, own)")

    plan = shop.engine.plan("try-1", wish(A, label_selector=selector))
    shop.engine.apply(plan)

    assert inits(shop, "db") == ["a", "own"]
    assert inits(shop, "web") == ["own"]
    assert inits(shop, "own") == ["mine", "own"]
    assert "hooks prepare" in str(plan)


@pytest.mark.parametrize(
    ("space", "found"), [("copy", ["a", "own"]), ("shop", ["own"])]
)
def test_the_namespace_of_the_target_counts(make_shop, space, found):
    """A hook is for Pods that come to its namespaces, wherever they were before."""
    shop = make_shop([namespace(), pod()])
    spec = wish(A, included_namespaces=[space], namespace_mapping={"shop": "copy"})

    shop.engine.run("try-1", spec)

    assert inits(shop, space="copy") == found


def test_a_transform_sees_them(make_shop):
    """Transforms come after hooks: what they do to images they do to these as well."""
    shop = make_shop([namespace(), pod()])

    def mirrored(item):
        for each in item["spec"].get("initContainers", ()):
            each["image"] = f"mirror/{each['image']}"
        return item

    options = RestoreOptions(transforms=[mirrored])
    spec = wish(A)
    plan = shop.engine.plan("try-1", spec, options)
    shop.engine.apply(plan)

    images = [
        each["image"]
        for each in shop.object("pods", "shop", "db")["spec"]["initContainers"]
    ]
    assert images == ["mirror/tools:1", "mirror/own:1"]
    assert line(plan).changed_by[0] == HOOK
    assert spec == wish(A)


def test_a_resource_modifier_sees_them(make_shop):
    """So do resource modifiers, which can give a hook's container what it lacks."""
    shop = make_shop([namespace(), pod()])
    rules = ResourceModifiers.from_yaml(
        "version: v1\nresourceModifierRules:\n"
        "- conditions: {groupResource: pods}\n"
        "  patches:\n"
        "  - {operation: replace, path: /spec/initContainers/0/image, value: other}\n"
    )

    plan = shop.engine.plan("try-1", wish(A), RestoreOptions(resource_modifiers=rules))
    shop.engine.apply(plan)

    first, _own = shop.object("pods", "shop", "db")["spec"]["initContainers"]
    assert (first["name"], first["image"]) == ("a", "other")
    assert line(plan).changed_by == (HOOK, "resource modifier rule 1")


def test_the_same_restore_again(make_shop):
    """What it made is as it should be: nothing is to do, whoever made up the name."""
    shop = make_shop([namespace(), pod("db", ANNOTATED), pod("web")])
    spec = wish(A)
    shop.engine.run("try-1", spec)

    plan = shop.engine.plan("try-1", spec)

    assert (line(plan).action, line(plan, "web").action) == ("unchanged", "unchanged")
    assert plan.is_empty


def test_a_name_that_is_taken(make_shop):
    """Such a Pod is a conflict by name, and an error of the restore; others come."""
    shop = make_shop([namespace(), pod("db"), pod("web")])
    taken = A | {"name": "main"}
    spec = wish(taken, label_selector=LabelSelector.parse("app=db"))

    plan = shop.engine.plan("try-1", spec)
    result = shop.engine.apply(plan)

    reason = f"{HOOK} failed on pods/shop/db: it would have 2 containers with the name 'main'"
    assert (line(plan).action, line(plan).reason) == (PlanAction.CONFLICT, reason)
    assert [str(error.item) for error in result.results.errors] == ["pods/shop/db"]
    assert shop.names("pods") == ["web"]


def test_a_live_pod_is_no_conflict(make_shop):
    """A hook that could not be added to a Pod does not bear on one that exists."""
    shop = make_shop([namespace(), pod("db", image="db:2")])
    shop.simulated.load([namespace(), pod("db", image="db:1")])
    spec = wish(A | {"name": "main"}, existing_resource_policy=UPDATE)

    plan = shop.engine.plan("try-1", spec)
    result = shop.engine.apply(plan)

    assert line(plan).action is PlanAction.UPDATE
    assert result.results.errors == ()
    assert inits(shop) == ["own"]


def test_claims_of_pods_that_a_controller_makes(make_shop):
    """They are brought by their Pod, whether or not a hook could be added to it."""
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    owned = pod("db", volumes=[volume])
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    owned["metadata"]["ownerReferences"] = [owner | {"uid": "x", "controller": True}]
    template = {"metadata": {"labels": {"app": "db"}}, "spec": pod()["spec"]}
    metadata = {"name": "db", "namespace": "shop", "labels": {"app": "db"}}
    selector = {"matchLabels": {"app": "db"}}
    stateful = {"serviceName": "db", "selector": selector, "template": template}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    shop = make_shop(
        [
            namespace(),
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "namespace": "shop"},
                "spec": claim,
            },
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": metadata,
                "spec": stateful,
            },
            owned,
        ]
    )
    taken = wish(A | {"name": "main"})

    plan = shop.engine.plan(
        "try-1", attrs.evolve(taken, label_selector=LabelSelector.parse("app=db"))
    )

    assert line(plan).reason == "made by StatefulSet/db"
    assert "data" in [entry.target.name for entry in plan.entries]


def test_pods_that_exist_get_none(make_shop):
    """A live Pod that is as in the backup is unchanged, with a hook or without."""
    stored = pod("db", ANNOTATED)
    shop = make_shop([namespace(), stored])
    shop.simulated.load([namespace(), stored])

    plan = shop.engine.plan("try-1", wish(A, existing_resource_policy=UPDATE))

    assert (line(plan).action, line(plan).differences) == (PlanAction.UNCHANGED, ())


def test_a_pod_that_is_updated_gets_none(make_shop):
    """What else differs is changed, as planned."""
    shop = make_shop([namespace(), pod("db", image="db:2")])
    shop.simulated.load([namespace(), pod("db", image="db:1")])

    plan = shop.engine.plan("try-1", wish(A, existing_resource_policy=UPDATE))
    result = shop.engine.apply(plan)

    paths = [each.path for each in line(plan).differences]
    assert (line(plan).action, line(plan).changed_by) == (PlanAction.UPDATE, ())
    assert paths == ["spec.containers[main].image"]
    assert result.results.errors == ()
    assert inits(shop) == ["own"]
    main = shop.object("pods", "shop", "db")["spec"]["containers"][0]
    assert main["image"] == "db:2"


def test_a_pod_that_has_them_is_updated(make_shop):
    """Init containers of an earlier restore stay where the Pod is changed otherwise."""
    shop = make_shop([namespace(), pod("db", image="db:2")])
    shop.engine.run("try-1", wish(A))
    shop.cluster.patch(
        shop.cluster.discover().resolve("pods"),
        "db",
        {"metadata": {"labels": {"app": "other"}}},
        namespace="shop",
    )

    plan = shop.engine.plan("try-2", wish(A, existing_resource_policy=UPDATE))
    result = shop.engine.apply(plan)

    paths = [each.path for each in line(plan).differences]
    assert (line(plan).action, line(plan).changed_by) == (PlanAction.UPDATE, (HOOK,))
    assert paths == ["metadata.labels.app"]
    assert result.results.errors == ()
    assert inits(shop) == ["a", "own"]


def test_pods_that_a_controller_makes_are_named(make_shop):
    """They come without the hook, which nobody would know otherwise."""
    shop = make_shop(sample_shop())

    told = notices(shop.engine.plan("try-1", wish(A)), "init containers")
    shop.engine.run("try-1", wish(A))

    assert len(told) == 1
    assert "its controller makes it anew" in told[0]
    assert f"pods/shop/{POD}" in told[0]
    assert POD not in shop.names("pods")
    assert notices(shop.engine.plan("try-2", PLAIN), "init containers") == []


def test_pods_of_controllers_that_are_restored_themselves(make_shop):
    """With `controlled="adopt"` they have the hook's containers, and nothing is said."""
    shop = make_shop(sample_shop())
    options = RestoreOptions(controlled="adopt")

    plan = shop.engine.plan("try-1", wish(A), options)
    shop.engine.apply(plan)

    assert notices(plan, "init containers") == []
    assert inits(shop, POD) == ["a"]


def test_what_has_no_effect_is_told(make_shop):
    """A timeout, and annotations without an image, do nothing: the plan says so."""
    shop = make_shop([namespace(), pod("db", {f"{INIT}command": "x"})])

    plan = shop.engine.plan("try-1", wish(A, timeout=timedelta(seconds=5)))

    assert notices(plan, "no time limit") == [
        "hook prepare: a timeout has no effect: init containers have no time limit"
    ]
    (told,) = notices(plan, "no hook")
    assert told.endswith(f"{INIT}container-image: no hook: pods/shop/db")
