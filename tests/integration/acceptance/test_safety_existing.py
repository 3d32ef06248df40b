"""Objects that exist are left alone, or become what the backup has.

And what a whole cluster's backup means for a cluster that lives: nothing of its own is
touched.
"""

import time
from datetime import timedelta

import pytest

from kbackup import BackupEngine, BackupSpec, RestoreOptions, RestoreSpec

APPLIED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: applied, namespace: NS, labels: {by: team}}
data: {a: "1", b: "2"}
"""


@pytest.fixture(scope="module", name="rich")
def fixture_rich(source, make_rich, tmp_path_factory):
    """A rich namespace of its own."""
    name = f"live-{tmp_path_factory.mktemp('x').name[-6:]}{id(source) % 10**6}"
    make_rich(source, name)
    yield name
    source.remove_namespace(name, wait=False)


def drift(world, namespace, versions_of):
    """Change live objects as people do, remove some; wait until all is quiet again."""

    def change(version, kind, name, patch):
        metadata = {"name": name, "namespace": namespace}
        world.patch({"apiVersion": version, "kind": kind, "metadata": metadata}, patch)

    def remove(version, kind, name):
        metadata = {"name": name, "namespace": namespace}
        world.delete({"apiVersion": version, "kind": kind, "metadata": metadata})

    container = {"name": "web", "image": "example.com/web:9", "env": None}
    change("v1", "ConfigMap", "settings", {"data": {"mode": "debug", "new": "x"}})
    change("v1", "Secret", "password", {"data": {"password": "bmV3", "more": "eA=="}})
    change(
        "apps/v1",
        "Deployment",
        "web",
        {
            "metadata": {"labels": {"drifted": "yes"}, "annotations": {"a": "b"}},
            "spec": {"replicas": 5, "template": {"spec": {"containers": [container]}}},
        },
    )
    change("apps/v1", "StatefulSet", "db", {"spec": {"replicas": 1}})
    change("v1", "Service", "web", {"spec": {"ports": [{"name": "x", "port": 81}]}})
    change("v1", "ServiceAccount", "runner", {"metadata": {"labels": {"mine": "1"}}})
    change("networking.k8s.io/v1", "NetworkPolicy", "deny", {"spec": {"egress": [{}]}})
    change("v1", "ResourceQuota", "quota", {"spec": {"hard": {"pods": "40"}}})
    change(
        "autoscaling/v1", "HorizontalPodAutoscaler", "web", {"spec": {"maxReplicas": 7}}
    )
    remove("v1", "ConfigMap", "kube-root-ca.crt")
    remove("batch/v1", "CronJob", "yearly")
    remove("rbac.authorization.k8s.io/v1", "RoleBinding", "reader")
    deadline, before = time.monotonic() + 30, None
    while before != (now := versions_of(world, namespace)):
        assert time.monotonic() < deadline
        before = now
        time.sleep(1)


def test_update_makes_it_as_in_the_backup(source, rich, store, compared, versions_of):
    """Policy update: what drifted is as it was, fields and labels that came are gone."""
    before = source.objects(rich)
    source.backup(store, "b", rich)
    drift(source, rich, versions_of)
    spec = RestoreSpec(backup_name="b", existing_resource_policy="update")

    result = source.restorer(store).run("back", spec)

    assert result.results.errors == ()
    same = [
        line
        for line in compared(before, source.objects(rich))
        if "web-" not in line  # one more ReplicaSet: the Deployment was rolled back
    ]
    # As in Velero, labels that a live account has of its own stay.
    assert [line for line in same if "('serviceaccounts', 'runner')" not in line] == []
    again = source.restorer(store).plan("back", spec)
    assert [str(entry) for entry in again.entries if entry.action.writes] == []


def test_none_leaves_what_drifted_and_names_it(source, rich, store, versions_of):
    """Policy none: nothing is touched but what is gone, and each difference is named."""
    source.backup(store, "b", rich)
    drift(source, rich, versions_of)
    before = versions_of(source, rich)

    result = source.restorer(store).run("back", RestoreSpec(backup_name="b"))

    after = versions_of(source, rich)
    created = {o.identifier.name for o in result.outcomes if o.action == "created"}
    assert created == {"yearly", "reader"}
    named = {x.item.name for x in result.results.warnings if x.item}
    assert named >= {"settings", "password", "web", "db", "deny", "quota"}
    changed = {
        key
        for key in before
        if after.get(key) != before[key] and key[0] in {"configmaps", "secrets"}
    }
    assert changed <= {("configmaps", "kube-root-ca.crt")}
    assert "bmV3" not in str(result) + str(store.restore_results("back"))


def test_field_managers_come_back(source, target, store, namespace, kubectl_of):
    """An object that was applied on the server has its manager again, and its fields."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    source.create(body)
    kubectl_of(source.real.kubeconfig)(
        *("apply", "--server-side", "--field-manager=team", "-f", "-"),
        stdin=APPLIED.replace("NS", namespace),
    )
    source.backup(store, "b", namespace)

    result = target.restorer(store).run("back", RestoreSpec(backup_name="b"))

    assert result.results.errors == ()
    metadata = {"name": "applied", "namespace": namespace}
    live = target.get({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    managers = {
        (field["manager"], field["operation"]): field["fieldsV1"]
        for field in live["metadata"]["managedFields"]
    }
    assert "f:a" in managers["team", "Apply"]["f:data"]
    assert live["data"] == {"a": "1", "b": "2"}
    target.remove_namespace(namespace, wait=False)


def test_backup_of_a_whole_cluster_leaves_the_target_its_own(source, target, store):
    """Nothing of the control plane is written: no system namespace, role or priority."""
    result = BackupEngine(source.cluster, store).run("all", BackupSpec())
    assert result.results.errors == ()

    plan = target.restorer(store).plan("over", RestoreSpec(backup_name="all"))

    writes = [entry.target for entry in plan.entries if entry.action.writes]
    system = {"kube-system", "kube-public", "kube-node-lease"}
    assert [str(ref) for ref in writes if ref.namespace in system] == []
    kinds = {str(ref.group_resource) for ref in writes if not ref.namespace}
    assert not kinds & {
        "apiservices.apiregistration.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "priorityclasses.scheduling.k8s.io",
        "nodes",
        "persistentvolumes",
    }


def test_restore_right_after_the_namespace_was_deleted(source, store, namespace):
    """What still lives in a namespace that is Terminating counts as gone.

    Taken for unchanged, it would be left out and gone a moment later, and the restore
    would be Completed.
    """
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    source.create(body)
    items = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"m-{number}", "namespace": namespace},
            "data": {"a": str(number)},
        }
        for number in range(10)
    ]
    for item in items:
        source.create(item)
    source.backup(store, "b", namespace)
    source.delete(body)

    engine = source.restorer(store)
    plan = engine.plan("back", RestoreSpec(backup_name="b"))
    result = engine.apply(plan)

    assert result.results.errors == ()
    created = {o.identifier.name for o in result.outcomes if o.action == "created"}
    assert created >= {item["metadata"]["name"] for item in items}
    assert [item for item in items if source.get(item) is None] == []
    source.remove_namespace(namespace, wait=False)


