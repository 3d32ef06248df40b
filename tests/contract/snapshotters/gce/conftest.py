"""The snapshotter of persistent disks that the tests of this directory look at."""

from __future__ import annotations

import json

import pytest

from gce_stub import PROJECT, ZONE
from kbackup.stores import RetryPolicy
from kbackup_plugins_gcp._compute import Compute
from kbackup_plugins_gcp._disks import DiskSnapshotter
from kbackup_plugins_gcp._disks_config import read_disks_config

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}


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


@pytest.fixture
def key_file(tmp_path, gce_stub, google_key):
    """The key file of a service account, which gets its tokens from the stub."""
    info = {
        "type": "service_account",
        "project_id": PROJECT,
        "client_email": f"backup@{PROJECT}.iam.gserviceaccount.com",
        "private_key": google_key,
        "private_key_id": "1",
        "token_uri": f"{gce_stub.url}/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    return str(path)
