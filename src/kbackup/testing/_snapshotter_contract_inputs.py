"""What the suite of volume snapshotters works with: its fixtures, ids and volumes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest

from kbackup.errors import SnapshotterError
from kbackup.plugins import VolumeDescription, VolumeSnapshotter

TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1", "team": "Läden & Co"}

BAD_IDS = ("", "../../etc", "/", "new\nline", "nul\0", "a b", "*")

_PATIENCE = 60.0  # seconds for a snapshot of an empty volume
_LONGEST_PAUSE = 5.0  # seconds between two looks: providers count requests


@attrs.frozen(kw_only=True)
class MissingIds:
    """Ids that are well formed and that nothing has."""

    volume_id: str
    snapshot_id: str


def persistent_volume(source: str, **fields: Any) -> dict[str, Any]:
    """Return a PersistentVolume with *fields* in ``spec.<source>``, such as ``csi``."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pvc-1", "uid": "6b0d", "labels": {"app": "shop"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"kind": "PersistentVolumeClaim", "name": "data"},
            "persistentVolumeReclaimPolicy": "Delete",
            source: fields,
        },
        "status": {"phase": "Bound"},
    }


SOURCES = (
    persistent_volume("nfs", server="nfs.example.com", path="/exports/1"),
    persistent_volume("iscsi", targetPortal="10.0.0.1", iqn="iqn.2001-04.x", lun=0),
    persistent_volume("hostPath", path="/var/lib/data"),
    persistent_volume("local", path="/mnt/disks/1"),
    persistent_volume("awsElasticBlockStore", volumeID="aws://eu-west-1a/vol-01"),
    persistent_volume("gcePersistentDisk", pdName="disk-1"),
    persistent_volume("azureDisk", diskName="d", diskURI="/subscriptions/1/disks/d"),
    persistent_volume("csi", driver="ebs.csi.aws.com", volumeHandle="vol-01"),
    persistent_volume(
        "csi",
        driver="pd.csi.storage.gke.io",
        volumeHandle="projects/p/zones/z/disks/d",
    ),
    persistent_volume(
        "csi", driver="disk.csi.azure.com", volumeHandle="/subscriptions/1/disks/d"
    ),
    persistent_volume("csi", driver="csi.example.com", volumeHandle="vol-0123456789ab"),
)


_COMMON = persistent_volume("")["spec"].keys()


def kind_of(volume: Mapping[str, Any]) -> tuple[str, str]:
    """Return the source of a PersistentVolume, and the driver of one that has one."""
    spec = volume["spec"]
    source = next(name for name, value in spec.items() if _is_source(name, value))
    return source, spec[source].get("driver", "")


def _is_source(name: str, value: Any) -> bool:
    return isinstance(value, Mapping) and name not in {*_COMMON, "nodeAffinity"}


def wait_for_snapshot(
    snapshotter: VolumeSnapshotter, snapshot_id: str, patience: float
) -> None:
    """Wait until a snapshot is complete, for at most *patience* seconds.

    Raises:
        SnapshotterError: It is not complete by then.
    """
    deadline, pause = time.monotonic() + patience, 0.05
    while not snapshotter.snapshot_state(snapshot_id).complete:
        if time.monotonic() > deadline:
            raise SnapshotterError(snapshot_id, f"not complete within {patience:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


class SnapshotterInputs:
    """The fixtures of the suite: what a subclass gives, and what follows from it."""

    # --- what a subclass gives --------------------------------------------------------

    @pytest.fixture
    def snapshotter(self) -> VolumeSnapshotter:
        """Return the snapshotter; every test gets a new one."""
        raise NotImplementedError("give a fixture `snapshotter`")

    @pytest.fixture
    def make_volume(self) -> Callable[[VolumeDescription], str]:
        """Return what makes a volume in *zone* and returns its id."""
        raise NotImplementedError("give a fixture `make_volume`")

    @pytest.fixture
    def descriptions(self) -> Sequence[VolumeDescription]:
        """Return what volumes of each type are described as that differs from others."""
        raise NotImplementedError("give a fixture `descriptions`")

    @pytest.fixture
    def persistent_volumes(self) -> Callable[[str], Sequence[Mapping[str, Any]]]:
        """Return what makes, for an id, a PersistentVolume of each form it may have."""
        raise NotImplementedError("give a fixture `persistent_volumes`")

    @pytest.fixture
    def tags_of(self) -> Callable[[str], Mapping[str, str]]:
        """Return what looks up the tags of a snapshot, past the snapshotter."""
        raise NotImplementedError("give a fixture `tags_of`")

    @pytest.fixture
    def missing(self) -> MissingIds:
        """Return ids that nothing has."""
        raise NotImplementedError("give a fixture `missing`")

    @pytest.fixture
    def zone(self) -> str:
        """Return where the volumes are; by default nowhere that has a name."""
        return ""

    @pytest.fixture
    def throttle(self) -> Callable[[int], None] | None:
        """Return what makes the provider refuse as many requests that come next.

        None, the default: there are no requests that it could refuse.
        """
        return None

    @pytest.fixture
    def finish(self) -> Callable[[str], None]:
        """Return what completes a snapshot; by default it completes by itself."""
        return lambda _: None

    @pytest.fixture
    def patience(self) -> float:
        """Return how many seconds a snapshot may take until it is complete."""
        return _PATIENCE

    # --- what the tests work with -----------------------------------------------------

    @pytest.fixture
    def volume(
        self,
        make_volume: Callable[[VolumeDescription], str],
        descriptions: Sequence[VolumeDescription],
    ) -> str:
        """Make a volume."""
        return make_volume(descriptions[0])

    @pytest.fixture
    def foreign(
        self,
        persistent_volumes: Callable[[str], Sequence[Mapping[str, Any]]],
        volume: str,
    ) -> Sequence[Mapping[str, Any]]:
        """Return volumes of others: of each form that was not given."""
        ours = {kind_of(each) for each in persistent_volumes(volume)}
        return [each for each in SOURCES if kind_of(each) not in ours]

    @pytest.fixture
    def complete(
        self,
        snapshotter: VolumeSnapshotter,
        finish: Callable[[str], None],
        patience: float,
    ) -> Callable[[str], str]:
        """Return what waits until a snapshot is complete and returns its id."""

        def wait(snapshot_id: str) -> str:
            finish(snapshot_id)
            wait_for_snapshot(snapshotter, snapshot_id, patience)
            return snapshot_id

        return wait
