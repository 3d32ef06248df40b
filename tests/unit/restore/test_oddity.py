"""One item that is not as Kubernetes has it costs neither the plan nor the comparison."""

import json

import pytest

from kbackup.errors import ArchiveCorruptError
from kbackup.models import (
    GroupResource,
    Item,
    LabelSelector,
    ResourceIdentifier,
    RestoreSpec,
)
from kbackup.restore import PlanAction

SPEC = RestoreSpec(backup_name="shop-1")
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def _config_map(name, **metadata):
    """A ConfigMap."""
    own = {"name": name, "namespace": "shop", **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": own}


def _job(**status):
    """A Job."""
    metadata = {"name": "odd", "namespace": "shop"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
    return job | {"status": status}


@pytest.mark.parametrize(
    "odd",
    [
        _config_map("odd", ownerReferences={"quoted": "quoted"}),
        _config_map("odd", managedFields=7),
        _job(conditions=5),
    ],
)
def test_an_odd_item_is_a_line_of_the_plan(make_shop, odd):
    """It is told as a conflict, without a value of it; the others are restored."""
    shop = make_shop([NAMESPACE, odd, _config_map("settings")], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    shop.engine.apply(plan)

    (entry,) = [x for x in plan.entries if x.identifier.name == "odd"]
    assert entry.action is PlanAction.CONFLICT
    assert entry.reason.startswith("it is not as Kubernetes has it: ")
    assert "quoted" not in json.dumps(plan.to_json())
    assert shop.names("configmaps", "shop") == ["settings"]


def test_odd_labels_are_a_line_of_the_plan(make_shop):
    """Also where the selection is what stumbles over it."""
    shop = make_shop([NAMESPACE, _config_map("odd", labels=[1])], as_is=True)
    spec = RestoreSpec(
        backup_name="shop-1", label_selector=LabelSelector(match_labels={"a": "b"})
    )

    plan = shop.engine.plan("try-1", spec)

    assert [x.action for x in plan.entries if x.identifier.name == "odd"] == [
        PlanAction.CONFLICT
    ]


def test_an_odd_item_is_unknown_to_a_comparison(make_shop):
    """Of what cannot be compared nobody says that it is the same, or that it is not."""
    odd = _config_map("odd", ownerReferences={"quoted": "quoted"})
    shop = make_shop([NAMESPACE, odd, _config_map("settings")], as_is=True)
    shop.simulated.load([NAMESPACE, _config_map("odd")])

    found = shop.engine.compare("shop-1")

    reasons = {str(ref): reason for ref, reason in found.unknown}
    assert reasons["configmaps/shop/odd"].startswith("it is not as Kubernetes has it")
    assert "configmaps/shop/settings" in map(str, found.removed)


def test_an_odd_item_that_the_cluster_does_not_have_is_only_in_the_backup(make_shop):
    """Whatever it is, the cluster has no object of its name."""
    odd = _config_map("odd", ownerReferences={"quoted": "quoted"})
    shop = make_shop([NAMESPACE, odd], as_is=True)
    shop.simulated.load([NAMESPACE])

    found = shop.engine.compare("shop-1")

    assert "configmaps/shop/odd" in map(str, found.removed)


def test_a_number_beyond_all_numbers_is_damage():
    """Its body is named as damaged, in the words of this library."""
    ref = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "odd")
    raw = b'{"data": {"v": 1e999}}'
    item = Item(identifier=ref, raw=raw, api_version="v1", kind="ConfigMap")

    with pytest.raises(ArchiveCorruptError, match="configmaps/shop/odd: it is not"):
        assert item.content
