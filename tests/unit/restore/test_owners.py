"""What is owned comes back owned, by the new UID of its owner and by no other."""

from contextlib import suppress

import pytest

from definitions import definition, served_version
from kbackup._kits.controlled import Owner
from kbackup.errors import ItemNotFoundError
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.plugins import WaitingFor
from kbackup.restore import PlanAction, PlanEntry, RestoreEngine, RestorePlan
from kbackup.restore._owners.owners import (
    lacking,
    link_plan,
    references_of,
    without_blocks,
)

SPEC = RestoreSpec(backup_name="shop-1")
MAPS = GroupResource.parse("configmaps")


def thing(name, *, owner="", labels=None, **flags):
    """A ConfigMap, owned by another one."""
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
    if owner:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner}
        metadata["ownerReferences"] = [{**reference, **flags}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def entry(name, action=PlanAction.CREATE, namespace="shop"):
    """A line of a plan."""
    ref = ResourceIdentifier(MAPS, namespace, name)
    return PlanEntry(
        identifier=ref, target=ref, action=action, api_version="v1", kind="ConfigMap"
    )


def owned_by(cluster, name):
    """The owner references of a ConfigMap as (name, uid)."""
    found = next(
        item
        for item in cluster.objects("configmaps", "shop")
        if item["metadata"]["name"] == name
    )
    references = found["metadata"].get("ownerReferences") or []
    return [(each["name"], each["uid"]) for each in references]


def uid_of(cluster, name):
    """The UID of a ConfigMap."""
    return next(
        item["metadata"]["uid"]
        for item in cluster.objects("configmaps", "shop")
        if item["metadata"]["name"] == name
    )


@pytest.fixture(name="bench")
def fixture_bench(make_shop):
    """A function that backs up objects; returns an engine and the target cluster."""

    def make(items):
        made = make_shop(items)
        blank = {"apiVersion": "v1", "kind": "Namespace"}
        made.simulated.load([blank | {"metadata": {"name": "shop"}}])
        return made.engine, made.simulated

    return make


def test_a_chain_of_owners_is_linked_by_new_uids(bench):
    """Whatever the order of the names, each owner is written before what it owns."""
    items = [thing("c"), thing("b", owner="c"), thing("a", owner="b")]
    engine, cluster = bench(items)

    plan = engine.plan("try-1", SPEC)
    result = engine.apply(plan)

    assert result.results.errors == ()
    assert result.results.warnings == ()
    assert owned_by(cluster, "a") == [("b", uid_of(cluster, "b"))]
    assert owned_by(cluster, "b") == [("c", uid_of(cluster, "c"))]
    assert "owned by ConfigMap/b" in str(plan)
    assert engine.plan("try-1", SPEC).is_empty


@pytest.mark.parametrize("served", [("v1",), ("v1", "v1beta1")], ids=["gone", "served"])
def test_an_owner_that_is_named_in_an_older_version(make_shop, served):
    """It is found whatever version is named, which is kept while the target serves it."""
    versions = [served_version(x, storage=x == "v1") for x in served]
    widget = {"apiVersion": "example.com/v1", "kind": "Widget"}
    widget["metadata"] = {"name": "w", "namespace": "shop", "uid": "u-1"}
    owner = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "name": "w"}
    child = thing("c")
    child["metadata"]["ownerReferences"] = [{**owner, "uid": "u-1"}]
    shop = make_shop([widget, child], as_is=True)
    shop.simulated.load([definition("example.com", "widgets", "Widget", *versions)])

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    made = shop.object("widgets.example.com", "shop", "w")["metadata"]["uid"]
    (reference,) = shop.object("configmaps", "shop", "c")["metadata"]["ownerReferences"]
    assert "owned by Widget/w" in str(plan)
    assert result.results.warnings == ()
    assert reference["uid"] == made
    assert reference["apiVersion"] == f"example.com/{served[-1]}"


