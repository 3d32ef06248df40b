"""What is restored before its owner, with the controllers of a real cluster at work.

Each workload has a namespace of its own. All of them are made, backed up, deleted,
restored and then watched side by side, once for all tests of this module.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import attrs
import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import ForbiddenError, ItemNotFoundError
from kbackup.models import BackupSpec, GroupResource, RestoreOptions, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

PODS = GroupResource("", "pods")
SETS = GroupResource("apps", "replicasets")
DEPLOYMENTS = GroupResource("apps", "deployments")
REVISIONS = GroupResource("apps", "controllerrevisions")
NAMESPACES = GroupResource("", "namespaces")
WITH_REVISIONS = (
    GroupResource("apps", "daemonsets"),
    GroupResource("apps", "statefulsets"),
)
QUOTAS = GroupResource("", "resourcequotas")
SECONDS_TO_WATCH = timedelta(seconds=6)
NOT_RESTORED = "which was not restored; it has no replicas, and runs nothing"
NO_DEPLOYMENTS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none"},
    "spec": {"hard": {"count/deployments.apps": "0"}},
}


def _deployment(**spec):
    """A Deployment with four replicas, which never become ready: nothing runs them."""
    labels = {"app": "web"}
    containers = [{"name": "web", "image": "example.com/web:1"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": containers},
            },
            **spec,
        },
    }


def _script(kind, **spec):
    """A workload whose template has what Go's JSON escapes and others write plainly."""
    labels = {"app": "db"}
    command = ["sh", "-c", "test -e <x> && run > out"]
    containers = [{"name": "db", "image": "example.com/db:1", "command": command}]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "db"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": containers},
            },
            **spec,
        },
    }


class Place:
    """A namespace of a cluster."""

    def __init__(self, cluster, name, wait_for):
        self.cluster = cluster
        self.name = name
        self.wait_for = wait_for

    def items(self, resource):
        """The objects of a type."""
        return list(self.cluster.reader().list(resource, namespace=self.name))

    def names(self, resource):
        """The names of the objects of a type."""
        return {item["metadata"]["name"] for item in self.items(resource)}

    def create(self, body):
        """Create an object."""
        kind = self.cluster.discover().by_kind(body["apiVersion"], body["kind"])
        where = self.name if kind.namespaced else ""
        self.cluster.create(kind, body, namespace=where)

    def make(self):
        """Create the namespace."""
        metadata = {"name": self.name}
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def change(self, **spec):
        """Change the Deployment."""
        kind = self.cluster.discover().get(DEPLOYMENTS)
        self.cluster.patch(kind, "web", {"spec": spec}, namespace=self.name)

    def drop(self, resource, name, **how):
        """Delete an object and wait until it is gone."""
        kind = self.cluster.discover().get(resource)
        where = self.name if kind.namespaced else ""
        self.cluster.delete(kind, name, namespace=where, **how)
        reader = self.cluster.reader()
        self.wait_for(
            f"the end of {name}",
            lambda: (
                name
                not in [
                    x["metadata"]["name"]
                    for x in reader.list(resource, namespace=where)
                ]
            ),
        )

    def shape(self):
        """How many Pods each ReplicaSet has, once nothing is to be done any more.

        Of each set its replicas, and the Pods that it owns.
        """
        pods = [
            owner["name"]
            for pod in self.items(PODS)
            for owner in pod["metadata"].get("ownerReferences", ())
        ]
        return {
            item["metadata"]["name"]: (
                item["spec"]["replicas"],
                pods.count(item["metadata"]["name"]),
            )
            for item in self.items(SETS)
        }

    def rests_with(self, *replicas):
        """Wait until the Deployment's sets have these replicas, and Pods as many."""
        wanted = sorted((count, count) for count in replicas)

        def is_so():
            found = self.shape()
            seen = [
                item["status"].get("observedGeneration")
                == item["metadata"]["generation"]
                for resource in (DEPLOYMENTS, SETS)
                for item in self.items(resource)
            ]
            return all(seen) and sorted(found.values()) == wanted and found

        return self.wait_for(f"sets of {replicas}", is_so)

    def rests_with_pods(self, count):
        """Wait until so many Pods of the workload are there, each with its owner."""
        self.rests_with_its_revision()

        def names():
            pods = self.items(PODS)
            owned = [x for x in pods if x["metadata"].get("ownerReferences")]
            return len(owned) == len(pods) == count and self.names(PODS)

        return self.wait_for(f"{count} Pods", names)

    def owners(self):
        """Who owns each Pod: the UIDs of its controllers."""
        return {
            pod["metadata"]["name"]: [
                owner["uid"]
                for owner in pod["metadata"].get("ownerReferences", ())
                if owner.get("controller")
            ]
            for pod in self.items(PODS)
        }

    def rests_with_its_revision(self):
        """Wait until the workload's controller has made or adopted its revisions."""

        def names():
            owners = {
                item["metadata"]["name"]: item["metadata"].get("ownerReferences")
                for item in self.items(REVISIONS)
            }
            seen = [
                item["status"].get("observedGeneration")
                for resource in WITH_REVISIONS
                for item in self.items(resource)
            ]
            return seen == [1] and owners and all(owners.values()) and set(owners)

        return self.wait_for("its revision", names)


