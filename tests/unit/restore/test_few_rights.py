"""Restores by somebody who may read one namespace and nothing of the cluster."""

import pytest

from kbackup.errors import UnauthorizedError
from kbackup.models import RestoreOptions, RestoreSpec

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SPEC = RestoreSpec(backup_name="shop-1", included_namespaces=["shop"])
CLUSTER_WIDE = (
    "namespaces",
    "nodes",
    "persistentvolumes",
    "storageclasses.storage.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
)


def claim(name="data", **spec):
    """A claim; bound where it has a volume."""
    body = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "standard",
        **spec,
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": body,
        "status": {"phase": "Bound" if "volumeName" in spec else "Pending"},
    }


def pod(**spec):
    """A bare Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}], **spec},
    }


@pytest.fixture(name="limited")
def fixture_limited(make_shop):
    """A function that backs up objects for a target where little may be read."""

    def make(items):
        shop = make_shop([NAMESPACE, *items], as_is=True)
        shop.simulated.load([NAMESPACE])
        for resource in CLUSTER_WIDE:
            shop.simulated.faults.forbid(resource=resource)
        return shop

    return make


def actions(plan):
    """``Kind/name`` to action."""
    return {f"{e.kind}/{e.target.name}": str(e.action) for e in plan.entries}


def said(plan):
    """The notices as one text."""
    return "\n".join(map(str, plan.notices))


def test_a_bound_claim(limited):
    """No restore could be planned: its volume, not in the backup, may not be read."""
    shop = limited([claim(volumeName="pv-1")])

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    assert actions(plan)["PersistentVolumeClaim/data"] == "create"
    assert "whether it is there cannot be read" in said(plan)
    assert "pv-1" in said(plan)
    assert "the target's volumes are not readable" in said(plan)
    assert result.results.errors == ()
    assert shop.names("persistentvolumeclaims", "shop") == ["data"]


def test_a_bound_claim_to_be_reattached(limited):
    """What was asked for needs to read volumes: it is said and not done."""
    shop = limited([claim(volumeName="pv-1")])
    options = RestoreOptions(released_volumes="reattach", retained_volumes="reuse")

    plan = shop.engine.plan("try-1", SPEC, options)

    assert [str(line.verdict) for line in plan.claims] == ["none"]


def test_a_pod_with_a_priority_class(limited):
    """No restore could be planned: its class, not in the backup, may not be read."""
    shop = limited([pod(priorityClassName="urgent")])

    plan = shop.engine.plan("try-1", SPEC)

    assert actions(plan)["Pod/bare"] == "create"
    assert "urgent" in said(plan)


def test_one_refusal_for_each_thing_is_enough(limited):
    """Twenty Pods of one maker ask once whether it is there."""
    maker = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": "old",
        "controller": True,
    }
    pods = [pod() for _ in range(20)]
    for number, each in enumerate(pods):
        more = {"name": f"web-{number}", "ownerReferences": [maker]}
        each["metadata"] = {**each["metadata"], **more}
    shop = limited(pods)
    shop.simulated.faults.forbid(verb="get", resource="replicasets.apps")

    plan = shop.engine.plan("try-1", SPEC)

    assert list(actions(plan).values()).count("skip") == 20
    assert shop.simulated.calls["get replicasets.apps"] == 1
    assert said(plan).count("replicasets.apps/shop/web") == 1


def test_a_claim_from_a_snapshot_that_may_not_be_read(limited):
    """Nobody may know whether its source is there: that is said, and no more."""
    shop = limited([claim(dataSource={"kind": "PersistentVolumeClaim", "name": "old"})])
    shop.simulated.faults.forbid(verb="get", resource="persistentvolumeclaims")

    plan = shop.engine.plan("try-1", SPEC)

    assert plan.claims[0].problems == ()
    assert "shop/old" in said(plan)


def test_endpoints_whose_service_may_not_be_read(limited):
    """Whether they are a controller's cannot be told; the plan goes on."""
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "shop"},
        "subsets": [],
    }
    shop = limited([endpoints])
    shop.simulated.faults.forbid(verb="get", resource="services")

    plan = shop.engine.plan("try-1", SPEC)

    assert actions(plan)["Endpoints/db"] == "create"
    assert "shop/db" in said(plan)


def test_where_a_transform_moves_an_item_to_a_place_that_may_not_be_read(limited):
    """Whether its new place is taken cannot be told: it is tried, and is unknown."""
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"},
    }
    shop = limited([settings])

    def rename(item):
        """Call it otherwise."""
        if item["kind"] != "ConfigMap":
            return item
        shop.simulated.faults.forbid(verb="get", resource="configmaps")
        return {**item, "metadata": {**item["metadata"], "name": "other"}}

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(transforms=(rename,)))

    assert actions(plan)["ConfigMap/other"] == "unknown"


def test_a_cluster_that_knows_nobody_still_ends_the_plan(make_shop):
    """Only what may not be read is passed over, not a login that has expired."""
    shop = make_shop([NAMESPACE, claim(volumeName="pv-1")], as_is=True)
    shop.simulated.load([NAMESPACE])
    shop.simulated.faults.fail(
        verb="get", resource="persistentvolumes", status=401, times=None
    )

    with pytest.raises(UnauthorizedError):
        shop.engine.plan("try-1", SPEC)