def test_an_owner_that_does_not_come_along_is_named(bench):
    """Without its owner the item is created free, and plan and result say so."""
    items = [thing("a"), thing("b", owner="a", labels={"with": "me"})]
    engine, cluster = bench(items)
    options = RestoreOptions(where=lambda item: item["metadata"]["name"] != "a")

    plan = engine.plan("try-1", SPEC, options)
    result = engine.apply(plan)

    assert "without owner ConfigMap/a" in str(plan)
    assert owned_by(cluster, "b") == []
    (warning,) = result.results.warnings
    assert "without its owner ConfigMap/a" in warning.message


def test_an_owner_that_differs_is_no_owner(bench):
    """A live object that is not what the backup has does not become an owner."""
    items = [thing("a"), thing("b", owner="a")]
    engine, cluster = bench(items)
    cluster.load([{**thing("a"), "data": {"other": "thing"}}])

    engine.run("try-1", SPEC)

    assert owned_by(cluster, "b") == []


def test_an_owner_that_is_equal_is_an_owner(bench):
    """A live object that is what the backup has is linked by its UID."""
    items = [thing("a"), thing("b", owner="a")]
    engine, cluster = bench(items)
    cluster.load([thing("a")])

    engine.run("try-1", SPEC)

    assert owned_by(cluster, "b") == [("a", uid_of(cluster, "a"))]


def test_an_owner_whose_write_fails(bench):
    """The child is created free and named; it does not wait for ever."""
    engine, cluster = bench([thing("a"), thing("b", owner="a")])
    cluster.faults.fail(verb="create", resource="configmaps", status=422)

    result = engine.run("try-1", SPEC)

    assert owned_by(cluster, "b") == []
    assert len(result.results.errors) == 1
    assert any("without its owner" in str(x) for x in result.results.warnings)


def test_an_owner_that_is_late(bench):
    """What it owns waits for an owner whose write has to be tried again."""
    engine, cluster = bench([thing("a"), thing("b", owner="a")])
    cluster.faults.fail(verb="create", resource="configmaps", status=503, times=2)

    result = engine.run("try-1", SPEC)

    assert cluster.calls["create configmaps"] == 4
    assert result.results.errors == ()
    assert owned_by(cluster, "b") == [("a", uid_of(cluster, "a"))]


def test_an_owner_that_is_on_its_way_out(make_shop):
    """What it owns is tied to the one made in its place: the old UID would delete it."""
    leaving = thing("a")
    leaving["metadata"]["finalizers"] = ["example.com/hold"]
    shop = make_shop([thing("a"), thing("b", owner="a")])
    blank = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    shop.simulated.load([blank, leaving])
    maps = shop.cluster.discover().by_kind("v1", "ConfigMap")
    shop.cluster.delete(maps, "a", namespace="shop")
    old = uid_of(shop.simulated, "a")

    def let_go(event):
        if isinstance(event, WaitingFor):
            patch = {"metadata": {"finalizers": None}}
            with suppress(ItemNotFoundError):
                shop.cluster.patch(maps, "a", patch, namespace="shop")

    engine = RestoreEngine(shop.cluster, shop.store, observer=let_go)
    result = engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert uid_of(shop.simulated, "a") != old
    assert owned_by(shop.simulated, "b") == [("a", uid_of(shop.simulated, "a"))]


def test_an_owner_whose_deletion_may_not_be_held_up(bench):
    """Where the server forbids blockOwnerDeletion, the link stays and is a warning."""
    flags = {"blockOwnerDeletion": True}
    engine, cluster = bench([thing("a"), thing("b", owner="a", **flags)])
    cluster.faults.fail(
        verb="create",
        resource="configmaps",
        status=403,
        message='configmaps "b" is forbidden: cannot set blockOwnerDeletion if an '
        "ownerReference refers to a resource you can't set finalizers on: , <nil>",
        skip=1,
    )

    result = engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert [str(each) for each in result.results.warnings] == [
        "configmaps/shop/b: restored without blockOwnerDeletion: the server forbids it"
    ]
    (written,) = [
        x for x in cluster.objects("configmaps", "shop") if x["metadata"]["name"] == "b"
    ]
    (reference,) = written["metadata"]["ownerReferences"]
    assert reference["uid"] == uid_of(cluster, "a")
    assert not reference.get("blockOwnerDeletion")


