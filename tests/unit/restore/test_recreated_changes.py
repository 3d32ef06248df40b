"""What transforms and modifiers made of an item is recreated, and only if nothing moved."""

import json

import pytest
from plan_samples import namespace

from kbackup.cluster import Cluster
from kbackup.models import ResourceModifiers, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestorePlan

SPEC = RestoreSpec(backup_name="shop-1")
RULES = ResourceModifiers.from_yaml(
    """\
version: v1
resourceModifierRules:
- conditions: {groupResource: "*", resourceNameRegex: ^settings$}
  mergePatches: [{patchData: "data: {colour: Z3JlZW4=}"}]
"""
)
KINDS = pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])


def settings(kind, name="settings", **data):
    """Return the settings of the shop."""
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


def sized(item):
    """Make everything large."""
    if "data" in item:
        item["data"]["size"] = "TA=="
    return item


class Bench:
    """A backup of settings, and a target in which they have another size."""

    def __init__(self, make_shop, kind):
        self.kind, self.plural = kind, f"{kind.lower()}s"
        self.shop = make_shop([namespace(), settings(kind, colour="cmVk", size="Uw==")])
        self.shop.simulated.load([namespace(), settings(kind, size="TQ==")])
        self.uid = self.live()["metadata"]["uid"]
        self.types = self.shop.cluster.discover().resolve(self.plural)

    def options(self, *transforms, rules=RULES, name=""):
        """Return the options of a restore that deletes them."""
        return RestoreOptions(
            existing_policies={name or self.plural: "recreate"},
            transforms=transforms,
            resource_modifiers=rules,
        )

    def plan(self, options):
        """Plan, save and load the plan."""
        document = self.shop.engine.plan("r", SPEC, options).to_json()
        return RestorePlan.from_json(
            json.loads(json.dumps(document)),
            transforms=options.transforms,
            resource_modifiers=options.resource_modifiers,
        )

    def live(self, name="settings"):
        """Return what the target has."""
        return self.shop.object(self.plural, "shop", name)

    def change(self, patch):
        """Let somebody write into them."""
        self.shop.cluster.patch(self.types, "settings", patch, namespace="shop")

    def deletes(self):
        """Return how many deletes the target was asked for."""
        calls = self.shop.simulated.calls.items()
        return sum(n for call, n in calls if call.startswith(f"delete {self.plural}"))

    def outcome(self, result):
        """Return what became of the settings."""
        found = [x for x in result.outcomes if x.identifier.name == "settings"]
        return found[0].action, found[0].reason


def line(plan):
    """Return the line about the settings."""
    return next(x for x in plan.entries if x.kind != "Namespace")


@KINDS
def test_it_is_created_as_it_was_changed(make_shop, kind):
    """The plan names who changed it; what is created is what the server was asked about."""
    bench = Bench(make_shop, kind)
    plan = bench.plan(bench.options(sized))

    result = bench.shop.engine.apply(plan)

    assert line(plan).action is PlanAction.RECREATE
    assert line(plan).changed_by[-1] == "resource modifier rule 1"
    paths = [x.path for x in line(plan).differences]
    assert paths == ["data.colour", "data.size"]
    assert result.results.errors == ()
    assert bench.live()["data"] == {"colour": "Z3JlZW4=", "size": "TA=="}
    assert bench.live()["metadata"]["uid"] != bench.uid
    assert bench.plan(bench.options(sized)).is_empty


@KINDS
def test_one_that_would_be_made_differently(make_shop, kind):
    """A transform that answers otherwise than when planned: nothing is deleted."""
    bench, answers = Bench(make_shop, kind), []

    def fickle(item):
        answers.append(1)
        if item["metadata"]["name"] == "settings":
            item["data"]["size"] = "TA==" if len(answers) < 4 else "WFg="
        return item

    plan = bench.plan(bench.options(fickle))
    answers += [1] * 4

    result = bench.shop.engine.apply(plan)

    (error,) = result.results.errors
    assert "the item would be written differently than planned" in error.message
    assert bench.deletes() == 0
    assert bench.live()["metadata"]["uid"] == bench.uid


@KINDS
@pytest.mark.parametrize("when", ["before", "between"])
def test_one_that_moved(make_shop, monkeypatch, kind, when):
    """Changed since it was planned, or since it was looked at: it is not deleted."""
    bench = Bench(make_shop, kind)
    plan = bench.plan(bench.options(sized))
    patch, delete = {"data": {"more": "MQ=="}}, Cluster.delete
    late = [patch] * (when == "between")
    if when == "before":
        bench.change(patch)

    def delete_later(self, *args, **how):
        if late:
            bench.change(late.pop())
        return delete(self, *args, **how)

    monkeypatch.setattr(Cluster, "delete", delete_later)
    result = bench.shop.engine.apply(plan)

    assert late == []
    assert bench.outcome(result) == (
        "skipped",
        "the live object changed since the plan was made",
    )
    (warning,) = result.results.warnings
    assert warning.message.startswith("not written: ")
    assert bench.live()["metadata"]["uid"] == bench.uid
    assert bench.live()["data"]["more"] == "MQ=="


@pytest.mark.parametrize(
    ("kind", "action"), [("ConfigMap", "recreated"), ("Secret", "skipped")]
)
def test_one_in_which_nothing_moved_that_counts(make_shop, kind, action):
    """A write that leaves the same differences is no drift; a Secret shows none."""
    bench = Bench(make_shop, kind)
    plan = bench.plan(bench.options(sized))
    entry = {"manager": "other", "operation": "Update", "apiVersion": "v1"}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}
    bench.change({"metadata": {"managedFields": [entry]}})

    result = bench.shop.engine.apply(plan)

    assert bench.outcome(result)[0] == action


def test_one_that_became_what_the_modifiers_make(make_shop):
    """Somebody made it so: it is as in the backup, and stays."""
    bench = Bench(make_shop, "ConfigMap")
    plan = bench.plan(bench.options(sized))
    bench.change({"data": {"colour": "Z3JlZW4=", "size": "TA=="}})

    result = bench.shop.engine.apply(plan)

    assert bench.outcome(result) == ("unchanged", "it is as in the backup")
    assert bench.deletes() == 0


def test_one_that_a_transform_calls_otherwise(make_shop):
    """What is deleted is what the item becomes, if that is what was named."""
    bench = Bench(make_shop, "ConfigMap")
    bench.shop.simulated.load([settings("ConfigMap", "other", size="TQ==")])

    def renamed(item):
        if item["metadata"]["name"] == "settings":
            item["metadata"]["name"] = "other"
        return item

    named = bench.plan(bench.options(renamed, name="cm/shop/settings"))
    plan = bench.plan(bench.options(renamed, name="cm/shop/other"))
    old = bench.live("other")["metadata"]["uid"]
    bench.shop.engine.apply(plan)

    assert line(named).action is PlanAction.SKIP
    assert line(plan).action is PlanAction.RECREATE
    assert bench.live()["metadata"]["uid"] == bench.uid
    assert bench.live("other")["metadata"]["uid"] != old
