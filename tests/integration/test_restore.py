"""Restores on a real API server with its controllers at work."""

import time
import uuid
from datetime import timedelta

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, GroupResource, RestoreOptions, RestoreSpec
from kbackup.restore import RestoreEngine, RestorePlan

pytestmark = pytest.mark.integration

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
}
SECONDS_OF_REST = 3
INGRESS = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}


def _objects(namespace):
    """A workload of each kind, and what it is configured by."""
    selector = {"matchLabels": {"app": "web"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    job = {
        "metadata": {"labels": {"app": "job"}},
        "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"},
    }
    bodies = {
        ("v1", "ConfigMap", "settings"): {"data": {"mode": "fast"}},
        ("v1", "Secret", "key"): {"data": {"key": "bm90LXJlYWw="}},
        ("v1", "ServiceAccount", "runner"): {},
        ("networking.k8s.io/v1", "Ingress", "web"): {"spec": INGRESS},
        ("v1", "Service", "web"): {
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        },
        ("apps/v1", "Deployment", "web"): {
            "spec": {"replicas": 2, "selector": selector, "template": TEMPLATE}
        },
        ("apps/v1", "StatefulSet", "db"): {
            "spec": {
                "replicas": 1,
                "serviceName": "db",
                "selector": selector,
                "template": TEMPLATE,
                "volumeClaimTemplates": [claim],
            }
        },
        ("batch/v1", "Job", "work"): {"spec": {"template": job}},
    }
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            **body,
        }
        for (version, kind, name), body in bodies.items()
    ]


def _create(cluster, namespace, objects):
    """Create a namespace and objects in it."""
    discovery = cluster.discover()
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": "shop"}},
    }
    cluster.create(discovery.by_kind("v1", "Namespace"), body)
    for item in objects:
        resource = discovery.by_kind(item["apiVersion"], item["kind"])
        cluster.create(resource, item, namespace=namespace)


def _names(cluster, version, kind, namespace):
    """The names of the objects of a kind."""
    resource = cluster.discover().by_kind(version, kind)
    return sorted(item.name for item in cluster.list(resource, namespace=namespace))


def _is_settled(cluster, namespace):
    """Whether the controllers made every Pod."""
    return len(_names(cluster, "v1", "Pod", namespace)) >= 4


def _is_current(cluster, namespace):
    """Whether the controller of each workload has done what it says."""
    discovery = cluster.discover()
    for kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        resource = discovery.by_kind("apps/v1", kind)
        for item in cluster.list(resource, namespace=namespace):
            body = cluster.get(resource, item.name, namespace=namespace).content
            status = body["status"]
            if status.get("observedGeneration") != body["metadata"]["generation"]:
                return False
            if status.get("replicas", 0) != body["spec"]["replicas"]:
                return False
    return _is_settled(cluster, namespace)


