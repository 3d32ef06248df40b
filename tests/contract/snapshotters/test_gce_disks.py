"""What snapshots of persistent disks promise beyond the Protocol, and their requests."""

from __future__ import annotations

import json
import logging
import re
import socket
import uuid

import pytest
from google.cloud import compute_v1

from gce_stub import BASE, KEY, PROJECT, ZONE, Refusal
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
from kbackup_plugins_gcp import open_disk_snapshotter
from kbackup_plugins_gcp._compute import Compute
from kbackup_plugins_gcp._compute_faults import operation_fault
from kbackup_plugins_gcp._disks import DiskSnapshotter
from kbackup_plugins_gcp._disks_config import read_disks_config

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
ZONES = "us-central1-a__us-central1-f"
PLAIN = VolumeDescription()
DISKS = f"/compute/v1/projects/{PROJECT}/zones/{ZONE}/disks"
SNAPSHOTS = f"/compute/v1/projects/{PROJECT}/global/snapshots"
CONFIDENTIAL = {"enableConfidentialCompute": True}


@pytest.fixture
def waits():
    """The pauses that a snapshotter made."""
    return []


@pytest.fixture
def opened(gce_stub, waits):
    """A function that opens a snapshotter of the stub, which does not really wait."""
    made = []

    def make(**more):
        settings = read_disks_config(gce_stub.config(**more))
        compute = Compute(settings, retry=RetryPolicy(sleep=lambda _: None))
        made.append(DiskSnapshotter(compute, settings, sleep=waits.append))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def snapshotter(opened):
    """One with nothing configured but where the disks are."""
    return opened()


@pytest.fixture
def disk(gce_stub):
    """A disk in a zone, with labels and with tags of Kubernetes and of an old backup."""
    tags = {"velero.io/backup": "older", "kubernetes.io/created-for/pvc/name": "data"}
    gce_stub.make_disk(
        "pvc-1", description=json.dumps(tags), labels={"goog-k8s-cluster-name": "prod"}
    )
    return "pvc-1"


@pytest.fixture
def snapshot(gce_stub, snapshotter, disk):
    """A snapshot of that disk that is complete; what led to it is forgotten."""
    name = snapshotter.create_snapshot(disk, ZONE, TAGS)
    while not snapshotter.snapshot_state(name).complete:
        pass
    gce_stub.requests.clear()
    return name


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


# --- faults ---------------------------------------------------------------------------


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


# --- who asks -------------------------------------------------------------------------


def test_a_key_file(gce_stub, opened, key_file, disk):
    """Its token is shared by all requests, and its project is that of the disks."""
    snapshotter = opened(credentialsFile=key_file, volumeProject="")

    snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert gce_stub.tokens == 1
    told = {each.headers["authorization"] for each in gce_stub.requests}
    assert told == {"Bearer token-1"}
    assert gce_stub.sent("POST", "snapshots")[0].path == SNAPSHOTS


def test_a_token_that_is_refused(gce_stub, opened, key_file, disk):
    """A token that expired before its time is replaced, and the request sent again."""
    snapshotter = opened(credentialsFile=key_file)
    snapshotter.describe(disk, ZONE)
    gce_stub.refuse(401, "authError", "Invalid Credentials")

    snapshotter.describe(disk, ZONE)

    assert gce_stub.tokens == 2
    assert gce_stub.requests[-1].headers["authorization"] == "Bearer token-2"


def test_an_account_that_is_refused(gce_stub, opened, key_file, disk):
    """Who is refused with new tokens, too, is told so; no secret is."""
    snapshotter = opened(credentialsFile=key_file)
    gce_stub.refuse(401, "authError", "Invalid Credentials", times=10)

    with pytest.raises(SnapshotterAccessError, match="Invalid Credentials") as caught:
        snapshotter.describe(disk, ZONE)

    chain = [caught.value, caught.value.__cause__]
    assert "token-" not in repr([(each, vars(each)) for each in chain])
    assert not caught.value.retryable


def test_no_token_goes_over_plain_http_unasked(gce_stub, snapshotter, disk):
    """Without a file in the location, nobody's token is sent to such a server."""
    snapshotter.describe(disk, ZONE)

    assert "authorization" not in gce_stub.requests[0].headers


def test_without_credentials(monkeypatch):
    """Nobody to ask as is an access error of ours, with what to do."""
    monkeypatch.setattr(
        "google.auth.compute_engine._metadata.is_on_gce", lambda request: False
    )
    snapshotter = open_disk_snapshotter({})

    with pytest.raises(SnapshotterAccessError, match="no credentials") as caught:
        snapshotter.describe("pvc-1", ZONE)

    assert "credentialsFile" in caught.value.hint


def test_the_project_of_the_credentials(gce_stub, key_file, monkeypatch):
    """Credentials of the environment tell it; the location can name another."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key_file)
    compute = Compute(read_disks_config({}))

    assert compute.volume_project("pvc-1") == PROJECT
    assert compute.snapshot_project("pvc-1") == PROJECT
    elsewhere = Compute(read_disks_config({"project": "snapshots-only"}))
    assert elsewhere.snapshot_project("pvc-1") == "snapshots-only"
    assert gce_stub.tokens == 1


@pytest.mark.parametrize(
    ("config", "endpoint"),
    [
        ({}, "compute.googleapis.com"),
        ({"universeDomain": "example.cloud"}, "compute.example.cloud"),
        (
            {"computeEndpoint": "https://compute-vpc.p.googleapis.com"},
            "https://compute-vpc.p.googleapis.com",
        ),
    ],
)
def test_where_it_asks(config, endpoint):
    """Google's own address, that of another of its clouds, or the location's."""
    compute = Compute(read_disks_config(config))

    client = compute._client("pvc-1", "DisksClient")

    assert client.api_endpoint == endpoint
    assert client.universe_domain == config.get("universeDomain", "googleapis.com")
    assert client._validate_universe_domain()
    compute.close()


def test_nothing_tells_the_project(opened, disk):
    """Credentials may be of no project: then the location has to name one."""
    with pytest.raises(SnapshotterAccessError) as caught:
        opened(volumeProject="").describe(disk, ZONE)

    assert "volumeProject" in caught.value.hint


# --- PersistentVolumes ----------------------------------------------------------------


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
