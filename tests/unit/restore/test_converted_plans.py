"""What a target serves in another version is planned, shown and written in that one."""

import copy
import json

import pytest

from conversion_samples import (
    BUDGETS,
    NAMESPACE,
    SAMPLES,
    SELECTOR,
    SLICES,
    WEBHOOKS,
    backend,
    crd,
    item,
    paths,
)
from kbackup.errors import InvalidPlanError
from kbackup.models import (
    LabelSelector,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestorePlan
from kbackup.restore.transforms import ingress_hosts

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
SPEC = RestoreSpec(backup_name="shop-1")
OLD_INGRESS = item(
    "extensions/v1beta1",
    "Ingress",
    "web",
    {"backend": backend(), "rules": [paths({"path": "/", "backend": backend("http")})]},
)
NEW_SPEC = {
    "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
    "rules": [
        {
            "host": "a.example.com",
            "http": {
                "paths": [
                    {
                        "path": "/",
                        "pathType": "ImplementationSpecific",
                        "backend": {
                            "service": {"name": "web", "port": {"name": "http"}}
                        },
                    }
                ]
            },
        }
    ],
}
NEW_INGRESS = item("networking.k8s.io/v1", "Ingress", "web", NEW_SPEC)
INGRESS_TYPE = "ingresses.networking.k8s.io"
HOMELESS = copy.deepcopy(SLICES[0])
HOMELESS["endpoints"][0]["topology"]["topology.kubernetes.io/region"] = "eu"
NO_HOME = (
    "not converted from discovery.k8s.io/v1beta1 to discovery.k8s.io/v1, no home there: "
    "endpoints[0].topology[topology.kubernetes.io/region]: v1 drops it without a word"
)


@pytest.fixture(name="shop")
def fixture_shop(make_shop):
    """An Ingress of a group that is gone."""
    return make_shop([SPACE, OLD_INGRESS], as_is=True)


def entry_of(plan, kind, name="web"):
    """The line about one object."""
    (entry,) = [x for x in plan.entries if (x.kind, x.target.name) == (kind, name)]
    return entry


def test_the_plan_says_from_which_version_to_which(shop):
    """Whoever approves a plan reads in the line, and above the table, what is converted."""
    plan = shop.engine.plan("try-1", SPEC)

    entry = entry_of(plan, "Ingress")
    assert entry.action is PlanAction.CREATE
    assert str(entry.target) == f"{INGRESS_TYPE}/{NAMESPACE}/web"
    assert entry.converted_from == "extensions/v1beta1"
    assert entry.api_version == "networking.k8s.io/v1"
    told = "converted from extensions/v1beta1 to networking.k8s.io/v1"
    assert told in str(entry)
    assert f"! {told}: 1 of {INGRESS_TYPE}" in str(plan)


def test_it_is_written_in_the_version_that_the_target_serves(shop):
    """The object means in the target what it meant in the old cluster."""
    result = shop.engine.run("try-1", SPEC)

    assert result.exit_code == 0
    made = shop.object(INGRESS_TYPE, NAMESPACE, "web")
    assert made["spec"] == NEW_SPEC


def unique_samples():
    """Return one sample of each kind and name, of those that can be restored here.

    The cluster of the tests has no RuntimeClasses, the others belong to the cluster.
    """
    found = {}
    for sample in SAMPLES:
        if sample["kind"] not in {"Lease", "RuntimeClass", "VolumeAttachment"}:
            found.setdefault((sample["kind"], sample["metadata"]["name"]), sample)
    return list(found.values())


def test_every_family_is_restored(make_shop):
    """A backup of an old cluster comes back whole on one of today."""
    samples = unique_samples()
    shop = make_shop([SPACE, *samples], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)
    again = shop.engine.plan("try-2", SPEC)

    assert plan.counts == {PlanAction.CREATE: len(samples) + 1}
    assert all(x.converted_from for x in plan.entries if x.kind != "Namespace")
    assert result.results.errors == ()
    assert again.is_empty
    assert not again.counts[PlanAction.CONFLICT]


def test_what_has_no_home_is_a_conflict_and_the_rest_is_written(make_shop):
    """The plan names field and reason; nothing of that item is written."""
    shop = make_shop([SPACE, HOMELESS, *BUDGETS], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    entry = entry_of(plan, "EndpointSlice")
    assert (entry.action, entry.converted_from) == (PlanAction.CONFLICT, "")
    assert entry.reason.startswith(NO_HOME)
    assert shop.names("endpointslices.discovery.k8s.io", NAMESPACE) == []
    (error,) = result.results.errors
    assert "topology.kubernetes.io/region" in error.message
    assert len(shop.names("poddisruptionbudgets.policy", NAMESPACE)) == len(BUDGETS)


def test_what_is_not_selected_is_no_conflict(make_shop):
    """What has no home matters only where it is wanted."""
    shop = make_shop([SPACE, HOMELESS], as_is=True)
    other = LabelSelector.parse("app=other")
    spec = RestoreSpec(backup_name="shop-1", label_selector=other)

    plan = shop.engine.plan("try-1", spec)

    assert not plan.counts[PlanAction.CONFLICT]


def test_what_stands_beside_one_without_a_home(make_shop):
    """One that cannot be converted does not keep the others from being compared."""
    first = copy.deepcopy(HOMELESS)
    first["metadata"]["name"] = "a"
    others = [copy.deepcopy(SLICES[0]) for _ in range(5)]
    for number, other in enumerate(others):
        other["metadata"]["name"] = f"b-{number}"
    shop = make_shop([SPACE, first, *others], as_is=True)

    shop.engine.run("try-1", SPEC)
    again = shop.engine.plan("try-2", SPEC)

    slices = [x.action for x in again.entries if x.kind == "EndpointSlice"]
    assert sorted(slices) == ["conflict", *["unchanged"] * len(others)]


def test_many_fields_without_a_home(make_shop):
    """Of hundreds of fields the first are named and the others counted."""
    properties = {f"a{n}": {} for n in range(9)}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    odd = crd("odds", version="v1", preserveUnknownFields=False, validation=schema)
    shop = make_shop([odd], as_is=True)

    reason = entry_of(
        shop.engine.plan("try-1", SPEC),
        "CustomResourceDefinition",
        "odds.old.example.com",
    ).reason

    assert "properties[a0].type: v1 needs a structural schema" in reason
    assert reason.endswith("; and 4 more")


def test_odd_bodies_are_conflicts(make_shop):
    """What is not as Kubernetes has it is named without its values."""
    odd = item("policy/v1beta1", "PodDisruptionBudget", "odd", {"selector": "secret"})
    shop = make_shop([SPACE, odd], as_is=True)

    entry = entry_of(shop.engine.plan("try-1", SPEC), "PodDisruptionBudget", "odd")

    assert entry.action is PlanAction.CONFLICT
    assert "it is not as Kubernetes has it" in entry.reason
    assert "secret" not in entry.reason


# --- by the target's type --------------------------------------------------------------


@pytest.mark.parametrize(
    ("included", "excluded", "taken"),
    [
        (["ingresses"], [], True),
        (["ing"], [], True),
        (["ingresses.extensions"], [], True),
        ([INGRESS_TYPE], [], True),
        (["*.extensions"], [], True),
        (["*.k8s.io"], [], True),
        (["configmaps"], [], False),
        ([], ["ingresses"], False),
        ([], ["ingresses.extensions"], False),
        ([], [INGRESS_TYPE], False),
        ([], ["*.extensions"], False),
        ([], ["*.k8s.io"], False),
    ],
)
def test_filters_by_either_name(shop, included, excluded, taken):
    """A type that moved is meant by the name that it has in the backup, and in the target."""
    spec = RestoreSpec(
        backup_name="shop-1",
        included_resources=included,
        excluded_resources=excluded,
    )

    plan = shop.engine.plan("try-1", spec)

    assert any(entry.kind == "Ingress" for entry in plan.entries) == taken
    told = [notice.what for notice in plan.notices if "resources: " in notice.what]
    absent = ["included resources: the backup has no configmaps"]
    assert told == (absent if included == ["configmaps"] else [])


def test_what_exists_in_the_target(shop):
    """What is there is held against the object in the same version."""
    shop.simulated.load([SPACE, NEW_INGRESS])
    assert entry_of(shop.engine.plan("try-1", SPEC), "Ingress").action == "unchanged"
    shop.simulated.load([item("networking.k8s.io/v1", "Ingress", "b", NEW_SPEC)])
    live = shop.object(INGRESS_TYPE, NAMESPACE, "web")
    resource = shop.cluster.discover().by_kind("networking.k8s.io/v1", "Ingress")
    patch = {"spec": {"rules": [{"host": "b.example.com"}]}}
    shop.cluster.patch(resource, live["metadata"]["name"], patch, namespace=NAMESPACE)
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")

    plan = shop.engine.plan("try-2", spec)
    shop.engine.apply(plan)

    entry = entry_of(plan, "Ingress")
    assert entry.action is PlanAction.UPDATE
    assert entry.converted_from == "extensions/v1beta1"
    assert {x.path.partition("[")[0] for x in entry.differences} == {"spec.rules"}
    assert shop.object(INGRESS_TYPE, NAMESPACE, "web")["spec"] == NEW_SPEC


def test_what_is_left_as_it_is_is_not_called_converted(shop):
    """A line of which nothing is written says nothing of a conversion."""
    other = item(
        "networking.k8s.io/v1", "Ingress", "web", {"rules": [{"host": "b.io"}]}
    )
    shop.simulated.load([SPACE, other])

    plan = shop.engine.plan("try-1", SPEC)

    entry = entry_of(plan, "Ingress")
    assert (entry.action, entry.converted_from) == (PlanAction.SKIP, "")
    assert "converted" not in str(plan)


@pytest.mark.parametrize("newer", ["networking.k8s.io/v1", "networking.k8s.io/v1beta1"])
def test_twins_are_written_once(make_shop, newer):
    """One object that the backup has of two groups is planned once, if both are old too."""
    twin = {**OLD_INGRESS, "apiVersion": newer}
    if newer.endswith("/v1"):
        twin = NEW_INGRESS
    alone = copy.deepcopy(OLD_INGRESS)
    alone["metadata"]["name"] = "alone"
    shop = make_shop([SPACE, OLD_INGRESS, twin, alone], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    lines = [x for x in plan.entries if x.target.name == "web"]
    told = {str(x.target.group_resource): (x.action, x.reason) for x in lines}
    assert told == {
        "ingresses.extensions": ("skip", f"the same object as in {INGRESS_TYPE}"),
        INGRESS_TYPE: ("create", ""),
    }
    assert entry_of(plan, "Ingress", "alone").converted_from == "extensions/v1beta1"
    assert result.results.errors == ()
    assert shop.names(INGRESS_TYPE, NAMESPACE) == ["alone", "web"]


TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
}


def test_workloads_of_an_old_group_keep_their_order(make_shop):
    """ReplicaSets of ``extensions`` come before their Deployment and are adopted."""
    deployment = item("extensions/v1beta1", "Deployment", "web", {"template": TEMPLATE})
    replica_set = item(
        "extensions/v1beta1", "ReplicaSet", "web-1", {"template": TEMPLATE}
    )
    replica_set["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "extensions/v1beta1",
            "kind": "Deployment",
            "name": "web",
            "uid": "1",
            "controller": True,
        }
    ]
    shop = make_shop([SPACE, deployment, replica_set], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    maker, made = entry_of(plan, "Deployment"), entry_of(plan, "ReplicaSet", "web-1")
    assert made.wave < maker.wave
    assert made.adopter == "Deployment.apps/web"
    assert result.results.errors == ()
    assert shop.object("deployments.apps", NAMESPACE, "web")["spec"]["selector"] == (
        SELECTOR
    )


def test_owners_of_an_old_group_are_tied_again(make_shop):
    """What an Ingress of ``extensions`` owned is owned by what it has become."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "tls",
            "namespace": NAMESPACE,
            "ownerReferences": [
                {
                    "apiVersion": "extensions/v1beta1",
                    "kind": "Ingress",
                    "name": "web",
                    "uid": "1",
                }
            ],
        },
    }
    shop = make_shop([SPACE, OLD_INGRESS, secret], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    shop.engine.apply(plan)

    assert entry_of(plan, "Secret", "tls").reason == "owned by Ingress/web"
    (owner,) = shop.object("secrets", NAMESPACE, "tls")["metadata"]["ownerReferences"]
    made = shop.object(INGRESS_TYPE, NAMESPACE, "web")
    assert owner["uid"] == made["metadata"]["uid"]
    assert owner["apiVersion"] == "networking.k8s.io/v1"


def test_a_definition_and_its_objects(make_shop):
    """Custom resources keep every field, though v1 would drop what no schema names."""
    definition = crd("plains", version="v1")
    plain = item("old.example.com/v1", "Plain", "one", {"any": {"deep": 1}})
    shop = make_shop([SPACE, definition], as_is=True)

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    shop.simulated.load([plain])
    (made,) = shop.simulated.objects("plains.old.example.com")
    assert made["spec"] == {"any": {"deep": 1}}
    (written,) = shop.simulated.objects(
        "customresourcedefinitions.apiextensions.k8s.io"
    )
    assert "preserveUnknownFields" not in written["spec"]


# --- options, transforms, saved plans --------------------------------------------------


def test_nothing_is_converted_unasked_where_that_is_wanted(shop):
    """Whoever wants no conversion gets the conflict that there was without it."""
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(convert=False))

    (conflict,) = [x for x in plan.entries if x.action is PlanAction.CONFLICT]
    assert conflict.reason == "the target does not serve extensions/v1beta1 Ingress"
    assert str(conflict.target.group_resource) == "ingresses.extensions"
    assert "convert no" in str(plan)


def test_transforms_see_the_converted_item(shop):
    """Functions and rules for today's Ingresses change those of old clusters."""
    options = RestoreOptions(transforms=[ingress_hosts({"a.example.com": "b.io"})])

    plan = shop.engine.plan("try-1", SPEC, options)
    shop.engine.apply(plan)

    (change,) = entry_of(plan, "Ingress").changes
    assert change.path.endswith("host")
    made = shop.object(INGRESS_TYPE, NAMESPACE, "web")
    assert made["spec"]["rules"][0]["host"] == "b.io"


def test_a_saved_plan_converts_as_it_said(shop):
    """A plan that was saved says the same, and writes the same."""
    plan = shop.engine.plan("try-1", SPEC)
    document = json.loads(json.dumps(plan.to_json()))

    loaded = RestorePlan.from_json(document)
    result = shop.engine.apply(loaded)

    assert loaded.entries == plan.entries
    assert result.results.errors == ()
    assert shop.object(INGRESS_TYPE, NAMESPACE, "web")["spec"] == NEW_SPEC
    (line,) = [x for x in document["entries"] if x.get("kind") == "Ingress"]
    line["convertedFrom"] = "networking.k8s.io/v1beta1"
    with pytest.raises(InvalidPlanError, match="changed after it was saved"):
        RestorePlan.from_json(document)


def test_a_webhook_does_what_it_did(make_shop):
    """What v1 takes for granted in another way is written as the old version had it."""
    shop = make_shop([WEBHOOKS[0]], as_is=True)

    shop.engine.run("try-1", SPEC)

    (made,) = shop.simulated.objects(
        "mutatingwebhookconfigurations.admissionregistration.k8s.io"
    )
    unset = made["webhooks"][0]
    assert unset["failurePolicy"] == "Ignore"
    assert unset["matchPolicy"] == "Exact"
    assert unset["timeoutSeconds"] == 30


def test_a_comparison_is_of_the_same_version(make_shop):
    """A backup of an old cluster differs from a new one in what people changed alone."""
    shop = make_shop([SPACE, OLD_INGRESS, HOMELESS], as_is=True)
    changed = copy.deepcopy(NEW_INGRESS)
    changed["spec"]["rules"][0]["host"] = "b.example.com"
    beside = item("discovery.k8s.io/v1", "EndpointSlice", "web")
    shop.simulated.load([SPACE, changed, {**beside, "addressType": "IPv4"}])

    found = shop.engine.compare("shop-1")

    (ingress,) = [x for x in found.changed if x.identifier.name == "web"]
    (path,) = [difference.path for difference in ingress.differences]
    assert path.endswith("host")
    ((ref, reason),) = found.unknown
    assert str(ref) == f"endpointslices.discovery.k8s.io/{NAMESPACE}/web"
    assert reason.startswith(NO_HOME)
