"""What a plan would change in the cluster, as the comparison of two sides."""

import json

import pytest

from kbackup._kits.differences import Difference as Field
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, PlanEntry, RestorePlan

UPDATE = RestoreSpec(
    backup_name="shop-1",
    existing_resource_policy="update",
    excluded_resources=["replicasets"],  # no controller adopts them here
)


def names(refs):
    """References as text."""
    return [str(ref) for ref in refs]


def _patch(shop, kind, name, patch):
    """Change an object of the core group."""
    resource = shop.cluster.discover().by_kind("v1", kind)
    shop.cluster.patch(resource, name, patch, namespace="shop")


@pytest.fixture
def drifted(shop):
    """The shop, restored, and then changed by hand."""
    shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))
    _patch(shop, "ConfigMap", "settings", {"data": {"currency": "CHF"}})
    _patch(shop, "Secret", "payment", {"data": {"api-key": "b3RoZXI="}})
    service = shop.cluster.discover().by_kind("v1", "Service")
    shop.cluster.delete(service, "web", namespace="shop")
    return shop


def test_what_is_created_and_what_is_changed(drifted):
    """Objects that a plan creates are added, those that it updates changed by fields."""
    plan = drifted.engine.plan("try-2", UPDATE)

    found = plan.diff()

    assert (found.left, found.right) == ("cluster simulated", "restore try-2")
    assert names(found.added) == ["services/shop/web"]
    changed = {str(x.identifier): x.differences for x in found.changed}
    assert list(changed) == ["configmaps/shop/settings", "secrets/shop/payment"]
    [currency] = changed["configmaps/shop/settings"]
    assert (currency.left, currency.right) == ("CHF", "EUR")
    assert found.removed == found.unknown == ()
    assert found.same == plan.counts[PlanAction.UNCHANGED]
    assert found.left_out == plan.counts[PlanAction.SKIP]
    assert "b3RoZXI=" not in f"{found}{found.to_json()}"


def test_it_comes_true(drifted):
    """What a plan says that it changes is what differs, and afterwards nothing does."""
    plan = drifted.engine.plan("try-2", UPDATE)
    predicted, before = (
        plan.diff(),
        drifted.engine.compare("shop-1", namespaces=["shop"]),
    )

    drifted.engine.apply(plan)

    assert predicted.added == before.removed
    assert [x.identifier for x in predicted.changed] == [
        x.identifier for x in before.changed
    ]
    assert drifted.engine.compare("shop-1", namespaces=["shop"]).is_empty
    assert drifted.engine.plan("try-3", UPDATE).diff().is_empty


def test_nothing_is_read_for_it(drifted):
    """All of it is in the plan already: no request is made, by cluster or store."""
    plan = drifted.engine.plan("try-2", UPDATE)
    drifted.store.close()
    before = drifted.simulated.calls.total()

    plan.diff()

    assert drifted.simulated.calls.total() == before


def test_a_saved_plan_says_the_same(drifted):
    """A plan that was saved and loaded has the same differences."""
    plan = drifted.engine.plan("try-2", UPDATE)

    loaded = RestorePlan.from_json(json.dumps(plan.to_json()))

    assert loaded.diff() == plan.diff()


def test_what_is_left_as_it_is(drifted):
    """What exists and is not changed by the plan is no difference that it makes."""
    plan = drifted.engine.plan("try-2", RestoreSpec(backup_name="shop-1"))

    found = plan.diff()

    assert names(found.added) == ["services/shop/web"]
    assert found.changed == ()


def _entry(name, action, **parts):
    """A line about a ConfigMap."""
    ref = ResourceIdentifier(GroupResource.parse("configmaps"), "shop", name)
    return PlanEntry(identifier=ref, target=ref, action=action, **parts)


def test_every_kind_of_line(drifted):
    """Only what is written to the cluster is a difference, and it is sorted by name."""
    field = Field(path="data.a", op="remove", left="1")
    plan = drifted.engine.plan("try-2", UPDATE, RestoreOptions())
    lines = (
        _entry("g", PlanAction.RECREATE, differences=(field,), reason="immutable"),
        _entry("f", PlanAction.UPDATE, differences=(field,)),
        _entry("e", PlanAction.UPDATE, second_write=True),
        _entry("d", PlanAction.UNKNOWN, reason="not readable"),
        _entry("c", PlanAction.CONFLICT, differences=(field,)),
        _entry("b", PlanAction.SKIP, differences=(field,)),
        _entry("a", PlanAction.UNCHANGED),
    )
    plan = RestorePlan(
        head=plan.head, entries=lines, spec=plan.spec, options=plan.options
    )

    found = plan.diff()

    assert [x.identifier.name for x in found.changed] == ["f", "g"]
    assert found.changed[1].reason == "immutable"
    assert found.changed[1].differences == (field,)
    assert [(ref.name, why) for ref, why in found.unknown] == [("d", "not readable")]
    assert (found.same, found.left_out) == (2, 2)  # fields of managers alone are none
