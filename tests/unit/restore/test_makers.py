"""What is left to controllers and Pods, in a target where they live or do not."""

import pytest

from kbackup.models import RestoreOptions, RestoreSpec, well_known
from kbackup.restore import PlanAction
from kbackup.restore._target.reads import MemoReader

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def spec(**more):
    """A restore of backup shop-1."""
    return RestoreSpec(backup_name="shop-1", **more)


def owner(kind, name, *, version="apps/v1", controller=True):
    """An owner reference."""
    found = {"apiVersion": version, "kind": kind, "name": name, "uid": "old"}
    return {**found, "controller": True} if controller else found


def workload(kind, name, *, image="example.com/web:1", by=None, replicas=2):
    """A Deployment, ReplicaSet or DaemonSet."""
    labels = {"app": "web"}
    body = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": image}]},
        },
    }
    if kind != "DaemonSet":
        body["replicas"] = replicas
    metadata = {"name": name, "namespace": "shop"}
    if by:
        metadata["ownerReferences"] = [by]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": body}


def pod(name, *, by=None, phase="Running"):
    """A Pod."""
    metadata = {"name": name, "namespace": "shop"}
    if by:
        metadata["ownerReferences"] = [by]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
        "status": {"phase": phase},
    }


def thing(name, *owners):
    """A ConfigMap with owners."""
    metadata = {"name": name, "namespace": "shop", "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def of_pod(name):
    """The owner reference of what was made for a Pod."""
    return owner("Pod", name, version="v1", controller=False)


def lines(plan):
    """``Kind/name`` to action and reason."""
    return {
        f"{e.kind}/{e.target.name}": (str(e.action), e.reason) for e in plan.entries
    }


ROLLOUT = [
    workload("Deployment", "web"),
    workload("ReplicaSet", "web-1", by=owner("Deployment", "web")),
    pod("web-1-a", by=owner("ReplicaSet", "web-1")),
]
LEFT = ("skip", "left to Deployment/web, which lives in the target")


@pytest.mark.parametrize("policy", ["none", "update"])
def test_no_pod_of_an_old_version_starts_beside_a_live_deployment(make_shop, policy):
    """Rolled to v2 since, its old ReplicaSet gone: three v1 Pods started beside it."""
    shop = make_shop(ROLLOUT)
    rolled = workload("Deployment", "web", image="example.com/web:2")
    shop.simulated.load([NAMESPACE, rolled])

    plan = shop.engine.plan("try-1", spec(existing_resource_policy=policy))
    result = shop.engine.apply(plan)

    assert lines(plan)["ReplicaSet/web-1"] == LEFT
    assert lines(plan)["Pod/web-1-a"] == ("skip", "made by ReplicaSet/web-1")
    assert result.results.errors == ()
    assert shop.names("replicasets.apps") == []
    assert shop.names("pods") == []


def test_a_deployment_that_only_the_target_has(make_shop):
    """A ReplicaSet is left to a live Deployment that is no part of the restore."""
    shop = make_shop(ROLLOUT[1:])
    shop.simulated.load([NAMESPACE, ROLLOUT[0]])

    plan = shop.engine.plan("try-1", spec())

    assert lines(plan)["ReplicaSet/web-1"] == LEFT


def test_a_deployment_that_may_not_be_read(make_shop):
    """Where nobody may know, the ReplicaSet is left to it, and the plan says so."""
    shop = make_shop(ROLLOUT[1:])
    shop.simulated.load([NAMESPACE])
    shop.simulated.faults.forbid(verb="get", resource="deployments.apps")

    plan = shop.engine.plan("try-1", spec())

    reason = "left to Deployment/web, if it is there: that cannot be read"
    assert lines(plan)["ReplicaSet/web-1"] == ("skip", reason)
    assert any(
        "whether it is there cannot be read" in str(notice) and "web" in str(notice)
        for notice in plan.notices
    )


def test_a_deployment_of_which_nobody_knows_whether_it_exists(make_shop):
    """It is tried; its old ReplicaSet would start Pods beside those of a live one."""
    shop = make_shop(ROLLOUT)
    shop.simulated.load([NAMESPACE, workload("Deployment", "web", image="x:2")])
    shop.simulated.faults.forbid(resource="deployments.apps")

    plan = shop.engine.plan("try-1", spec())

    assert lines(plan)["Deployment/web"][0] == "unknown"
    assert lines(plan)["ReplicaSet/web-1"][0] == "skip"


def test_a_replica_set_whose_deployment_is_nowhere(make_shop):
    """Chosen without its Deployment it is created as it was, and the plan says so."""
    shop = make_shop(ROLLOUT)

    plan = shop.engine.plan("try-1", spec(included_resources=("replicasets",)))

    nowhere = "which is neither in this restore nor in the target"
    reason = f"without owner Deployment/web, {nowhere}"
    assert lines(plan)["ReplicaSet/web-1"] == ("create", reason)
    assert any(
        "created without the owner" in str(notice) and "shop/web-1" in str(notice)
        for notice in plan.notices
    )


def test_a_replica_set_comes_with_its_deployment(make_shop):
    """Where both are created the ReplicaSet is first, and is adopted."""
    shop = make_shop(ROLLOUT)

    plan = shop.engine.plan("try-1", spec())

    reason = "without owner, adopted and scaled up by Deployment/web"
    assert lines(plan)["ReplicaSet/web-1"] == ("create", reason)


def test_a_pod_whose_maker_goes_with_its_namespace(make_shop, monkeypatch):
    """A controller in a namespace that is Terminating makes nothing any more."""
    shop = make_shop(ROLLOUT)
    shop.simulated.load([NAMESPACE, *ROLLOUT[:2]])  # whose own turn has not come
    look = MemoReader.get

    def get(self, ref):
        found = look(self, ref)
        if ref.group_resource != well_known.NAMESPACES:
            return found
        gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        return {**found, "metadata": {**found["metadata"], **gone}}

    monkeypatch.setattr(MemoReader, "get", get)

    plan = shop.engine.plan("try-1", spec(included_resources=("pods",)))

    action, reason = lines(plan)["Pod/web-1-a"]
    assert action == "create"
    assert reason.startswith("without owner ReplicaSet/web-1")


def test_revisions_of_a_live_daemon_set(make_shop):
    """Its history is left to a DaemonSet that lives, whatever its name."""
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "ownerReferences": [owner("DaemonSet", "web")],
        },
        "revision": 1,
    }
    shop = make_shop([workload("DaemonSet", "web"), revision])

    empty = shop.engine.plan("try-1", spec())
    shop.simulated.load([NAMESPACE, workload("DaemonSet", "web", image="x:2")])
    plan = shop.engine.plan("try-1", spec())

    name = "ControllerRevision/web-1"
    adopted = "without owner, adopted by DaemonSet/web"
    reason = "left to DaemonSet/web, which lives in the target"
    assert lines(empty)[name] == ("create", adopted)
    assert lines(plan)[name] == ("skip", reason)


