"""Statuses come back where they are asked for: which, how, and what a plan says of it."""

import json

import pytest
from plan_samples import namespace

from definitions import definition, served_version
from kbackup.cluster import Cluster
from kbackup.errors import InvalidSpecError
from kbackup.models import (
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
    RestoreStatusSpec,
)
from kbackup.restore import PlanAction, RestorePlan

APART = definition(
    "example.com", "widgets", "Widget", served_version(subresources={"status": {}})
)
ALONG = definition("example.com", "widgets", "Widget")
STATUS = {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]}
WIDGETS = "widgets.example.com"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
WISH = "velero.io/restore-status"


def asking(*included, without=(), **more):
    """A restore of backup shop-1 with the statuses of these types; none: of all."""
    status = RestoreStatusSpec(included_resources=included, excluded_resources=without)
    return RestoreSpec(backup_name="shop-1", restore_status=status, **more)


def widget(name="one", status=STATUS, **metadata):
    """A custom resource with a status."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"size": 3},
        "status": status,
    }


def wished(value, name="one"):
    """A custom resource whose annotation says what is wanted."""
    return widget(name, annotations={WISH: value})


def deployment():
    """A Deployment with a status."""
    labels = {"app": "web"}
    container = {"name": "web", "image": "example.com/web:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
        "status": {"replicas": 3, "readyReplicas": 3},
    }


@pytest.fixture(name="shop")
def fixture_shop(make_shop):
    """Two widgets whose type has a status sub-resource in the target, and a Deployment."""
    shop = make_shop([widget(), widget("two"), deployment()], as_is=True)
    shop.simulated.load([namespace(), APART])
    return shop


NO_STATUS = (
    "the type has no status sub-resource; --status-include-resources restores it"
)


def status_of(shop, name="one", resource=WIDGETS):
    """The status of an object of the target; None: it has none."""
    return shop.object(resource, "shop", name).get("status")


def line(plan, name="one"):
    """The line about an object."""
    return next(x for x in plan.entries if x.target.name == name)


def said(plan):
    """The notices as one text."""
    return "\n".join(map(str, plan.notices))


# --- which ----------------------------------------------------------------------------


def test_nobody_asked(shop):
    """Without a wish no status comes back, and no plan speaks of one."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))
    shop.engine.apply(plan)

    assert status_of(shop) is None
    assert plan.second_writes == 0
    assert "status" not in str(plan)


@pytest.mark.parametrize(
    ("spec", "widgets", "web"),
    [
        (asking(), True, True),
        (asking("*"), True, True),
        (asking(WIDGETS), True, False),
        (asking("Widget"), True, False),
        (asking("*.example.com"), True, False),
        (asking("deploy"), False, True),
        (asking(without=(WIDGETS,)), False, True),
        (asking("*", without=("*.example.com",)), False, True),
        (asking(without=("deploy",)), True, False),
    ],
    ids=[
        "all types",
        "asterisk",
        "full name",
        "kind",
        "wildcard",
        "short name",
        "excluded",
        "wildcard excluded",
        "short name excluded",
    ],
)
def test_types_are_named_as_in_other_filters(shop, spec, widgets, web):
    """By any name or wildcard; none is all, and what is excluded wins."""
    result = shop.engine.run("try-1", spec)

    ready = status_of(shop, "web", "deployments.apps").get("readyReplicas")
    assert (status_of(shop) == STATUS, ready == 3) == (widgets, web)
    assert result.results.warnings == ()


@pytest.mark.parametrize(
    ("value", "spec", "comes"),
    [
        ("true", RestoreSpec(backup_name="shop-1"), True),
        (" TRUE ", RestoreSpec(backup_name="shop-1"), True),
        ("true", asking(without=(WIDGETS,)), True),
        ("false", asking(WIDGETS), False),
        ("yes", RestoreSpec(backup_name="shop-1"), False),
        ("yes", asking(WIDGETS), True),
    ],
)
def test_an_annotation_overrules_the_restore(make_shop, value, spec, comes):
    """As Velero does it: true and false win, anything else is not regarded."""
    shop = make_shop([namespace(), APART, wished(value)], as_is=True)

    plan = shop.engine.plan("try-1", spec)
    shop.engine.apply(plan)

    assert (status_of(shop) == STATUS) == comes
    odd = f"annotation {WISH} is neither true nor false: not regarded"
    assert (odd in said(plan)) == (value == "yes")


def test_an_annotation_that_a_transform_sets(shop):
    """What counts is the object as it is written."""

    def keep_status(item):
        item["metadata"]["annotations"] = {WISH: "true"}
        return item

    options = RestoreOptions(transforms=(keep_status,))
    shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"), options)

    assert status_of(shop) == STATUS


