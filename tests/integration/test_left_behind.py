"""What a restore does not carry over to a real server, and what it announces there."""

import io
import json
from contextlib import ExitStack

import pytest

from definitions import definition
from kbackup import BackupStore, RestoreEngine
from kbackup.archive import ArchiveWriter
from kbackup.catalog import Manifest
from kbackup.cluster import Cluster
from kbackup.errors import ItemNotFoundError
from kbackup.models import Backup, BackupPhase, BackupStatus, ObjectMeta, RestoreSpec
from kbackup.testing import SimulatedCluster

pytestmark = pytest.mark.integration

UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"
GROUP = "snapshot.storage.k8s.io"
ZONE, USED = "topology.kubernetes.io/zone", "kubernetes.io/legacy-token-last-used"
APPROVED = {"api-approved.kubernetes.io": "unapproved, for a test"}  # or refused
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def item(api_version, kind, name, *, namespace="left", **more):
    """An object, its metadata among *more*."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    for field in ("labels", "annotations", "ownerReferences"):
        if field in more:
            metadata[field] = more.pop(field)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def storage_class(name):
    """A default class."""
    return item(
        "storage.k8s.io/v1",
        "StorageClass",
        name,
        namespace="",
        annotations=DEFAULT,
        provisioner=f"{name}.example.com",
    )


NAMESPACE = item("v1", "Namespace", "left", namespace="")
OF_NODE = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": UID}
ITEMS = {
    "namespaces": NAMESPACE,
    "storageclasses.storage.k8s.io": storage_class("restored"),
    f"volumesnapshots.{GROUP}": item(
        f"{GROUP}/v1", "VolumeSnapshot", "nightly", spec={"source": {}}
    ),
    "configmaps": item("v1", "ConfigMap", "agent", ownerReferences=[OF_NODE]),
    "serviceaccounts": item("v1", "ServiceAccount", "ci"),
    "secrets": item(
        "v1",
        "Secret",
        "ci",
        type="kubernetes.io/service-account-token",
        labels={"team": "ci", USED: "2024-05-01"},
        annotations={"kubernetes.io/service-account.name": "ci"},
    ),
    "pods": item(
        "v1",
        "Pod",
        "web",
        labels={"app": "web", ZONE: "eu-1a"},
        spec={
            "automountServiceAccountToken": False,
            "serviceAccountName": "ci",
            "containers": [{"name": "web", "image": "example.com/web:1"}],
        },
    ),
}


@pytest.fixture(params=["simulated", "real"])
def cluster(request):
    """A connection to an API server: first the simulated, then a real one."""
    with ExitStack() as stack:
        if request.param == "real":
            kubeconfig = request.getfixturevalue("third_cluster").kubeconfig
            connected = stack.enter_context(Cluster.connect(kubeconfig))
        else:
            simulated = stack.enter_context(SimulatedCluster())
            connected = stack.enter_context(simulated.connect())
        yield connected
        classes = connected.discover().by_kind("storage.k8s.io/v1", "StorageClass")
        for name in ("own", "restored"):  # where two are the default, none is
            connected.delete(classes, name)


@pytest.fixture
def store(tmp_path):
    """A store with a backup of all of it."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for resource, each in ITEMS.items():
            archive.add(
                resource=resource,
                version=each["apiVersion"].rpartition("/")[2],
                namespace=each["metadata"].get("namespace", ""),
                name=each["metadata"]["name"],
                body=json.dumps(each).encode(),
            )
    backup = Backup(
        metadata=ObjectMeta(name="b-1", uid=UID),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(cluster_uid=UID, items=archive.items, entries=archive.entries)
    with BackupStore.open(tmp_path / "store") as store:
        with store.claim("b-1", run_uid=UID) as claim:
            store.publish(claim, backup, {"b-1.tar.gz": out.getvalue()}, manifest)
        yield store


def test_what_is_left_behind(cluster, store, wait_for):
    """Snapshots, objects of Nodes and notes of the source stay where they were."""
    types = cluster.discover()
    crds = types.by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    classes = types.by_kind("storage.k8s.io/v1", "StorageClass")
    crd = definition(GROUP, "volumesnapshots", "VolumeSnapshot")
    crd["metadata"]["annotations"] = APPROVED
    cluster.create(crds, crd)
    cluster.create(classes, storage_class("own"))

    def snapshots():
        return cluster.discover(refresh=True).by_kind(f"{GROUP}/v1", "VolumeSnapshot")

    wait_for("the type of snapshots", snapshots)
    engine = RestoreEngine(cluster, store)

    plan = engine.plan("r-1", RestoreSpec(backup_name="b-1"))
    result = engine.apply(plan)
    again = engine.plan("r-1", RestoreSpec(backup_name="b-1"))

    assert result.results.errors == ()
    assert {x.kind for x in plan.entries if str(x.action) == "skip"} == {
        "ConfigMap",
        "VolumeSnapshot",
    }
    told = {x.what.partition(",")[0]: [y.name for y in x.items] for x in plan.notices}
    assert told["snapshots of volumes"] == ["nightly"]
    assert told["becomes a default class"] == ["restored"]
    with pytest.raises(ItemNotFoundError):
        cluster.get(snapshots(), "nightly", "left")
    for kind, left in (("Pod", {"app": "web"}), ("Secret", {"team": "ci"})):
        name = "web" if kind == "Pod" else "ci"
        live = cluster.get(types.by_kind("v1", kind), name, "left").content
        ours = {"velero.io/backup-name": "b-1", "velero.io/restore-name": "r-1"}
        assert live["metadata"]["labels"] == left | ours
    assert {str(x.action) for x in again.entries} == {"skip", "unchanged"}
