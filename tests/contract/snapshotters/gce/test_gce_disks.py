"""What snapshots of persistent disks promise beyond the Protocol, and their requests."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from gce_stub import BASE, KEY, PROJECT, ZONE, Refusal
from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotFailedError,
    SnapshotterError,
)
from kbackup.plugins import PluginManager, VolumeDescription
from kbackup_plugins_gcp import open_disk_snapshotter

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
ZONES = "us-central1-a__us-central1-f"
PLAIN = VolumeDescription()
DISKS = f"/compute/v1/projects/{PROJECT}/zones/{ZONE}/disks"
SNAPSHOTS = f"/compute/v1/projects/{PROJECT}/global/snapshots"
CONFIDENTIAL = {"enableConfidentialCompute": True}


def test_it_is_offered():
    """The provider opens it under Velero's names, with the extra that it needs."""
    factory = PluginManager().volume_snapshotter("velero.io/gcp")

    assert factory.open is open_disk_snapshotter
    assert (factory.requires, factory.extra) == (("google.cloud.compute_v1",), "gcp")


# --- snapshots ------------------------------------------------------------------------


def test_the_request_for_a_snapshot(gce_stub, snapshotter, disk):
    """As Velero's: the disk's name and a UUID, tags in the description, its labels."""
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)

    [asked] = gce_stub.sent("POST", "snapshots")
    assert asked.path == SNAPSHOTS
    assert uuid.UUID(asked.query["requestId"]).int
    tags = json.loads(asked.body.pop("description"))
    assert tags == {**TAGS, "kubernetes.io/created-for/pvc/name": "data"}
    assert asked.body == {
        "name": name,
        "sourceDisk": f"projects/{PROJECT}/zones/{ZONE}/disks/pvc-1",
        "labels": {"goog-k8s-cluster-name": "prod"},
        "snapshotType": "STANDARD",
    }
    assert uuid.UUID(name.removeprefix("pvc-1-")).version == 4


def test_a_snapshot_of_a_disk_with_a_long_name(gce_stub, snapshotter):
    """Of a name of 63 characters the beginning is kept, and the UUID whole."""
    gce_stub.make_disk("d" * 63)

    name = snapshotter.create_snapshot("d" * 63, ZONE, TAGS)

    assert re.fullmatch(r"d{26}-[0-9a-f-]{36}", name)


def test_a_snapshot_of_a_regional_disk(gce_stub, snapshotter):
    """The disk is looked for, and named, in the region of its two zones."""
    gce_stub.make_disk("pvc-2", "regions/us-central1")

    snapshotter.create_snapshot("pvc-2", ZONES, TAGS)

    [asked] = gce_stub.sent("POST", "snapshots")
    source = asked.body["sourceDisk"]
    assert source == f"projects/{PROJECT}/regions/us-central1/disks/pvc-2"
    [looked] = gce_stub.sent("GET", "disks")
    assert looked.path == f"/compute/v1/{source}"


def test_where_and_how_snapshots_are_kept(gce_stub, opened, disk):
    """With the keys of Velero's location: another project, location and type."""
    snapshotter = opened(
        project="snapshots-only", snapshotLocation="eu", snapshotType="archive"
    )

    name = snapshotter.create_snapshot(disk, ZONE, TAGS)

    kept = gce_stub.snapshot(name, "snapshots-only")
    assert kept["storageLocations"] == ["eu"]
    assert kept["snapshotType"] == "ARCHIVE"
    assert kept["sourceDisk"].startswith(f"{BASE}projects/{PROJECT}/")
    while not snapshotter.snapshot_state(name).complete:
        pass
    snapshotter.create_volume(name, PLAIN, ZONE)
    [asked] = gce_stub.sent("POST", "disks")
    assert asked.path == DISKS
    source = f"projects/snapshots-only/global/snapshots/{name}"
    assert asked.body["sourceSnapshot"] == source
    snapshotter.delete_snapshot(name)
    assert not gce_stub.snapshots


@pytest.mark.parametrize("text", ["made by hand", '["a"]', '{"size": 3}', "{"])
def test_a_description_that_holds_no_tags(gce_stub, snapshotter, text):
    """What somebody wrote into a disk's description does no harm to the tags."""
    gce_stub.make_disk("pvc-2", description=text)

    name = snapshotter.create_snapshot("pvc-2", ZONE, TAGS)

    assert json.loads(gce_stub.snapshot(name)["description"]) == TAGS


def test_more_tags_than_fit(gce_stub, snapshotter):
    """A description ends at 2,048 characters: tags of the backup stay, others go."""
    others = {f"{number:03}": "x" * 100 for number in range(30)}
    gce_stub.make_disk("pvc-2", description=json.dumps(others))

    name = snapshotter.create_snapshot("pvc-2", ZONE, TAGS)

    kept = json.loads(gce_stub.snapshot(name)["description"])
    assert kept.items() >= TAGS.items()
    assert len(kept) > 10


