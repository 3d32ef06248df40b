"""Managed disks of the stub, and snapshotters of them."""

from __future__ import annotations

import pytest

from arm_stub import (
    path_of,
)
from kbackup.plugins import VolumeDescription
from kbackup.stores import RetryPolicy
from kbackup_plugins_azure import open_disk_snapshotter
from kbackup_plugins_azure._compute import Compute
from kbackup_plugins_azure._disks import ManagedDiskSnapshotter
from kbackup_plugins_azure._disks_config import read_disks_config

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
