"""Every volume snapshotter that kbackup comes with keeps the promises of the Protocol."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import pytest

from arm_stub import path_of
from kbackup.plugins import VolumeDescription
from kbackup.testing import MissingIds, VolumeSnapshotterContract, persistent_volume
from kbackup_plugins_aws import open_ebs_snapshotter
from kbackup_plugins_azure import open_disk_snapshotter
from kbackup_plugins_local import open_host_path_snapshotter


class TestEBS(VolumeSnapshotterContract):
    """The snapshotter of EBS keeps every promise."""

    @pytest.fixture
    def snapshotter(self, ec2_server):
        """A snapshotter of its own for each test."""
        snapshotter = open_ebs_snapshotter(ec2_server.config())
        yield snapshotter
        snapshotter.close()

    @pytest.fixture
    def zone(self):
        """The availability zone of the volumes."""
        return "us-east-1a"

    @pytest.fixture
    def make_volume(self, ec2_client, zone):
        """Make a volume as people make one."""

        def make(description):
            options = {"VolumeType": description.volume_type}
            if description.iops:
                options["Iops"] = description.iops
            if description.throughput:
                options["Throughput"] = description.throughput
            made = ec2_client.create_volume(AvailabilityZone=zone, Size=8, **options)
            return made["VolumeId"]

        return make

    @pytest.fixture
    def descriptions(self):
        """Each type of which something can be provisioned, and one that is plain."""
        return [
            VolumeDescription(volume_type="gp3", iops=4000, throughput=250),
            VolumeDescription(volume_type="io1", iops=200),
            VolumeDescription(volume_type="io2", iops=300),
            VolumeDescription(volume_type="gp2"),
        ]

    @pytest.fixture
    def persistent_volumes(self):
        """Of the CSI driver, and of Kubernetes with a zone and without."""

        def make(volume_id):
            zoned = persistent_volume(
                "awsElasticBlockStore", volumeID=f"aws://us-east-1a/{volume_id}"
            )
            zoned["metadata"]["labels"]["topology.kubernetes.io/zone"] = "us-east-1a"
            return [
                persistent_volume(
                    "csi", driver="ebs.csi.aws.com", volumeHandle=volume_id
                ),
                persistent_volume("awsElasticBlockStore", volumeID=volume_id),
                zoned,
            ]

        return make

    @pytest.fixture
    def tags_of(self, ec2_client):
        """Look at a snapshot's tags."""

        def look(snapshot_id):
            found = ec2_client.describe_snapshots(SnapshotIds=[snapshot_id])
            return {tag["Key"]: tag["Value"] for tag in found["Snapshots"][0]["Tags"]}

        return look

    @pytest.fixture
    def missing(self):
        """Ids as EC2 makes them."""
        return MissingIds(
            volume_id="vol-0123456789abcdef0", snapshot_id="snap-0123456789abcdef0"
        )

    @pytest.fixture
    def throttle(self, ec2_server):
        """Have the next requests refused as too many."""
        return lambda count: setattr(ec2_server.gate, "refusals", count)


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


class TestHostPath(VolumeSnapshotterContract):
    """The snapshotter of directories keeps every promise, on the disk."""

    @pytest.fixture
    def config(self, tmp_path):
        """What the snapshotter is opened with."""
        return {"snapshots": str(tmp_path / "snapshots"), "node": "node-1"}

    @pytest.fixture
    def snapshotter(self, config):
        """A snapshotter of its own for each test."""
        return open_host_path_snapshotter(config)

    @pytest.fixture
    def make_volume(self, tmp_path):
        """Make a directory with something in it."""

        def make(_):
            path = tmp_path / "volumes" / uuid.uuid4().hex
            (path / "below").mkdir(parents=True)
            (path / "below" / "file").write_bytes(os.urandom(5000))
            return str(path)

        return make

    @pytest.fixture
    def descriptions(self):
        """A directory is a directory."""
        return [VolumeDescription(volume_type="directory")]

    @pytest.fixture
    def persistent_volumes(self):
        """A hostPath, and a local volume bound to this node."""
        terms = [
            {
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/hostname",
                        "operator": "In",
                        "values": ["node-1"],
                    }
                ]
            }
        ]

        def make(volume_id):
            local = persistent_volume("local", path=volume_id)
            local["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
            return [persistent_volume("hostPath", path=volume_id), local]

        return make

    @pytest.fixture
    def tags_of(self, config):
        """Read the record of a snapshot."""

        def look(snapshot_id):
            record = Path(config["snapshots"], snapshot_id, "snapshot.json")
            return json.loads(record.read_text())["tags"]

        return look

    @pytest.fixture
    def missing(self, tmp_path):
        """A path where nothing is, and a well-formed id."""
        return MissingIds(
            volume_id=str(tmp_path / "nothing"), snapshot_id=f"snap-{'0' * 32}"
        )
