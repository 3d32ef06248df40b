"""A namespace of the target that is going and does not go."""

from datetime import timedelta

from kbackup.models import RestoreOptions, RestoreSpec, well_known
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SOON = RestoreOptions(deadline=timedelta(seconds=1))
SPACE, MAP = (
    next(item for item in sample_shop() if item["kind"] == kind)
    for kind in ("Namespace", "ConfigMap")
)
HELD = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "held",
        "namespace": "shop",
        "finalizers": ["example.com/hold"],
    },
}
WHY = (
    "NamespaceContentRemaining SomeResourcesRemain: Some resources are remaining: "
    "configmaps. has 1 resource instances; "
    "NamespaceFinalizersRemaining SomeFinalizersRemain: Some content in the namespace "
    "has finalizers remaining: example.com/hold in 1 resource instances"
)
RELEASE = (
    "let go what holds it, and once it is gone the same restore under the same name does "
    "what is left"
)


def _delete_namespace(shop):
    """Begin to end the namespace, which what it holds keeps."""
    with shop.simulated.connect() as cluster:
        resource = cluster.discover().by_kind("v1", "Namespace")
        cluster.delete(resource, "shop")


def test_what_holds_a_namespace_that_is_gone_in_the_plan(make_shop):
    """The error of a namespace that stays Terminating names the finalizer that holds it."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE, HELD])
    _delete_namespace(shop)

    result = shop.engine.run("try-1", SPEC, SOON)

    [told] = (
        error.message
        for error in result.results.errors
        if error.item.group_resource == well_known.NAMESPACES
    )
    assert "not done in time; the last answer was: it is Terminating; " in told
    assert told.count(WHY) == 1
    assert told.endswith(RELEASE)


def test_what_holds_a_namespace_that_was_there_in_the_plan(make_shop):
    """So does the error of an item whose namespace was deleted after the plan."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE, HELD])
    plan = shop.engine.plan("try-1", SPEC, SOON)
    _delete_namespace(shop)

    result = shop.engine.apply(plan)

    [error] = result.results.errors
    assert error.item.name == MAP["metadata"]["name"]
    assert f"namespace shop: the live one is being deleted; {WHY}" in error.message
    assert error.message.endswith(RELEASE)


def test_the_plan_says_what_will_happen(make_shop):
    """Whoever plans into a namespace that is going knows how long, why, and what to do."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE, HELD])
    _delete_namespace(shop)

    plan = shop.engine.plan("try-1", SPEC, SOON)

    [told] = [each.what for each in plan.notices if "Terminating" in each.what]
    assert told == (
        "namespace shop is Terminating: what is in it now goes for good; the restore "
        "waits 1s at most until it is gone, then makes it anew; a longer deadline waits "
        f"longer, a namespace mapping restores elsewhere; held by: {WHY}"
    )


def test_a_namespace_that_stays_is_not_told(make_shop):
    """Where the namespace is not going, an item's last answer stands alone."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE])
    shop.simulated.faults.fail(
        verb="create",
        resource="configmaps",
        status=403,
        message="status unknown for quota: q",
        times=None,
    )

    [error] = shop.engine.run("try-1", SPEC, SOON).results.errors

    assert error.message.endswith("status unknown for quota: q")


def test_a_cluster_scoped_object_that_follows_a_deleted_one_is_marked(make_shop):
    """Whoever reads the plan sees that it is not confined to a namespace."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "reader", "finalizers": ["example.com/hold"]},
        "rules": [],
    }
    shop = make_shop([role])
    shop.simulated.load([role])
    resource = shop.cluster.discover().by_kind(role["apiVersion"], role["kind"])
    shop.cluster.delete(resource, "reader")

    [entry] = shop.engine.plan("try-1", SPEC).entries

    assert "is being deleted" in entry.reason
    assert entry.cluster_wide