def test_not_asked_for(bench):
    """With relink_owners off nothing is linked."""
    engine, cluster = bench([thing("a"), thing("b", owner="a")])

    plan = engine.plan("try-1", SPEC, RestoreOptions(relink_owners=False))
    engine.apply(plan)

    assert owned_by(cluster, "b") == []
    assert "without owner ConfigMap/a" in str(plan)


def test_owners_in_a_circle_end(bench):
    """Items that own each other are created, as far linked as can be."""
    engine, cluster = bench([thing("a", owner="b"), thing("b", owner="a")])

    result = engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert len(cluster.objects("configmaps", "shop")) >= 2


def test_only_within_one_namespace_or_from_above():
    """An owner of the same name in another namespace is none."""
    child = entry("b")
    linked = link_plan(
        [entry("a", namespace="other"), child],
        {child.identifier: (Owner("v1", "ConfigMap", "a"),)},
    )

    assert linked.edges == ()
    assert linked.ownerless == (child.target,)


def test_an_item_that_owns_itself():
    """Nothing can be created after itself: it comes without that owner, and is told."""
    child = entry("b")
    linked = link_plan([child], {child.identifier: (Owner("v1", "ConfigMap", "b"),)})

    assert linked.edges == ()
    assert linked.ownerless == (child.target,)


@pytest.mark.parametrize("action", [PlanAction.SKIP, PlanAction.CONFLICT])
def test_only_owners_of_the_restore(action):
    """An item that is not written is not in the target as it was in the backup."""
    child = entry("b")
    owners = {child.identifier: (Owner("v1", "ConfigMap", "a"),)}

    assert link_plan([entry("a", action), child], owners).edges == ()
    assert len(link_plan([entry("a", PlanAction.UNCHANGED), child], owners).edges) == 1


def test_old_uids_and_blocks_go():
    """References lose the UID of the backup, and where asked the block."""
    item = thing("b", owner="a", uid="old", blockOwnerDeletion=True)

    (reference,) = references_of(item)
    assert reference == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "a",
        "blockOwnerDeletion": True,
    }
    (free,) = without_blocks(item)["metadata"]["ownerReferences"]
    assert "blockOwnerDeletion" not in free
    assert item["metadata"]["ownerReferences"][0]["blockOwnerDeletion"]


def test_an_owner_that_comes_in_a_later_run(bench):
    """What an earlier run made without its owner is named until somebody ties it."""
    engine, cluster = bench([thing("a"), thing("b", owner="a")])
    cluster.faults.fail(verb="create", resource="configmaps", status=422)
    saved = engine.plan("try-1", SPEC).to_json()
    engine.apply(RestorePlan.from_json(saved))

    plan = engine.plan("try-1", SPEC)
    of_saved = engine.apply(RestorePlan.from_json(saved))
    of_new = engine.run("try-1", SPEC)

    [line] = [x for x in plan.entries if x.target.name == "b"]
    assert line.action is PlanAction.UNCHANGED
    assert "without owner ConfigMap/a" in line.reason
    assert any("delete it and restore it again" in x.what for x in plan.notices)
    for result in (of_saved, of_new):
        [warning] = [x for x in result.results.warnings if x.item is not None]
        assert warning.item == line.target
        assert "without owner ConfigMap/a" in warning.message
        assert "add the reference" in warning.message


def test_what_others_made_lacks_no_owner(bench):
    """An object that this restore did not make is not said to want its owner."""
    items = [thing("a"), thing("b", owner="a")]
    engine, cluster = bench(items)
    cluster.load([thing("b")])

    result = engine.run("try-1", SPEC)

    assert owned_by(cluster, "b") == []
    assert result.results.warnings == ()


def test_the_owners_that_an_object_lacks():
    """An owner is there by group, kind and name, in whatever version and by any UID."""
    wanted = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db"},
    ]
    there = {"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "web"}

    found = lacking(wanted, {"metadata": {"ownerReferences": [{**there, "uid": "1"}]}})

    assert found == ["Deployment/db"]
    assert lacking((), {"metadata": {}}) == []