def _leave_as_is(place):
    """Nothing happens to the workload."""


def _pause(place):
    """Pause the Deployment."""
    place.rests_with(4)
    place.change(paused=True)


def _begin_rollout(place):
    """Let a rollout begin, which cannot end: no Pod of the new version gets ready."""
    place.rests_with(4)
    containers = [{"name": "web", "image": "example.com/web:2"}]
    place.change(template={"spec": {"containers": containers}})
    place.rests_with(4, 1)


def _pause_rollout(place):
    """Pause the Deployment in the middle of its rollout."""
    _begin_rollout(place)
    place.change(paused=True)


def _delete_namespace(place):
    """Delete the workload with its namespace."""
    place.drop(NAMESPACES, place.name)


def _refuse(place):
    """Delete the workload, and let a quota refuse it when it comes again."""
    _delete_namespace(place)
    place.make()
    place.wait_for("a namespace that takes a quota", lambda: _has_quota(place))
    place.wait_for(
        "the quota's status",
        lambda: any(x.get("status", {}).get("used") for x in place.items(QUOTAS)),
    )


def _has_quota(place):
    """Create the quota; False while admission still knows the namespace that went."""
    try:
        place.create(NO_DEPLOYMENTS)
    except ForbiddenError:
        return False
    return True


def _orphan_pods(place):
    """Delete Deployment and ReplicaSet without their Pods."""
    (name,) = place.names(SETS)
    place.drop(DEPLOYMENTS, "web", propagation="Orphan")
    place.drop(SETS, name, propagation="Orphan")


@attrs.frozen(kw_only=True)
class Scenario:
    """A workload and what happens to it.

    Attributes:
        body: The workload.
        rests: Waits until nothing is to be done any more; gives what there is then.
        happens: What is done to it before the backup.
        goes: What is done between the backup and the restore.
        refused: Whether the restore cannot bring it back.
        options: Of the restore.
    """

    body: dict
    rests: Callable = lambda place: place.rests_with(4)
    happens: Callable = _leave_as_is
    goes: Callable = _delete_namespace
    refused: bool = False
    options: RestoreOptions = attrs.field(factory=RestoreOptions)


def _adopting(scenario):
    """The same, with the Pods themselves in the restore."""
    return attrs.evolve(scenario, options=RestoreOptions(controlled="adopt"))


def _rolling(happens, *replicas):
    """A Deployment none of whose Pods may be missing while it is rolled out."""
    surge = {"maxSurge": 1, "maxUnavailable": 0}
    body = _deployment(strategy={"type": "RollingUpdate", "rollingUpdate": surge})
    return Scenario(
        body=body, happens=happens, rests=lambda place: place.rests_with(*replicas)
    )


def _revised(kind, **spec):
    """A workload that has revisions."""
    return Scenario(body=_script(kind, **spec), rests=Place.rests_with_its_revision)


