"""Which PersistentVolumes are persistent disks, and the zones that they are in."""

from __future__ import annotations

import pytest

from gce_stub import PROJECT, ZONE
from kbackup.errors import SnapshotterError
from kbackup.testing import persistent_volume

ZONES = "us-central1-a__us-central1-f"


@pytest.mark.parametrize(
    ("handle", "label", "expected"),
    [
        (f"projects/{PROJECT}/zones/z-1-a/disks/d", "", f"{PROJECT}/zones/z-1-a"),
        ("projects/other/zones/z-1-a/disks/d", "", f"{PROJECT}/zones/z-1-a"),
        ("projects/p/regions/us-east1/disks/d", ZONES, f"{PROJECT}/regions/us-east1"),
        (
            "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d",
            "",
            f"{PROJECT}/zones/UNSPECIFIED",
        ),
        (
            "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d",
            ZONE,
            f"{PROJECT}/zones/{ZONE}",
        ),
        (
            "projects/UNSPECIFIED/regions/UNSPECIFIED/disks/d",
            ZONES,
            f"{PROJECT}/regions/us-central1",
        ),
    ],
)
def test_handles(snapshotter, handle, label, expected):
    """Project and disk are replaced; the place stays, or is that of the label."""
    volume = persistent_volume(
        "csi", driver="pd.csi.storage.gke.io", volumeHandle=handle, fsType="ext4"
    )
    if label:
        volume["metadata"]["labels"]["topology.kubernetes.io/zone"] = label

    assert snapshotter.volume_id(volume) == "d"
    pointed = snapshotter.with_volume_id(volume, "restore-1")

    assert pointed["spec"]["csi"] == {
        "driver": "pd.csi.storage.gke.io",
        "volumeHandle": f"projects/{expected}/disks/restore-1",
        "fsType": "ext4",
    }


@pytest.mark.parametrize(
    "volume",
    [
        persistent_volume("gcePersistentDisk", pdName=""),
        persistent_volume("gcePersistentDisk", pdName="Upper"),
        persistent_volume("gcePersistentDisk", fsType="ext4"),
        persistent_volume("csi", driver="pd.csi.storage.gke.io"),
        persistent_volume("csi", driver="pd.csi.storage.gke.io", volumeHandle="disk-1"),
        persistent_volume(
            "csi",
            driver="pd.csi.storage.gke.io",
            volumeHandle="projects/p/global/images/disk-1",
        ),
    ],
)
def test_volumes_whose_id_cannot_be_read(snapshotter, volume):
    """A disk of Google's with an id that makes no sense is an error, by its name."""
    with pytest.raises(SnapshotterError, match="pvc-1"):
        snapshotter.volume_id(volume)
    with pytest.raises(SnapshotterError, match="pvc-1"):
        snapshotter.with_volume_id(volume, "restore-1")


@pytest.mark.parametrize(
    "zone", ["here", "us-central1", "us-central1-a__europe-west1-b", "a/../b-c-d", "__"]
)
def test_zones_that_are_none(gce_stub, snapshotter, disk, zone):
    """What is no zone, or zones of two regions, becomes no part of an address."""
    with pytest.raises(SnapshotterError, match="zone"):
        snapshotter.describe(disk, zone)
    assert not gce_stub.requests
