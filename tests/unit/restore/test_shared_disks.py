"""Two volumes never get one disk, whoever brings the second one, and when."""

import json

import pytest
from plan_samples import namespace

from kbackup._kits.workers import CancelToken
from kbackup.errors import RunCancelledError
from kbackup.models import EngineSettings, RestoreOptions, RestoreSpec
from kbackup.plugins import ItemRestored
from kbackup.restore import ClaimVerdict, PlanAction, RestoreEngine
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
REUSE = RestoreOptions(retained_volumes="reuse")


def sample(kind):
    """Return an object of the sample shop of its own."""
    return json.loads(json.dumps(next(x for x in sample_shop() if x["kind"] == kind)))


def twin():
    """Return the claim and volume of the shop again, under another name."""
    claim, volume = sample("PersistentVolumeClaim"), sample("PersistentVolume")
    claim["metadata"]["name"] = "orders-2"
    claim["spec"]["volumeName"] = volume["metadata"]["name"] = "pv-orders-2"
    volume["spec"]["claimRef"]["name"] = "orders-2"
    return claim, volume


def shop_objects():
    """Return a namespace, a claim and its Retain volume."""
    return [namespace(), sample("PersistentVolumeClaim"), sample("PersistentVolume")]


def errors(result):
    """Return the messages of a result's errors."""
    return " | ".join(each.message for each in result.results.errors)


def test_two_volumes_of_one_backup_over_one_disk(make_shop):
    """The first is used again; the second is a conflict that names the first."""
    shop = make_shop([*shop_objects(), *twin()])

    plan = shop.engine.plan("try-1", SPEC, REUSE)
    shop.engine.apply(plan)

    lines = {line.volume: line for line in plan.claims}
    assert lines["pv-orders"].verdict is ClaimVerdict.REUSE
    assert lines["pv-orders-2"].verdict is ClaimVerdict.CONFLICT
    assert "PV pv-orders of this restore" in lines["pv-orders-2"].text
    assert shop.names("persistentvolumes") == ["pv-orders"]
    assert shop.names("persistentvolumeclaims", "shop") == ["orders"]


def test_a_local_volume_over_the_directory_of_another(make_shop):
    """One directory is one disk, also where a volume names the node and one does not."""
    claim, volume = twin()
    volume["spec"]["local"] = volume["spec"].pop("hostPath")
    volume["spec"]["local"].pop("type", None)
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}
    terms = [{"matchExpressions": [expression]}]
    volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    shop = make_shop([*shop_objects(), claim, volume])

    plan = shop.engine.plan("try-1", SPEC, REUSE)

    lines = {line.volume: line for line in plan.claims}
    assert lines["pv-orders"].verdict is ClaimVerdict.REUSE
    assert lines["pv-orders-2"].verdict is ClaimVerdict.CONFLICT


def test_a_volume_without_claim_over_the_disk_of_another(make_shop):
    """Made by hand and not claimed yet, it is a conflict all the same."""
    _, loose = twin()
    del loose["spec"]["claimRef"]
    shop = make_shop([*shop_objects(), loose])

    plan = shop.engine.plan("try-1", SPEC, REUSE)

    actions = {
        e.target.name: e.action for e in plan.entries if e.kind == "PersistentVolume"
    }
    assert actions == {
        "pv-orders": PlanAction.CREATE,
        "pv-orders-2": PlanAction.CONFLICT,
    }


@pytest.mark.parametrize("mapping", [{}, {"shop": "copy"}], ids=["same", "copy"])
def test_a_reuse_that_was_killed_after_its_volume(make_shop, mapping):
    """Run again, it makes the claim, and ties it to the volume that it had made."""
    shop = make_shop(shop_objects())
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping=mapping)
    token = CancelToken()

    def die(event):
        if isinstance(event, ItemRestored) and event.identifier.name == "pv-orders":
            token.cancel("killed")

    engine = RestoreEngine(
        shop.cluster, shop.store, observer=die, settings=EngineSettings(workers=1)
    )
    with pytest.raises(RunCancelledError):
        engine.run("try-1", spec, REUSE, cancel=token)
    assert shop.names("persistentvolumes") == ["pv-orders"]
    assert shop.names("persistentvolumeclaims") == []

    result = shop.engine.run("try-1", spec, REUSE)

    assert errors(result) == ""
    claim = shop.object("persistentvolumeclaims", mapping.get("shop", "shop"), "orders")
    assert claim["spec"]["volumeName"] == "pv-orders"


def test_a_disk_that_got_a_volume_since_the_plan(make_shop):
    """What is created would be its second writer: it fails, and names the first one."""
    shop = make_shop(shop_objects())
    plan = shop.engine.plan("try-1", SPEC, REUSE)
    _, other = twin()
    shop.simulated.load([other])

    result = shop.engine.apply(plan)

    assert "that disk belongs to PV pv-orders-2" in errors(result)
    assert shop.names("persistentvolumes") == ["pv-orders-2"]


def test_a_released_volume_whose_disk_got_another_since_the_plan(make_shop):
    """It is not offered to its claim again."""
    shop = make_shop(shop_objects())
    live = sample("PersistentVolume")
    live["spec"]["claimRef"]["uid"] = "8d3c7e10"
    live["status"] = {"phase": "Released"}
    shop.simulated.load([namespace(), live])
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(released_volumes="reattach"))
    _, other = twin()
    shop.simulated.load([other])

    result = shop.engine.apply(plan)

    assert "that disk belongs to PV pv-orders-2" in errors(result)
    kept = shop.object("persistentvolumes", "", "pv-orders")
    assert kept["spec"]["claimRef"]["uid"] == "8d3c7e10"


def test_the_targets_volumes_are_read_once_more_for_their_writes(make_shop):
    """One list a run, however many volumes; none of a restore that writes none."""
    claim, volume = twin()
    volume["spec"]["hostPath"]["path"] = "/srv/other"
    shop = make_shop([*shop_objects(), claim, volume])
    plan, without = shop.engine.plan("try-1", SPEC, REUSE), shop.engine.plan("b", SPEC)
    before = lists(shop)

    shop.engine.apply(plan)

    assert lists(shop) == before + 1
    shop.engine.apply(without)
    assert lists(shop) == before + 1


def lists(shop):
    """Return how often the target's volumes were listed."""
    return sum(
        count
        for call, count in shop.simulated.calls.items()
        if call.split()[0] == "list" and "persistentvolumes" in call
    )
