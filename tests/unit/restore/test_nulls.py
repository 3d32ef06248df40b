"""Custom resources whose fields are null in the backup, or true where the live one has 1."""

import pytest
from plan_samples import namespace

from kbackup._kits.patches import json_patch
from kbackup.models import RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._writes.nulls import means_nulls, replacing

WIDGETS = "widgets.example.com"
UPDATE = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": WIDGETS},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


def widget(**fields):
    """A widget as the backup or the target has it."""
    metadata = {"name": "one", "namespace": "shop"}
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": metadata,
    } | fields


@pytest.mark.parametrize(
    ("stored", "live"),
    [
        ({"x": None}, {"x": "a"}),
        ({"x": None}, {}),
        ({"a": {"b": None}}, {"z": 1}),
        ({"l": [None, 1]}, {"l": []}),
        (None, {"a": 1}),
        ({"x": True}, {"x": 1}),
        ({"l": [{"x": 0}]}, {"l": [{"x": False}]}),
    ],
    ids=["over", "beside", "below", "listed", "whole", "true", "false"],
)
def test_an_update_makes_it_as_it_was(make_shop, stored, live):
    """The plan shows the difference, the update leaves none, and a second finds none."""
    shop = make_shop([namespace(), CRD, widget(spec=stored)], as_is=True)
    shop.simulated.load([namespace(), CRD, widget(spec=live)])

    plan = shop.engine.plan("try-1", UPDATE)
    result = shop.engine.apply(plan)

    assert plan.counts[PlanAction.UPDATE] == 1
    assert result.exit_code == 0
    assert shop.object(WIDGETS, "shop", "one")["spec"] == stored
    assert repr(shop.object(WIDGETS, "shop", "one")["spec"]) == repr(stored)
    assert shop.engine.plan("try-2", UPDATE).is_empty


def test_what_only_the_live_one_has_goes_with_a_null(make_shop):
    """Fields, labels and annotations of the live object go as in any update."""
    stored = widget(spec={"x": None}, kept=1)
    stored["metadata"] |= {"labels": {"app": "shop"}}
    live = widget(spec={}, kept=1, **{"a/b~c": 2})
    live["metadata"] |= {"labels": {"team": "x"}, "annotations": {"note": "y"}}
    shop = make_shop([namespace(), CRD, stored], as_is=True)
    shop.simulated.load([namespace(), CRD, live])

    shop.engine.run("try-1", UPDATE)

    found = shop.object(WIDGETS, "shop", "one")
    assert found["spec"] == {"x": None}
    assert "a/b~c" not in found
    assert "annotations" not in found["metadata"]
    assert found["metadata"]["labels"].keys() == {
        "app",
        "velero.io/backup-name",
        "velero.io/restore-name",
    }


def test_a_null_that_removes_needs_no_other_patch():
    """What the backup does not have is removed by a merge patch as ever."""
    patch = {"metadata": {}, "spec": {"gone": None}}

    assert not means_nulls(patch, widget(spec={}))
    assert means_nulls(patch, widget(spec={"gone": None}))


def test_fields_of_built_in_types_stay_with_the_merge_patch():
    """Up to 1.33 templates have a null that nobody needs to write."""
    goal = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "x": None}

    assert not means_nulls({"metadata": {}, "x": None}, goal)


def test_the_object_must_be_the_one_that_was_seen():
    """UID and resourceVersion are sent as in a merge patch: the server compares them."""
    seen = {"uid": "8d", "resourceVersion": "41"}
    patch = {"metadata": {**seen, "labels": {"a": "1"}}, "spec": {"x": None}}
    live = widget(spec={})

    sent = replacing(patch, widget(spec={"x": None}), live)

    assert json_patch(live, sent)["metadata"] == {
        **live["metadata"],
        **seen,
        "labels": {"a": "1"},
    }
