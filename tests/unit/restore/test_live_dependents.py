"""What is owned in the target by what is deleted, and is no part of the restore."""

import json

import pytest
from plan_samples import namespace

from kbackup.cluster import Cluster
from kbackup.errors import ClusterUnreachableError
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestorePlan

SPEC = RestoreSpec(backup_name="shop-1")
CLAIM_SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
POD_SPEC = {"restartPolicy": "Never"}


def workload(kind, app):
    """Return a Pod or a Job."""
    spec = POD_SPEC | {"containers": [{"name": "main", "image": f"{app}:1"}]}
    version = "v1"
    if kind == "Job":
        spec, version = {"template": {"spec": spec}}, "batch/v1"
    metadata = {"name": "owner", "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def owned(kind, name, owner, **fields):
    """Return an object that *owner*, as the server has it, owns."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
    metadata = {"name": name, "namespace": "shop", "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata} | fields


class Bench:
    """A target whose Pod or Job differs from the backup's."""

    def __init__(self, make_shop, kind, *, own=()):
        self.shop = make_shop([namespace(), workload(kind, "a")])
        self.shop.simulated.load([namespace(), workload(kind, "b")])
        self.resource = "pods" if kind == "Pod" else "jobs.batch"
        version = "v1" if kind == "Pod" else "batch/v1"
        self.options = RestoreOptions(existing_policies={self.resource: "recreate"})
        self.owner = {"apiVersion": version, "kind": kind} | self.live()
        self.own(*own)

    def live(self):
        """Return the Pod or Job that is there."""
        return self.shop.object(self.resource, "shop", "owner")

    def own(self, *kinds, owner=None):
        """Give it, or another owner, something of each kind."""
        specs = {
            "PersistentVolumeClaim": CLAIM_SPEC,
            "Pod": {"containers": [{"name": "main", "image": "b:1"}]},
        }
        for kind in kinds:
            spec = {"spec": specs[kind]} if kind in specs else {}
            made = owned(kind, "own", owner or self.owner, **spec)
            self.shop.simulated.load([made])

    def plan(self):
        """Plan, save and load the plan."""
        plan = self.shop.engine.plan("r", SPEC, self.options)
        return RestorePlan.from_json(json.loads(json.dumps(plan.to_json())))

    def line(self, plan):
        """Return the line of the Pod or Job."""
        return next(x for x in plan.entries if x.target.name == "owner")


def told(plan):
    """Return the notices about the Pod or Job, and what they are about."""
    return {
        notice.what: [str(item) for item in notice.items]
        for notice in plan.notices
        if "owner" in (item.name for item in notice.items)
    }


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "PersistentVolumeClaim"])
def test_what_a_job_owns(make_shop, kind):
    """It would be collected with the Job's Pods: the Job is not deleted, and says why."""
    bench = Bench(make_shop, "Job", own=[kind])
    plan = bench.plan()

    result = bench.shop.engine.apply(plan)

    line = bench.line(plan)
    resource = f"{kind.lower()}s/shop/own"
    assert line.action is PlanAction.CONFLICT
    assert line.reason == f"not deleted: what it owns would go with it: {resource}"
    assert told(plan) == {}  # nothing is deleted, and no Job starts
    assert len(result.results.errors) == 1
    assert bench.live()["metadata"]["uid"] == bench.owner["metadata"]["uid"]
    assert bench.shop.names(f"{kind.lower()}s", "shop").count("own") == 1


def test_claims_of_a_jobs_pods(make_shop):
    """Its Pods go, but not with a claim of theirs: there may be data in it."""
    bench = Bench(make_shop, "Job", own=["Pod"])
    assert bench.line(bench.plan()).action is PlanAction.RECREATE
    pod = {"apiVersion": "v1", "kind": "Pod"} | bench.shop.object("pods", "shop", "own")
    bench.own("ConfigMap", owner=pod)
    assert bench.line(bench.plan()).action is PlanAction.RECREATE

    bench.own("PersistentVolumeClaim", owner=pod)

    line = bench.line(bench.plan())
    assert line.action is PlanAction.CONFLICT
    assert "persistentvolumeclaims/shop/own" in line.reason


def test_what_a_pod_owns(make_shop):
    """It is made for the Pod and goes with it, which the plan says; a claim stays."""
    bench = Bench(make_shop, "Pod", own=["ConfigMap"])

    plan = bench.plan()

    assert bench.line(plan).action is PlanAction.RECREATE
    (notice,) = [x for x in plan.notices if "is no part of this restore" in x.what]
    assert [str(item) for item in notice.items] == ["configmaps/shop/own"]
    bench.own("PersistentVolumeClaim")
    assert bench.line(bench.plan()).action is PlanAction.CONFLICT


def test_what_comes_after_the_plan(make_shop):
    """It is looked for once more before the Job is deleted."""
    bench = Bench(make_shop, "Job")
    plan = bench.plan()
    bench.own("ConfigMap")

    result = bench.shop.engine.apply(plan)

    assert bench.line(plan).action is PlanAction.RECREATE
    (error,) = result.results.errors
    reason = "not deleted: what it owns would go with it: configmaps/shop/own"
    assert error.message.endswith(reason)
    assert bench.live()["metadata"]["uid"] == bench.owner["metadata"]["uid"]
    assert "own" in bench.shop.names("configmaps", "shop")


def test_types_that_may_not_be_read(make_shop):
    """The plan names them; what is known to be safe as far as it can be told is done."""
    bench = Bench(make_shop, "Job")
    bench.shop.simulated.faults.forbid(verb="list", resource="secrets")
    plan = bench.plan()

    result = bench.shop.engine.apply(plan)

    (sentence,) = [what for what in told(plan) if "cannot be read" in what]
    assert sentence.endswith(": secrets")
    assert result.results.errors == ()
    assert bench.live()["metadata"]["uid"] != bench.owner["metadata"]["uid"]


def test_lists_that_come_later(make_shop, monkeypatch):
    """Before the delete a list that may be answered later is waited for."""
    bench = Bench(make_shop, "Job")
    plan = bench.plan()
    bench.own("ConfigMap")
    listed, tries = Cluster.list, []

    def late(self, resource, **how):
        if resource.resource == "secrets":
            tries.append(resource)
            if len(tries) <= 2:
                raise ClusterUnreachableError("list", "secrets", reason="later")
        return listed(self, resource, **how)

    monkeypatch.setattr(Cluster, "list", late)
    result = bench.shop.engine.apply(plan)

    assert len(tries) == 3
    (error,) = result.results.errors
    assert "configmaps/shop/own" in error.message
