"""The snapshotter of managed disks keeps the promises of the Protocol."""

from __future__ import annotations

import uuid

import pytest

from arm_stub import path_of
from kbackup.plugins import VolumeDescription
from kbackup.testing import MissingIds, VolumeSnapshotterContract, persistent_volume
from kbackup_plugins_azure import open_disk_snapshotter


class TestManagedDisks(VolumeSnapshotterContract):
    """The snapshotter of managed disks keeps every promise, through Azure's SDK."""

    @pytest.fixture
    def snapshotter(self, arm_config):
        """A snapshotter of its own for each test."""
        snapshotter = open_disk_snapshotter(arm_config())
        yield snapshotter
        snapshotter.close()

    @pytest.fixture
    def zone(self):
        """The zone of the volumes, as Kubernetes labels it."""
        return "westeurope-1"

    @pytest.fixture
    def make_volume(self, arm):
        """Keep a disk as people make one."""

        def make(description):
            name = f"pvc-{uuid.uuid4()}"
            properties = {
                "diskIOPSReadWrite": description.iops or 500,
                "diskMBpsReadWrite": description.throughput or 60,
            }
            sku = {"name": description.volume_type}
            arm.add("disks", name, sku=sku, properties=properties)
            return name

        return make

    @pytest.fixture
    def descriptions(self):
        """Each type of which something can be provisioned, and others."""
        return [
            VolumeDescription(volume_type="PremiumV2_LRS", iops=4000, throughput=200),
            VolumeDescription(volume_type="UltraSSD_LRS", iops=9000, throughput=300),
            VolumeDescription(volume_type="Premium_LRS"),
            VolumeDescription(volume_type="StandardSSD_ZRS"),
        ]

    @pytest.fixture
    def persistent_volumes(self):
        """Of the CSI driver, and of Kubernetes."""

        def make(volume_id):
            uri = path_of("disks", volume_id)
            driver = "disk.csi.azure.com"
            return [
                persistent_volume("csi", driver=driver, volumeHandle=uri),
                persistent_volume(
                    "azureDisk", kind="Managed", diskName=volume_id, diskURI=uri
                ),
            ]

        return make

    @pytest.fixture
    def tags_of(self, arm):
        """Look at a snapshot's tags, whose names have hyphens for slashes."""

        def look(snapshot_id):
            tags = arm.resources[snapshot_id.lower()]["tags"]
            return {
                name.replace("velero.io-", "velero.io/"): text
                for name, text in tags.items()
            }

        return look

    @pytest.fixture
    def missing(self):
        """Ids as people and Azure make them."""
        return MissingIds(
            volume_id="pvc-nobody-has", snapshot_id=path_of("snapshots", "nobody-has")
        )

    @pytest.fixture
    def throttle(self, arm):
        """Have the next requests refused as too many."""
        return lambda count: setattr(arm, "refusals", count)
