"""Backups of given objects, and clusters to restore them into."""

import io
import json
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore, Manifest, VolumeRecord
from kbackup.models import Backup, BackupPhase, BackupStatus, ObjectMeta, labels
from kbackup.restore import RestoreEngine
from kbackup.testing import SimulatedCluster, sample_shop

sys.path.insert(0, str(Path(__file__).parent))  # for `plan_samples`, `shop_samples`

TYPES = {
    "Namespace": "namespaces",
    "Node": "nodes",
    "StorageClass": "storageclasses.storage.k8s.io",
    "IngressClass": "ingressclasses.networking.k8s.io",
    "CustomResourceDefinition": "customresourcedefinitions.apiextensions.k8s.io",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles.rbac.authorization.k8s.io",
    "RoleBinding": "rolebindings.rbac.authorization.k8s.io",
    "ClusterRole": "clusterroles.rbac.authorization.k8s.io",
    "ClusterRoleBinding": "clusterrolebindings.rbac.authorization.k8s.io",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers.autoscaling",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "ControllerRevision": "controllerrevisions.apps",
    "DaemonSet": "daemonsets.apps",
    "PriorityClass": "priorityclasses.scheduling.k8s.io",
    "StatefulSet": "statefulsets.apps",
    "Pod": "pods",
    "Service": "services",
    "Endpoints": "endpoints",
    "Event": "events",
    "Job": "jobs.batch",
    "CronJob": "cronjobs.batch",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
    "Ingress": "ingresses.networking.k8s.io",
    "APIService": "apiservices.apiregistration.k8s.io",
    "CSIDriver": "csidrivers.storage.k8s.io",
    "EndpointSlice": "endpointslices.discovery.k8s.io",
    "Lease": "leases.coordination.k8s.io",
    "MutatingWebhookConfiguration": (
        "mutatingwebhookconfigurations.admissionregistration.k8s.io"
    ),
    "NetworkPolicy": "networkpolicies.networking.k8s.io",
    "RuntimeClass": "runtimeclasses.node.k8s.io",
    "ValidatingWebhookConfiguration": (
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
    ),
    "VolumeAttachment": "volumeattachments.storage.k8s.io",
    "Coupon": "coupons.shop.example.com",
    "Widget": "widgets.example.com",
    "VolumeSnapshot": "volumesnapshots.snapshot.storage.k8s.io",
    "VolumeSnapshotClass": "volumesnapshotclasses.snapshot.storage.k8s.io",
    "VolumeSnapshotContent": "volumesnapshotcontents.snapshot.storage.k8s.io",
    "VolumeGroupSnapshot": "volumegroupsnapshots.groupsnapshot.storage.k8s.io",
    "VolumeGroupSnapshotContent": (
        "volumegroupsnapshotcontents.groupsnapshot.storage.k8s.io"
    ),
}
SOURCE_UID = "5f0d3a52-9e0c-4a57-8b0e-0e7a3f6f2f10"
BACKUP_UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"


