"""What snapshots of managed disks promise beyond the Protocol, and what is sent for them."""

from __future__ import annotations

import re
import socket

import pytest

from arm_stub import (
    GROUP,
    OTHER_GROUP,
    OTHER_SUBSCRIPTION,
    SECRET,
    SUBSCRIPTION,
    Answer,
    path_of,
)
from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotFailedError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    VolumeNotFoundError,
)
from kbackup.plugins import PluginManager, VolumeDescription
from kbackup.stores import RetryPolicy
from kbackup.testing import persistent_volume
from kbackup_plugins_azure import open_disk_snapshotter
from kbackup_plugins_azure._compute import Compute
from kbackup_plugins_azure._disk_bodies import disk_body, merged_tags, snapshot_progress
from kbackup_plugins_azure._disks import ManagedDiskSnapshotter
from kbackup_plugins_azure._disks_config import read_disks_config
from kbackup_plugins_azure._resource_ids import read_id

PREMIUM = VolumeDescription(volume_type="Premium_LRS")
ZONE = "westeurope-2"
TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
SET = path_of("disks", "x").replace("disks/x", "diskEncryptionSets/keys")
CSI = "disk.csi.azure.com"


@pytest.fixture
def opened(arm_config):
    """A function that opens a snapshotter for a configuration; closed in the end."""
    made = []

    def make(**more):
        made.append(open_disk_snapshotter(arm_config(**more)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def snapshotter(opened):
    """A snapshotter of its own for each test."""
    return opened()


@pytest.fixture
def patient(arm_config):
    """A function: a snapshotter that writes down how long it would sleep, and that list."""
    made = []

    def make(**more):
        waits = []
        settings = read_disks_config(arm_config(**more))
        retry = RetryPolicy(sleep=waits.append, uniform=lambda _low, _high: 0.0)
        compute = Compute(settings, retry=retry, sleep=waits.append)
        made.append(compute)
        return ManagedDiskSnapshotter(compute, settings), waits

    yield make
    for each in made:
        each.close()


@pytest.fixture
def disk(arm):
    """A disk with a tag of somebody's."""
    arm.add("disks", "pvc-1", sku={"name": "Premium_LRS"}, tags={"team": "shop"})
    return "pvc-1"


@pytest.fixture
def snapshot(arm):
    """A snapshot that is complete."""
    return arm.add("snapshots", "snap-1", tags={"velero.io-backup": "shop-1"})


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


# --- operations -----------------------------------------------------------------------


@pytest.mark.parametrize("style", ["Azure-AsyncOperation", "Location", "none"])
def test_how_an_operation_is_told(arm, patient, disk, style):
    """By either header or by none, it is waited for: made, made of it, and gone."""
    arm.style, arm.looks = style, 3
    snapshotter, waits = patient()

    snapshot = snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert snapshotter.snapshot_state(snapshot).complete
    volume = snapshotter.create_volume(snapshot, PREMIUM, ZONE)
    assert snapshotter.describe(volume, ZONE) == PREMIUM
    snapshotter.delete_snapshot(snapshot)

    with pytest.raises(NativeSnapshotNotFoundError):
        snapshotter.snapshot_state(snapshot)
    assert len(waits) >= 3 * 3


def test_pauses_that_are_asked_for(arm, patient, disk):
    """Between two looks as long passes as the manager says, else two seconds."""
    snapshotter, waits = patient()
    running = {"status": "InProgress"}
    arm.answers = [
        ("operation", Answer(200, running, {"Retry-After": "17"})),
        ("operation", Answer(200, running)),
    ]

    snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert waits[:3] == [0.1, 17.0, 2.0]


def test_an_operation_that_fails(arm, snapshotter, disk, snapshot):
    """Its own words are in the error, of a snapshot and of a volume; it is not repeated."""
    arm.failure = {"code": "DiskEncryptionSetAccess", "message": "the key is disabled"}

    with pytest.raises(SnapshotterError, match=f"{disk}.*the key is disabled"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)
    with pytest.raises(SnapshotterError, match=r"snap-1.*the key is disabled") as told:
        snapshotter.create_volume(snapshot, PREMIUM, ZONE)

    assert not told.value.retryable
    assert len(arm.named("PUT")) == 2


def test_an_operation_that_fails_for_want_of_room(arm, snapshotter, disk):
    """It has ended: nothing here tries again, whatever its code means of a request."""
    arm.failure = {"code": "TooManyRequests", "message": "no room"}

    with pytest.raises(SnapshotterError, match="no room") as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert not caught.value.retryable


def test_an_operation_that_is_canceled(arm, snapshotter, disk):
    """Without words of its own it tells how it ended."""
    arm.answers = [("operation", Answer(200, {"status": "Canceled"}))]

    with pytest.raises(SnapshotterError, match="ended as Canceled"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_an_operation_that_nobody_knows_any_more(arm, patient, disk):
    """What came of it tells, also of a deletion."""
    arm.forgetful, arm.looks = True, 2
    snapshotter, _ = patient()

    snapshot = snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert snapshotter.snapshot_state(snapshot).complete
    snapshotter.delete_snapshot(snapshot)

    assert snapshot.lower() not in arm.resources


def test_a_resource_that_fails_without_an_operation(arm, snapshotter, disk):
    """Where no operation is told, the state of what was to be made is."""
    arm.style, arm.failure = "none", {"code": "x"}

    with pytest.raises(SnapshotterError, match=r"snapshot pvc-1-.* is failed"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_operations_that_last_too_long(arm, opened, disk, snapshot):
    """No call takes longer than the location allows; what may still be made is named."""
    arm.looks = 10**9
    quick = opened(apiTimeout="300ms")

    with pytest.raises(
        SnapshotterUnavailableError, match=rf"{disk}.*pvc-1-[0-9a-f]{{8}}"
    ):
        quick.create_snapshot(disk, ZONE, TAGS)
    with pytest.raises(SnapshotterUnavailableError, match="disk restore-"):
        quick.create_volume(snapshot, PREMIUM, ZONE)
    with pytest.raises(SnapshotterUnavailableError, match="snap-1"):
        quick.delete_snapshot(snapshot)


def test_a_volume_may_take_its_own_time(arm, opened, snapshot):
    """The transferTimeout of a location is for volumes, whatever else may last."""
    arm.looks = 10**9
    snapshotter = opened(transferTimeout="300ms")

    with pytest.raises(SnapshotterUnavailableError, match="disk restore-"):
        snapshotter.create_volume(snapshot, PREMIUM, ZONE)


@pytest.mark.parametrize("looks", [0, 2])
def test_a_lost_answer_makes_no_second_one(arm, patient, disk, looks):
    """What was asked for twice under one name is there once, done or still going on."""
    arm.looks, arm.lost = looks, ["PUT"]
    snapshotter, _ = patient()

    snapshot = snapshotter.create_snapshot(disk, ZONE, TAGS)
    arm.lost = ["PUT"]
    volume = snapshotter.create_volume(snapshot, PREMIUM, ZONE)

    sent = [each.path for each in arm.named("PUT")]
    assert sent == [snapshot, snapshot, *[path_of("disks", volume)] * 2]
    assert len(arm.resources) == 3
    assert snapshotter.snapshot_state(snapshot).complete


def test_a_deletion_whose_answer_is_lost(arm, patient, snapshot):
    """The second request meets a deletion in progress: that is waited for."""
    arm.looks, arm.lost = 3, ["DELETE"]
    snapshotter, _ = patient()

    snapshotter.delete_snapshot(snapshot)

    assert snapshot.lower() not in arm.resources
    assert len(arm.named("DELETE")) == 2


def test_a_snapshot_that_is_being_deleted(arm, snapshotter):
    """It is none any more; whoever deletes it, too, waits until it is gone."""
    state = {"provisioningState": "Deleting"}
    snapshot = arm.add("snapshots", "going", properties=state)
    for call in (
        lambda: snapshotter.snapshot_state(snapshot),
        lambda: snapshotter.create_volume(snapshot, PREMIUM, ZONE),
    ):
        with pytest.raises(NativeSnapshotNotFoundError, match="being deleted"):
            call()


def test_a_deletion_that_is_refused(arm, snapshotter, snapshot):
    """A snapshot in use stays, and the reason is told."""
    arm.answers = [("DELETE", Answer.error(409, "OperationNotAllowed", "it is in use"))]

    with pytest.raises(SnapshotterError, match=r"snap-1.*it is in use"):
        snapshotter.delete_snapshot(snapshot)


def test_states_of_a_snapshot():
    """It is complete when its bytes are copied; what failed is an error."""

    def state(**properties):
        properties = {"provisioningState": "Succeeded", **properties}
        return snapshot_progress("snap-1", {"properties": properties})

    assert state().complete
    assert state().percent == 100
    assert not state(completionPercent=40.5).complete
    assert state(completionPercent=40.5).percent == 40
    assert state(completionPercent=100).complete
    assert not state(provisioningState="Creating").complete
    assert state(provisioningState="Updating", completionPercent=100).complete is False
    with pytest.raises(SnapshotFailedError, match=r"snap-1.*Failed"):
        state(provisioningState="Failed")
    broken = {"errorCode": "CopySourceNotFound", "errorMessage": "the source is gone"}
    with pytest.raises(SnapshotFailedError, match="the source is gone"):
        state(copyCompletionError=broken)


def test_a_snapshot_that_is_not_complete(arm, snapshotter):
    """No volume is asked for, and how far the snapshot is stands in the error."""
    snapshot = arm.add("snapshots", "slow", properties={"completionPercent": 7.0})

    with pytest.raises(SnapshotterError, match=r"slow.*7 %"):
        snapshotter.create_volume(snapshot, PREMIUM, ZONE)
    assert not arm.named("PUT")


# --- refusals -------------------------------------------------------------------------


def _forbidden(action):
    said = (
        f"The client '{'0' * 36}' with object id '{'1' * 36}' does not have "
        f"authorization to perform action '{action}' over scope '{'x' * 200}' or the "
        "scope is invalid."
    )
    return Answer.error(403, "AuthorizationFailed", said)


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "Microsoft.Compute/disks/read"),
        ("PUT", "Microsoft.Compute/snapshots/write"),
    ],
)
def test_no_permission_for_one_action(arm, snapshotter, disk, method, action):
    """A refusal is told once, with the volume and the action that is not allowed."""
    arm.answers = [(method, _forbidden(action))]

    with pytest.raises(
        SnapshotterAccessError, match=f"{disk}.*{action} is not allowed"
    ) as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert not caught.value.retryable
    assert len(arm.named(method, "disks" if method == "GET" else "snapshots")) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "ExpiredAuthenticationToken"),
        (403, "RequestDisallowedByPolicy"),
        (403, "LinkedAuthorizationFailed"),
        (404, "SubscriptionNotFound"),
        (409, "ReadOnlyDisabledSubscription"),
        (409, "ScopeLocked"),
    ],
)
def test_refusals(arm, snapshotter, snapshot, status, code):
    """Who may not, may not; nothing counts as gone for that."""
    arm.answers = [("DELETE", Answer.error(status, code, "that is so"))]

    with pytest.raises(SnapshotterAccessError, match=rf"that is so \({code}\)"):
        snapshotter.delete_snapshot(snapshot)