def _parallel():
    """A StatefulSet with three Pods at once, for none of them ever gets ready."""
    more = {"serviceName": "db", "replicas": 3, "podManagementPolicy": "Parallel"}
    body = _script("StatefulSet", **more)
    return Scenario(body=body, rests=lambda place: place.rests_with_pods(3))


SCENARIOS = {
    "rolling": _rolling(_leave_as_is, 4),
    "recreate": Scenario(body=_deployment(strategy={"type": "Recreate"})),
    "paused": _rolling(_pause, 4),
    "rollout": _rolling(_begin_rollout, 4, 1),
    "paused-rollout": _rolling(_pause_rollout, 4, 1),
    "refused": Scenario(body=_deployment(), goes=_refuse, refused=True),
    "orphaned": Scenario(body=_deployment(), goes=_orphan_pods),
    "daemonset": _revised("DaemonSet"),
    "statefulset": _revised("StatefulSet", serviceName="db"),
    "adopt": _adopting(_rolling(_leave_as_is, 4)),
    "adopt-rollout": _adopting(_rolling(_begin_rollout, 4, 1)),
    "adopt-set": _adopting(_parallel()),
}
REPLICAS = {  # of the ReplicaSets of those that are restored whole
    "rolling": (4,),
    "recreate": (4,),
    "paused": (4,),
    "rollout": (4, 1),
    "paused-rollout": (4, 1),
}


@attrs.define
class Trial:
    """A scenario in its namespace, and what came of it.

    Attributes:
        before: What there was at the time of the backup.
        pods: The names of the Pods right before the restore.
        stored: The names of the Pods in the backup.
        plan: Of the restore.
        result: Of the restore.
        seen: What was made and what was deleted since, and for a while after.
    """

    scenario: Scenario
    place: Place
    store: BackupStore
    before: object = None
    pods: set = frozenset()
    stored: set = frozenset()
    plan: object = None
    result: object = None
    seen: list = attrs.Factory(list)

    @property
    def engine(self):
        """What restores it."""
        return RestoreEngine(self.place.cluster, self.store)

    @property
    def asked(self):
        """Name, specification and options of the restore."""
        name, options = self.place.name, self.scenario.options
        return f"r-{name}", RestoreSpec(backup_name=f"b-{name}"), options

    def begin(self):
        """Make the workload, back it up and take it away."""
        self.place.make()
        self.place.create(self.scenario.body)
        self.scenario.happens(self.place)
        self.before = self.scenario.rests(self.place)
        spec = BackupSpec(included_namespaces=[self.place.name])
        engine = BackupEngine(self.place.cluster, self.store)
        result = engine.run(f"b-{self.place.name}", spec)
        assert result.results.errors == ()
        self.stored = self.place.names(PODS)
        self.scenario.goes(self.place)
        self.pods = self.place.names(PODS)

    def restore(self):
        """Restore it, and let the controllers do what they do about it."""
        self.plan = self.engine.plan(*self.asked)
        self.result = self.engine.apply(self.plan)
        if not self.scenario.refused:
            self.scenario.rests(self.place)


def _now(cluster):
    """The resourceVersions to watch from."""
    found = {}
    for resource in (PODS, SETS):
        listing = cluster.list(cluster.discover().get(resource))
        list(listing)
        found[resource] = listing.resource_version
    return found


@pytest.fixture(scope="module", name="trials")
def fixture_trials(real_cluster, wait_for, side_by_side, tmp_path_factory):
    """All scenarios, restored and watched, by name."""
    word = f"adopted-{time.time_ns() % 10**8}"
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path_factory.mktemp("store")) as store,
    ):
        trials = {
            name: Trial(scenario, Place(cluster, f"{word}-{name}", wait_for), store)
            for name, scenario in SCENARIOS.items()
        }
        side_by_side(Trial.begin, trials.values())
        since = _now(cluster)
        side_by_side(Trial.restore, trials.values())
        _watch(cluster, since, side_by_side, trials.values())
        yield trials
        namespaces = cluster.discover().get(NAMESPACES)
        for trial in trials.values():
            with suppress(ItemNotFoundError):
                cluster.delete(namespaces, trial.place.name)


