"""What a snapshotter of persistent disks makes of refusals and silence."""

from __future__ import annotations

import logging
import re
import socket
import uuid

import pytest
from google.cloud import compute_v1

from gce_stub import PROJECT, ZONE, Refusal
from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    VolumeNotFoundError,
)
from kbackup.plugins import VolumeDescription
from kbackup.stores import RetryPolicy
from kbackup_plugins_gcp import open_disk_snapshotter
from kbackup_plugins_gcp._compute import Compute
from kbackup_plugins_gcp._compute_faults import operation_fault
from kbackup_plugins_gcp._disks import DiskSnapshotter
from kbackup_plugins_gcp._disks_config import read_disks_config

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
PLAIN = VolumeDescription()
SNAPSHOTS = f"/compute/v1/projects/{PROJECT}/global/snapshots"


def test_a_lost_answer(gce_stub, snapshotter, disk, snapshot):
    """A request that is sent again has the same requestId: one thing is made."""
    for kind, call in (
        ("snapshots", lambda: snapshotter.create_snapshot(disk, ZONE, TAGS)),
        ("disks", lambda: snapshotter.create_volume(snapshot, PLAIN, ZONE)),
    ):
        before = len(gce_stub.snapshots), len(gce_stub.disks)
        gce_stub.requests.clear()
        gce_stub.lost.add(f"POST {kind}")

        with pytest.raises(SnapshotterUnavailableError):
            call()

        sent = gce_stub.sent("POST", kind)
        assert len(sent) == 5
        assert len({each.query["requestId"] for each in sent}) == 1
        assert len({each.body["name"] for each in sent}) == 1
        after = len(gce_stub.snapshots), len(gce_stub.disks)
        assert sum(after) - sum(before) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
        (429, "tooManyRequests"),
        (503, "backendError"),
        (500, "internalError"),
    ],
)
def test_what_passes_is_tried_again(gce_stub, snapshotter, disk, status, reason):
    """A server that asks for patience, or that failed, is asked again."""
    gce_stub.refuse(status, reason, times=3)

    assert snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_a_page_of_a_proxy(gce_stub, snapshotter, disk):
    """What is not Google's is told in one line, and tried again as a server's fault."""
    gce_stub.refusals += [b"<html>\nBad\n gateway</html>"] * 5

    with pytest.raises(SnapshotterUnavailableError) as caught:
        snapshotter.describe(disk, ZONE)

    assert "<html> Bad gateway</html> (502)" in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_permission_that_google_names(gce_stub, snapshotter, disk):
    """A refusal is told once, with the permission in Google's words."""
    said = "Required 'compute.disks.get' permission for 'projects/p/zones/z/disks/d'"
    gce_stub.refuse(403, "forbidden", said)

    with pytest.raises(SnapshotterAccessError, match=r"compute\.disks\.get") as caught:
        snapshotter.describe(disk, ZONE)

    assert (caught.value.retryable, caught.value.hint) == (False, "")
    assert snapshotter.describe(disk, ZONE)  # one refusal, one request


def test_a_permission_that_google_does_not_name(gce_stub, snapshotter, snapshot, disk):
    """Where it only says no, the hint says what the request takes."""
    for call, needed in (
        (lambda: snapshotter.describe(disk, ZONE), "compute.disks.get"),
        (lambda: snapshotter.snapshot_state(snapshot), "compute.snapshots.get"),
        (lambda: snapshotter.delete_snapshot(snapshot), "compute.snapshots.delete"),
    ):
        gce_stub.refuse(403, "forbidden", "Request is prohibited by the organization")

        with pytest.raises(SnapshotterAccessError, match="prohibited") as caught:
            call()

        assert needed in caught.value.hint


def test_no_permission_to_make_something(gce_stub, snapshotter, snapshot):
    """What is refused for another reason than labels is not asked for without them."""

    def refuse(asked):
        if asked.method == "POST":
            raise Refusal(403, "forbidden", "The caller does not have permission")

    gce_stub.refuse_if = refuse
    for call, needed in (
        (
            lambda: snapshotter.create_snapshot("pvc-1", ZONE, TAGS),
            "compute.disks.createSnapshot",
        ),
        (
            lambda: snapshotter.create_volume(snapshot, PLAIN, ZONE),
            "compute.disks.create",
        ),
    ):
        gce_stub.requests.clear()

        with pytest.raises(SnapshotterAccessError) as caught:
            call()

        assert needed in caught.value.hint
        assert len([each for each in gce_stub.requests if each.method == "POST"]) == 1


