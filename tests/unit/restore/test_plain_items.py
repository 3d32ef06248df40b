"""The short way to decide about most items says what the long one says."""

import pytest

from kbackup import RestoreOptions, RestoreSpec
from kbackup.models import RestoreStatusSpec
from kbackup.restore import PlanAction
from kbackup.restore._making.desired import DesiredMaker
from kbackup.testing import sample_shop

SHOP = {"namespace": "shop"}
OWNER = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "one", "uid": "u"}
MANAGED = [{"manager": "helm", "operation": "Apply", "fieldsV1": {"f:data": {}}}]
AUTOSCALED = {"autoscaling.alpha.kubernetes.io/conditions": "[]", "note": "kept"}


def _object(kind, name, api_version="v1", **more):
    """An object of the namespace shop."""
    metadata = {"name": name, **SHOP, **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def _workload(kind, name, **more):
    """A workload with one container."""
    containers = [{"name": "main", "image": "example.com/any:1"}]
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return _object(kind, name, "apps/v1", spec=spec, **more)


ODD = [
    _object("Secret", "plain", data={"a": "eA=="}, type="Opaque"),
    _object("Secret", "marked", metadata={"labels": {"a": "b"}}),
    _object(
        *("Secret", "token"),
        metadata={"annotations": {"kubernetes.io/service-account.name": "default"}},
        type="kubernetes.io/service-account-token",
    ),
    _object("Secret", "owned", metadata={"ownerReferences": [OWNER]}),
    _object("Secret", "managed", metadata={"managedFields": MANAGED}),
    _object("ConfigMap", "plain", data={"a": "shop"}),
    _object("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "x"}),
    _object("ConfigMap", "held", metadata={"finalizers": ["example.com/held"]}),
    _object("ConfigMap", "leaving", metadata={"finalizers": ["orphan"]}),
    _object("ServiceAccount", "default", secrets=[{"name": "default-token-abcde"}]),
    _object("ServiceAccount", "plain"),
    _workload("Deployment", "web", status={"replicas": 1}),
    _workload(
        *("StatefulSet", "db"), status={"currentRevision": "a", "updateRevision": "b"}
    ),
    _workload(
        *("DaemonSet", "log"),
        status={"currentNumberScheduled": 2, "updatedNumberScheduled": 1},
    ),
    _object("Job", "done", "batch/v1", spec={}, status={"completionTime": "x"}),
    _object("Job", "due", "batch/v1", spec={}),
    _object(
        *("HorizontalPodAutoscaler", "web", "autoscaling/v1"),
        metadata={"annotations": AUTOSCALED},
        spec={"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "w"}},
    ),
    _object("Service", "web", spec={"selector": {"app": "web"}}),
    _object("Endpoints", "web", subsets=[]),
    _object("Endpoints", "by-hand", subsets=[]),
    _object("NetworkPolicy", "all", "networking.k8s.io/v1", spec={"podSelector": {}}),
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "wide"},
        "rules": [],
    },
]
WAYS = {
    "as it is": (RestoreSpec(backup_name="shop-1"), RestoreOptions()),
    "elsewhere": (
        RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"}),
        RestoreOptions(),
    ),
    "with statuses": (
        RestoreSpec(
            backup_name="shop-1",
            restore_status=RestoreStatusSpec(included_resources=["*"]),
        ),
        RestoreOptions(managed_fields="restore", relink_owners=True),
    ),
    "changed": (
        RestoreSpec(backup_name="shop-1"),
        RestoreOptions(transforms=[lambda item: item if item.get("data") else None]),
    ),
    "selected": (
        RestoreSpec(backup_name="shop-1"),
        RestoreOptions(where=lambda item: "data" in item, include_system=True),
    ),
}


@pytest.fixture(params=list(WAYS))
def way(request):
    """What is asked for."""
    return WAYS[request.param]


@pytest.fixture(params=["shop", "odd"])
def shop(request, make_shop):
    """A backup of the sample, or of what is looked at more closely."""
    if request.param == "shop":
        return make_shop(sample_shop())
    return make_shop(ODD, as_is=True)


def test_the_short_way_says_what_the_long_one_says(shop, way, monkeypatch):
    """Every line and every notice, in the same order."""
    short = shop.engine.plan("again", *way)
    monkeypatch.setattr(DesiredMaker, "make_untouched", lambda *_: None)
    long = shop.engine.plan("again", *way)

    assert short.entries == long.entries
    assert short.notices == long.notices
    assert short.claims == long.claims


def test_most_items_go_the_short_way(make_shop, monkeypatch):
    """And only those about which there is nothing to ask."""
    taken, make = [], DesiredMaker.make_untouched

    def note(self, item, content, target):
        made = make(self, item, content, target)
        if made is not None:
            taken.append(f"{item.kind} {target.name}")
        return made

    monkeypatch.setattr(DesiredMaker, "make_untouched", note)

    plan = make_shop(ODD, as_is=True).engine.plan("r", WAYS["as it is"][0])

    assert set(taken) == {
        *("Secret plain", "Secret marked", "Secret managed"),
        *("ConfigMap plain", "ConfigMap held", "ConfigMap leaving"),
        *("ServiceAccount plain", "Deployment web"),
        *("HorizontalPodAutoscaler web", "NetworkPolicy all", "ClusterRole wide"),
    }
    assert plan.counts[PlanAction.CREATE] > len(taken)


def test_a_type_that_cannot_be_read_goes_the_long_way(make_shop):
    """Whether its items are there is not known: that is said of each."""
    shop = make_shop(ODD, as_is=True)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    shop.simulated.load([namespace])
    for verb in ("get", "list"):
        shop.simulated.faults.forbid(verb=verb, resource="secrets")

    plan = shop.engine.plan("r", WAYS["as it is"][0])

    found = [e for e in plan.entries if e.target.name in ("plain", "marked")]
    secrets = [e for e in found if e.kind == "Secret"]
    assert {e.action for e in secrets} == {PlanAction.UNKNOWN}
