"""A claim is not written without the volume that it was to keep, and takes nobody else's."""

import json

import pytest
from plan_samples import namespace

from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
REATTACH = RestoreOptions(released_volumes="reattach")


def sample(kind):
    """Return an object of the sample shop of its own."""
    return json.loads(json.dumps(next(x for x in sample_shop() if x["kind"] == kind)))


@pytest.fixture(name="shop")
def fixture_shop(make_shop):
    """A claim and its volume, of which the target has the volume, Released."""
    volume = sample("PersistentVolume")
    objects = [namespace(), sample("PersistentVolumeClaim"), volume]
    shop = make_shop(objects)
    live = sample("PersistentVolume")
    live["spec"]["claimRef"]["uid"] = "old"
    live["status"] = {"phase": "Released"}
    shop.simulated.load([live])
    return shop


def volumes(shop):
    """Return the type of volumes."""
    return shop.cluster.discover().resolve("persistentvolumes")


def take(shop):
    """Let another claim have the volume."""
    holder = {"namespace": "other", "name": "theirs", "uid": "zz"}
    shop.cluster.patch(volumes(shop), "pv-orders", {"spec": {"claimRef": holder}})


def remove(shop):
    """Delete the volume."""
    shop.cluster.patch(volumes(shop), "pv-orders", {"metadata": {"finalizers": None}})
    shop.cluster.delete(volumes(shop), "pv-orders")


def claim_of(shop):
    """Return whom the volume names."""
    (volume,) = shop.simulated.objects("persistentvolumes")
    reference = volume["spec"]["claimRef"]
    return f"{reference['namespace']}/{reference['name']}"


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [(take, "is that of claim other/theirs"), (remove, "is not there")],
)
def test_a_volume_that_went_between_plan_and_restore(shop, meanwhile, words):
    """The claim is an error by name, and is not left waiting for ever."""
    plan = shop.engine.plan("try-1", SPEC, REATTACH)
    meanwhile(shop)

    result = shop.engine.apply(plan)

    (error,) = result.results.errors
    assert f"its volume pv-orders {words}" in error.message
    assert error.item.name == "orders"
    assert shop.names("persistentvolumeclaims", "shop") == []


def test_a_volume_that_another_claim_has_by_now(shop):
    """It stays that claim's: nobody loses a volume that a plan had seen free."""
    plan = shop.engine.plan("try-1", SPEC, REATTACH)
    take(shop)

    shop.engine.apply(plan)

    assert claim_of(shop) == "other/theirs"


def test_a_volume_that_is_late(shop):
    """The claim waits until its volume was offered to it."""
    plan = shop.engine.plan("try-1", SPEC, REATTACH)
    shop.simulated.faults.fail(
        status=503, verb="patch", resource="persistentvolumes", times=4
    )

    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert claim_of(shop) == "shop/orders"
    assert shop.names("persistentvolumeclaims", "shop") == ["orders"]


def test_a_claim_that_waits_for_a_volume_is_told_so(shop):
    """A plan does not say of a Pending claim that its volume stays."""
    claim = sample("PersistentVolumeClaim")
    claim["status"] = {"phase": "Pending"}
    shop.simulated.load([namespace(), claim])

    plan = shop.engine.plan("try-1", SPEC)

    (line,) = plan.claims
    assert line.text == "exists in the target, Pending: it has no volume"
