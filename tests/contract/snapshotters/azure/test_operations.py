"""How long-running operations of the resource manager are followed to their end."""

from __future__ import annotations

import pytest

from arm_stub import (
    Answer,
    path_of,
)
from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotFailedError,
    SnapshotterError,
    SnapshotterUnavailableError,
)
from kbackup.plugins import VolumeDescription
from kbackup_plugins_azure._disk_bodies import snapshot_progress

PREMIUM = VolumeDescription(volume_type="Premium_LRS")
ZONE = "westeurope-2"
TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
SET = path_of("disks", "x").replace("disks/x", "diskEncryptionSets/keys")
CSI = "disk.csi.azure.com"


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
