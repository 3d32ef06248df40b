"""Resource policies and the order of objects, on a real API server."""

from contextlib import suppress

import pytest

from kbackup.backup import BackupEngine
from kbackup.errors import AlreadyExistsError
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    TypedLocalObjectReference,
)
from kbackup.plugins import PhaseChanged

pytestmark = pytest.mark.integration

CONFIG_MAPS = GroupResource("", "configmaps")
NAMESPACES = GroupResource("", "namespaces")
VOLUMES = GroupResource("", "persistentvolumes")
SOURCES = {
    "disk": {"hostPath": {"path": "/tmp/kbackup-test-disk"}},  # noqa: S108 - never used
    "share": {"nfs": {"server": "nfs.example.com", "path": "/share"}},
}
POLICIES = """\
version: v1
volumePolicies:
- conditions: {nfs: {server: nfs.example.com}, capacity: "1Gi,", pvcPhase: [Bound]}
  action: {type: skip}
includeExcludePolicy:
  excludedNamespaceScopedResources: [events, secrets]
"""


@pytest.fixture
def space(cluster, namespace):
    """An empty namespace; its name is given."""
    writer = cluster.writer()
    writer.create(_made("Namespace", namespace))
    yield namespace
    writer.delete(ResourceIdentifier(NAMESPACES, "", namespace))


def _made(kind, name, namespace="", labels=None, **more):
    """Return an object of the core group."""
    metadata = {"name": name, "labels": labels or {}}
    metadata |= {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


def _claim(cluster, namespace, name, source):
    """Create a volume and a claim for just this volume."""
    volume = f"{name}-{namespace}"
    shared = {"accessModes": ["ReadWriteOnce"], "storageClassName": volume}
    size = {"storage": "1Gi"}
    cluster.writer().create(
        _made("PersistentVolume", volume, spec={**shared, **source, "capacity": size})
    )
    asked = {**shared, "resources": {"requests": size}}
    cluster.writer().create(_made("PersistentVolumeClaim", name, namespace, spec=asked))


@pytest.fixture
def claims(cluster, space, wait_for):
    """Two bound claims in a namespace, of a host path and of NFS."""
    for name, source in SOURCES.items():
        _claim(cluster, space, name, source)
    found = GroupResource("", "persistentvolumeclaims")

    def is_bound():
        listed = cluster.reader().list(found, namespace=space)
        return [x["status"].get("phase") for x in listed] == ["Bound", "Bound"]

    wait_for("binding", is_bound)
    yield space
    for name in SOURCES:
        cluster.writer().delete(ResourceIdentifier(VOLUMES, "", f"{name}-{space}"))


@pytest.fixture
def config_map(cluster, namespace):
    """Where Velero would look: a ConfigMap in its namespace; a reference to it."""
    writer, name = cluster.writer(), f"policies-{namespace}"
    with suppress(AlreadyExistsError):  # it stays for other tests
        writer.create(_made("Namespace", "velero"))
    data = {"policies.yaml": POLICIES}
    writer.create(_made("ConfigMap", name, "velero", data=data))
    yield TypedLocalObjectReference(kind="configmap", name=name)
    writer.delete(ResourceIdentifier(CONFIG_MAPS, "velero", name))


def test_policies_of_velero_are_followed(cluster, store, claims, config_map):
    """From a ConfigMap: a bound NFS claim is skipped, Secrets stay out, all is on record."""
    cluster.writer().create(_made("Secret", "s", claims))

    result = BackupEngine(cluster, store).run(
        "b", BackupSpec(included_namespaces=[claims], resource_policy=config_map)
    )

    assert result.backup.status.phase is BackupPhase.COMPLETED
    told = [entry.message for entry in result.results.warnings]
    assert f"1 volume has no data in this backup: {claims}/disk" in told
    manifest = store.manifest("b")
    found = {volume.claim: volume.policy for volume in manifest.volumes}
    assert found == {f"{claims}/disk": "", f"{claims}/share": "skip"}
    assert manifest.options["resource_policies"]["version"] == "v1"
    with store.open_archive("b") as archive:
        types = {str(item.identifier.group_resource) for item in archive}
    assert {"persistentvolumeclaims", "persistentvolumes", "namespaces"} <= types
    assert not types & {"secrets", "events"}


def test_ordered_objects_come_first_and_at_the_moment_of_all(cluster, store, space):
    """The server lists single objects at the version of all lists, in the order asked for."""
    writer, secrets = cluster.writer(), cluster.discover().resolve("secrets")
    labels = {"of": space}
    for name in ("a", "b", "c", "d"):
        writer.create(_made("Secret", name, space, labels))

    def observer(event):
        if isinstance(event, PhaseChanged) and event.phase == "lists":
            change = {"metadata": {"annotations": {"came": "later"}}}
            cluster.patch(secrets, "c", change, namespace=space)

    spec = BackupSpec(
        included_resources=["secrets"],
        label_selector=LabelSelector(match_labels=labels),
        ordered_resources={"secrets": f"{space}/d,{space}/c,{space}/gone"},
    )
    result = BackupEngine(cluster, store, observer=observer).run("b", spec)

    with store.open_archive("b") as archive:
        stored = [item for item in archive if item.kind == "Secret"]
    assert [item.identifier.name for item in stored] == ["d", "c", "a", "b"]
    assert "annotations" not in stored[1].content["metadata"]
    (record,) = (x for x in result.report.lists if str(x.resource) == "secrets")
    assert (record.listed, record.stored, record.exact) == (4, 4, True)
    assert [entry.message for entry in result.results.warnings] == [
        f"orderedResources: no such secrets selected: {space}/gone"
    ]