def _watch(cluster, since, side_by_side, trials):
    """Watch for a while; tell each trial what was made and deleted in its namespace."""
    of_namespace = {trial.place.name: trial.seen for trial in trials}

    def watched(resource):
        return list(
            cluster.watch(
                cluster.discover().get(resource),
                resource_version=since[resource],
                timeout=SECONDS_TO_WATCH,
            )
        )

    for event in (x for found in side_by_side(watched, since) for x in found):
        metadata = event.item["metadata"]
        if event.type in ("ADDED", "DELETED") and metadata["namespace"] in of_namespace:
            fact = (event.type, event.item["kind"], metadata["name"])
            of_namespace[metadata["namespace"]].append(fact)


@pytest.mark.parametrize("name", REPLICAS)
def test_a_deployment_has_its_own_sets_again(trials, name):
    """Each ReplicaSet is adopted with its replicas; none is made, nothing is deleted."""
    trial, replicas = trials[name], REPLICAS[name]

    assert trial.result.results.errors == ()
    assert any(entry.idle for entry in trial.plan.entries) == (len(replicas) == 1)
    assert trial.place.rests_with(*replicas) == trial.before
    seen = trial.seen
    assert sum(kind == "ReplicaSet" for _, kind, _ in seen) == len(replicas)
    assert sum(kind == "Pod" for _, kind, _ in seen) == sum(replicas)
    assert {what for what, _, _ in seen} == {"ADDED"}
    assert trial.engine.plan(*trial.asked).is_empty
    again = trial.engine.apply(trial.plan)  # as one does after a kill
    assert again.results.errors == ()
    assert [x for x in again.results.warnings if x.item is not None] == []


@pytest.mark.parametrize("name", ["daemonset", "statefulset"])
def test_revisions_of_scripts_are_adopted(trials, name):
    """A revision that its controller could not take over would hold up every Pod."""
    trial = trials[name]

    assert trial.result.results.errors == ()
    assert trial.place.rests_with_its_revision() == trial.before


@pytest.mark.parametrize("name", ["adopt", "adopt-rollout", "adopt-set"])
def test_restored_pods_are_adopted(trials, name):
    """The very Pods of the backup have one controller each, and none is deleted."""
    trial = trials[name]
    place, resources = trial.place, (SETS, WITH_REVISIONS[1])

    living = {x["metadata"]["uid"] for each in resources for x in place.items(each)}
    owners = place.owners()

    assert trial.result.results.errors == ()
    assert set(owners) == trial.stored
    assert all(
        len(found) == 1 and living.issuperset(found) for found in owners.values()
    )
    deleted = {each for what, _, each in trial.seen if what == "DELETED"}
    assert deleted.isdisjoint(trial.stored)
    created = {x.target.name for x in trial.plan.entries if x.kind == "Pod"}
    assert created == trial.stored
    assert trial.engine.plan(*trial.asked).is_empty


def test_a_refused_deployment_leaves_nothing_running(trials):
    """Its ReplicaSet has no Pods and is named; run again, the restore is completed."""
    trial = trials["refused"]
    place, results = trial.place, trial.result.results

    place.drop(QUOTAS, "none")
    completed = trial.engine.run(*trial.asked)

    (name,) = place.names(SETS)
    assert any("exceeded quota" in x.message for x in results.errors)
    assert [x.message for x in results.warnings if "owner" in x.message] == [
        f"stays without its owner Deployment/web, {NOT_RESTORED}"
    ]
    assert trial.seen == [("ADDED", "ReplicaSet", name)]
    assert completed.results.errors == ()
    assert [x for x in completed.results.warnings if x.item is not None] == []
    assert place.rests_with(4) == {name: (4, 4)}


def test_pods_that_nobody_owns_are_adopted_and_go_on(trials):
    """Deployment and ReplicaSet were deleted without their Pods: a restore ends none."""
    trial = trials["orphaned"]

    (name,) = trial.place.names(SETS)
    assert trial.result.results.errors == ()
    assert trial.place.rests_with(4) == {name: (4, 4)}
    assert trial.place.names(PODS) == trial.pods
    assert len(trial.pods) == 4
    assert trial.seen == [("ADDED", "ReplicaSet", name)]
