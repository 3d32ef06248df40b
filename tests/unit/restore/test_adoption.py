"""What is written before its owner runs nothing unless its owner comes."""

import copy
import json

import pytest
from plan_samples import config_map, namespace

from kbackup._kits.differences import Difference
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestorePlan
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SET = "web-6d4b8c9f7"
HASH = "pod-template-hash"
KINDS = ("Namespace", "ConfigMap", "Secret", "Deployment", "ReplicaSet", "Pod")
LOST = "stays without its owner Deployment/web, which was not restored"
IDLE = f"{LOST}; it has no replicas, and runs nothing"


def _shop_of(make_shop, change):
    """The workload of the sample shop, changed before it is backed up."""
    items = {
        (item["kind"], item["metadata"]["name"]): copy.deepcopy(item)
        for item in sample_shop()
        if item["kind"] in KINDS
    }
    change(items)
    return make_shop(items.values())


def _line(plan, kind="ReplicaSet", name=SET):
    """The line of an item."""
    (entry,) = [x for x in plan.entries if (x.kind, x.target.name) == (kind, name)]
    return entry


def _replicas(shop, name=SET):
    """How many replicas a ReplicaSet of the target has."""
    return shop.object("replicasets.apps", "shop", name)["spec"]["replicas"]


def _refuse(shop, resource="deployments"):
    """Let the server refuse what is of a type, once."""
    return shop.simulated.faults.fail(
        verb="create",
        resource=resource,
        status=403,
        reason="Forbidden",
        message="exceeded quota: none",
    )


def _warned(result, name=SET):
    """The warnings about an item."""
    return [
        warning.message
        for warning in result.results.warnings
        if warning.item is not None and warning.item.name == name
    ]