def archive_of(objects: Iterable[Mapping[str, Any]]) -> tuple[bytes, int, int]:
    """An archive of *objects*, its items and its entries."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for item in objects:
            metadata = item["metadata"]
            archive.add(
                resource=_stored_type(item),
                version=item["apiVersion"].rpartition("/")[2],
                namespace=metadata.get("namespace", ""),
                name=metadata["name"],
                body=json.dumps(item).encode(),
            )
    return out.getvalue(), archive.items, archive.entries


def _stored_type(item: Mapping[str, Any]) -> str:
    """The type that an archive files an object under; nothing: it does not matter."""
    resource = TYPES.get(item["kind"], "")
    if item["apiVersion"].startswith("extensions/"):
        return f"{resource.partition('.')[0]}.extensions"
    return resource


def as_stored(objects: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """*objects* as a source cluster stores them: defaulted, with its marks."""
    uids: dict[tuple[str, str], str] = {}
    found = []
    with SimulatedCluster() as source:
        for item in objects:
            copied: dict[str, Any] = json.loads(json.dumps(item))
            for owner in copied["metadata"].get("ownerReferences", []):
                owner["uid"] = uids.get((owner["kind"], owner["name"]), "gone")
            made = _put(source, copied)
            uids[made["kind"], made["metadata"]["name"]] = made["metadata"]["uid"]
            found.append(made)
    return found


def _put(source: SimulatedCluster, item: Mapping[str, Any]) -> dict[str, Any]:
    """Create one object and read it back."""
    metadata = item["metadata"]
    namespace = metadata.get("namespace", "")
    resource = TYPES[item["kind"]]
    names = [x["metadata"]["name"] for x in source.objects("namespaces")]
    if namespace and namespace not in names:
        blank = {"apiVersion": "v1", "kind": "Namespace"}
        source.load([blank | {"metadata": {"name": namespace}}])
    source.load([item])
    return next(
        {"apiVersion": item["apiVersion"], "kind": item["kind"], **found}
        for found in source.objects(resource, namespace)
        if found["metadata"]["name"] == metadata["name"]
    )


def put_backup(
    store: BackupStore,
    objects: Iterable[Mapping[str, Any]],
    *,
    name: str = "shop-1",
    volumes: Iterable[VolumeRecord] = (),
    as_is: bool = False,
    schedule: str = "",
    status: BackupStatus | None = None,
) -> None:
    """Publish a backup of *objects* as the backup engine would."""
    archive, items, entries = archive_of(objects if as_is else as_stored(objects))
    backup = Backup(
        metadata=ObjectMeta(
            name=name,
            uid=BACKUP_UID,
            labels={labels.SCHEDULE_NAME: schedule} if schedule else {},
        ),
        status=status or BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(
        cluster_uid=SOURCE_UID, items=items, entries=entries, volumes=volumes
    )
    with store.claim(name, run_uid=BACKUP_UID) as claim:
        store.publish(claim, backup, {f"{name}.tar.gz": archive}, manifest)


@attrs.frozen
class Shop:
    """A target cluster, a store with backup ``shop-1``, and an engine for both."""

    simulated: SimulatedCluster
    store: BackupStore
    engine: RestoreEngine
    cluster: Any

    def versions(self) -> dict[str, str]:
        """The resourceVersion of every object of every type that is used here."""
        return {
            f"{kind}/{item['metadata'].get('namespace', '')}/{item['metadata']['name']}": (
                item["metadata"]["resourceVersion"]
            )
            for kind in TYPES.values()
            for item in self._objects(kind)
        }

    def names(self, resource: str, namespace: str = "") -> list[str]:
        """The names of the target's objects of a type."""
        return sorted(
            item["metadata"]["name"]
            for item in self.simulated.objects(resource, namespace)
        )

    def object(self, resource: str, namespace: str, name: str) -> dict[str, Any]:
        """One object of the target."""
        return next(
            item
            for item in self.simulated.objects(resource, namespace)
            if item["metadata"]["name"] == name
        )

    def writes(self) -> int:
        """How many writes the target was asked for so far."""
        verbs = ("create", "update", "patch", "delete")
        return sum(
            count
            for call, count in self.simulated.calls.items()
            if call.split()[0] in verbs and "reviews" not in call
        )

    def replace_backup(
        self, objects: Iterable[Mapping[str, Any]], *, as_is: bool = False
    ) -> None:
        """Put another backup in the place of ``shop-1``."""
        self.store.delete("shop-1", files_only=True)
        put_backup(self.store, objects, as_is=as_is)

    def add_backup(
        self, objects: Iterable[Mapping[str, Any]], name: str, **how: Any
    ) -> None:
        """Put another backup beside ``shop-1``; *how* as `put_backup` takes it."""
        put_backup(self.store, objects, name=name, **how)

    def _objects(self, kind: str) -> list[dict[str, Any]]:
        return self.simulated.objects(kind)


@pytest.fixture(autouse=True)
def no_claim_left_open():
    """Refuse a test that leaves a claim behind, whose heartbeat outlives the tests.

    Those of tests elsewhere that are there already are not its own.
    """
    before = set(threading.enumerate())
    yield
    new = [each for each in threading.enumerate() if each not in before]
    claims = [each for each in new if each.name.startswith("kbackup-claim-")]
    for each in claims:
        each.join(timeout=30)
    assert not [each.name for each in claims if each.is_alive()]


@pytest.fixture
def simulated():
    """An empty target cluster."""
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture
def make_shop(simulated, tmp_path):
    """Makes a `Shop` whose backup holds the given objects."""
    opened = []

    def make(
        objects: Iterable[Mapping[str, Any]] | None = None,
        *,
        as_is: bool = False,
        **more: Any,
    ) -> Shop:
        """Make it; without objects the backup holds the sample shop."""
        store = BackupStore.open(f"file://{tmp_path}/store-{len(opened)}")
        put_backup(store, sample_shop() if objects is None else objects, as_is=as_is)
        cluster = simulated.connect()
        opened.extend((store, cluster))
        return Shop(simulated, store, RestoreEngine(cluster, store, **more), cluster)

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def shop(make_shop):
    """The sample shop, backed up, and an empty target."""
    return make_shop()