def test_no_permission_to_see_operations(gce_stub, snapshotter, disk, waits):
    """With the role of Velero's documentation what comes of an operation is looked at."""

    def refuse(asked):
        if "/operations/" in asked.path:
            raise Refusal(403, "forbidden", "Required 'compute.globalOperations.get'")

    gce_stub.refuse_if = refuse
    gce_stub.states = ("CREATING", "UPLOADING", "READY")
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert len(waits) == 1
    while not snapshotter.snapshot_state(name).complete:
        pass
    made = snapshotter.create_volume(name, PLAIN, ZONE)
    assert gce_stub.sent("GET", "disks")[-1].path.endswith(made)

    snapshotter.delete_snapshot(name)

    assert gce_stub.requests[-1].path.endswith(name)
    assert not gce_stub.snapshots


def test_a_failure_that_may_not_be_seen(gce_stub, opened, snapshot):
    """Where nothing comes of an operation, the hint tells what would say why."""

    def refuse(asked):
        if "/operations/" in asked.path:
            raise Refusal(403, "forbidden", "no")

    gce_stub.refuse_if = refuse
    gce_stub.failures.append(("QUOTA_EXCEEDED", "Quota exceeded."))

    with pytest.raises(SnapshotterError, match=r"restore-.*not done") as caught:
        opened(transferTimeout="1ms").create_volume(snapshot, PLAIN, ZONE)

    assert "compute.zoneOperations.get" in caught.value.hint


@pytest.mark.parametrize("status", ["CREATING", "FAILED"])
def test_a_volume_that_is_looked_at(gce_stub, opened, snapshot, status):
    """A disk that is not ready is none, and one that failed is told at once."""

    def refuse(asked):
        for each in gce_stub.disks.values():
            if each["name"].startswith("restore-"):
                each["status"] = status
        if "/operations/" in asked.path:
            raise Refusal(403, "forbidden", "no")

    gce_stub.refuse_if = refuse
    told = {"CREATING": "not done", "FAILED": "gave it up"}[status]

    with pytest.raises(SnapshotterError, match=f"restore-.*{told}"):
        opened(transferTimeout="1ms").create_volume(snapshot, PLAIN, ZONE)


@pytest.mark.parametrize("kind", ["snapshots", "disks"])
def test_no_permission_for_labels(gce_stub, snapshotter, snapshot, caplog, kind):
    """As with Velero: what may not be labelled is made without, and that is said."""
    permission = f"compute.{kind}.setLabels"

    def refuse(asked):
        if asked.method == "POST" and "labels" in asked.body:
            raise Refusal(403, "forbidden", f"Required '{permission}' permission")

    gce_stub.refuse_if = refuse
    with caplog.at_level(logging.WARNING, logger="kbackup.volumes"):
        if kind == "snapshots":
            snapshotter.create_snapshot("pvc-1", ZONE, TAGS)
        else:
            snapshotter.create_volume(snapshot, PLAIN, ZONE)

    first, second = gce_stub.sent("POST", kind)
    assert first.query["requestId"] != second.query["requestId"]
    del first.body["labels"]
    assert second.body == first.body
    assert permission in caplog.text


def test_what_is_not_there(gce_stub, opened, snapshotter, disk, snapshot):
    """The word of Google tells a disk from a snapshot, and both from a project."""
    with pytest.raises(VolumeNotFoundError, match="pvc-404"):
        snapshotter.describe("pvc-404", ZONE)
    with pytest.raises(NativeSnapshotNotFoundError, match="pvc-404"):
        snapshotter.snapshot_state("pvc-404")
    for call in (
        lambda elsewhere: elsewhere.describe(disk, ZONE),
        lambda elsewhere: elsewhere.snapshot_state(snapshot),
        lambda elsewhere: elsewhere.delete_snapshot(snapshot),
    ):
        with pytest.raises(SnapshotterError, match="'projects/not-ours'") as caught:
            call(opened(volumeProject="not-ours"))
        assert type(caught.value) is SnapshotterError


