"""Which LISTs a plan expects: those that it then asks for, each once, in fitting pages."""

from collections import Counter

import pytest
from plan_samples import config_map, namespace

from kbackup.cluster import Cluster
from kbackup.models import EngineSettings, RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._target.live_objects import LiveObjects

FIRST = ("ConfigMap", "Secret", "ServiceAccount")


def some(space, *kinds, count=5, **more):
    """Some objects of each of these kinds."""
    return [
        config_map(f"{kind.lower()}-{n}", space, a="MQ==") | {"kind": kind} | more
        for kind in kinds
        for n in range(count)
    ]


@pytest.fixture
def listed(monkeypatch):
    """By type and namespace: how many objects each LIST asked for at first."""
    asked, ask = {}, Cluster.list

    def note(self, resource, *, namespace="", limit=0, **more):
        asked.setdefault((resource.resource, namespace), []).append(limit)
        return ask(self, resource, namespace=namespace, limit=limit, **more)

    monkeypatch.setattr(Cluster, "list", note)
    return asked


@pytest.fixture
def missed(monkeypatch):
    """The places that were asked for and not expected."""
    places, begin = [], LiveObjects._begun

    def note(self, expected):
        if not expected.limit:
            places.append((expected.place.resource.resource, expected.place.namespace))
        return begin(self, expected)

    monkeypatch.setattr(LiveObjects, "_begun", note)
    return places


def plan_of(make_shop, here, *spaces, **spec):
    """Plan a backup of some objects over a target that has them."""
    shop = make_shop(here)
    shop.simulated.load([*map(namespace, spaces), *here])
    return shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **spec))


def counts(listed, *resources):
    """How often each place was listed; Velero's namespace has settings, not items."""
    return {
        (resource, space): len(limits)
        for (resource, space), limits in listed.items()
        if resource in resources and space != "velero"
    }


def test_pages_fit_what_comes_first(make_shop, listed, missed):
    """In each namespace by itself: large ones here say nothing of small ones there."""
    large = {"data": {"a": "M" * 400_000}}
    here = some("small", "Secret", count=600) + some("big", "Secret", count=30, **large)

    plan_of(make_shop, here, "small", "big")

    assert listed["secrets", "small"] == [500]
    assert listed["secrets", "big"] == [20]  # of 8 MiB
    assert missed == []


def test_a_namespace_that_takes_in_another_one(make_shop, listed, missed):
    """Each place once, in the order of planning, also where a target has other sources."""
    here = [x for space in "abc" for x in some(space, *FIRST)]

    plan = plan_of(
        make_shop,
        here,
        *"abc",
        included_namespaces=["b", "c"],
        namespace_mapping={"c": "a"},
    )

    assert Counter(x.action for x in plan.entries) == {PlanAction.UNCHANGED: 30}
    found = counts(listed, "configmaps", "secrets", "serviceaccounts")
    assert sorted({place for _, place in found}) == ["a", "b"]
    assert set(found.values()) == {1}
    assert missed == []


def test_types_in_several_versions(make_shop, listed, missed):
    """The version of what comes first in a namespace is the one that is listed there."""
    body = {
        "kind": "HorizontalPodAutoscaler",
        "data": None,
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "w",
            },
        },
    }
    here = [
        item | {"apiVersion": f"autoscaling/{version}"}
        for space, version in zip("abcdef", ("v1", *["v2"] * 5), strict=True)
        for item in some(space, "HorizontalPodAutoscaler", **body)
    ]

    plan_of(make_shop, here, *"abcdef")

    assert set(counts(listed, "horizontalpodautoscalers").values()) == {1}
    assert missed == []


def test_few_objects_are_not_listed(make_shop, listed):
    """A GET of each costs less."""
    plan_of(make_shop, some("a", "ConfigMap", count=3), "a")

    assert counts(listed, "configmaps") == {}


def test_one_worker_is_one_request(make_shop, listed, monkeypatch):
    """What the settings say of requests at a time holds for plans, too."""
    seen = []
    begin = LiveObjects.__init__

    def note(self, cluster, expected=(), ahead=None):
        seen.extend([] if ahead is None else [ahead])
        begin(self, cluster, expected, ahead or 0)

    monkeypatch.setattr(LiveObjects, "__init__", note)
    here = [x for space in "abc" for x in some(space, "ConfigMap")]
    shop = make_shop(here, settings=EngineSettings(workers=1))
    shop.simulated.load([*map(namespace, "abc"), *here])

    shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    assert seen == [0]
    assert set(counts(listed, "configmaps").values()) == {1}
