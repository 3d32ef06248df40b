"""A copy beside its original, made with `quiesce`: nothing of it runs.

On a real API server with its controllers, which would otherwise do what the copy says:
make Pods out of each workload, scale them up, give the Services ports of the nodes.
"""

import time

import attrs
import pytest

from kbackup import BackupStore, RestoreOptions, RestoreSpec
from kbackup.restore import quiesce

CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"  # what v1 has of them
WATCHED = {
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("v1", "ReplicationController"),
}


@attrs.frozen
class Copied:
    """A rich namespace of the source cluster and its quiet copy, after a while.

    Attributes:
        space: The original.
        copy: The copy.
        before: The original's objects before the copy was made.
        pods: The original's Pods then.
        plan: Of the copy, made before it.
        result: Of the restore.
        again: The plan of the same restore, made afterwards.
    """

    space: str
    copy: str
    before: dict
    pods: list
    plan: object
    result: object
    again: object


@pytest.fixture(scope="module", name="copied")
def fixture_copied(source, rich, wait_for, tmp_path_factory):
    """The copy, once for all tests of this module."""
    space, copy = rich, f"{rich}-quiet"
    asked = (
        "copy",
        RestoreSpec(backup_name="rich", namespace_mapping={space: copy}),
        RestoreOptions(transforms=(quiesce,)),
    )
    with BackupStore.open(tmp_path_factory.mktemp("store")) as store:
        source.backup(store, "rich", space)
        before, pods = source.objects(space), names(source.pods(space))
        plan = source.restorer(store).plan(*asked)
        result = source.restorer(store).apply(plan)
        wait_for("the controllers", lambda: all(seen(source, copy)))
        again = source.restorer(store).plan(*asked)
    yield Copied(space, copy, before, pods, plan, result, again)
    source.remove_namespace(copy, wait=False)


def seen(world, namespace):
    """Tell of each workload whether its controller, and the autoscaler, looked at it.

    A controller makes Pods before it says that it has seen a workload.
    """
    for kind in WATCHED:
        for item in world.items(*kind, namespace):
            observed = item.get("status", {}).get("observedGeneration")
            yield observed == item["metadata"]["generation"]
    for item in world.items("autoscaling/v1", "HorizontalPodAutoscaler", namespace):
        annotations = item["metadata"].get("annotations") or {}
        yield "ScalingDisabled" in annotations.get(CONDITIONS, "")


def names(items):
    """Return the names of objects."""
    return sorted(item["metadata"]["name"] for item in items)


def test_nothing_of_it_runs(source, copied):
    """The controllers have seen every workload, and there is no Pod."""
    workloads = [
        item
        for api_version, kind in WATCHED
        for item in source.items(api_version, kind, copied.copy)
    ]

    assert copied.result.results.errors == ()
    assert len(workloads) >= len(WATCHED)
    for item in workloads:
        assert item["status"]["observedGeneration"] == item["metadata"]["generation"]
    assert source.pods(copied.copy) == []


def test_it_came_up_as_the_plan_showed(source, copied):
    """What the plan said that quiesce makes of each object is what the server has."""
    live = {
        (kind, item["metadata"]["name"]): item.get("spec", {})
        for api_version, kind in (*WATCHED, ("v1", "Service"))
        for item in source.items(api_version, kind, copied.copy)
    }
    told = 0
    for entry in copied.plan.entries:
        spec = live.get((entry.kind, entry.target.name), {})
        for change in entry.changes if spec else ():
            top, _, field = change.path.partition(".")
            if top == "spec" and "." not in field and "[" not in field:
                told += 1
                expected = (change.op == "remove", change.right)
                assert (field not in spec, spec.get(field)) == expected, entry

    assert "~ spec.replicas: 3 -> 0" in str(copied.plan)
    assert told >= len(WATCHED) - 1  # a DaemonSet has it in its template
    assert all("quiesce" in x.reason for x in copied.plan.entries if x.changes)


def test_it_is_reached_from_nowhere(source, copied):
    """No Service has a port of the nodes or asks for a balancer, no Ingress has a host."""
    services = source.items("v1", "Service", copied.copy)
    (ingress,) = source.items("networking.k8s.io/v1", "Ingress", copied.copy)

    ports = [port for item in services for port in item["spec"].get("ports") or ()]
    assert {x["spec"]["type"] for x in services} == {"ClusterIP", "ExternalName"}
    assert not any(port.get("nodePort") for port in ports)
    assert all("host" not in rule for rule in ingress["spec"]["rules"])
    assert ingress["spec"]["ingressClassName"] == "quiesced.kbackup.io"


def test_the_original_is_untouched(source, copied, compared):
    """Its objects are as they were, and its Pods are the same."""
    after = source.objects(copied.space)

    assert compared(copied.before, after) == []
    assert names(source.pods(copied.space)) == copied.pods


def test_the_same_copy_again_writes_nothing(copied):
    """The same restore, planned once more, has nothing left to write."""
    assert [str(x) for x in copied.again.entries if x.action.writes] == []


def test_it_can_be_woken(source, copied):
    """A Deployment that gets its noted count back makes its Pods."""
    (deployment,) = source.items("apps/v1", "Deployment", copied.copy)
    count = deployment["metadata"]["annotations"]["kbackup.io/original-replicas"]
    named = {**deployment, "apiVersion": "apps/v1", "kind": "Deployment"}

    source.patch(named, {"spec": {"replicas": int(count)}})

    deadline = time.monotonic() + 30
    while len(source.pods(copied.copy, app="web")) != int(count):
        assert time.monotonic() < deadline, source.pods(copied.copy)
        time.sleep(0.2)


def test_a_suspended_job_that_the_server_would_start(source, store, namespace):
    """A plan says that an old server starts a suspended Job, and the server does."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    container = {"name": "main", "image": "example.com/any:1"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "import", "namespace": namespace},
        "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}
        },
    }
    source.create(body)
    source.create(job)
    source.backup(store, "b", namespace)
    copy = f"{namespace}-copy"
    spec = RestoreSpec(backup_name="b", namespace_mapping={namespace: copy})
    engine = source.restorer(store)

    plan = engine.plan("r", spec, RestoreOptions(transforms=(_suspend,)))

    told = {
        item.name
        for notice in plan.notices
        if "drops spec.suspend" in notice.what
        for item in notice.items
    }
    engine.apply(plan)
    moved = {**job["metadata"], "namespace": copy}
    stored = source.get({**job, "metadata": moved})
    for each in (namespace, copy):
        source.remove_namespace(each, wait=False)
    runs = not stored["spec"].get("suspend")
    assert told == ({"import"} if runs else set())


def _suspend(item):
    """A transform: Jobs are suspended."""
    if item["kind"] != "Job":
        return item
    return {**item, "spec": {**item["spec"], "suspend": True}}
