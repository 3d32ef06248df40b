"""Converted items are applied to live objects of real servers, in the target's version."""

import io
import json

import pytest

from kbackup.archive import ArchiveWriter
from kbackup.backup import BackupEngine
from kbackup.catalog import Manifest
from kbackup.cluster import Cluster
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    ObjectMeta,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestoreEngine

pytestmark = pytest.mark.integration

APPLY = RestoreOptions(existing_policies={"*": "apply"}, validate=True)
FORCE = RestoreOptions(
    existing_policies={"*": "apply"}, force_conflicts=True, validate=True
)
APPLIED = "application/apply-patch+yaml"
OLD, NEW = "extensions/v1beta1", "networking.k8s.io/v1"
UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"


def ingress(version, port, **metadata):
    """Return an Ingress with one backend, in the old version or the new one."""
    if version == OLD:
        spec = {"backend": {"serviceName": "web", "servicePort": port}}
    else:
        to = {"service": {"name": "web", "port": {"number": port}}}
        spec = {"defaultBackend": to}
    head = {"apiVersion": version, "kind": "Ingress"}
    return head | {"metadata": {"name": "web", **metadata}, "spec": spec}


def place_of(version, namespace):
    """Return where the Ingress is."""
    return f"/apis/{version}/namespaces/{namespace}/ingresses/web"


def apply(real, namespace, manager, body):
    """Apply a body on the server; return the object."""
    place = place_of(body["apiVersion"], namespace)
    query = f"?fieldManager={manager}"
    status, answer = real.request("PATCH", place + query, body, content_type=APPLIED)
    assert status in {200, 201}, answer
    return answer


def in_backup(store, body):
    """Publish a backup of one Ingress, as a server showed it."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        archive.add(
            resource=f"ingresses.{body['apiVersion'].partition('/')[0]}",
            version=body["apiVersion"].partition("/")[2],
            namespace=body["metadata"]["namespace"],
            name=body["metadata"]["name"],
            body=json.dumps(body).encode(),
        )
    backup = Backup(
        metadata=ObjectMeta(name="old", uid=UID),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(items=archive.items, entries=archive.entries)
    with store.claim("old", run_uid=UID) as claim:
        store.publish(claim, backup, {"old.tar.gz": out.getvalue()}, manifest)


def line(plan, kind):
    """Return the line about an object."""
    return next(x for x in plan.entries if x.kind == kind)


@pytest.mark.parametrize("manager", ["team", "kubectl-edit"])
def test_an_ingress_of_an_old_server(
    old_cluster, new_cluster, store, namespace, manager
):
    """Its fields have other names; who manages them now is told, asked, and noted."""
    for real in (old_cluster, new_cluster):
        body = {"metadata": {"name": namespace}}
        assert real.request("POST", "/api/v1/namespaces", body)[0] == 201
    old = ingress(OLD, 80, annotations={"tier": "front"})
    in_backup(store, apply(old_cluster, namespace, manager, old))
    spec = RestoreSpec(backup_name="old")
    apply(new_cluster, namespace, "team", ingress(NEW, 81))
    apply(new_cluster, namespace, "ops", ingress(NEW, 81, annotations={"own": "1"}))

    with Cluster.connect(new_cluster.kubeconfig) as target:
        engine = RestoreEngine(target, store)
        refused = line(engine.plan("asked", spec, APPLY), "Ingress")
        plan = engine.plan("forced", spec, FORCE)
        result = engine.apply(plan)
        again = engine.plan("forced", spec, FORCE)
        second = engine.apply(again)
        other = engine.plan("other", spec, APPLY)

    assert refused.action is PlanAction.CONFLICT
    assert "managed by team" in refused.reason
    found = line(plan, "Ingress")
    assert (found.action, found.apply) == (PlanAction.UPDATE, "force")
    assert (found.converted_from, found.api_version) == (OLD, NEW)
    assert result.results.errors == second.results.errors == ()
    _, live = new_cluster.request("GET", place_of(NEW, namespace))
    assert live["spec"] == ingress(NEW, 80)["spec"]
    assert live["metadata"]["annotations"] == {"tier": "front", "own": "1"}
    (ours,) = [
        x for x in live["metadata"]["managedFields"] if x["manager"] == "kbackup"
    ]
    assert (ours["operation"], ours["apiVersion"]) == ("Apply", NEW)
    assert "f:defaultBackend" in ours["fieldsV1"]["f:spec"]
    assert line(again, "Ingress").action is PlanAction.UNCHANGED
    assert line(other, "Ingress").action is PlanAction.UNCHANGED


def test_an_autoscaler_that_is_shown_in_another_version(
    quiet_cluster, store, namespace
):
    """Set with metrics in v2beta2, backed up in v1, it gets its metrics again."""
    real = quiet_cluster
    body = {"metadata": {"name": namespace}}
    assert real.request("POST", "/api/v1/namespaces", body)[0] == 201
    version, plural = "autoscaling/v2beta2", "horizontalpodautoscalers"
    path = f"/apis/{version}/namespaces/{namespace}/{plural}/web?fieldManager="

    def put(value, manager):
        target = {"type": "AverageValue", "averageValue": value}
        metric = {"type": "Resource", "resource": {"name": "memory", "target": target}}
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        body = {"apiVersion": version, "kind": "HorizontalPodAutoscaler"}
        body |= {"metadata": {"name": "web"}}
        spec = {"scaleTargetRef": scaled, "maxReplicas": 3, "metrics": [metric]}
        query = f"{manager}&force=true"
        status, answer = real.request(
            "PATCH", path + query, body | {"spec": spec}, content_type=APPLIED
        )
        assert status in {200, 201}, answer

    put("64Mi", "team")
    spec = RestoreSpec(backup_name="b")
    with Cluster.connect(real.kubeconfig) as cluster:
        chosen = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b", chosen).results.errors == ()
        put("128Mi", "team")
        engine = RestoreEngine(cluster, store)
        plan = engine.plan("forced", spec, FORCE)
        result = engine.apply(plan)
        again = engine.plan("forced", spec, FORCE)

    assert line(plan, "HorizontalPodAutoscaler").action is PlanAction.UPDATE
    assert result.results.errors == ()
    _, live = real.request("GET", path.partition("?")[0])
    (metric,) = live["spec"]["metrics"]
    assert metric["resource"]["target"]["averageValue"] == "64Mi"
    assert line(again, "HorizontalPodAutoscaler").action is PlanAction.UNCHANGED