def test_a_snapshot_that_goes_meanwhile(gce_stub, snapshotter, snapshot, disk):
    """What the answer to a request names is what is missing, not what it is about."""

    def vanish(asked):
        if asked.method == "POST":
            gce_stub.snapshots.clear()
            gce_stub.disks.clear()

    gce_stub.refuse_if = vanish
    with pytest.raises(NativeSnapshotNotFoundError, match=snapshot):
        snapshotter.create_volume(snapshot, PLAIN, ZONE)
    gce_stub.make_disk(disk)
    with pytest.raises(VolumeNotFoundError, match=disk):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("QUOTA_EXCEEDED", "Quota 'SSD_TOTAL_GB' exceeded.", SnapshotterError),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", "No room.", SnapshotterError),
        ("PERMISSIONS_ERROR", "No access to the key.", SnapshotterAccessError),
        (
            "RESOURCE_OPERATION_RATE_EXCEEDED",
            "Too frequent operations.",
            SnapshotterThrottledError,
        ),
        (
            "RESOURCE_NOT_FOUND",
            "The resource 'projects/p/global/snapshots/s' was not found",
            NativeSnapshotNotFoundError,
        ),
    ],
)
def test_an_operation_that_fails(gce_stub, snapshotter, code, message, error):
    """What Compute Engine took on and could not do is told in its own words."""
    gce_stub.make_disk("pvc-2")
    snapshot = snapshotter.create_snapshot("pvc-2", ZONE, TAGS)
    while not snapshotter.snapshot_state(snapshot).complete:
        pass
    gce_stub.failures.append((code, message))

    with pytest.raises(error, match=re.escape(f"{message} ({code})")) as caught:
        snapshotter.create_volume(snapshot, PLAIN, ZONE)

    assert type(caught.value) is error
    assert len(gce_stub.sent("POST", "disks")) == 1


def test_an_operation_that_fails_without_a_code():
    """The sentence of HTTP is told where an operation has no errors of its own."""
    operation = compute_v1.Operation(
        name="operation-1", status="DONE", http_error_message="CONFLICT"
    )

    fault = operation_fault("restore-1", operation)

    assert type(fault) is SnapshotterError
    assert (fault.thing, fault.reason) == ("restore-1", "CONFLICT")
    assert operation_fault("restore-1", compute_v1.Operation(status="DONE")) is None


def test_a_snapshot_beyond_the_quota(gce_stub, snapshotter, disk):
    """A snapshot whose operation fails is none, though its request was taken."""
    gce_stub.failures.append(("QUOTA_EXCEEDED", "Quota 'SNAPSHOTS' exceeded."))

    with pytest.raises(SnapshotterError, match=r"pvc-1-.*Quota 'SNAPSHOTS'"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_a_deletion_is_waited_for(gce_stub, snapshotter, snapshot, waits):
    """It returns when the snapshot is gone; a request for it has an id, too."""
    gce_stub.looks = 3
    waits.clear()

    snapshotter.delete_snapshot(snapshot)

    assert len(waits) == 2
    [asked] = gce_stub.sent("DELETE", "snapshots")
    assert asked.path == f"{SNAPSHOTS}/{snapshot}"
    assert uuid.UUID(asked.query["requestId"]).int


def test_nobody_answers():
    """A server that is not there is told as such, and later may be better."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        config = {"computeEndpoint": url, "volumeProject": PROJECT}
        settings = read_disks_config(config)
        once = Compute(settings, retry=RetryPolicy(attempts=1))

        with pytest.raises(SnapshotterUnavailableError, match="pvc-1") as caught:
            DiskSnapshotter(once, settings).describe("pvc-1", ZONE)

    assert caught.value.retryable
    once.close()


def test_a_server_that_hangs():
    """No call takes longer than the location allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        snapshotter = open_disk_snapshotter(
            {
                "computeEndpoint": url,
                "volumeProject": PROJECT,
                "requestTimeout": "500ms",
            }
        )
        with pytest.raises(SnapshotterUnavailableError, match="pvc-1"):
            snapshotter.describe("pvc-1", ZONE)
        snapshotter.close()