def test_it_returns_when_the_moment_is_taken(gce_stub, snapshotter, disk, waits):
    """While it is created writes may get in; the upload is not waited for."""
    gce_stub.states = ("CREATING", "CREATING", "UPLOADING", "UPLOADING", "READY")

    name = snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert len(waits) == 2
    assert gce_stub.snapshot(name)["status"] == "UPLOADING"
    assert not snapshotter.snapshot_state(name).complete
    assert snapshotter.snapshot_state(name).complete


def test_a_snapshot_that_does_not_show_yet(gce_stub, snapshotter, disk, waits):
    """While its operation runs, a snapshot that is not found is waited for."""
    hidden = [True, True, False]

    def hide(asked):
        if asked.method == "GET" and "/snapshots/" in asked.path and hidden.pop(0):
            path = asked.path.removeprefix("/compute/v1/")
            raise Refusal(404, "notFound", f"The resource '{path}' was not found")

    gce_stub.refuse_if = hide

    assert snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert len(waits) == 2


def test_a_snapshot_that_fails(gce_stub, snapshotter, disk):
    """What Compute Engine gives up is an error, at once and whenever it is asked for."""
    gce_stub.states = ("FAILED",)
    with pytest.raises(SnapshotFailedError, match="pvc-1"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    gce_stub.states = ("UPLOADING", "FAILED")
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)
    with pytest.raises(SnapshotFailedError, match=name):
        snapshotter.snapshot_state(name)


def test_a_snapshot_that_is_being_deleted(gce_stub, snapshotter, disk):
    """It is gone: no volume comes of it."""
    gce_stub.states = ("UPLOADING", "DELETING")
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)

    with pytest.raises(NativeSnapshotNotFoundError, match=name):
        snapshotter.snapshot_state(name)


def test_a_snapshot_that_is_not_complete(gce_stub, snapshotter, disk):
    """No volume is asked for, and the state of the snapshot stands in the error."""
    gce_stub.states = ("UPLOADING",)
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)

    with pytest.raises(SnapshotterError, match=f"{name}.*UPLOADING"):
        snapshotter.create_volume(name, PLAIN, ZONE)
    assert not gce_stub.sent("POST", "disks")


# --- volumes --------------------------------------------------------------------------


def test_the_request_for_a_volume(gce_stub, snapshotter, snapshot):
    """As Velero's: description and labels of the snapshot, under a new name."""
    made = snapshotter.create_volume(snapshot, PLAIN, ZONE)

    [asked] = gce_stub.sent("POST", "disks")
    assert asked.path == DISKS
    assert uuid.UUID(asked.query["requestId"]).int
    tags = json.loads(asked.body.pop("description"))
    assert tags == {**TAGS, "kubernetes.io/created-for/pvc/name": "data"}
    assert asked.body == {
        "name": made,
        "sourceSnapshot": f"projects/{PROJECT}/global/snapshots/{snapshot}",
        "labels": {"goog-k8s-cluster-name": "prod"},
    }
    assert uuid.UUID(made.removeprefix("restore-")).version == 4


def test_a_regional_volume(gce_stub, snapshotter, snapshot):
    """Two zones joined by two underscores are the replicas of a disk of their region."""
    kind = VolumeDescription(volume_type="pd-ssd")

    made = snapshotter.create_volume(snapshot, kind, ZONES)

    [asked] = gce_stub.sent("POST", "disks")
    assert asked.path == f"/compute/v1/projects/{PROJECT}/regions/us-central1/disks"
    assert asked.body["replicaZones"] == [
        f"projects/{PROJECT}/zones/us-central1-a",
        f"projects/{PROJECT}/zones/us-central1-f",
    ]
    types = f"projects/{PROJECT}/regions/us-central1/diskTypes"
    assert asked.body["type"] == f"{types}/pd-ssd"
    asked_for = gce_stub.sent("GET", "operations")[0].path
    assert "/regions/us-central1/operations/" in asked_for
    assert snapshotter.describe(made, ZONES).volume_type == f"{BASE}{types}/pd-ssd"


@pytest.mark.parametrize(
    "written",
    [
        f"{BASE}projects/elsewhere/zones/europe-west1-b/diskTypes/pd-ssd",
        f"{BASE}projects/elsewhere/regions/europe-west1/diskTypes/pd-ssd",
        "zones/europe-west1-b/diskTypes/pd-ssd",
        "pd-ssd",
    ],
)
def test_a_type_of_another_zone(gce_stub, snapshotter, snapshot, written):
    """A type, however it is written, is asked for where the volume is made."""
    kind = VolumeDescription(volume_type=written)

    snapshotter.create_volume(snapshot, kind, ZONE)

    [asked] = gce_stub.sent("POST", "disks")
    wanted = f"projects/{PROJECT}/zones/{ZONE}/diskTypes/pd-ssd"
    assert asked.body["type"] == wanted


