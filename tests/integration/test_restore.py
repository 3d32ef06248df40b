"""Restores on a real API server with its controllers at work."""

import time

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreOptions, RestoreSpec
from kbackup.restore import RestoreEngine, RestorePlan
from workloads import (
    TEMPLATE,
    back_up,
    check_workloads,
    come_to_rest,
    create,
    delete,
    is_settled,
    names,
    watched,
)

pytestmark = pytest.mark.integration

SECONDS_OF_REST = 3


def _when_still(look, wait_for):
    """What *look* gives, once it has given the same for a while.

    Kubelets report about Pods whenever they like.
    """

    def same():
        before = look()
        time.sleep(SECONDS_OF_REST)
        return before if look() == before else None

    return wait_for("nothing to change", same)


@pytest.fixture(scope="module")
def source(real_cluster):
    """The source cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def backed_up(source, namespace, tmp_path, wait_for):
    """A namespace with workloads, settled and backed up; yields the store."""
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        back_up(source, namespace, store, wait_for)
        yield store
    delete(source, namespace)


def test_a_saved_plan_is_carried_out_twice(source, backed_up, namespace, wait_for):
    """Controllers at work, the second time finds all that the first time wrote as it was."""
    engine, copy = RestoreEngine(source, backed_up), f"{namespace}-copy"
    spec = RestoreSpec(backup_name="b-1", namespace_mapping={namespace: copy})
    document = engine.plan("r-1", spec).to_json()
    first = engine.apply(RestorePlan.from_json(document))
    come_to_rest(source, copy, wait_for)

    again = engine.apply(RestorePlan.from_json(document))

    delete(source, copy)
    assert first.exit_code == again.exit_code == 0, str(again)
    made = {o.identifier for o in first.outcomes if o.action == "created"}
    actions = {str(o.identifier): o.action for o in again.outcomes}
    assert {actions[str(identifier)] for identifier in made} == {"unchanged"}


def test_restore_over_the_live_namespace(source, backed_up, namespace, wait_for):
    """With policy none nothing changes, no Pod starts."""
    resources = [
        resource
        for resource in source.discover().resources
        if resource.namespaced and resource.supports("list")
    ]

    def versions():
        return {
            (str(resource), item.name): item.resource_version
            for resource in resources
            if resource.resource not in ("events", "leases", "endpoints")
            for item in source.list(resource, namespace=namespace)
        }

    engine = RestoreEngine(source, backed_up)
    come_to_rest(source, namespace, wait_for)
    before = _when_still(versions, wait_for)

    result = engine.run("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    assert {o.action for o in result.outcomes} <= {"unchanged", "skipped"}
    asked = {call.split()[0] for call in result.report.calls}
    assert asked.isdisjoint({"create", "update", "patch", "delete"})
    assert versions() == before


def test_under_another_name_on_another_cluster(
    backed_up, target_cluster, namespace, wait_for
):
    """On a second cluster, under another name, every workload has its replicas."""
    copy = f"{namespace}-copy"
    spec = RestoreSpec(backup_name="b-1", namespace_mapping={namespace: copy})
    with Cluster.connect(target_cluster.kubeconfig) as target:
        engine = RestoreEngine(target, backed_up)
        plan = engine.plan("r-1", spec)
        assert plan.head.same_cluster is False

        result = engine.apply(plan)

        assert result.results.errors == ()
        come_to_rest(target, copy, wait_for)
        check_workloads(target, copy)
        assert engine.plan("r-1", spec).is_empty
        delete(target, copy)


def test_replicas_of_an_autoscaler_are_told(source, backed_up, namespace):
    """Before an update takes away what an autoscaler gave the plan names both."""
    discovery = source.discover()
    scaler = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "hpa", "namespace": namespace},
        "spec": {
            "maxReplicas": 9,
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "web",
            },
        },
    }
    scalers = discovery.by_kind("autoscaling/v1", "HorizontalPodAutoscaler")
    source.create(scalers, scaler, namespace=namespace)
    deployments = discovery.by_kind("apps/v1", "Deployment")
    scaled = {"spec": {"replicas": 5}}
    source.patch(deployments, "web", scaled, namespace=namespace)
    spec = RestoreSpec(backup_name="b-1", existing_resource_policy="update")

    plan = RestoreEngine(source, backed_up).plan("r-1", spec)

    words = "scaled by HorizontalPodAutoscaler hpa: replicas 5 -> 2"
    assert words in [notice.what for notice in plan.notices]


def _grant(namespace):
    """A cluster-wide grant to an account of the namespace."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{namespace}-nodes"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [
            {"kind": "ServiceAccount", "name": "runner", "namespace": namespace}
        ],
    }


