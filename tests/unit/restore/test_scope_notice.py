"""What a restore of named namespaces leaves out without anybody having said so."""

import pytest

from kbackup.models import RestoreSpec

RBAC = "rbac.authorization.k8s.io/v1"
TOLD = "because namespaces are named"
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
}


def role(name, **labels):
    """A ClusterRole."""
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata}


ITEMS = [
    SHOP,
    SETTINGS,
    role("operator"),
    role("reader"),
    role("edit", **{"kubernetes.io/bootstrapping": "rbac-defaults"}),
]


def told(shop, **spec):
    """What the plan says about it."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **spec))
    return [notice.what for notice in plan.notices if TOLD in notice.what]


def test_named_namespaces_leave_cluster_scoped_objects(make_shop):
    """The plan counts what its user may miss, but not what every cluster has."""
    (sentence,) = told(make_shop(ITEMS), included_namespaces=["shop"])

    assert sentence.startswith("2 cluster-scoped objects of the backup left out")
    assert "clusterroles (2)" in sentence
    assert "--include-cluster-resources true" in sentence


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"included_namespaces": ["shop"], "include_cluster_resources": True},
        {"included_namespaces": ["shop"], "include_cluster_resources": False},
        {"included_namespaces": ["shop"], "excluded_resources": ["clusterroles"]},
    ],
    ids=["everything", "with them", "without them", "not these"],
)
def test_what_was_decided_is_not_told(make_shop, spec):
    """Who takes everything, or has said what to do, hears nothing."""
    assert told(make_shop(ITEMS), **spec) == []
