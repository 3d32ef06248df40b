"""What snapshots of managed disks promise beyond the Protocol, and what is sent for them."""

from __future__ import annotations

import re

import pytest

from arm_stub import (
    GROUP,
    OTHER_GROUP,
    OTHER_SUBSCRIPTION,
    path_of,
)
from kbackup.errors import (
    SnapshotterError,
)
from kbackup.plugins import PluginManager, VolumeDescription
from kbackup.testing import persistent_volume
from kbackup_plugins_azure import open_disk_snapshotter
from kbackup_plugins_azure._disk_bodies import disk_body, merged_tags
from kbackup_plugins_azure._resource_ids import read_id

PREMIUM = VolumeDescription(volume_type="Premium_LRS")
ZONE = "westeurope-2"
TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
SET = path_of("disks", "x").replace("disks/x", "diskEncryptionSets/keys")
CSI = "disk.csi.azure.com"


def test_it_is_offered():
    """The provider opens it under Velero's name, with the extra that it needs."""
    factory = PluginManager().volume_snapshotter("velero.io/azure")

    assert factory.open is open_disk_snapshotter
    assert factory.extra == "azure"
    assert "azure.mgmt.compute" in factory.requires


# --- what is sent ---------------------------------------------------------------------


def test_what_is_sent_for_a_snapshot(arm, opened, disk):
    """The disk is looked at, its snapshot put under a new name, and waited for."""
    snapshotter = opened(resourceGroup=OTHER_GROUP)

    snapshot = snapshotter.create_snapshot(disk, ZONE, TAGS)

    uid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
    assert re.fullmatch(
        path_of("snapshots", f"pvc-1-{uid}", group=OTHER_GROUP), snapshot
    )
    (put,) = arm.named("PUT")
    assert put.path == snapshot
    assert put.body == {
        "location": "westeurope",
        "tags": {
            "velero.io-backup": "shop-1",
            "velero.io-pv": "pvc-1",
            "team": "shop",
        },
        "properties": {
            "creationData": {
                "createOption": "Copy",
                "sourceResourceId": path_of("disks", "pvc-1"),
            }
        },
    }
    assert {each.query["api-version"] for each in arm.asked} == {"2023-10-02"}
    assert arm.asked[0].path == path_of("disks", "pvc-1")
    assert "/operations/" in arm.asked[2].path


def test_one_token_for_many_requests(arm, snapshotter, disk):
    """The identity of the credentials file is asked for, once, for the manager."""
    snapshotter.describe(disk, ZONE)
    snapshotter.create_snapshot(disk, ZONE, TAGS)

    (form,) = arm.tokens
    assert f"{arm.url}/.default" in form["scope"].split()
    assert form["client_id"] == "44444444-4444-4444-4444-444444444444"
    assert {each.token for each in arm.asked} == {"Bearer eyJ.token-1"}


def test_a_long_name(arm, snapshotter):
    """The name of a snapshot has 80 characters at most, as Azure takes it."""
    arm.add("disks", "d" * 80, sku={"name": "Premium_LRS"})

    first, second = (
        snapshotter.create_snapshot("d" * 80, ZONE, TAGS) for _ in range(2)
    )

    assert first != second
    assert len(first.rpartition("/")[2]) == 80


def test_whose_tags_win(arm, opened, disk):
    """Those of the location before those of the backup, and these before the disk's."""
    arm.add("disks", disk, tags={"TEAM": "disk", "velero.io-pv": "old", "kept": "x"})
    snapshotter = opened(tags="team = location , cost=1=2")

    snapshotter.create_snapshot(disk, ZONE, {**TAGS, "team": "backup"})

    assert arm.named("PUT")[0].body["tags"] == {
        "team": "location",
        "cost": "1=2",
        "velero.io-backup": "shop-1",
        "velero.io-pv": "pvc-1",
        "kept": "x",
    }


def test_tags_that_azure_takes():
    """No more than 50, none of Azure's own, no characters that it refuses; ours first."""
    inherited = [("Microsoft.x", "y"), ("hidden", "v" * 300)]
    inherited += [(f"k{number}", "x") for number in range(60)]

    merged = merged_tags({**TAGS, "a?b&c": "1", "": "2"}, inherited)

    assert len(merged) == 50
    assert list(merged)[:3] == ["velero.io-backup", "velero.io-pv", "a-b-c"]
    assert "Microsoft.x" not in merged
    assert merged["hidden"] == "v" * 256