def _adopt(shop):
    """Do what the Deployment's controller does."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": shop.object("deployments.apps", "shop", "web")["metadata"]["uid"],
        "controller": True,
    }
    patch = {"metadata": {"ownerReferences": [owner]}, "spec": {"replicas": 2}}
    sets = shop.cluster.discover().by_kind("apps/v1", "ReplicaSet")
    shop.cluster.patch(sets, SET, patch, namespace="shop")


def test_a_set_is_created_without_replicas(shop):
    """Its Deployment scales it up: the line shows it, and no one is said to have done it."""
    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    line = _line(plan)
    change = Difference(path="spec.replicas", op="change", left=2, right=0)
    adopted = "without owner, adopted and scaled up by Deployment/web"
    assert (line.action, line.reason) == (PlanAction.CREATE, adopted)
    assert line.changes == (change,)
    assert "~ spec.replicas: 2 -> 0" in str(plan)
    assert SET not in plan.summary()
    assert _replicas(shop) == 0
    assert result.results.errors == ()
    assert _warned(result) == []


def test_a_set_whose_deployment_is_refused(shop):
    """It runs nothing, and a warning names both."""
    _refuse(shop)

    result = shop.engine.run("try-1", SPEC)

    assert _replicas(shop) == 0
    assert _warned(result) == [IDLE]


def test_the_restore_is_completed_when_it_is_run_again(shop):
    """The set that waits is as it should be, and is named as long as it waits."""
    _refuse(shop)
    shop.engine.run("try-1", SPEC)
    _refuse(shop)
    again = shop.engine.run("try-1", SPEC)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    assert _warned(again) == [IDLE]
    assert _line(plan).action is PlanAction.UNCHANGED
    assert result.results.errors == ()
    assert _warned(result) == []


def test_a_set_that_waits_gets_its_managers_back(shop):
    """The second write that an earlier run did not come to is no reason to scale it up."""
    manager = {
        "manager": "argocd",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2024-05-01T02:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }

    with shop.store.open_archive("shop-1") as archive:
        stored = [item.content for item in archive]
    for item in stored:
        if item["kind"] == "ReplicaSet":
            item["metadata"]["managedFields"] = [manager]
    shop.replace_backup(stored, as_is=True)
    _refuse(shop)
    shop.simulated.faults.fail(verb="patch", resource="replicasets", status=403)
    shop.engine.run("try-1", SPEC)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    line, live = _line(plan), shop.object("replicasets.apps", "shop", SET)
    assert (line.action, line.idle) == (PlanAction.UPDATE, True)
    assert result.results.errors == ()
    assert _warned(result) == []
    assert live["spec"]["replicas"] == 0
    assert "argocd" in [x["manager"] for x in live["metadata"]["managedFields"]]


def test_a_saved_plan_is_applied_again_after_the_set_was_scaled(shop):
    """What the Deployment did with the set is no change that somebody made."""
    plan = shop.engine.plan("try-1", SPEC)
    shop.engine.apply(plan)
    _adopt(shop)

    result = shop.engine.apply(RestorePlan.from_json(plan.to_json()))

    assert _warned(result) == []
    assert _replicas(shop) == 2


def _add_active_set(items):
    """Put the Deployment in the middle of a rollout."""
    old = copy.deepcopy(items["ReplicaSet", SET])
    old["metadata"]["name"] = "web-old"
    for part in (old["metadata"], old["spec"]["template"]["metadata"]):
        part["labels"] = {"app": "web", HASH: "old"}
    old["spec"]["selector"]["matchLabels"] = {"app": "web", HASH: "old"}
    old["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/shop:1"
    items["ReplicaSet", "web-old"] = old


def _change_template(items):
    """Let the Deployment have another template than its set."""
    template = items["Deployment", "web"]["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "example.com/shop/web:1.5"


@pytest.mark.parametrize("change", [_add_active_set, _change_template])
def test_a_set_that_its_deployment_may_not_scale_up(make_shop, change):
    """In a rollout the old version serves until the new one does: nothing is held back."""
    shop = _shop_of(make_shop, change)
    _refuse(shop)

    result = shop.engine.run("try-1", SPEC)

    assert _replicas(shop) == 2
    assert _warned(result) == [LOST]


def test_old_sets_of_a_deployment_do_not_matter(make_shop):
    """What is kept to roll back to has no replicas, in the backup as in the target."""

    def retire(items):
        _add_active_set(items)
        items["ReplicaSet", "web-old"]["spec"]["replicas"] = 0

    shop = _shop_of(make_shop, retire)

    plan = shop.engine.plan("try-1", SPEC)

    assert (_line(plan).idle, _line(plan, name="web-old").idle) == (True, False)


def test_restored_pods_are_adopted(shop):
    """A set without replicas would end the Pods that controlled="adopt" restores."""
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(controlled="adopt"))

    assert not any(entry.idle for entry in plan.entries)


def _pod(pods_hash=HASH, **metadata):
    """A Pod of the target."""
    container = {"name": "web", "image": "example.com/shop/web:1.4"}
    labels = {"app": "web", HASH: pods_hash}
    head = {"name": "web-x", "namespace": "shop", "labels": labels, **metadata}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": head,
        "spec": {"containers": [container]},
    }


OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "8d"}


@pytest.mark.parametrize(
    ("pod", "idle"),
    [
        pytest.param(_pod("6d4b8c9f7"), False, id="unowned"),
        pytest.param(_pod("6d4b8c9f7", ownerReferences=[OWNER]), True, id="owned"),
        pytest.param(_pod("other"), True, id="of another version"),
    ],
)
def test_pods_of_the_target_that_nobody_owns(shop, pod, idle):
    """A set that will adopt Pods keeps its replicas, or they would be ended."""
    shop.simulated.load([namespace(), pod])

    plan = shop.engine.plan("try-1", SPEC)

    assert _line(plan).idle is idle


def test_pods_that_may_not_be_read(shop):
    """Whoever cannot know whether Pods would be ended ends none."""
    shop.simulated.load([namespace(), config_map()])
    shop.simulated.faults.forbid(verb="list", resource="pods")

    plan = shop.engine.plan("try-1", SPEC)

    assert not _line(plan).idle


def _stateful(kind, name, version="v1", **body):
    """What a StatefulSet owns."""
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    owners = [{**owner, "controller": kind == "ControllerRevision"}]
    metadata = {"name": name, "namespace": "shop", "ownerReferences": owners}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def _stateful_set(**more):
    labels = {"app": "db"}
    container = {"name": "db", "image": "example.com/db:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": template,
        },
        **more,
    }


def test_a_rollout_that_cannot_be_restored_is_told(make_shop):
    """Who keeps two Pods of three at the old version learns that all three will be new."""
    status = {"currentRevision": "db-1", "updateRevision": "db-2", "replicas": 3}
    shop = make_shop([namespace(), _stateful_set(status=status)], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    shop.engine.apply(plan)
    again = shop.engine.plan("try-2", SPEC)

    told = "was in the middle of a rollout: all of its Pods come back in the newer"
    assert [str(x.items[0]) for x in plan.notices if x.what.startswith(told)] == [
        "statefulsets.apps/shop/db"
    ]
    assert not [x for x in again.notices if x.what.startswith(told)]


def test_what_a_stateful_set_leaves_behind(make_shop):
    """Revisions and claims run nothing; a warning names them and the owner they lack."""
    resources = {"requests": {"storage": "1Gi"}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": resources}
    revision = _stateful("ControllerRevision", "db-1", "apps/v1", revision=1)
    shop = make_shop(
        [
            namespace(),
            _stateful_set(),
            revision,
            _stateful("PersistentVolumeClaim", "data-db-0", spec=claim),
        ]
    )
    _refuse(shop, "statefulsets")

    result = shop.engine.run("try-1", SPEC)

    lost = "stays without its owner StatefulSet/db, which was not restored"
    assert _warned(result, "db-1") == [lost]
    assert lost in _warned(result, "data-db-0")


def test_nothing_waits_where_the_owner_came(shop):
    """What fails elsewhere is no reason to warn of what has its owner."""
    _refuse(shop, "configmaps")

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors
    assert _warned(result) == []