def test_a_copy_takes_no_right_from_its_original(source, namespace, tmp_path):
    """Beside its original a copy is granted the same, and the original keeps it."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account["metadata"] = {"name": "runner", "namespace": namespace}
    create(source, namespace, [account, _grant(namespace)])
    copy = f"{namespace}-copy"
    spec = RestoreSpec(backup_name="b-1", namespace_mapping={namespace: copy})
    allowed = RestoreOptions(existing_cluster_resource_policy="update")
    bindings = source.discover().by_kind(_grant("")["apiVersion"], "ClusterRoleBinding")
    with BackupStore.open(tmp_path) as store:
        wanted = BackupSpec(included_namespaces=[namespace])
        BackupEngine(source, store).run("b-1", wanted)
        engine = RestoreEngine(source, store)
        left_alone = engine.run("r-1", spec)
        result = engine.run("r-2", spec, allowed)

        found = source.get(bindings, f"{namespace}-nodes").content["subjects"]
        assert engine.plan("r-3", spec, allowed).is_empty

    assert result.results.errors == left_alone.results.errors == ()
    assert [x["namespace"] for x in found] == [namespace, copy]
    told = [str(each) for each in left_alone.results.warnings]
    words = f"exists without subject ServiceAccount {copy}/runner: it is left as it is"
    assert any(words in each for each in told), told
    source.delete(bindings, f"{namespace}-nodes")
    for each in (namespace, copy):
        delete(source, each)


def _statics(namespace):
    """A volume made by hand and the claim that takes it."""
    word = f"static-{namespace}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": word}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": word},
        "spec": {
            **common,
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"/tmp/kbackup-test-{word}"},  # noqa: S108 - never used
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "static", "namespace": namespace},
        "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return volume, claim


def test_diff_names_a_lost_volume(source, namespace, tmp_path, wait_for):
    """A volume that is Released is the same object; a deleted one is missing."""
    volume, claim = _statics(namespace)
    discovery = source.discover()
    volumes = discovery.by_kind("v1", "PersistentVolume")
    claims = discovery.by_kind("v1", "PersistentVolumeClaim")
    name = volume["metadata"]["name"]

    def phase():
        return source.get(volumes, name).content["status"]["phase"]

    create(source, namespace, [claim])
    source.create(volumes, volume)
    wait_for("binding", lambda: phase() == "Bound")
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(source, store).run("b-1", spec)
        engine = RestoreEngine(source, store)

        source.delete(claims, "static", namespace=namespace)
        wait_for("the release", lambda: phase() == "Released")
        released = engine.compare("b-1")
        source.delete(volumes, name)
        wait_for("its end", lambda: name not in names(source, "v1", volumes.kind, ""))
        lost = engine.compare("b-1")

    assert [str(x) for x in released.removed] == [
        f"persistentvolumeclaims/{namespace}/static"
    ]
    assert not released.changed
    assert [str(x) for x in lost.removed] == [
        f"persistentvolumeclaims/{namespace}/static",
        f"persistentvolumes/{name}",
    ]
    delete(source, namespace)


def _images(cluster, namespace):
    """The images of all Pods."""
    kind = cluster.discover().by_kind("v1", "Pod").group_resource
    pods = cluster.reader().list(kind, namespace=namespace)
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


def test_a_deployment_that_was_rolled_on_since(
    source, backed_up, namespace, wait_for, side_by_side
):
    """With its old ReplicaSet gone, a restore started Pods of the old version."""
    discovery = source.discover()
    deployments = discovery.by_kind("apps/v1", "Deployment")
    sets = discovery.by_kind("apps/v1", "ReplicaSet")
    pods = discovery.by_kind("v1", "Pod")
    (old,) = names(source, "apps/v1", "ReplicaSet", namespace)
    container = {**TEMPLATE["spec"]["containers"][0], "image": "example.com/web:2"}
    patch = {
        "spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": None},
            "template": {"spec": {"containers": [container]}},
        }
    }
    source.patch(deployments, "web", patch, namespace=namespace)
    wait_for(
        "the new version",
        lambda: (
            len(names(source, "apps/v1", "ReplicaSet", namespace)) == 2
            and "example.com/web:2" in _images(source, namespace)
            and is_settled(source, namespace)
        ),
    )
    source.delete(sets, old, namespace=namespace)
    wait_for(
        "the end of the old ReplicaSet",
        lambda: old not in names(source, "apps/v1", "ReplicaSet", namespace),
    )
    listing = source.list(pods, namespace=namespace)
    before = sorted(item.name for item in listing)
    engine = RestoreEngine(source, backed_up)

    plan = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    result = engine.apply(plan)

    come_to_rest(source, namespace, wait_for)
    since = listing.resource_version
    started = watched(source, namespace, since, "ADDED", side_by_side)
    (entry,) = [x for x in plan.entries if x.target.name == old]
    assert entry.reason == "left to Deployment/web, which lives in the target"
    assert result.results.errors == ()
    assert started == []
    assert names(source, "v1", "Pod", namespace) == before
    assert old not in names(source, "apps/v1", "ReplicaSet", namespace)