def test_a_pod_whose_maker_may_not_be_read(make_shop):
    """The plan does not end there: the Pod is left to its maker, unless adopted."""
    shop = make_shop(ROLLOUT[2:])
    shop.simulated.load([NAMESPACE])
    shop.simulated.faults.forbid(verb="get", resource="replicasets.apps")

    plan = shop.engine.plan("try-1", spec())
    adopting = shop.engine.plan("try-1", spec(), RestoreOptions(controlled="adopt"))

    reason = "made by ReplicaSet/web-1, if it is there: that cannot be read"
    assert lines(plan)["Pod/web-1-a"] == ("skip", reason)
    assert lines(adopting)["Pod/web-1-a"][0] == "create"


# --- what Pods own --------------------------------------------------------------------


def test_what_was_made_for_a_pod_does_not_come_back_as_an_orphan(make_shop):
    """Its Pod is made anew under another name: nobody would ever remove it."""
    shop = make_shop([*ROLLOUT, thing("endpoint", of_pod("web-1-a"))])

    plan = shop.engine.plan("try-1", spec())
    result = shop.engine.apply(plan)

    assert lines(plan)["ConfigMap/endpoint"] == ("skip", "made for Pod/web-1-a")
    assert not any("without the owner" in str(notice) for notice in plan.notices)
    assert result.exit_code == 0
    assert shop.names("configmaps", "shop") == []