def test_a_type_that_is_none(gce_stub, snapshotter, snapshot):
    """What is no type is refused before anything is asked for."""
    kind = VolumeDescription(volume_type="pd-ssd?x=/../")

    with pytest.raises(SnapshotterError, match="no type"):
        snapshotter.create_volume(snapshot, kind, ZONE)
    assert not gce_stub.sent("POST", "disks")


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("hyperdisk-balanced", {"provisionedIops", "provisionedThroughput"}),
        ("hyperdisk-extreme", {"provisionedIops"}),
        ("hyperdisk-throughput", {"provisionedThroughput"}),
        ("hyperdisk-ml", {"provisionedThroughput"}),
        ("pd-extreme", {"provisionedIops"}),
        ("pd-ssd", set()),
    ],
)
def test_what_is_provisioned(gce_stub, snapshotter, snapshot, kind, sent):
    """IOPS and throughput go along for the types that take them, and no others do."""
    description = VolumeDescription(volume_type=kind, iops=5000, throughput=300)

    snapshotter.create_volume(snapshot, description, ZONE)

    [asked] = gce_stub.sent("POST", "disks")
    both = {"provisionedIops": "5000", "provisionedThroughput": "300"}
    found = {name: asked.body[name] for name in both if name in asked.body}
    assert found == {name: both[name] for name in sent}


def test_a_key_of_kms_is_kept(gce_stub, snapshotter):
    """Disk, snapshot and new disk have one key; its version is left to KMS."""
    key = {
        "kmsKeyName": f"{KEY}/cryptoKeyVersions/1",
        "kmsKeyServiceAccount": "kms@keys.iam.gserviceaccount.com",
    }
    gce_stub.make_disk("pvc-2", diskEncryptionKey=key)
    name = snapshotter.create_snapshot("pvc-2", ZONE, TAGS)
    while not snapshotter.snapshot_state(name).complete:
        pass

    snapshotter.create_volume(name, PLAIN, ZONE)

    sent = {**key, "kmsKeyName": KEY}
    [asked] = gce_stub.sent("POST", "snapshots")
    assert asked.body["snapshotEncryptionKey"] == sent
    [asked] = gce_stub.sent("POST", "disks")
    assert asked.body["diskEncryptionKey"] == sent


def test_a_key_that_its_owner_keeps(gce_stub, snapshotter):
    """Without such a key nothing can be read; said before anything is asked for."""
    gce_stub.make_disk("pvc-2", diskEncryptionKey={"sha256": "abc="})

    with pytest.raises(SnapshotterError, match=r"pvc-2.*outside of KMS"):
        snapshotter.create_snapshot("pvc-2", ZONE, TAGS)
    assert not gce_stub.sent("POST", "snapshots")


def test_a_confidential_disk(gce_stub, snapshotter, snapshot):
    """What was in confidential mode is when it comes back."""
    gce_stub.snapshot(snapshot).update(CONFIDENTIAL)

    snapshotter.create_volume(snapshot, PLAIN, ZONE)

    [asked] = gce_stub.sent("POST", "disks")
    assert asked.body.items() >= CONFIDENTIAL.items()


def test_a_volume_is_waited_for(gce_stub, snapshotter, snapshot, waits):
    """It is told when its operation is done, and not before."""
    gce_stub.looks = 4
    waits.clear()

    snapshotter.create_volume(snapshot, PLAIN, ZONE)

    assert len(waits) == 3
    [where] = {each.path.rpartition("/")[0] for each in gce_stub.sent("GET", "oper")}
    assert where == DISKS.removesuffix("disks") + "operations"


def test_a_volume_that_takes_too_long(gce_stub, opened, snapshot, disk):
    """The wait ends with the location's transferTimeout, and names the volume."""
    gce_stub.looks = 1_000_000
    snapshotter = opened(transferTimeout="1ms")

    with pytest.raises(SnapshotterError, match=r"restore-.*not done after 0\.001 s"):
        snapshotter.create_volume(snapshot, PLAIN, ZONE)


def test_without_a_zone(snapshotter, disk, snapshot):
    """A disk has a zone; one that nothing tells is asked for with the label's name."""
    for call in (
        lambda: snapshotter.describe(disk, ""),
        lambda: snapshotter.create_snapshot(disk, "", TAGS),
        lambda: snapshotter.create_volume(snapshot, PLAIN, ""),
    ):
        with pytest.raises(SnapshotterError, match="zone") as caught:
            call()
        assert "topology.kubernetes.io/zone" in caught.value.hint
