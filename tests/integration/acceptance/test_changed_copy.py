"""A copy that the transforms of the library changed, on a real API server.

Its controllers are at work: what one of them makes out of the copy shows whether all that
belongs together was changed alike.
"""

import time

import attrs
import pytest

from kbackup import BackupStore, RestoreOptions, RestoreSpec
from kbackup.restore import transforms

MIRROR = "mirror.example.com:5000/hub"
CHANGED = (
    transforms.registry({"example.com": MIRROR}),
    transforms.ingress_hosts({"*.example.com": "*.staging.example.com"}),
    transforms.storage_class({"nowhere": "somewhere"}),
    transforms.replicas(at_most=1),
    transforms.node_selectors(drop=["*"]),
    transforms.labels(add={"copied-for": "tests"}, remove=["app"]),
    transforms.annotations(add={"example.com/copied": "yes, for tests"}),
    transforms.drop("NetworkPolicy"),
)


@attrs.frozen
class Copied:
    """A rich namespace and its changed copy.

    Attributes:
        copy: The copy's name.
        plan: Of the copy.
        result: Of the restore.
        again: The plan of the same restore, made afterwards.
        sets: The ReplicaSets of the Deployment in the original, by name.
    """

    copy: str
    plan: object
    result: object
    again: object
    sets: list


@pytest.fixture(scope="module", name="copied")
def fixture_copied(source, rich, wait_for, tmp_path_factory):
    """The copy, once for all tests of this module."""
    copy = f"{rich}-changed"
    asked = (
        "changed",
        RestoreSpec(backup_name="rich", namespace_mapping={rich: copy}),
        RestoreOptions(transforms=CHANGED),
    )
    with BackupStore.open(tmp_path_factory.mktemp("store")) as store:
        source.backup(store, "rich", rich)
        sets = sets_of(source, rich)
        plan = source.restorer(store).plan(*asked)
        result = source.restorer(store).apply(plan)
        wait_for("the controllers", lambda: all(seen(source, copy)))
        again = source.restorer(store).plan(*asked)
    yield Copied(copy, plan, result, again, sets)
    source.remove_namespace(copy, wait=False)


def seen(world, namespace):
    """Tell of each workload whether its controller looked at it, and is done."""
    for kind in ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"):
        for item in world.items("apps/v1", kind, namespace):
            status = item.get("status", {})
            yield status.get("observedGeneration") == item["metadata"]["generation"]
            if kind in {"Deployment", "ReplicaSet"}:
                yield status.get("replicas", 0) == item["spec"]["replicas"]


def sets_of(world, namespace):
    """Return the names of a Deployment's ReplicaSets."""
    return sorted(
        item["metadata"]["name"]
        for item in world.items("apps/v1", "ReplicaSet", namespace)
        if item["metadata"].get("ownerReferences")
    )


def test_every_pod_comes_from_the_mirror(source, copied):
    """Also those that the controllers made, and nothing is left of the old registry."""
    pods = source.pods(copied.copy)
    images = {c["image"] for pod in pods for c in pod["spec"]["containers"]}

    assert copied.result.results.errors == ()
    assert pods
    assert all(image.startswith(f"{MIRROR}/") for image in images), images


def test_the_revisions_of_workloads_are_still_theirs(source, copied):
    """A ReplicaSet was changed as its Deployment was, so it is adopted: none is new."""
    assert copied.sets
    assert sets_of(source, copied.copy) == copied.sets
    for kind in ("StatefulSet", "DaemonSet"):
        for item in source.items("apps/v1", kind, copied.copy):
            uid = item["metadata"]["uid"]
            owned = [
                revision["metadata"]["name"]
                for revision in source.items(
                    "apps/v1", "ControllerRevision", copied.copy
                )
                if uid in str(revision["metadata"].get("ownerReferences"))
            ]
            assert len(owned) == 1, owned


def test_it_is_smaller_and_stays_so(source, copied):
    """No workload has more than one Pod, and the autoscaler asks for no more."""
    time.sleep(1)
    (web,) = source.items("apps/v1", "Deployment", copied.copy)
    (scaler,) = source.items("autoscaling/v1", "HorizontalPodAutoscaler", copied.copy)

    assert web["spec"]["replicas"] == 1
    assert len(source.pods(copied.copy, app="web")) == 1
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 1)


def test_names_hosts_and_marks(source, copied):
    """The server has the hosts, classes, labels and annotations that were asked for."""
    (ingress,) = source.items("networking.k8s.io/v1", "Ingress", copied.copy)
    claims = source.items("v1", "PersistentVolumeClaim", copied.copy)
    (web,) = source.items("apps/v1", "Deployment", copied.copy)

    hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
    classes = {x["metadata"]["name"]: x["spec"]["storageClassName"] for x in claims}
    assert hosts == ["shop.staging.example.com"]
    assert classes["waiting"] == "somewhere"
    assert web["metadata"]["labels"]["copied-for"] == "tests"
    assert "app" not in web["metadata"]["labels"]
    assert web["metadata"]["annotations"]["example.com/copied"] == "yes, for tests"
    assert source.items("networking.k8s.io/v1", "NetworkPolicy", copied.copy) == []


def test_it_came_up_as_the_plan_showed(source, copied):
    """What the plan said that is changed in a Deployment is what the server has."""
    (entry,) = [x for x in copied.plan.entries if x.kind == "Deployment"]

    shown = {change.path: change.right for change in entry.changes}

    assert shown["spec.replicas"] == 1
    assert shown["spec.template.spec.containers[web].image"] == f"{MIRROR}/web:2"
    assert "transforms.registry({'example.com': " in entry.reason
    (policy,) = [x for x in copied.plan.entries if x.kind == "NetworkPolicy"]
    assert policy.reason.endswith("transforms.drop('NetworkPolicy')")


def test_the_same_copy_again_writes_nothing(copied):
    """The same restore, planned once more, has nothing left to write."""
    assert [str(x) for x in copied.again.entries if x.action.writes] == []