@pytest.mark.parametrize(
    ("config", "sku", "sent"),
    [
        ({}, "Premium_LRS", None),
        ({"incremental": "true"}, "Premium_LRS", True),
        ({"incremental": "False"}, "Premium_LRS", False),
        ({}, "PremiumV2_LRS", True),
        ({}, "UltraSSD_LRS", True),
        ({"incremental": "false"}, "UltraSSD_LRS", False),
    ],
)
def test_incremental_snapshots(arm, opened, config, sku, sent):
    """As the location says; else full ones, unless the disk knows incremental ones only."""
    arm.add("disks", "pvc-2", sku={"name": sku})

    opened(**config).create_snapshot("pvc-2", ZONE, TAGS)

    assert arm.named("PUT")[0].body["properties"].get("incremental") is sent


def test_what_is_sent_for_a_volume(arm, opened, snapshot):
    """A disk in the cluster's group, of its type, in its zone, with the snapshot's tags."""
    snapshotter = opened(resourceGroup=OTHER_GROUP)

    volume = snapshotter.create_volume(snapshot, PREMIUM, ZONE)

    assert volume.startswith("restore-")
    (put,) = arm.named("PUT")
    assert put.path == path_of("disks", volume)
    assert put.body == {
        "location": "westeurope",
        "tags": {"velero.io-backup": "shop-1"},
        "sku": {"name": "Premium_LRS"},
        "zones": ["2"],
        "properties": {
            "creationData": {"createOption": "Copy", "sourceResourceId": snapshot}
        },
    }


@pytest.mark.parametrize(
    ("kind", "zone", "zones"),
    [
        ("Premium_LRS", "westeurope-1", ["1"]),
        ("Premium_LRS", "us-gov-virginia-3", ["3"]),
        ("Premium_LRS", "", None),
        ("Premium_LRS", "0", None),  # the fault domain of a node without a zone
        ("Premium_LRS", "westeurope", None),
        ("Premium_ZRS", "westeurope-1", None),
        ("StandardSSD_ZRS", "westeurope-1", None),
        ("", "westeurope-1", ["1"]),
    ],
)
def test_zones(kind, zone, zones):
    """A volume is in the zone that the label names, unless it is in all of them."""
    description = VolumeDescription(volume_type=kind)
    snapshot = read_id(path_of("snapshots", "snap-1"))

    body = disk_body(
        snapshot, {"location": "x"}, description, zone, same_subscription=True
    )

    assert body.get("zones") == zones
    assert ("sku" in body) == bool(kind)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("UltraSSD_LRS", {"diskIOPSReadWrite": 9000, "diskMBpsReadWrite": 300}),
        ("PremiumV2_LRS", {"diskIOPSReadWrite": 9000, "diskMBpsReadWrite": 300}),
        ("Premium_LRS", {}),
    ],
)
def test_speed(arm, snapshotter, kind, sent):
    """IOPS, throughput and sectors go along for the types that take them."""
    creation = {"logicalSectorSize": 512}
    snapshot = arm.add("snapshots", "s", properties={"creationData": creation})
    description = VolumeDescription(volume_type=kind, iops=9000, throughput=300)

    snapshotter.create_volume(snapshot, description, ZONE)

    properties = arm.named("PUT")[0].body["properties"]
    sectors = properties.pop("creationData").get("logicalSectorSize")
    assert properties == sent
    assert sectors == (512 if sent else None)


def test_who_may_read_it(arm, snapshotter):
    """A key of the customer's and limits of access are those of the source, each time."""
    kept = {
        "encryption": {
            "type": "EncryptionAtRestWithCustomerKey",
            "diskEncryptionSetId": SET,
        },
        "networkAccessPolicy": "DenyAll",
        "publicNetworkAccess": "Disabled",
    }
    arm.add("disks", "pvc-3", sku={"name": "Premium_LRS"}, properties=kept)

    snapshot = snapshotter.create_snapshot("pvc-3", ZONE, TAGS)
    snapshotter.create_volume(snapshot, PREMIUM, ZONE)

    for put in arm.named("PUT"):
        assert put.body["properties"].items() >= kept.items()


def test_a_key_of_the_platform(arm, snapshotter):
    """What Azure encrypts by its own key is not asked for."""
    own = {"encryption": {"type": "EncryptionAtRestWithPlatformKey"}}
    arm.add("disks", "pvc-3", sku={"name": "Premium_LRS"}, properties=own)

    snapshotter.create_snapshot("pvc-3", ZONE, TAGS)

    assert "encryption" not in arm.named("PUT")[0].body["properties"]


