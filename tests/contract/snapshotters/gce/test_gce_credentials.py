"""Where a snapshotter of persistent disks asks, and as whom."""

from __future__ import annotations

import pytest

from gce_stub import PROJECT, ZONE
from kbackup.errors import SnapshotterAccessError
from kbackup_plugins_gcp import open_disk_snapshotter
from kbackup_plugins_gcp._compute import Compute
from kbackup_plugins_gcp._disks_config import read_disks_config

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
SNAPSHOTS = f"/compute/v1/projects/{PROJECT}/global/snapshots"


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
