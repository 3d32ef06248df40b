"""Hooks of a Pod that is deleted and created anew: run in the new one, and once."""

import json

import pytest
from plan_samples import namespace

from kbackup.cluster import Cluster
from kbackup.models import RestoreOptions, RestoreSpec, well_known
from kbackup.plugins import ItemRestored
from kbackup.restore import PlanAction, RestorePlan

POST = "post.hook.restore.velero.io/"
SPEC = RestoreSpec(backup_name="shop-1")
OPTIONS = RestoreOptions(existing_policies={"pods/shop/db": "recreate"})
MAKING = ("created", "recreated", "unchanged")  # the last: an earlier run made it


class KilledError(BaseException):
    """The process is gone: nothing of what would follow happens."""


def pod(image="db:1"):
    """A Pod that has a command run in it once it is restored."""
    notes = {f"{POST}command": json.dumps(["warm"]), f"{POST}wait-timeout": "20s"}
    metadata = {"name": "db", "namespace": "shop", "annotations": notes}
    spec = {"containers": [{"name": "main", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Scene:
    """A target in which the Pod of the backup runs with other limits.

    Attributes:
        ran: The UIDs of the Pods in which the command was run.
    """

    def __init__(self, make_shop):
        self.ran = []
        self.shop = make_shop([namespace(), pod()], observer=self._observe)
        self.shop.simulated.on_exec(lambda _: self.ran.append(self.uid()) or 0)
        there = pod("db:2")
        there["spec"]["hostNetwork"] = True  # what no update changes
        self.shop.simulated.load([namespace(), there])
        self.old = self.uid()
        self._run()

    def uid(self):
        """The UID of the Pod that is there."""
        return self.shop.object("pods", "shop", "db")["metadata"]["uid"]

    def _run(self):
        running = [{"name": "main", "ready": True, "state": {"running": {}}}]
        status = {"phase": "Running", "containerStatuses": running}
        self.shop.cluster.patch(
            self.shop.cluster.discover().resolve("pods"),
            "db",
            {"status": status},
            namespace="shop",
            subresource="status",
        )

    def _observe(self, event):
        is_made = isinstance(event, ItemRestored) and event.action in MAKING
        if is_made and event.identifier.group_resource == well_known.PODS:
            self._run()

    def plan(self):
        """Plan, save and load the plan."""
        plan = self.shop.engine.plan("r", SPEC, OPTIONS)
        return RestorePlan.from_json(json.dumps(plan.to_json()))

    def apply(self, plan):
        """Apply a plan; return how many hooks there were, and how many failed."""
        result = self.shop.engine.apply(plan)
        assert result.results.errors == ()
        status = result.restore.status.hook_status
        return status and (status.hooks_attempted, status.hooks_failed)

    def killed(self, plan, where):
        """Apply a plan in a process that dies."""
        with pytest.MonkeyPatch.context() as patch:
            where(patch)
            with pytest.raises(KilledError):
                self.shop.engine.apply(plan)


def line(plan):
    """The line of the Pod."""
    return next(x for x in plan.entries if x.kind == "Pod")


def die(*_, **__):
    """Be killed."""
    raise KilledError


def before_create(patch):
    """Die when the old Pod is gone and the new one is not there."""
    create = Cluster.create

    def dying(self, resource, body, *, dry_run=False, **how):
        return (
            create(self, resource, body, dry_run=dry_run, **how) if dry_run else die()
        )

    patch.setattr(Cluster, "create", dying)


def after_create(patch):
    """Die when the new Pod is there, and nobody was told."""
    create = Cluster.create

    def dying(self, resource, body, *, dry_run=False, **how):
        stored = create(self, resource, body, dry_run=dry_run, **how)
        return stored if dry_run else die()

    patch.setattr(Cluster, "create", dying)


def before_record(patch):
    """Die when everything is done."""
    patch.setattr("kbackup.restore._pipeline._keep", die)


@pytest.fixture(name="scene")
def fixture_scene(make_shop):
    """A scene."""
    return Scene(make_shop)


def test_the_command_is_run_in_the_new_pod(scene):
    """The plan shows it; the Pod that was there gets none."""
    plan = scene.plan()

    counted = scene.apply(plan)

    assert line(plan).action is PlanAction.RECREATE
    told = "hook <from-annotation> in container main, within 20s: warm"
    assert line(plan).hooks == (told,)
    assert counted == (1, 0)
    assert scene.ran == [scene.uid()]
    assert scene.uid() != scene.old


@pytest.mark.parametrize("again", ["planned", "saved"])
@pytest.mark.parametrize("where", [before_create, after_create, before_record])
def test_a_run_that_was_killed(scene, where, again):
    """The same restore, planned again or by its plan, runs what was not run, once."""
    plan = scene.plan()
    scene.killed(plan, where)
    ran = list(scene.ran)

    plan = scene.plan() if again == "planned" else plan
    counted = scene.apply(plan)

    assert ran == ([scene.uid()] if where is before_record else [])
    assert counted == (1, 0)
    assert scene.ran == [scene.uid()]
    assert scene.uid() != scene.old


@pytest.mark.parametrize("killed", [False, True])
def test_a_pod_that_became_as_in_the_backup(scene, killed):
    """Somebody else did what was to be done: it stays, and nothing is run in it."""
    plan = scene.plan()
    if killed:  # and has begun to keep a journal
        scene.killed(plan, lambda patch: patch.setattr(Cluster, "delete", die))
    pods = scene.shop.cluster.discover().resolve("pods")
    scene.shop.cluster.delete(pods, "db", namespace="shop")
    scene.shop.simulated.load([pod("db:2")])
    plan = scene.plan()
    image = {"spec": {"containers": [{"name": "main", "image": "db:1"}]}}
    scene.shop.cluster.patch(pods, "db", image, namespace="shop")
    there = scene.uid()

    result = scene.shop.engine.apply(plan)

    assert line(plan).action is PlanAction.RECREATE
    assert result.results.errors == ()
    (outcome,) = [x for x in result.outcomes if x.identifier == line(plan).target]
    assert (outcome.action, outcome.reason) == ("unchanged", "it is as in the backup")
    assert scene.ran == []
    assert scene.uid() == there