def test_another_subscription(arm, opened):
    """Snapshots go where the location says; a key of the disk's subscription does not."""
    keys = {"encryption": {"type": "x", "diskEncryptionSetId": SET}}
    arm.add("disks", "pvc-3", sku={"name": "Premium_LRS"}, properties=keys)
    snapshotter = opened(subscriptionId=OTHER_SUBSCRIPTION, resourceGroup=OTHER_GROUP)

    snapshot = snapshotter.create_snapshot("pvc-3", ZONE, TAGS)
    volume = snapshotter.create_volume(snapshot, PREMIUM, ZONE)
    snapshotter.delete_snapshot(snapshot)

    assert snapshot.startswith(f"/subscriptions/{OTHER_SUBSCRIPTION}/")
    to_snapshot, to_disk = arm.named("PUT")
    assert to_snapshot.path == snapshot
    assert to_disk.path == path_of("disks", volume)
    assert "encryption" not in to_snapshot.body["properties"]
    assert snapshot.lower() not in arm.resources


# --- ids ------------------------------------------------------------------------------


def test_case_means_nothing_in_an_id(snapshotter):
    """A disk of the cluster is told by its name however the rest is written."""
    handle = path_of("disks", "pvc-1", group=GROUP.upper())
    handle = handle.replace("resourceGroups", "resourcegroups")

    volume = persistent_volume("csi", driver=CSI, volumeHandle=handle)

    assert snapshotter.volume_id(volume) == "pvc-1"


def test_a_disk_of_another_group(arm, snapshotter):
    """It is not looked for in the cluster's group, where another may have its name."""
    arm.add("disks", "pvc-1", sku={"name": "Premium_LRS"})
    arm.add("disks", "pvc-1", group=OTHER_GROUP, sku={"name": "Standard_LRS"})
    handle = path_of("disks", "pvc-1", group=OTHER_GROUP)
    volume = persistent_volume("csi", driver=CSI, volumeHandle=handle)

    volume_id = snapshotter.volume_id(volume)
    snapshotter.create_snapshot(volume_id, ZONE, TAGS)

    assert volume_id == handle
    assert snapshotter.describe(volume_id, ZONE).volume_type == "Standard_LRS"
    source = arm.named("PUT")[0].body["properties"]["creationData"]
    assert source["sourceResourceId"] == handle
    assert snapshotter.with_volume_id(volume, volume_id) == volume


def test_an_in_tree_volume_without_an_address(snapshotter):
    """Its name alone is the id, as in Velero."""
    volume = persistent_volume("azureDisk", diskName="pvc-1")

    assert snapshotter.volume_id(volume) == "pvc-1"


def test_where_a_restored_volume_is(snapshotter):
    """Name and full id are written, and nothing else changes."""
    given = persistent_volume(
        "azureDisk",
        cachingMode="ReadOnly",
        diskName="pvc-1",
        diskURI=path_of("disks", "pvc-1"),
        kind="Managed",
    )

    pointed = snapshotter.with_volume_id(given, "restore-1")

    assert pointed["spec"]["azureDisk"] == {
        "cachingMode": "ReadOnly",
        "diskName": "restore-1",
        "diskURI": path_of("disks", "restore-1"),
        "kind": "Managed",
    }
    assert given["spec"]["azureDisk"]["diskName"] == "pvc-1"


@pytest.mark.parametrize(
    "volume",
    [
        persistent_volume("csi", driver=CSI, volumeHandle="pvc-1"),
        persistent_volume("csi", driver=CSI, volumeHandle=path_of("snapshots", "s")),
        persistent_volume("csi", driver=CSI),
        persistent_volume("azureDisk", fsType="ext4"),
        persistent_volume(
            "azureDisk",
            diskName="d",
            diskURI="https://account.blob.core.windows.net/vhds/d.vhd",
        ),
        persistent_volume("azureDisk", diskName="d", diskURI=path_of("disks", "e")),
    ],
)
def test_volumes_whose_id_cannot_be_read(snapshotter, volume):
    """A volume on Azure that would be left out, or taken for another, is an error."""
    with pytest.raises(SnapshotterError, match="pvc-1"):
        snapshotter.volume_id(volume)


@pytest.mark.parametrize(
    "text",
    [
        path_of("snapshots", "../x"),
        path_of("snapshots", "x", group=".."),
        path_of("snapshots", "x?api-version=1"),
        path_of("snapshots", "x/y"),
        path_of("snapshots", "x") + "\n",
        path_of("disks", "x"),
        "snap-1",
    ],
)
def test_ids_that_lead_elsewhere(arm, snapshotter, text):
    """What a backup of somebody else names leads to nothing but a snapshot."""
    with pytest.raises(SnapshotterError, match="no id"):
        snapshotter.delete_snapshot(text)

    assert not arm.asked
