"""Namespaces come back as they were, once something is written into them."""

import pytest
from plan_samples import config_map, namespace

from kbackup.models import RestoreSpec


def _shop_namespace():
    """A Namespace with what a user gives it and what a cluster writes into it."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "shop",
            "uid": "8d",
            "labels": {
                "kubernetes.io/metadata.name": "shop",
                "pod-security.kubernetes.io/enforce": "baseline",
            },
            "annotations": {"owner": "web"},
        },
    }


def _run(shop, **spec):
    """Restore the backup."""
    return shop.engine.run("try-1", RestoreSpec(backup_name="shop-1", **spec))


@pytest.mark.parametrize("target", ["shop", "copy"])
def test_a_namespace_is_made_as_it_was(make_shop, target):
    """Labels and annotations of the backup's are there, under the name it gets."""
    shop = make_shop([_shop_namespace(), config_map(a="1")])
    mapping = {} if target == "shop" else {"shop": target}

    _run(shop, included_namespaces=("shop",), namespace_mapping=mapping)

    metadata = shop.object("namespaces", "", target)["metadata"]
    assert metadata["uid"] != "8d"
    assert metadata["annotations"] == {"owner": "web"}
    assert metadata["labels"] == {
        "kubernetes.io/metadata.name": target,
        "pod-security.kubernetes.io/enforce": "baseline",
    }


def test_a_namespace_that_the_backup_lacks_is_made_blank(make_shop):
    """What lies in it can be written, and its line says why it has no labels."""
    shop = make_shop([config_map(a="1")])

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))
    shop.engine.apply(plan)

    (line,) = [entry for entry in plan.entries if entry.kind == "Namespace"]
    assert line.reason == "not in the backup: made without labels"
    assert shop.names("configmaps", "shop") == ["settings"]


@pytest.mark.parametrize(
    ("spec", "comes"),
    [
        ({}, True),
        ({"include_cluster_resources": False}, False),
        ({"included_namespaces": ("empty", "shop")}, False),
        (
            {
                "included_namespaces": ("empty", "shop"),
                "include_cluster_resources": True,
            },
            True,
        ),
    ],
    ids=str,
)
def test_a_namespace_in_which_nothing_is(make_shop, spec, comes):
    """An empty Namespace is a cluster-scoped object as any other: it follows the scope."""
    shop = make_shop([namespace(), namespace("empty"), config_map(a="1")])

    _run(shop, **spec)

    assert ("empty" in shop.names("namespaces")) is comes
    assert "shop" in shop.names("namespaces")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_namespace_that_is_not_there_is_not_listed(make_shop, is_there):
    """Nothing can be in it: one look at it spares a LIST for each of its types."""
    maps = [config_map(name, a="1") for name in ("one", "two", "three", "four")]
    shop = make_shop(maps)
    if is_there:
        shop.simulated.load([namespace("shop")])

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    # Those with settings are looked for in any case.
    assert shop.simulated.calls["list configmaps"] == 1 + is_there
    created = [
        x for x in plan.entries if x.target.group_resource.resource != "namespaces"
    ]
    assert [x.action for x in created] == ["create"] * len(maps)


def test_a_namespace_that_may_not_be_looked_at_is_listed(make_shop):
    """Whether it is there is not known: what lives in it is found by the LIST."""
    maps = [config_map(name, a="1") for name in ("one", "two", "three", "four")]
    shop = make_shop(maps)
    shop.simulated.load([namespace("shop"), *maps])
    shop.simulated.faults.fail(
        verb="get", resource="namespaces", status=403, times=None
    )

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    assert {x.action for x in plan.entries} == {"unchanged"}