def _come_to_rest(cluster, namespace, wait_for):
    """Wait until the controllers, and then the garbage collector, have been there.

    The collector removes what has an owner that is nowhere: once such an object is gone,
    it has looked at those that came before.
    """
    wait_for("what controllers make", lambda: _is_current(cluster, namespace))
    resource = cluster.discover().by_kind("v1", "ConfigMap")
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody"}
    owner = {**nobody, "uid": str(uuid.uuid4())}
    metadata = {"name": "orphan", "namespace": namespace, "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    cluster.create(resource, body, namespace=namespace)
    wait_for(
        "the garbage collector",
        lambda: "orphan" not in _names(cluster, "v1", "ConfigMap", namespace),
    )


def _when_still(look, wait_for):
    """What *look* gives, once it has given the same for a while.

    Kubelets report about Pods whenever they like.
    """

    def same():
        before = look()
        time.sleep(SECONDS_OF_REST)
        return before if look() == before else None

    return wait_for("nothing to change", same)


def _drop(cluster, namespace, wait_for):
    """Delete a namespace and wait until it is gone."""
    resource = cluster.discover().by_kind("v1", "Namespace")
    cluster.delete(resource, namespace)
    wait_for(
        f"the end of {namespace}",
        lambda: namespace not in _names(cluster, "v1", "Namespace", ""),
    )


@pytest.fixture
def source(real_cluster):
    """The source cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def backed_up(source, namespace, tmp_path, wait_for):
    """A namespace with workloads, settled and backed up; yields the store."""
    _create(source, namespace, _objects(namespace))
    wait_for("all Pods", lambda: _is_settled(source, namespace))
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        result = BackupEngine(source, store).run("b-1", spec)
        assert result.results.errors == ()
        yield store
    if namespace in _names(source, "v1", "Namespace", ""):
        _drop(source, namespace, wait_for)


def _watch_deletions(cluster, namespace, since):
    """What was deleted in a namespace since a resourceVersion, of any kind."""
    gone = []
    for version, kind in (
        ("v1", "Pod"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "ControllerRevision"),
        ("v1", "Secret"),
        ("v1", "PersistentVolumeClaim"),
        ("batch/v1", "Job"),
    ):
        resource = cluster.discover().by_kind(version, kind)
        events = cluster.watch(
            resource,
            namespace=namespace,
            resource_version=since,
            timeout=timedelta(seconds=2),
        )
        gone += [
            f"{kind}/{event.item['metadata']['name']}"
            for event in events
            if event.type == "DELETED"
        ]
    return gone


def _check_workloads(cluster, namespace):
    """Every workload has exactly its replicas, each Pod one controller."""
    kind = cluster.discover().by_kind("v1", "Pod").group_resource
    pods = cluster.reader().list(kind, namespace=namespace)
    owners = [
        f"{owner['kind']}"
        for pod in pods
        for owner in pod["metadata"]["ownerReferences"]
        if owner["controller"]
    ]
    assert sorted(owners) == ["Job", "ReplicaSet", "ReplicaSet", "StatefulSet"]
    assert len(_names(cluster, "apps/v1", "ReplicaSet", namespace)) == 1
    assert len(_names(cluster, "apps/v1", "ControllerRevision", namespace)) == 1


def test_delete_and_restore(source, backed_up, namespace, wait_for):
    """A deleted namespace comes back whole; controllers delete nothing of it."""
    engine = RestoreEngine(source, backed_up)
    _drop(source, namespace, wait_for)
    pods = source.discover().by_kind("v1", "Pod")
    listing = source.list(pods)
    list(listing)
    since = listing.resource_version

    result = engine.run("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    _come_to_rest(source, namespace, wait_for)
    _check_workloads(source, namespace)
    assert _watch_deletions(source, namespace, since) == []
    again = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    assert again.is_empty, str(again)
    changed = [entry for entry in again.entries if entry.differences]
    assert changed == [], str(again)
    assert engine.compare("b-1").is_empty, str(engine.compare("b-1"))


def test_a_saved_plan_is_carried_out_twice(source, backed_up, namespace, wait_for):
    """Controllers at work, the second time finds all that the first time wrote as it was."""
    engine = RestoreEngine(source, backed_up)
    _drop(source, namespace, wait_for)
    document = engine.plan("r-1", RestoreSpec(backup_name="b-1")).to_json()
    first = engine.apply(RestorePlan.from_json(document))
    _come_to_rest(source, namespace, wait_for)

    again = engine.apply(RestorePlan.from_json(document))

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
    _come_to_rest(source, namespace, wait_for)
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
        _come_to_rest(target, copy, wait_for)
        _check_workloads(target, copy)
        assert engine.plan("r-1", spec).is_empty
        _drop(target, copy, wait_for)


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


def test_a_copy_takes_no_right_from_its_original(source, namespace, tmp_path, wait_for):
    """Beside its original a copy is granted the same, and the original keeps it."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account["metadata"] = {"name": "runner", "namespace": namespace}
    _create(source, namespace, [account, _grant(namespace)])
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
    _drop(source, copy, wait_for)


def _change(cluster, namespace):
    """Change, delete and add objects by hand."""
    discovery = cluster.discover()

    def kind(version, name):
        return discovery.by_kind(version, name)

    patch = {"metadata": {"labels": {"more": "x"}}}
    accounts, settings = kind("v1", "ServiceAccount"), kind("v1", "ConfigMap")
    cluster.patch(accounts, "runner", patch, namespace=namespace)
    cluster.patch(settings, "settings", {"data": {"mode": "slow"}}, namespace=namespace)
    secret = {"data": {"key": "b3RoZXI="}}
    cluster.patch(kind("v1", "Secret"), "key", secret, namespace=namespace)
    scaled = {"spec": {"replicas": 1}}
    cluster.patch(kind("apps/v1", "Deployment"), "web", scaled, namespace=namespace)
    cluster.delete(kind("v1", "Service"), "web", namespace=namespace)
    ingresses = kind("networking.k8s.io/v1", "Ingress")  # also served as extensions
    cluster.delete(ingresses, "web", namespace=namespace)
    body = {"metadata": {"name": "new"}, "spec": INGRESS}
    cluster.create(ingresses, body, namespace=namespace)
    cluster.delete(
        kind("batch/v1", "Job"), "work", namespace=namespace, propagation="Background"
    )
    budgets = GroupResource.parse("poddisruptionbudgets.policy")
    for resource in (kind("v1", "ConfigMap"), discovery.get(budgets)):
        version, name = resource.api_version, resource.kind
        body = {"apiVersion": version, "kind": name, "metadata": {"name": "new"}}
        cluster.create(resource, body, namespace=namespace)


def test_compare_names_what_was_changed(source, backed_up, namespace, wait_for):
    """After a restore nothing differs; then exactly what was changed by hand does.

    What the controllers do about it (Pods that go and come, Endpoints, slices) is none
    of it.
    """
    engine = RestoreEngine(source, backed_up)
    assert engine.compare("b-1").is_empty, str(engine.compare("b-1"))
    _drop(source, namespace, wait_for)
    gone = engine.compare("b-1")
    assert f"namespaces/{namespace}" in [str(x) for x in gone.only_in_backup]
    assert gone.same == len(gone.changed) == len(gone.only_in_cluster) == 0
    engine.run("r-1", RestoreSpec(backup_name="b-1"))
    wait_for("all Pods", lambda: _is_settled(source, namespace))
    restored = engine.compare("b-1")
    assert restored.is_empty, str(restored)
    assert restored.same == len(gone.only_in_backup)

    _change(source, namespace)

    wait_for("the end of a Pod", lambda: not _is_settled(source, namespace))
    found = engine.compare("b-1")
    assert [str(x) for x in found.only_in_backup] == [
        f"ingresses.networking.k8s.io/{namespace}/web",
        f"jobs.batch/{namespace}/work",
        f"services/{namespace}/web",
    ]
    assert [str(x) for x in found.only_in_cluster] == [
        f"configmaps/{namespace}/new",
        f"ingresses.networking.k8s.io/{namespace}/new",
        f"poddisruptionbudgets.policy/{namespace}/new",
    ]
    changed = {
        str(item.identifier): [difference.path for difference in item.differences]
        for item in found.changed
    }
    assert changed == {
        f"configmaps/{namespace}/settings": ["data.mode"],
        f"deployments.apps/{namespace}/web": ["spec.replicas"],
        f"secrets/{namespace}/key": ["data.key"],
        f"serviceaccounts/{namespace}/runner": ["metadata.labels"],
    }
    assert found.unknown == ()
    assert "b3RoZXI=" not in f"{found!r}{found.to_json()}"


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


def test_compare_names_a_lost_volume(source, namespace, tmp_path, wait_for):
    """A volume that is Released is the same object; a deleted one is missing."""
    volume, claim = _statics(namespace)
    discovery = source.discover()
    volumes = discovery.by_kind("v1", "PersistentVolume")
    claims = discovery.by_kind("v1", "PersistentVolumeClaim")
    name = volume["metadata"]["name"]

    def phase():
        return source.get(volumes, name).content["status"]["phase"]

    _create(source, namespace, [claim])
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
        wait_for("its end", lambda: name not in _names(source, "v1", volumes.kind, ""))
        lost = engine.compare("b-1")

    assert [str(x) for x in released.only_in_backup] == [
        f"persistentvolumeclaims/{namespace}/static"
    ]
    assert not released.changed
    assert [str(x) for x in lost.only_in_backup] == [
        f"persistentvolumeclaims/{namespace}/static",
        f"persistentvolumes/{name}",
    ]
    _drop(source, namespace, wait_for)


def _images(cluster, namespace):
    """The images of all Pods."""
    kind = cluster.discover().by_kind("v1", "Pod").group_resource
    pods = cluster.reader().list(kind, namespace=namespace)
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


def test_a_deployment_that_was_rolled_on_since(source, backed_up, namespace, wait_for):
    """With its old ReplicaSet gone, a restore started Pods of the old version."""
    discovery = source.discover()
    deployments = discovery.by_kind("apps/v1", "Deployment")
    sets = discovery.by_kind("apps/v1", "ReplicaSet")
    pods = discovery.by_kind("v1", "Pod")
    (old,) = _names(source, "apps/v1", "ReplicaSet", namespace)
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
            len(_names(source, "apps/v1", "ReplicaSet", namespace)) == 2
            and "example.com/web:2" in _images(source, namespace)
            and _is_settled(source, namespace)
        ),
    )
    source.delete(sets, old, namespace=namespace)
    wait_for(
        "the end of the old ReplicaSet",
        lambda: old not in _names(source, "apps/v1", "ReplicaSet", namespace),
    )
    listing = source.list(pods, namespace=namespace)
    before = sorted(item.name for item in listing)
    engine = RestoreEngine(source, backed_up)

    plan = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    result = engine.apply(plan)

    events = source.watch(
        pods,
        namespace=namespace,
        resource_version=listing.resource_version,
        timeout=timedelta(seconds=8),
    )
    started = [e.item["metadata"]["name"] for e in events if e.type == "ADDED"]
    (entry,) = [x for x in plan.entries if x.target.name == old]
    assert entry.reason == "left to Deployment/web, which lives in the target"
    assert result.results.errors == ()
    assert started == []
    assert _names(source, "v1", "Pod", namespace) == before
    assert old not in _names(source, "apps/v1", "ReplicaSet", namespace)
