"""Volume snapshotter ``velero.io/aws``: snapshots of volumes in Amazon EBS."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotFailedError,
    SnapshotterError,
    VolumeNotFoundError,
)
from kbackup.plugins import SnapshotState, VolumeDescription
from kbackup.stores import Timeouts
from kbackup_plugins_aws._ebs_config import read_ebs_config
from kbackup_plugins_aws._ec2 import EC2

CSI_DRIVER = "ebs.csi.aws.com"

_IN_TREE = "awsElasticBlockStore"
_VOLUME = re.compile(r"vol-[0-9a-f]{8,40}")
_SNAPSHOT = re.compile(r"snap-[0-9a-f]{8,40}")
# Source: Kubernetes, legacy cloud provider of AWS, "KubernetesVolumeID".
_IN_TREE_VOLUME = re.compile(r"(?:aws://[a-z0-9-]*/)?(vol-[0-9a-f]{8,40})")
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
)

# Source: Amazon EC2 API reference, "CreateVolume". Velero provisions for io1 and io2
# only, and restores a faster gp3 as a plain one.
_WITH_IOPS = {"io1", "io2", "gp3"}
_WITH_THROUGHPUT = {"gp3"}
_MOST_TAGS = 50
_OWNED_BY = "kubernetes.io/cluster/"  # with the cluster's name behind it
_OWNER = "KubernetesCluster"  # its name, as older clusters have it
_RESERVED = "aws:"  # tags that Amazon sets itself, and refuses from others

_POLL = 2.0  # seconds
_SEEN_AFTER = 60.0  # seconds until what was made is shown everywhere


class EBSSnapshotter:
    """Snapshots of EBS volumes in one region; see `VolumeSnapshotter`.

    Args:
        ec2: Where requests go.
        timeouts: ``transfer`` is how long a new volume may take to be there.
        kms_key: For volumes from snapshots.
        cluster: Which is to own volumes from snapshots, by their tags.
        sleep: Waits between two looks at a new volume.
    """

    api_version: ClassVar[int] = 1

    def __init__(
        self,
        ec2: EC2,
        *,
        timeouts: Timeouts,
        kms_key: str = "",
        cluster: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ec2 = ec2
        self._timeouts = timeouts
        self._kms_key = kms_key
        self._owner = _ownership(cluster)
        self._sleep = sleep
        self._made: dict[str, float] = {}  # snapshots of this process, and when

    # --- PersistentVolumes ------------------------------------------------------------

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Read ``vol-...`` of a volume of the CSI driver, or of the one in Kubernetes."""
        field = _field(volume)
        if field is None:
            return ""
        source, key = field
        text = str(volume["spec"][source].get(key) or "")
        found = _IN_TREE_VOLUME.fullmatch(text)
        if not found:
            name = (volume.get("metadata") or {}).get("name", "")
            raise SnapshotterError(text, f"no id of EBS, in PersistentVolume {name}")
        return found[1]

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Write the id as Velero does: in-tree with the zone where a label tells it."""
        _check(_VOLUME, volume_id, "no id of an EBS volume")
        field = _field(volume)
        if field is None:
            raise SnapshotterError(volume_id, "the PersistentVolume is not one of EBS")
        source, key = field
        text = volume_id
        if source == _IN_TREE and (zone := _zone(volume)):
            text = f"aws://{zone}/{volume_id}"
        spec = volume["spec"]
        return {**volume, "spec": {**spec, source: {**spec[source], key: text}}}

    # --- volumes and snapshots --------------------------------------------------------

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:  # noqa: ARG002
        """Return type, and IOPS and throughput where they can be provisioned."""
        found = self._volume(volume_id)
        kind = found["VolumeType"]
        return VolumeDescription(
            volume_type=kind,
            iops=found.get("Iops") if kind in _WITH_IOPS else None,
            throughput=found.get("Throughput") if kind in _WITH_THROUGHPUT else None,
        )

    def create_snapshot(
        self,
        volume_id: str,
        zone: str,  # noqa: ARG002 - ids of EBS are those of a region
        tags: Mapping[str, str],
    ) -> str:
        """Begin a snapshot; it shows the volume as it is now, see `VolumeSnapshotter`."""
        found = self._volume(volume_id)
        answer = self._ec2.send(
            volume_id,
            "create_snapshot",
            repeatable=False,  # EC2 has no token that makes two of them one
            VolumeId=volume_id,
            TagSpecifications=_tagged("snapshot", _merged(tags, found.get("Tags", ()))),
        )
        snapshot_id = str(answer["SnapshotId"])
        self._made[snapshot_id] = time.monotonic()
        return snapshot_id

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Ask EC2 how far it is; what was just made may not show yet."""
        try:
            return _state(snapshot_id, self._snapshot(snapshot_id))
        except NativeSnapshotNotFoundError:
            made = self._made.get(snapshot_id)
            if made is None or time.monotonic() - made > _SEEN_AFTER:
                raise
            return SnapshotState(complete=False, percent=0)

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        """Make a volume, encrypted as the snapshot or by the location's key."""
        found = self._snapshot(snapshot_id)
        state = _state(snapshot_id, found)
        if not state.complete:
            raise SnapshotterError(snapshot_id, f"not complete yet: {state.percent} %")
        if not zone:
            raise SnapshotterError(
                snapshot_id, "no volume can be made of it without an availability zone"
            )
        answer = self._ec2.send(
            snapshot_id,
            "create_volume",
            SnapshotId=snapshot_id,
            AvailabilityZone=zone,
            ClientToken=uuid.uuid4().hex,  # a second request makes no second volume
            TagSpecifications=_tagged("volume", self._volume_tags(found)),
            **_provisioned(description),
            **self._encryption(found),
        )
        volume_id = str(answer["VolumeId"])
        self._wait_for(volume_id)
        return volume_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot; removing what is gone is success."""
        _check(_SNAPSHOT, snapshot_id, "no id of an EBS snapshot")
        self._made.pop(snapshot_id, None)
        with suppress(NativeSnapshotNotFoundError):
            self._ec2.send(snapshot_id, "delete_snapshot", SnapshotId=snapshot_id)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._ec2.close()

    # --- inside -----------------------------------------------------------------------

    def _volume(self, volume_id: str) -> Mapping[str, Any]:
        _check(_VOLUME, volume_id, "no id of an EBS volume")
        answer = self._ec2.send(volume_id, "describe_volumes", VolumeIds=[volume_id])
        for found in answer.get("Volumes", ()):
            return dict(found)
        raise VolumeNotFoundError(volume_id)

    def _snapshot(self, snapshot_id: str) -> Mapping[str, Any]:
        _check(_SNAPSHOT, snapshot_id, "no id of an EBS snapshot")
        answer = self._ec2.send(
            snapshot_id, "describe_snapshots", SnapshotIds=[snapshot_id]
        )
        for found in answer.get("Snapshots", ()):
            return dict(found)
        raise NativeSnapshotNotFoundError(snapshot_id)

    def _wait_for(self, volume_id: str) -> None:
        """Wait until a new volume can be used; it may not show yet."""
        deadline = time.monotonic() + self._timeouts.transfer.total_seconds()
        state = "creating"
        while True:
            with suppress(VolumeNotFoundError):
                state = self._volume(volume_id).get("State", "")
            if state in {"available", "in-use"}:
                return
            if state != "creating" or time.monotonic() > deadline:
                raise SnapshotterError(volume_id, f"the new volume is {state}")
            self._sleep(_POLL)

    def _volume_tags(self, snapshot: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the snapshot's tags; another cluster's ownership does not go along."""
        tags = snapshot.get("Tags", ())
        if self._owner:
            tags = [tag for tag in tags if not _is_ownership(tag["Key"])]
        return _merged(self._owner, tags)

    def _encryption(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        if self._kms_key:
            return {"Encrypted": True, "KmsKeyId": self._kms_key}
        return {"Encrypted": True} if snapshot.get("Encrypted") else {}


def open_ebs_snapshotter(config: Mapping[str, str]) -> EBSSnapshotter:
    """Return the snapshotter that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin; see ``docs/plugins/volume-snapshotters.md``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    settings = read_ebs_config(config)
    return EBSSnapshotter(
        EC2(settings),
        timeouts=settings.timeouts,
        kms_key=settings.kms_key,
        cluster=settings.cluster,
    )


def _field(volume: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return where in ``spec`` the id of a volume in EBS stands; None: not in EBS."""
    spec = volume.get("spec") or {}
    if (spec.get("csi") or {}).get("driver") == CSI_DRIVER:
        return "csi", "volumeHandle"
    return (_IN_TREE, "volumeID") if spec.get(_IN_TREE) else None


def _zone(volume: Mapping[str, Any]) -> str:
    labels = (volume.get("metadata") or {}).get("labels") or {}
    return next((labels[name] for name in _ZONE_LABELS if labels.get(name)), "")


def _check(form: re.Pattern[str], text: str, fault: str) -> None:
    if not form.fullmatch(text):
        raise SnapshotterError(repr(text), fault)


def _state(snapshot_id: str, found: Mapping[str, Any]) -> SnapshotState:
    """Read a described snapshot; raises `SnapshotFailedError`."""
    state = found.get("State", "")
    if state == "error":
        said = found.get("StateMessage", "")
        raise SnapshotFailedError(f"snapshot {snapshot_id} failed", said)
    if state == "completed":
        return SnapshotState(complete=True, percent=100)
    digits = str(found.get("Progress") or "").rstrip("%")
    return SnapshotState(complete=False, percent=int(digits) if digits else None)


def _provisioned(description: VolumeDescription) -> dict[str, Any]:
    """Return the parameters that make a volume of this type and speed."""
    kind = description.volume_type
    found: dict[str, Any] = {"VolumeType": kind} if kind else {}
    if kind in _WITH_IOPS and description.iops:
        found["Iops"] = description.iops
    if kind in _WITH_THROUGHPUT and description.throughput:
        found["Throughput"] = description.throughput
    return found


def _ownership(cluster: str) -> Mapping[str, str]:
    """Return the tags by which the cloud provider of a cluster knows its volumes."""
    return {f"{_OWNED_BY}{cluster}": "owned", _OWNER: cluster} if cluster else {}


def _is_ownership(key: str) -> bool:
    return key == _OWNER or key.startswith(_OWNED_BY)


def _merged(
    tags: Mapping[str, str], inherited: Iterable[Mapping[str, str]]
) -> Mapping[str, str]:
    """Return *tags*, and of the *inherited* ones those that fit beside them."""
    merged = dict(tags)
    for tag in inherited:
        if len(merged) < _MOST_TAGS and not tag["Key"].startswith(_RESERVED):
            merged.setdefault(tag["Key"], tag["Value"])
    return merged


def _tagged(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return *tags* as a request wants them; EC2 refuses an empty list of them."""
    written = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": written}] if written else []