def test_what_the_api_server_keeps_itself(make_shop):
    """Namespaces and definitions never get a status; who names them is told so."""
    space = {**namespace(), "status": {"phase": "Terminating"}}
    stored = {**APART, "status": {"storedVersions": ["v0", "v1"]}}
    shop = make_shop([space, stored, widget()], as_is=True)

    plan = shop.engine.plan("try-1", asking("ns", "crd"))
    result = shop.engine.run("try-2", asking())

    assert plan.second_writes == 0
    for name in ("ns", "crd"):
        assert f"that of {name} is kept by the API server itself" in said(plan)
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert shop.object("namespaces", "", "shop")["status"]["phase"] == "Active"
    assert shop.object(CRDS, "", WIDGETS)["status"]["storedVersions"] == ["v1"]
    assert status_of(shop) == STATUS


def test_a_type_that_nobody_knows(shop):
    """Mistyped where it is left out, its status would come back: that is refused."""
    with pytest.raises(InvalidSpecError, match=r"(?m)knows 'widgetz") as refused:
        shop.engine.plan("try-1", asking(without=("widgetz.example.com",)))

    assert refused.value.hint == f"the nearest type is {WIDGETS}"
    text = said(shop.engine.plan("try-1", asking("widgetz")))
    assert "restore status: neither backup nor target knows 'widgetz'" in text
    text = said(shop.engine.plan("try-1", asking(without=("*.example.org",))))
    assert "restore status, excluded: '*.example.org' matches no type" in text


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"included_resources": ["*", "pods"]}, "'*' must stand alone"),
        ({"excluded_resources": ["*"]}, "'*' would exclude everything"),
        (
            {"included_resources": ["pods"], "excluded_resources": ["pods"]},
            "resources of restoreStatus: 'pods' is both included and excluded",
        ),
    ],
)
def test_lists_that_say_nothing(shop, asked, rule):
    """The lists obey the rules of all other lists of types."""
    spec = RestoreSpec(backup_name="shop-1", restore_status=RestoreStatusSpec(**asked))

    with pytest.raises(InvalidSpecError, match="restoreStatus") as refused:
        shop.engine.plan("try-1", spec)

    assert rule in str(refused.value)


# --- how ------------------------------------------------------------------------------


def test_a_type_with_a_status_sub_resource(shop):
    """Its status follows the create; the plan marks, counts and explains it."""
    plan = shop.engine.plan("try-1", asking(WIDGETS))
    result = shop.engine.apply(plan)

    assert str(line(plan)).endswith(f"{WIDGETS}/shop/one [status]")
    assert plan.second_writes == 2
    assert plan.numbers().endswith("; 2 second writes for the status")
    assert "asked     status of widgets.example.com" in str(plan)
    assert (
        f"gets the status of the backup, until a controller writes another one: "
        f"{WIDGETS}/shop/one, {WIDGETS}/shop/two"
    ) in said(plan)
    assert status_of(shop) == status_of(shop, "two") == STATUS
    assert shop.simulated.calls[f"patch {WIDGETS}"] == 2
    assert result.results.warnings == ()
    assert shop.engine.plan("try-1", asking(WIDGETS)).is_empty


def test_a_type_without_a_status_sub_resource(make_shop):
    """Its status goes with the create, in one write, and the plan says so."""
    shop = make_shop([namespace(), widget()], as_is=True)
    shop.simulated.load([namespace(), ALONG])
    before = shop.writes()

    plan = shop.engine.plan("try-1", asking(WIDGETS))
    shop.engine.apply(plan)

    assert str(line(plan)).endswith("[status, with the create]")
    assert plan.second_writes == 0
    assert (
        "its status goes with the create: the type has no status sub-resource: "
        f"{WIDGETS}/shop/one"
    ) in said(plan)
    assert status_of(shop) == STATUS
    assert shop.writes() == before + 1
    assert shop.engine.plan("try-1", asking(WIDGETS)).is_empty


def test_what_a_type_without_a_status_sub_resource_loses(make_shop):
    """Who did not ask is told whose status stays behind, and how it would come."""
    shop = make_shop([namespace(), ALONG, widget()], as_is=True)
    spec = RestoreSpec(backup_name="shop-1")
    shop.engine.run(
        "try-1", RestoreSpec(backup_name="shop-1", included_resources=[CRDS])
    )

    assert (
        "its status is not restored: the type has no status sub-resource; "
        f"--status-include-resources restores it: {WIDGETS}/shop/one"
    ) in said(shop.engine.plan("try-2", spec))


def test_what_a_type_that_the_restore_brings_loses(make_shop):
    """That a status will stay behind its definition in the backup tells the plan."""
    spec = RestoreSpec(backup_name="shop-1")
    shop = make_shop([namespace(), ALONG, widget()], as_is=True)
    other = make_shop([namespace(), APART, widget()], as_is=True)

    assert f"its status is not restored: {NO_STATUS}: {WIDGETS}/shop/one" in said(
        shop.engine.plan("try-1", spec)
    )
    assert "status" not in said(other.engine.plan("try-1", spec))


@pytest.mark.parametrize(
    ("crd", "how"), [(APART, "second"), (ALONG, "create")], ids=["apart", "along"]
)
def test_a_type_that_the_restore_brings(make_shop, crd, how):
    """Its definition in the backup tells the plan how the status will be sent."""
    shop = make_shop([namespace(), crd, widget()], as_is=True)

    plan = shop.engine.plan("try-1", asking(WIDGETS))
    shop.engine.apply(plan)

    assert line(plan).status == how
    assert status_of(shop) == STATUS


