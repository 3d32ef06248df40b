"""A class that becomes a default beside the target's own."""

import pytest

from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore._notices.default_classes import DefaultClasses
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._target.reads import MemoReader

STORAGE = "storageclass.kubernetes.io/is-default-class"
BETA = "storageclass.beta.kubernetes.io/is-default-class"
INGRESS = "ingressclass.kubernetes.io/is-default-class"
SNAPSHOT = "snapshot.storage.kubernetes.io/is-default-class"
SNAPSHOT_CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"


def storage(name, mark=STORAGE, value="true"):
    """A StorageClass with this mark."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {mark: value}},
        "provisioner": f"{name}.example.com",
    }


def ingress(name):
    """The default of IngressClasses."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "annotations": {INGRESS: "true"}},
        "spec": {"controller": f"{name}.example.com/ingress"},
    }


def told(shop, options=None):
    """What the plan says of classes that become a default."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"), options)
    return {
        item.name: notice.what
        for notice in plan.notices
        if notice.what.startswith("becomes a default class")
        for item in notice.items
    }


@pytest.mark.parametrize(
    ("stored", "live"),
    [
        (storage("standard"), storage("gp3")),
        (storage("standard", BETA), storage("gp3")),
        (storage("standard"), storage("gp3", BETA)),
        (ingress("standard"), ingress("gp3")),
    ],
    ids=["StorageClass", "by its old mark", "beside an old mark", "IngressClass"],
)
def test_a_default_beside_the_targets_own(make_shop, stored, live):
    """The newer one wins for everybody who names none: the plan names both."""
    shop = make_shop([stored])
    shop.simulated.load([live])

    assert told(shop) == {
        "standard": "becomes a default class, as gp3 of the target is: "
        "what names no class may get this one, or none"
    }


@pytest.mark.parametrize(
    ("stored", "live"),
    [
        (storage("standard"), []),
        (storage("standard", value="false"), [storage("gp3")]),
        (storage("standard"), [storage("gp3", value="false")]),
        (storage("standard"), [ingress("gp3")]),
        (storage("gp3"), [storage("gp3")]),
    ],
    ids=["alone", "not marked", "beside no default", "of another type", "itself"],
)
def test_a_default_that_is_the_only_one(make_shop, stored, live):
    """Where nothing changes for others there is nothing to tell."""
    shop = make_shop([stored])
    shop.simulated.load(live)

    assert told(shop) == {}


def test_a_class_that_exists_and_becomes_a_default(make_shop):
    """An update marks a class as well."""
    shop = make_shop([storage("standard")])
    shop.simulated.load([storage("standard", value="false"), storage("gp3")])

    assert told(shop) == {}  # it is left as it is
    options = RestoreOptions(existing_cluster_resource_policy="update")
    assert list(told(shop, options)) == ["standard"]


def test_classes_that_may_not_be_read(make_shop):
    """The plan does not end there."""
    shop = make_shop([storage("standard")])
    shop.simulated.load([storage("gp3")])
    shop.simulated.faults.forbid(verb="list", resource="storageclasses.storage.k8s.io")

    assert told(shop) == {}


@pytest.mark.parametrize(("driver", "is_told"), [("ebs", True), ("efs", False)])
def test_classes_of_snapshots_have_a_default_for_each_driver(driver, is_told):
    """Of two drivers each has its own default."""

    class Target:
        """Has a default for snapshots of ebs."""

        def list(self, _resource, **_more):
            """All of them."""
            metadata = {"name": "live", "annotations": {SNAPSHOT: "true"}}
            return [{"metadata": metadata, "driver": "ebs"}]

    ref = ResourceIdentifier(GroupResource.parse(SNAPSHOT_CLASSES), "", "stored")
    entry = PlanEntry(identifier=ref, target=ref, action=PlanAction.CREATE)
    metadata = {"name": "stored", "annotations": {SNAPSHOT: "true"}}
    classes = DefaultClasses()

    classes.see(entry, {"metadata": metadata, "driver": driver}, {})

    found = list(classes.doubled(MemoReader(Target())))
    assert found == ([(ref, "live")] if is_told else [])
