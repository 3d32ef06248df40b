"""What a target does not take is told before a plan is made, as the plan tells it."""

import pytest

from definitions import definition
from kbackup.models import RestoreSpec
from kbackup.restore import PlanAction, unserved_types
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SPACE = next(item for item in sample_shop() if item["kind"] == "Namespace")


def item(api_version, kind, name="web"):
    """An object of a version, whatever is in it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {},
    }


CRON = item("batch/v1beta1", "CronJob")
BUDGET = item("policy/v1beta1", "PodDisruptionBudget")
OLD = item("extensions/v1beta1", "Ingress")
NEW = item("networking.k8s.io/v1", "Ingress")
WIDGET = item("example.com/v1", "Widget")
DEFINITION = definition("example.com", "widgets", "Widget")
CRON_TOLD = "the target serves batch/v1 of cronjobs.batch, the backup has batch/v1beta1"
BUDGET_TOLD = (
    "the target serves policy/v1 of poddisruptionbudgets.policy, "
    "the backup has policy/v1beta1"
)
OLD_TOLD = "the target does not serve extensions/v1beta1 Ingress"


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([CRON, BUDGET], [CRON_TOLD, BUDGET_TOLD]),
        ([CRON, item("batch/v1", "CronJob", "new")], [CRON_TOLD]),
        ([OLD, NEW], []),
        ([OLD], [OLD_TOLD]),
        ([OLD, NEW, item("extensions/v1beta1", "Ingress", "alone")], [OLD_TOLD]),
        ([WIDGET], ["the target does not serve example.com/v1 Widget"]),
        ([WIDGET, DEFINITION], []),
    ],
    ids=["version", "both", "twin", "no twin", "some twins", "type", "brought"],
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


def test_what_belongs_to_the_cluster_is_not_missed(make_shop):
    """Of what is never restored unasked nothing is told, whoever serves it."""
    event = item("v1alpha1", "Event")
    shop = make_shop([SPACE, event], as_is=True)

    with shop.store.open_contents("shop-1") as contents:
        assert unserved_types(contents, shop.cluster.discover()) == ()
