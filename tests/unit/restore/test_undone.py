"""What an update undoes that somebody in the target relies on is said above the table."""

import pytest

from kbackup.models import ExistingResourcePolicy, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction

UPDATE = RestoreSpec(
    backup_name="shop-1", existing_resource_policy=ExistingResourcePolicy.UPDATE
)
LIST = "list horizontalpodautoscalers.autoscaling"


def _workload(replicas, name="web", *, kind="Deployment", image="web:1"):
    """A workload of one container."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": template,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec | ({"serviceName": "db"} if kind == "StatefulSet" else {}),
    }


def _autoscaler(name="hpa", *, target="web", kind="Deployment", version="apps/v1"):
    """A HorizontalPodAutoscaler."""
    ref = {"kind": kind, "name": target} | ({"apiVersion": version} if version else {})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": ref},
    }


def _scaled(plan):
    """What is said of autoscalers."""
    return [str(x) for x in plan.notices if "HorizontalPodAutoscaler" in x.what]


def _shop(make_shop, *live, stored=None):
    """A shop whose workload has two replicas in the backup, and a target."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    shop = make_shop([namespace, stored or _workload(2)])
    shop.simulated.load([namespace, *live])
    return shop


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("version", ["apps/v1", "extensions/v1beta1", ""])
def test_replicas_that_an_autoscaler_chose(make_shop, kind, version):
    """An update that takes away what an autoscaler added names both, and the numbers."""
    autoscaler = _autoscaler(kind=kind, version=version)
    live = [_workload(5, kind=kind), autoscaler, _autoscaler("other", target="api")]
    shop = _shop(make_shop, *live, stored=_workload(2, kind=kind))

    plan = shop.engine.plan("try-1", UPDATE)

    [told] = _scaled(plan)
    words = "scaled by HorizontalPodAutoscaler hpa: replicas 5 -> 2"
    assert told == f"{words}: {kind.lower()}s.apps/shop/web"


@pytest.mark.parametrize(
    "autoscaler",
    [
        _autoscaler(target="api"),
        _autoscaler(kind="StatefulSet"),
        _autoscaler(version="shop.example.com/v1"),
    ],
    ids=["another name", "another kind", "another group"],
)
def test_an_autoscaler_of_something_else(make_shop, autoscaler):
    """An autoscaler of another object is no reason to warn."""
    shop = _shop(make_shop, _workload(5), autoscaler)

    assert _scaled(shop.engine.plan("try-1", UPDATE)) == []


def test_hidden_replicas(make_shop):
    """Of a type whose values no output shows the notice has no number."""
    shop = _shop(make_shop, _workload(5), _autoscaler())

    plan = shop.engine.plan(
        "try-1", UPDATE, RestoreOptions(redact=["deployments.apps"])
    )

    assert _scaled(plan) == [
        "scaled by HorizontalPodAutoscaler hpa: replicas change: deployments.apps/shop/web"
    ]


def _without_replicas(item):
    """A transform: the number of replicas is left to the server."""
    if item["kind"] == "Deployment":
        del item["spec"]["replicas"]
    return item


def test_replicas_that_are_left_out(make_shop):
    """Replicas that a transform removes become one, as the server then says."""
    shop = _shop(make_shop, _workload(5), _autoscaler())
    options = RestoreOptions(transforms=[_without_replicas])

    plan = shop.engine.plan("try-1", UPDATE, options)

    [told] = _scaled(plan)
    assert "replicas 5 -> 1" in told


@pytest.mark.parametrize(
    ("live", "lists"),
    [
        ([_workload(2, image="web:2"), _workload(2, "api", image="web:2")], 0),
        ([_workload(5), _workload(5, "api")], 1),
    ],
    ids=["not scaled", "scaled"],
)
def test_autoscalers_are_read_where_replicas_change(make_shop, live, lists):
    """Plans that scale nothing ask no more than before, others once for a namespace."""
    shop = _shop(make_shop, *live, _autoscaler())
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    shop.replace_backup([namespace, _workload(2), _workload(2, "api")])

    plan = shop.engine.plan("try-1", UPDATE)

    assert plan.counts[PlanAction.UPDATE] == 2
    assert shop.simulated.calls[LIST] == lists


def test_autoscalers_that_may_not_be_read(make_shop):
    """Who may not list autoscalers gets the plan without a word about them."""
    shop = _shop(make_shop, _workload(5), _autoscaler())
    shop.simulated.faults.forbid(verb="list", resource="horizontalpodautoscalers")

    plan = shop.engine.plan("try-1", UPDATE)

    assert [x.action for x in plan.entries if x.target.name == "web"] == [
        PlanAction.UPDATE
    ]
    assert _scaled(plan) == []
