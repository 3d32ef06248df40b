"""What a target does not take is told before a plan is made, as the plan tells it."""

from datetime import timedelta

import pytest

from definitions import definition, served_version
from kbackup.cluster import Discovery
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine, unserved_types
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SOON = timedelta(seconds=5)
SPACE = next(item for item in sample_shop() if item["kind"] == "Namespace")


def item(api_version, kind, name="web"):
    """An object of a version, whatever is in it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {},
    }


CRON = item("batch/v2", "CronJob")
BUDGET = item("policy/v2", "PodDisruptionBudget")
OLD = item("extensions/v1beta1", "Ingress")
NEW = item("networking.k8s.io/v1", "Ingress")
WIDGET = item("example.com/v1", "Widget")
DEFINITION = definition("example.com", "widgets", "Widget")
CRON_TOLD = "the target serves batch/v1 of cronjobs.batch, the backup has batch/v2"
BUDGET_TOLD = (
    "the target serves policy/v1 of poddisruptionbudgets.policy, "
    "the backup has policy/v2"
)
ALONE = item("extensions/v1beta1", "Ingress", "alone")


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([CRON, BUDGET], [CRON_TOLD, BUDGET_TOLD]),
        ([CRON, item("batch/v1", "CronJob", "new")], [CRON_TOLD]),
        ([OLD, NEW], []),
        ([OLD], []),
        ([OLD, NEW, ALONE], []),
        ([item("policy/v1beta1", "PodDisruptionBudget")], []),
        ([WIDGET], ["the target does not serve example.com/v1 Widget"]),
        ([WIDGET, DEFINITION], []),
    ],
    ids=[
        "version",
        "both",
        "twin",
        "no twin",
        "some twins",
        "converted",
        "type",
        "brought",
    ],
)
def test_told_as_the_plan_tells_it(make_shop, objects, told):
    """What is named beforehand is what becomes a conflict, and nothing else."""
    shop = make_shop([SPACE, *objects], as_is=True)

    with shop.store.open_contents("shop-1") as contents:
        found = unserved_types(contents, shop.cluster.discover())
    plan = shop.engine.plan("try-1", SPEC)

    conflicts = {x.reason for x in plan.entries if x.action is PlanAction.CONFLICT}
    assert sorted(found) == sorted(told)
    assert conflicts == set(told)


class Early:
    """A cluster where discovery lacks a version when it is asked for the first time."""

    def __init__(self, inner, lacks):
        """Pass everything else on to *inner*."""
        self._inner = inner
        self._lacks = lacks

    def for_run(self, cancel, **more):
        """Return the view of a run, which lacks the same."""
        return Early(self._inner.for_run(cancel, **more), self._lacks)

    def discover(self, *, refresh=False):
        """Return what is served, but for what it still lacks."""
        found = self._inner.discover(refresh=refresh)
        early = self._lacks.pop() if self._lacks else ""
        return Discovery(x for x in found.all_versions if x.api_version != early)

    def __getattr__(self, name):
        return getattr(self._inner, name)


VERSIONS = [served_version("v2"), served_version("v1", storage=False)]
NEWER = definition("example.com", "widgets", "Widget", *VERSIONS)
OLDER_TOLD = (
    "the target serves example.com/v1 of widgets.example.com, "
    "the backup has example.com/v2; its CRD exists and is left as it is; "
    "--existing-cluster-resource-policy update changes it"
)
NEW_WIDGET = item("example.com/v2", "Widget")


@pytest.mark.parametrize(
    ("policy", "verdict", "reason"),
    [
        ("none", PlanAction.CONFLICT, OLDER_TOLD),
        ("update", PlanAction.CREATE, ""),
    ],
)
def test_an_older_definition_in_the_target(make_shop, policy, verdict, reason):
    """Objects of a version that the definition there lacks are a conflict if it stays."""
    shop = make_shop([NEWER, NEW_WIDGET])
    shop.simulated.load([DEFINITION])
    options = RestoreOptions(existing_cluster_resource_policy=policy, deadline=SOON)

    plan = shop.engine.plan("try-1", SPEC, options)
    with shop.store.open_contents("shop-1") as contents:
        beforehand = unserved_types(contents, shop.cluster.discover())
    result = shop.engine.apply(plan)

    assert beforehand == (OLDER_TOLD,)
    (told,) = (entry for entry in plan.entries if entry.kind == "Widget")
    assert (told.action, told.reason) == (verdict, reason)
    assert bool(result.results.errors) == (verdict is PlanAction.CONFLICT)


def test_an_older_definition_that_cannot_be_changed(make_shop):
    """What would be asked for already is no advice."""
    shop = make_shop([DEFINITION, WIDGET], as_is=True)
    old = definition("example.com", "widgets", "Widget", served_version("v1alpha1"))
    shop.simulated.load([old])
    options = RestoreOptions(existing_cluster_resource_policy="update")

    plan = shop.engine.plan("try-1", SPEC, options)

    (told,) = (entry for entry in plan.entries if entry.kind == "Widget")
    assert told.action is PlanAction.CONFLICT
    assert told.reason.endswith("; its CRD exists and is not changed")


def test_a_version_that_discovery_does_not_show_yet(make_shop):
    """What the definition there has, and is about to be served, is no conflict."""
    shop = make_shop([NEWER, NEW_WIDGET])
    shop.simulated.load([NEWER])
    engine = RestoreEngine(Early(shop.cluster, ["example.com/v2"]), shop.store)

    plan = engine.plan("try-1", SPEC, RestoreOptions(deadline=SOON))

    (told,) = (entry for entry in plan.entries if entry.kind == "Widget")
    assert told.action is PlanAction.CREATE
    assert engine.apply(plan).results.errors == ()


def test_what_belongs_to_the_cluster_is_not_missed(make_shop):
    """Of what is never restored unasked nothing is told, whoever serves it."""
    event = item("v1alpha1", "Event")
    shop = make_shop([SPACE, event], as_is=True)

    with shop.store.open_contents("shop-1") as contents:
        assert unserved_types(contents, shop.cluster.discover()) == ()
