"""What is restored before its owner, with the controllers of a real cluster at work."""

from datetime import timedelta

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, GroupResource, ResourceIdentifier, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

SPEC = RestoreSpec(backup_name="b-1")
PODS = GroupResource("", "pods")
SETS = GroupResource("apps", "replicasets")
DEPLOYMENTS = GroupResource("apps", "deployments")
REVISIONS = GroupResource("apps", "controllerrevisions")
NAMESPACES = GroupResource("", "namespaces")
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


def _container(tag):
    """What changes the image of a Deployment."""
    containers = [{"name": "web", "image": f"example.com/web:{tag}"}]
    return {"template": {"spec": {"containers": containers}}}


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

    def watched(self, since):
        """What was made and what was deleted since a resourceVersion."""
        seen = []
        for resource in (PODS, SETS):
            kind = self.cluster.discover().get(resource)
            events = self.cluster.watch(
                kind,
                namespace=self.name,
                resource_version=since[resource],
                timeout=SECONDS_TO_WATCH,
            )
            seen += [
                (event.type, event.item["kind"], event.item["metadata"]["name"])
                for event in events
                if event.type in ("ADDED", "DELETED")
            ]
        return seen

    def now(self):
        """The resourceVersions to watch from."""
        found = {}
        for resource in (PODS, SETS):
            listing = self.cluster.list(self.cluster.discover().get(resource))
            list(listing)
            found[resource] = listing.resource_version
        return found


@pytest.fixture
def place(real_cluster, namespace, wait_for):
    """An empty namespace on a cluster with its controllers."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        place = Place(cluster, namespace, wait_for)
        place.make()
        yield place
        there = ResourceIdentifier(NAMESPACES, "", namespace)
        if cluster.reader().get(there) is not None:
            place.drop(NAMESPACES, namespace)


@pytest.fixture
def store(tmp_path):
    """A place for backups."""
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        yield store


def _back_up(place, store):
    """Back the namespace up."""
    spec = BackupSpec(included_namespaces=[place.name])
    result = BackupEngine(place.cluster, store).run("b-1", spec)
    assert result.results.errors == ()


def _begin_rollout(place):
    """Let a rollout begin, which cannot end: no Pod of the new version gets ready."""
    place.change(**_container(2))
    place.rests_with(4, 1)


def _pause(place):
    place.change(paused=True)


def _pause_rollout(place):
    _begin_rollout(place)
    _pause(place)


def _leave_as_is(place):
    """Nothing happens to the Deployment."""


NONE_DOWN = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
}


@pytest.mark.parametrize(
    ("strategy", "happens", "replicas"),
    [
        pytest.param(NONE_DOWN, _leave_as_is, (4,), id="rolling"),
        pytest.param({"type": "Recreate"}, _leave_as_is, (4,), id="recreate"),
        pytest.param(NONE_DOWN, _pause, (4,), id="paused"),
        pytest.param(NONE_DOWN, _begin_rollout, (4, 1), id="rollout"),
        pytest.param(NONE_DOWN, _pause_rollout, (4, 1), id="paused-rollout"),
    ],
)
def test_a_deployment_has_its_own_sets_again(place, store, strategy, happens, replicas):
    """Each ReplicaSet is adopted with its replicas; none is made, nothing is deleted."""
    place.create(_deployment(strategy=strategy))
    place.rests_with(4)
    happens(place)
    before = place.rests_with(*replicas)
    _back_up(place, store)
    place.drop(NAMESPACES, place.name)
    engine, since = RestoreEngine(place.cluster, store), place.now()

    plan = engine.plan("r-1", SPEC)
    result = engine.apply(plan)

    assert result.results.errors == ()
    assert any(entry.idle for entry in plan.entries) == (len(replicas) == 1)
    assert place.rests_with(*replicas) == before
    seen = place.watched(since)
    assert sum(kind == "ReplicaSet" for _, kind, _ in seen) == len(replicas)
    assert sum(kind == "Pod" for _, kind, _ in seen) == sum(replicas)
    assert {what for what, _, _ in seen} == {"ADDED"}
    assert engine.plan("r-1", SPEC).is_empty
    again = engine.apply(plan)  # as one does after a kill
    assert again.results.errors == ()
    assert [x for x in again.results.warnings if x.item is not None] == []


def _runs_a_script(kind, **spec):
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


@pytest.mark.parametrize(
    ("kind", "spec"), [("DaemonSet", {}), ("StatefulSet", {"serviceName": "db"})]
)
def test_revisions_of_scripts_are_adopted(place, store, kind, spec):
    """A revision that its controller could not take over would hold up every Pod."""
    workloads = GroupResource("apps", f"{kind.lower()}s")

    def adopted():
        owners = {
            item["metadata"]["name"]: item["metadata"].get("ownerReferences")
            for item in place.items(REVISIONS)
        }
        seen = [x["status"].get("observedGeneration") for x in place.items(workloads)]
        return seen == [1] and owners and all(owners.values()) and set(owners)

    place.create(_runs_a_script(kind, **spec))
    before = place.wait_for("its revision", adopted)
    _back_up(place, store)
    place.drop(NAMESPACES, place.name)

    result = RestoreEngine(place.cluster, store).run("r-1", SPEC)

    assert result.results.errors == ()
    assert place.wait_for("its revision", adopted) == before


def test_a_refused_deployment_leaves_nothing_running(place, store):
    """Its ReplicaSet has no Pods and is named; run again, the restore is completed."""
    place.create(_deployment())
    place.rests_with(4)
    _back_up(place, store)
    place.drop(NAMESPACES, place.name)
    place.make()
    place.create(NO_DEPLOYMENTS)
    place.wait_for(
        "the quota's status",
        lambda: any(
            x.get("status", {}).get("used")
            for x in place.items(GroupResource("", "resourcequotas"))
        ),
    )
    engine, since = RestoreEngine(place.cluster, store), place.now()

    result = engine.run("r-1", SPEC)
    seen = place.watched(since)
    place.drop(GroupResource("", "resourcequotas"), "none")
    completed = engine.run("r-1", SPEC)

    (name,) = place.names(SETS)
    assert any("exceeded quota" in x.message for x in result.results.errors)
    assert [x.message for x in result.results.warnings if "owner" in x.message] == [
        f"stays without its owner Deployment/web, {NOT_RESTORED}"
    ]
    assert seen == [("ADDED", "ReplicaSet", name)]
    assert completed.results.errors == ()
    assert [x for x in completed.results.warnings if x.item is not None] == []
    assert place.rests_with(4) == {name: (4, 4)}


def test_pods_that_nobody_owns_are_adopted_and_go_on(place, store):
    """Deployment and ReplicaSet were deleted without their Pods: a restore ends none."""
    place.create(_deployment())
    place.rests_with(4)
    _back_up(place, store)
    (name,) = place.names(SETS)
    place.drop(DEPLOYMENTS, "web", propagation="Orphan")
    place.drop(SETS, name, propagation="Orphan")
    before, since = place.names(PODS), place.now()
    engine = RestoreEngine(place.cluster, store)

    result = engine.run("r-1", SPEC)

    assert result.results.errors == ()
    assert place.rests_with(4) == {name: (4, 4)}
    assert place.names(PODS) == before
    assert place.watched(since) == [("ADDED", "ReplicaSet", name)]