def test_an_owner_comes_with_the_status(make_shop):
    """What is tied to its owner again gets its status in the same create."""
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "one"}
    owned = widget("two", ownerReferences=[{**owner, "uid": "of the old cluster"}])
    shop = make_shop([namespace(), ALONG, widget(), owned], as_is=True)

    result = shop.engine.run("try-1", asking())

    live = shop.object(WIDGETS, "shop", "two")
    (reference,) = live["metadata"]["ownerReferences"]
    assert reference["uid"] == shop.object(WIDGETS, "shop", "one")["metadata"]["uid"]
    assert live["status"] == STATUS
    assert result.results.warnings == ()


@pytest.mark.parametrize("policy", ["none", "update"])
def test_what_exists_keeps_its_status(shop, policy):
    """Only what the restore creates gets a status, whatever else it changes."""
    live = widget() | {"spec": {"size": 4}, "status": {}}
    shop.simulated.load([live])
    spec = asking(WIDGETS, existing_resource_policy=policy)

    plan = shop.engine.plan("try-1", spec)
    shop.engine.apply(plan)

    assert line(plan).status == ""
    assert status_of(shop) != STATUS
    assert status_of(shop, "two") == STATUS


def test_a_status_is_part_of_the_plan(shop):
    """A saved plan holds its digest, and carries it out in another process."""
    wanted = shop.engine.plan("try-1", asking(WIDGETS))
    others = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    document = json.loads(json.dumps(wanted.to_json()))
    shop.engine.apply(RestorePlan.from_json(document))

    assert line(wanted).digest != line(others).digest
    assert wanted.head.restore_uid != others.head.restore_uid
    assert "Ready" not in json.dumps(document)
    assert status_of(shop) == STATUS


def test_a_plan_that_is_tried(shop):
    """The server cannot be asked about a status before its object is there."""
    plan = shop.engine.plan("try-1", asking(WIDGETS), RestoreOptions(validate=True))

    assert "2 statuses were not tried: their objects are not there yet" in said(plan)
    assert shop.simulated.calls[f"patch {WIDGETS}"] == 0


def test_an_account_that_may_not_write_a_status(shop):
    """The plan says so beforehand, where it may ask."""
    shop.simulated.faults.fail(
        verb="patch", resource="widgets", subresource="status", status=403, times=None
    )
    spec, tried = asking(WIDGETS), RestoreOptions(validate=True)

    text = said(shop.engine.plan("try-1", spec, tried))

    assert f"this account may not patch {WIDGETS}/status in shop" in text


@pytest.mark.parametrize(
    ("crd", "verb"), [(APART, "patch"), (ALONG, "create")], ids=["apart", "along"]
)
def test_what_the_target_does_not_take(make_shop, monkeypatch, crd, verb):
    """A field that its definition lacks is dropped without a word: the restore says so."""
    shop = make_shop([widget()], as_is=True)
    shop.simulated.load([namespace(), crd])
    send = getattr(Cluster, verb)

    def pruned(self, resource, *given, **more):
        stored = send(self, resource, *given, **more)
        if resource.kind == "Widget":
            del stored["status"]["conditions"]
        return stored

    monkeypatch.setattr(Cluster, verb, pruned)
    result = shop.engine.run("try-1", asking(WIDGETS))

    assert [str(each) for each in result.results.warnings] == [
        f"{WIDGETS}/shop/one: the target dropped status.conditions"
    ]


def test_what_follows_a_deleted_object(shop):
    """What is written when the live one has gone gets its status as any other."""
    leaving = widget(finalizers=["example.com/hold"], status={})
    shop.simulated.load([leaving])
    resource = shop.cluster.discover().by_kind("example.com/v1", "Widget")
    shop.cluster.delete(resource, "one", namespace="shop")

    plan = shop.engine.plan("try-1", asking(WIDGETS))
    released = {"metadata": {"finalizers": None}}
    shop.cluster.patch(resource, "one", released, namespace="shop")
    shop.engine.apply(plan)

    assert "is being deleted" in line(plan).reason
    assert line(plan).status == "second"
    assert status_of(shop) == STATUS


def test_a_definition_that_got_a_sub_resource(make_shop):
    """How a status is sent is decided by what the target serves when it is written."""
    shop = make_shop([namespace(), widget()], as_is=True)
    shop.simulated.load([namespace(), ALONG])
    plan = shop.engine.plan("try-1", asking(WIDGETS))
    crds = shop.cluster.discover().by_kind(ALONG["apiVersion"], ALONG["kind"])
    patch = {"spec": {"versions": APART["spec"]["versions"]}}
    shop.cluster.patch(crds, WIDGETS, patch)

    shop.engine.apply(plan)

    assert line(plan).status == "create"
    assert status_of(shop) == STATUS


def test_what_a_status_was_is_no_difference(shop):
    """The actions of a line stay what they are with a status that the target lacks."""
    shop.simulated.load([widget(status={})])

    plan = shop.engine.plan("try-2", asking(WIDGETS))

    assert line(plan).action is PlanAction.UNCHANGED
