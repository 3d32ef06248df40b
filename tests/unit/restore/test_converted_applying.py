"""What was converted is applied in the target's version, whoever managed what before."""

import attrs
import pytest

from conversion_samples import NAMESPACE, SELECTOR, backend, item, paths
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._comparing.applied_fields import applied_of
from kbackup.restore._comparing.existing import ExistingRules
from kbackup.restore._verdicts.judging import judge

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
SPEC = RestoreSpec(backup_name="shop-1")
APPLY = RestoreOptions(existing_policies={"*": "apply"})
FORCE = attrs.evolve(APPLY, force_conflicts=True)
INGRESSES, V1 = "ingresses.networking.k8s.io", "networking.k8s.io/v1"
OLD, OLDER = "networking.k8s.io/v1beta1", "extensions/v1beta1"
OF_SPEC = {"f:spec": {"f:backend": {}, "f:rules": {}}}


def managed(body, manager, tree, version="", operation="Update"):
    """Return the object with one manager more."""
    entry = {"manager": manager, "operation": operation, "fieldsType": "FieldsV1"}
    entry |= {"apiVersion": version or body["apiVersion"], "fieldsV1": tree}
    metadata = body["metadata"]
    fields = [*metadata.get("managedFields", []), entry]
    return {**body, "metadata": {**metadata, "managedFields": fields}}


def ingress(version, port=80, **more):
    """Return an Ingress as the older versions had it."""
    rules = [paths({"path": "/", "backend": backend(port)})]
    spec = {"backend": backend(port), "rules": rules}
    return item(version, "Ingress", "web", spec, **more)


def live(port, **more):
    """Return the Ingress that the target has."""
    to = {"service": {"name": "web", "port": {"number": port}}}
    path = {"path": "/", "pathType": "ImplementationSpecific", "backend": to}
    rules = [{"host": "a.example.com", "http": {"paths": [path]}}]
    return item(V1, "Ingress", "web", {"defaultBackend": to, "rules": rules}, **more)


def template(image="web:1"):
    """Return what Pods are made of."""
    containers = [{"name": "web", "image": image}]
    labels = SELECTOR["matchLabels"]
    return {"metadata": {"labels": labels}, "spec": {"containers": containers}}


def line(plan, kind="Ingress"):
    """Return the line about one object."""
    return next(x for x in plan.entries if x.kind == kind)


@pytest.mark.parametrize("by", [OLDER, OLD, V1])
def test_what_a_conversion_moved_is_applied(make_shop, by):
    """Fields that have other names now are sent, whichever version they were set in."""
    tree = {"f:spec": {"f:defaultBackend": {}, "f:rules": {}}} if by == V1 else OF_SPEC
    stored = managed(ingress(OLDER, annotations={"a": "1"}), "kubectl", tree, by)
    tree = {"f:metadata": {"f:annotations": {"f:a": {}}}}
    shop = make_shop([SPACE, managed(stored, "ops", tree, V1)], as_is=True)
    shop.simulated.load([SPACE, live(81, annotations={"b": "2"})])

    plan = shop.engine.plan("r", SPEC, FORCE)
    result = shop.engine.apply(plan)
    again = shop.engine.plan("r", SPEC, FORCE)
    other = shop.engine.plan("r-2", SPEC, APPLY)

    found = line(plan)
    assert (found.action, found.apply) == (PlanAction.UPDATE, "force")
    assert (found.api_version, found.converted_from) == (V1, OLDER)
    assert "spec.defaultBackend.service.port.number" in str(found)
    assert result.results.errors == ()
    made = shop.object(INGRESSES, NAMESPACE, "web")
    assert made["spec"] == live(80)["spec"]
    assert made["metadata"]["annotations"] == {"a": "1", "b": "2"}
    (ours,) = [
        x for x in made["metadata"]["managedFields"] if x["operation"] == "Apply"
    ]
    assert (ours["manager"], ours["apiVersion"]) == ("kbackup", V1)
    assert line(again).action is PlanAction.UNCHANGED
    assert line(other).action is PlanAction.UNCHANGED


