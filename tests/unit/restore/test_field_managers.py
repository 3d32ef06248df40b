"""Managers of fields that a killed restore did not come to: given back by the next run."""

import json
import time

import pytest
from plan_samples import config_map, namespace

from kbackup.models import (
    GroupResource,
    Item,
    ResourceIdentifier,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestorePlan
from kbackup.restore._target.field_managers import ownership_patch
from kbackup.restore._writes.second_writes import SecondWrites
from kbackup.testing._simulator.state import timestamp

SPEC = RestoreSpec(backup_name="shop-1")


class KilledError(BaseException):
    """The process ends here."""


def applied(*managers):
    """A ConfigMap as (manager, operation) left it."""
    item = config_map(currency="EUR")
    item["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": operation,
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:currency": {}}},
        }
        for manager, operation in managers
    ]
    return item


def managers_of(shop):
    """Who manages something of the restored ConfigMap."""
    live = shop.object("configmaps", "shop", "settings")
    return {(x["manager"], x["operation"]) for x in live["metadata"]["managedFields"]}


def entry_of(plan):
    """The line of the ConfigMap."""
    return next(x for x in plan.entries if x.kind == "ConfigMap")


@pytest.fixture
def killed(make_shop, monkeypatch):
    """A shop whose restore ``try-1`` was killed between the two writes of a ConfigMap."""

    def make(*managers, options=None):
        def die(*_, **__):
            raise KilledError

        shop = make_shop([applied(*managers)], as_is=True)
        plan = shop.engine.plan("try-1", SPEC, options)
        with monkeypatch.context() as patched:
            patched.setattr(SecondWrites, "_write", die)
            with pytest.raises(KilledError):
                shop.engine.apply(plan)
        return shop

    return make


def test_a_restore_that_was_killed_between_two_writes(killed):
    """Run again it gives the managers their fields back, says so before, and only once."""
    shop = killed(("flux", "Apply"), ("kubectl", "Update"))
    assert managers_of(shop) == {("kbackup", "Update")}

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.run("try-1", SPEC)

    entry = entry_of(plan)
    assert (entry.action, entry.second_write) == (PlanAction.UPDATE, True)
    assert entry.reason == "its field managers are given back, nothing else"
    assert plan.numbers().endswith("1 second writes for managedFields")
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert result.results.warnings == ()
    assert managers_of(shop) == {("flux", "Apply"), ("kubectl", "Update")}
    assert shop.engine.plan("try-1", SPEC).is_empty


def test_a_saved_plan_that_gives_managers_back(killed):
    """A saved plan does it as well, and finds it done when it is applied again."""
    shop = killed(("flux", "Apply"))
    document = json.dumps(shop.engine.plan("try-1", SPEC).to_json())
    plan = RestorePlan.from_json(document)

    first = shop.engine.apply(plan)
    managers = managers_of(shop)
    writes = shop.writes()
    plan = RestorePlan.from_json(document)
    again = shop.engine.apply(plan)

    assert "updated" in {x.action for x in first.outcomes}
    assert managers == managers_of(shop) == {("flux", "Apply")}
    assert {x.action for x in again.outcomes} == {"unchanged"}
    assert shop.writes() == writes


def test_managers_that_nobody_asked_back(killed):
    """With "drop" the object is unchanged; with "restore" ordinary managers come back."""
    shop = killed(
        ("kubectl", "Update"), options=RestoreOptions(managed_fields="restore")
    )

    dropped = shop.engine.plan("try-1", SPEC, RestoreOptions(managed_fields="drop"))
    wanted = shop.engine.plan("try-1", SPEC, RestoreOptions(managed_fields="restore"))

    assert entry_of(dropped).action is PlanAction.UNCHANGED
    assert entry_of(wanted).action is PlanAction.UPDATE


def test_what_another_run_created_keeps_its_managers(killed):
    """An equal object of another restore is none that this one left half done."""
    shop = killed(("flux", "Apply"))

    plan = shop.engine.plan("try-2", SPEC)

    assert entry_of(plan).action is PlanAction.UNCHANGED


def test_what_changed_since_the_plan_is_left_alone(killed):
    """Managers are given back only to what is still as the restore wrote it."""
    shop = killed(("flux", "Apply"))
    plan = shop.engine.plan("try-1", SPEC)
    types = shop.cluster.discover().resources
    resource = next(x for x in types if x.kind == "ConfigMap")
    shop.cluster.patch(
        resource, "settings", {"data": {"currency": "CHF"}}, namespace="shop"
    )

    result = shop.engine.apply(plan)

    assert managers_of(shop) == {("kbackup", "Update")}
    (warning,) = result.results.warnings
    assert warning.message == (
        "not written: the live object changed since the plan was made"
    )


def test_what_follows_a_deleted_object_gets_its_managers_back(make_shop):
    """Of an object that is written when the live one has gone as of any other."""
    shop = make_shop([applied(("flux", "Apply"))], as_is=True)
    leaving = config_map(currency="CHF")
    leaving["metadata"]["finalizers"] = ["example.com/hold"]
    shop.simulated.load([namespace(), leaving])
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    shop.cluster.delete(resource, "settings", namespace="shop")

    plan = shop.engine.plan("try-1", SPEC)
    released = {"metadata": {"finalizers": None}}
    shop.cluster.patch(resource, "settings", released, namespace="shop")
    shop.engine.apply(plan)

    assert "is being deleted" in entry_of(plan).reason
    assert plan.second_writes == 1
    assert managers_of(shop) == {("flux", "Apply")}


def test_who_came_meanwhile_stays_manager():
    """Who manages something by now goes on to, beside those that get it back."""
    stored = applied(("flux", "Apply"), ("audit", "Update"))
    item = Item(
        identifier=ResourceIdentifier(
            GroupResource("", "configmaps"), "shop", "settings"
        ),
        raw=json.dumps(stored).encode(),
        api_version="v1",
        kind="ConfigMap",
    )
    live = applied(("kbackup", "Update"), ("audit", "Update"))
    live["metadata"] |= {"uid": "1", "creationTimestamp": "2026-01-01T00:00:01Z"}
    live["metadata"]["managedFields"][1]["time"] = "2026-02-02T00:00:00Z"

    patch = ownership_patch(item, live)

    given = patch["metadata"]["managedFields"]
    assert [(x["manager"], x["time"][:7]) for x in given] == [
        ("flux", "2026-01"),
        ("audit", "2026-02"),
    ]


def test_what_was_updated_only_was_never_to_get_managers(make_shop):
    """An object that this restore changed, and did not make, is done the second time."""
    shop = make_shop([applied(("flux", "Apply"))], as_is=True)
    shop.simulated.load([namespace(), config_map(currency="CHF")])
    made = shop.object("configmaps", "shop", "settings")["metadata"][
        "creationTimestamp"
    ]
    while timestamp() == made:  # managers are told apart by the second
        time.sleep(0.05)
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
    shop.engine.run("try-1", spec)

    plan = shop.engine.plan("try-1", spec)

    assert ("kbackup", "Update") in managers_of(shop)
    assert entry_of(plan).action is PlanAction.UNCHANGED


def test_a_server_that_refuses_the_second_write(killed):
    """The object is there all the same: what it lacks is a warning, not an error."""
    shop = killed(("flux", "Apply"))
    shop.simulated.faults.forbid(verb="patch", resource="configmaps")

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert [x.message.split(":")[0] for x in result.results.warnings] == [
        "restored without its managedFields"
    ]