def test_restore_into_a_namespace_that_does_not_go(
    source, store, namespace, wait_for, side_by_side
):
    """What keeps a namespace Terminating is told, down to the finalizer, at the deadline.

    Planned while it was Terminating already, and while it was not.
    """
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    held, other = (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
        }
        for name in ("held", "other")
    )
    for item in (body, held, other):
        source.create(item)
    source.backup(store, "b", namespace)
    source.delete(other)
    source.patch(held, {"metadata": {"finalizers": ["example.com/hold"]}})
    options = RestoreOptions(deadline=timedelta(seconds=3))
    engine, spec = source.restorer(store), RestoreSpec(backup_name="b")

    plans = [engine.plan("before", spec, options)]
    source.delete(body)
    plans.append(engine.plan("after", spec, options))
    wait_for(  # which begins five seconds after the deletion
        "the namespace controller",
        lambda: "NamespaceFinalizersRemaining" in str(source.get(body)["status"]),
    )
    results = side_by_side(engine.apply, plans)

    source.remove_namespace(namespace, wait=False)
    for result in results:
        told = " ".join(error.message for error in result.results.errors)
        assert "NamespaceContentRemaining SomeResourcesRemain: " in told
        assert "NamespaceFinalizersRemaining SomeFinalizersRemain: " in told
        assert "example.com/hold in 1 resource instances" in told


def test_expected_cluster(source, target, store, namespace):
    """A restore that expects another cluster writes nothing."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    source.create(body)
    source.backup(store, "b", namespace)
    options = RestoreOptions(expect_cluster=source.cluster.uid())

    with pytest.raises(Exception, match="expected"):
        target.restorer(store).run("r", RestoreSpec(backup_name="b"), options)
    assert target.get(body) is None