def test_what_a_scaler_chose_is_not_applied_for_a_conversion(make_shop):
    """What a part of the cluster had set is no user's wish in a newer version either."""
    spec = {"replicas": 5, "template": template()}
    old = item(OLDER, "Deployment", "web", spec)
    of_user = {"f:spec": {"f:template": {}}}
    scaled = {"f:spec": {"f:replicas": {}}}
    old = managed(old, "kubectl", of_user)
    shop = make_shop(
        [SPACE, managed(old, "kube-controller-manager", scaled)], as_is=True
    )
    now = {"replicas": 7, "selector": SELECTOR, "template": template("web:2")}
    shop.simulated.load([SPACE, item("apps/v1", "Deployment", "web", now)])

    shop.engine.run("r", SPEC, FORCE)

    made = shop.object("deployments.apps", NAMESPACE, "web")["spec"]
    assert made["replicas"] == 7
    assert made["template"]["spec"]["containers"][0]["image"] == "web:1"


def test_fields_of_another_version_than_the_stored_one():
    """A server shows an object in one version, and whose fields they are in another.

    So an autoscaler that was written with metrics is shown with an annotation.
    """
    annotations = {"autoscaling.alpha.kubernetes.io/metrics": "[]"}
    spec = {"maxReplicas": 3, "minReplicas": 1}
    stored = item("autoscaling/v1", "HorizontalPodAutoscaler", "web", spec)
    stored["metadata"]["annotations"] = annotations
    tree = {"f:spec": {"f:maxReplicas": {}, "f:metrics": {}}}
    by_user = managed(stored, "kubectl", tree, "autoscaling/v2beta2")
    of_cluster = {"f:spec": {"f:minReplicas": {}}}
    by_both = managed(by_user, "kube-controller-manager", of_cluster)

    body = applied_of(stored, by_both, {"metadata": {}}).body

    assert body["metadata"]["annotations"] == annotations
    assert body["spec"] == {"maxReplicas": 3}


@pytest.mark.parametrize(
    ("manager", "force", "action", "forces", "told"),
    [
        (
            "team",
            False,
            PlanAction.UPDATE,
            False,
            "refused where that clashes: what has",
        ),
        ("team", True, PlanAction.UPDATE, True, "taken from its manager: what has"),
        ("kbackup", False, PlanAction.CONFLICT, False, "what has"),
        ("kbackup", True, PlanAction.UPDATE, True, "taken from its manager: what has"),
    ],
    ids=["asked", "forced", "with fields of our own", "with those forced"],
)
def test_a_manager_whose_fields_have_other_names(manager, force, action, forces, told):
    """What it manages of the live object is not known: it is told, not taken unasked."""
    desired = live(80)
    there = managed(live(81), "old-tool", {"f:spec": {"f:backend": {}}}, OLD)
    if manager == "kbackup":
        there = managed(there, manager, {"f:spec": {"f:rules": {}}})
    rules = ExistingRules(update=True, apply=True, force=force)

    found = judge(desired, desired, there, rules)

    assert (found.verdict.action, found.forces) == (action, forces)
    by = f"{told} other names in this version is managed by old-tool ({OLD})"
    assert by in found.verdict.reason


def test_an_item_that_moved_between_plan_and_apply(make_shop):
    """A converted item is held against the live one again, right before the write."""
    shop = make_shop([SPACE, managed(ingress(OLDER), "kubectl", OF_SPEC)], as_is=True)
    shop.simulated.load([SPACE, live(81)])
    plan = shop.engine.plan("r", SPEC, FORCE)
    resource = shop.cluster.discover().by_kind(V1, "Ingress")
    backend_of = {"service": {"name": "other", "port": {"number": 1}}}
    patch = {"spec": {"defaultBackend": backend_of}}
    shop.cluster.patch(resource, "web", patch, namespace=NAMESPACE)

    result = shop.engine.apply(plan)

    (warning,) = [x for x in result.results.warnings if "not written" in x.message]
    assert "changed since the plan was made" in warning.message
    made = shop.object(INGRESSES, NAMESPACE, "web")
    assert made["spec"]["defaultBackend"] == backend_of