def test_an_operation_that_lacks_a_right(arm, snapshotter, disk):
    """What is refused later is a refusal as well, with its action."""
    said = "does not have permission to perform action(s) 'Microsoft.Compute/x/read'"
    arm.failure = {"code": "LinkedAuthorizationFailed", "message": said}

    with pytest.raises(SnapshotterAccessError, match="x/read is not allowed"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_a_quota(arm, snapshotter, disk):
    """A limit of Azure's is told; that nothing was made is looked up."""
    refusal = Answer.error(409, "OperationNotAllowed", "exceeding approved quota")
    arm.answers = [("PUT", refusal)]

    with pytest.raises(SnapshotterError, match="approved quota") as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert not caught.value.retryable


def test_no_such_resource_group(arm, opened, disk):
    """It is named, with what to mend; a disk is there all the same."""
    snapshotter = opened(resourceGroup="nowhere")

    with pytest.raises(SnapshotterError, match="'nowhere'") as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert not isinstance(caught.value, VolumeNotFoundError)
    assert "resourceGroup" in caught.value.hint

    elsewhere = path_of("disks", "d", group="nowhere")
    with pytest.raises(VolumeNotFoundError, match="'nowhere'"):
        snapshotter.describe(elsewhere, ZONE)
    snapshotter.delete_snapshot(path_of("snapshots", "s", group="nowhere"))


def test_a_disk_that_vanishes(arm, snapshotter, disk):
    """Between the look at it and its snapshot: it is the volume that is missing."""
    gone = Answer.error(404, "ResourceNotFound", "The Resource was not found.")
    arm.answers = [("PUT", gone)]

    with pytest.raises(VolumeNotFoundError, match=disk):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_not_everything_that_is_not_found_is_gone(arm, snapshotter, snapshot):
    """Somebody else's 404, as of a proxy, does not say that a snapshot is deleted."""
    arm.answers = [("DELETE", Answer(404, "<html>nothing here</html>"))]

    with pytest.raises(SnapshotterError, match="404") as caught:
        snapshotter.delete_snapshot(snapshot)

    assert not isinstance(caught.value, NativeSnapshotNotFoundError)


# --- what passes ----------------------------------------------------------------------


def test_retry_after(arm, patient, disk):
    """As long as the manager asks for is waited before the next attempt."""
    busy = Answer.error(429, "TooManyRequests", "not now", **{"Retry-After": "7"})
    arm.answers = [("GET", busy), ("GET", Answer(503, "<html>busy</html>"))]
    snapshotter, waits = patient()

    snapshotter.describe(disk, ZONE)

    assert waits == [7.0, 0.0]
    assert len(arm.named("GET")) == 3


def test_retry_after_the_time(arm, patient, disk):
    """Who would have to wait for longer than the call may take is told at once."""
    busy = Answer.error(429, "TooManyRequests", "not now", **{"Retry-After": "3600"})
    arm.answers = [("GET", busy)]
    snapshotter, waits = patient()

    with pytest.raises(SnapshotterThrottledError, match="not now") as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retry_after == 3600
    assert waits == []


def test_a_server_that_fails_for_good(arm, patient, disk):
    """After some attempts its failure is told, and later may be better."""
    arm.answers = [("GET", Answer.error(500, "InternalServerError", "oh no"))] * 9
    snapshotter, _ = patient()

    with pytest.raises(SnapshotterUnavailableError, match="oh no") as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retryable
    assert len(arm.named("GET")) == 5


def test_an_answer_that_is_none(arm, patient, disk):
    """What is no JSON is as good as no answer."""
    arm.answers = [("GET", Answer(200, "<html>"))]
    snapshotter, _ = patient()

    assert snapshotter.describe(disk, ZONE) == PREMIUM


def test_a_manager_that_hangs(arm_config):
    """No call takes longer than the location allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        config = arm_config({"AZURE_RESOURCE_MANAGER_ENDPOINT": url})
        snapshotter = open_disk_snapshotter({**config, "requestTimeout": "500ms"})
        with pytest.raises(SnapshotterUnavailableError, match=r"pvc-1.*within"):
            snapshotter.describe("pvc-1", ZONE)


def test_an_authority_that_hangs(arm_config):
    """Nor does a token."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        config = arm_config(activeDirectoryAuthorityURI=url, requestTimeout="500ms")
        snapshotter = open_disk_snapshotter(config)
        with pytest.raises(SnapshotterUnavailableError, match=r"pvc-1.*within"):
            snapshotter.describe("pvc-1", ZONE)


def test_nobody_answers(arm_config):
    """A manager that is not there is told as such, and later may be better."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        config = arm_config({"AZURE_RESOURCE_MANAGER_ENDPOINT": url})
        with pytest.raises(SnapshotterUnavailableError) as caught:
            open_disk_snapshotter(config).describe("pvc-1", ZONE)

    assert caught.value.retryable


def test_an_unknown_certificate(arm, snapshotter, disk, monkeypatch):
    """A server that nobody vouches for is not asked again."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    with pytest.raises(SnapshotterAccessError, match="certificate") as caught:
        snapshotter.describe(disk, ZONE)

    assert not caught.value.retryable
    assert not arm.asked


# --- who asks -------------------------------------------------------------------------


def test_a_wrong_secret(arm, arm_config, disk, caplog):
    """What Entra ID says is told; no secret is shown, in an error, a cause or a log."""
    caplog.set_level("DEBUG")
    wrong = "wr0ng~secret"
    snapshotter = open_disk_snapshotter(arm_config({"AZURE_CLIENT_SECRET": wrong}))

    with pytest.raises(SnapshotterAccessError, match="AADSTS7000215") as caught:
        snapshotter.describe(disk, ZONE)

    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert wrong not in shown
    assert wrong not in repr(snapshotter._settings)
    assert not arm.asked


def test_no_token_is_shown(arm, snapshotter, disk, caplog):
    """Neither where all is well nor in a refusal."""
    caplog.set_level("DEBUG")
    snapshotter.describe(disk, ZONE)
    arm.answers = [("GET", _forbidden("Microsoft.Compute/disks/read"))]
    with pytest.raises(SnapshotterAccessError) as caught:
        snapshotter.describe(disk, ZONE)

    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "eyJ" not in shown
    assert SECRET not in shown


def test_a_busy_authority(arm, snapshotter, disk):
    """A token that is not to be had now may be later."""
    arm.answers = [("token", Answer(503, {"error": "temporarily_unavailable"}))] * 99

    with pytest.raises(SnapshotterError) as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retryable


def test_a_workload_identity(arm, arm_config, disk, tmp_path):
    """The token of a service account asks in place of a secret."""
    token = tmp_path / "token"
    token.write_text("eyJ.service-account")
    lines = {"AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": str(token)}

    snapshotter = open_disk_snapshotter(arm_config(lines))
    assert snapshotter.describe(disk, ZONE) == PREMIUM

    assert arm.tokens[0]["client_assertion"] == "eyJ.service-account"
    snapshotter.close()


def test_the_environment(arm, disk, monkeypatch):
    """Without a credentials file its lines are variables of the environment."""
    for name, text in {
        "AZURE_TENANT_ID": "33333333-3333-3333-3333-333333333333",
        "AZURE_CLIENT_ID": "55555555-5555-5555-5555-555555555555",
        "AZURE_CLIENT_SECRET": SECRET,
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_RESOURCE_GROUP": GROUP,
        "AZURE_RESOURCE_MANAGER_ENDPOINT": arm.url,
    }.items():
        monkeypatch.setenv(name, text)

    snapshotter = open_disk_snapshotter({"activeDirectoryAuthorityURI": arm.url})
    assert snapshotter.describe(disk, ZONE) == PREMIUM

    assert arm.tokens[0]["client_id"] == "55555555-5555-5555-5555-555555555555"
    snapshotter.close()