@pytest.mark.parametrize(
    "items",
    [[pod("done", phase="Succeeded")], []],
    ids=["finished", "not in the backup"],
)
def test_what_was_made_for_a_pod_that_is_gone(make_shop, items):
    """A Pod that is not created leaves nothing behind."""
    shop = make_shop([*items, thing("endpoint", of_pod("done"))], as_is=True)

    plan = shop.engine.plan("try-1", spec())

    assert lines(plan)["ConfigMap/endpoint"] == ("skip", "made for Pod/done")


def test_what_a_pod_owns_comes_with_it(make_shop):
    """A bare Pod is created, and what it owns is tied to it."""
    shop = make_shop([pod("bare"), thing("notes", of_pod("bare"))])

    plan = shop.engine.plan("try-1", spec())
    shop.engine.apply(plan)

    assert lines(plan)["ConfigMap/notes"] == ("create", "owned by Pod/bare")
    (reference,) = shop.object("configmaps", "shop", "notes")["metadata"][
        "ownerReferences"
    ]
    assert reference["uid"] == shop.object("pods", "shop", "bare")["metadata"]["uid"]


def test_what_has_an_owner_beside_its_pod(make_shop):
    """It is not left to the Pod: another owner keeps it."""
    owners = of_pod("web-1-a"), owner("Deployment", "web", controller=False)
    shop = make_shop([*ROLLOUT, thing("shared", *owners)])

    plan = shop.engine.plan("try-1", spec())

    assert lines(plan)["ConfigMap/shared"][0] == "create"


def test_what_pods_own_is_held_against_the_live_one(make_shop):
    """Planned after the Pods, it is still compared with what the target has."""
    shop = make_shop([pod("bare"), thing("notes", of_pod("bare"))])
    shop.engine.run("try-0", spec())

    plan = shop.engine.plan("try-0", spec())

    assert {entry.action for entry in plan.entries if entry.kind == "ConfigMap"} == {
        PlanAction.UNCHANGED
    }


# --- what Nodes own -------------------------------------------------------------------

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}
OF_NODE = thing("agent", owner("Node", "node-1", version="v1", controller=False))


def test_what_was_made_for_a_node_does_not_come_back_as_an_orphan(make_shop):
    """It holds the addresses of a machine of the source, which nobody would remove."""
    shop = make_shop([NODE, OF_NODE], as_is=True)

    plan = shop.engine.plan("try-1", spec())

    assert lines(plan)["ConfigMap/agent"] == ("skip", "made for Node/node-1")
    assert not any("without the owner" in str(notice) for notice in plan.notices)


@pytest.mark.parametrize(
    ("named", "options", "reason"),
    [
        (("configmaps",), None, "without owner Node/node-1"),
        (("configmaps", "nodes"), None, "owned by Node/node-1"),
        ((), RestoreOptions(include_system=True), "owned by Node/node-1"),
    ],
    ids=["its type", "the Nodes as well", "the system's"],
)
def test_what_was_made_for_a_node_and_is_asked_for(make_shop, named, options, reason):
    """Who names its type gets it, tied to its Node where that comes, too."""
    shop = make_shop([NODE, OF_NODE], as_is=True)

    plan = shop.engine.plan(
        "try-1",
        spec(included_resources=named, include_cluster_resources=True),
        options,
    )

    assert lines(plan)["ConfigMap/agent"] == ("create", reason)
