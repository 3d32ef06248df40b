"""Volume snapshotter ``velero.io/azure``: snapshots of managed disks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterError,
    VolumeNotFoundError,
)
from kbackup.plugins import SnapshotState, VolumeDescription
from kbackup_plugins_azure._compute import Compute
from kbackup_plugins_azure._disk_bodies import (
    described,
    disk_body,
    merged_tags,
    snapshot_body,
    snapshot_name,
    snapshot_progress,
)
from kbackup_plugins_azure._disks_config import DisksConfig, read_disks_config
from kbackup_plugins_azure._resource_ids import (
    DISKS,
    SNAPSHOTS,
    ResourceId,
    disk_of,
    pointed_at,
    snapshot_of,
    source_of,
    volume_id_of,
)


class ManagedDiskSnapshotter:
    """Snapshots of the managed disks of a cluster; see `VolumeSnapshotter`.

    The id of a volume is its disk's name in the cluster's resource group, else the full
    id of the disk; that of a snapshot is always full.

    Args:
        compute: Where requests go.
        settings: Where disks and snapshots are.
    """

    api_version: ClassVar[int] = 1

    def __init__(self, compute: Compute, settings: DisksConfig) -> None:
        self._compute = compute
        self._settings = settings

    # --- PersistentVolumes ------------------------------------------------------------

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Read the id of a disk, of the CSI driver or of the one in Kubernetes."""
        return volume_id_of(volume, self._settings.cluster)

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Write the full id as Velero does, and in-tree the name beside it."""
        disk = disk_of(volume_id, self._settings.cluster)
        if not source_of(volume):
            raise SnapshotterError(
                volume_id, "the PersistentVolume is not on a managed disk of Azure"
            )
        return pointed_at(volume, disk)

    # --- volumes and snapshots --------------------------------------------------------

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:  # noqa: ARG002
        """Return the SKU, and IOPS and throughput where they can be provisioned."""
        disk = disk_of(volume_id, self._settings.cluster)
        return described(self._compute.get(volume_id, disk))

    def create_snapshot(
        self,
        volume_id: str,
        zone: str,  # noqa: ARG002 - names of disks are those of a resource group
        tags: Mapping[str, str],
    ) -> str:
        """Make a snapshot; its bytes may be copied later, see `VolumeSnapshotter`."""
        disk = disk_of(volume_id, self._settings.cluster)
        found = self._compute.get(volume_id, disk)
        snapshot = ResourceId(
            place=self._settings.snapshots,
            kind=SNAPSHOTS,
            name=snapshot_name(disk.name, str(uuid.uuid4())),
        )
        body = snapshot_body(
            disk,
            found,
            tags=self._tags(tags, found),
            incremental=self._settings.incremental,
            same_subscription=_together(disk, snapshot),
        )
        self._compute.put(
            volume_id,
            snapshot,
            body,
            seconds=self._settings.operation.total_seconds(),
            missing=VolumeNotFoundError,
        )
        return str(snapshot)

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Ask Azure how far it is."""
        return snapshot_progress(snapshot_id, self._snapshot(snapshot_id))

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        """Make a disk in the cluster's resource group."""
        found = self._snapshot(snapshot_id)
        state = snapshot_progress(snapshot_id, found)
        if not state.complete:
            raise SnapshotterError(snapshot_id, f"not complete yet: {state.percent} %")
        snapshot = snapshot_of(snapshot_id)
        disk = ResourceId(
            place=self._settings.cluster, kind=DISKS, name=f"restore-{uuid.uuid4()}"
        )
        body = disk_body(
            snapshot,
            found,
            description,
            zone,
            same_subscription=_together(disk, snapshot),
        )
        self._compute.put(
            snapshot_id,
            disk,
            body,
            seconds=self._settings.timeouts.transfer.total_seconds(),
            missing=NativeSnapshotNotFoundError,
        )
        return disk.name

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot and wait until it is gone; what is gone is success."""
        self._compute.delete(
            snapshot_id,
            snapshot_of(snapshot_id),
            seconds=self._settings.operation.total_seconds(),
        )

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._compute.close()

    # --- inside -----------------------------------------------------------------------

    def _snapshot(self, snapshot_id: str) -> Mapping[str, Any]:
        found = self._compute.get(snapshot_id, snapshot_of(snapshot_id))
        properties = found.get("properties") or {}
        if str(properties.get("provisioningState")).lower() == "deleting":
            raise NativeSnapshotNotFoundError(snapshot_id, "it is being deleted")
        return found

    def _tags(
        self, tags: Mapping[str, str], found: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Return the tags of a snapshot: the location's before the backup's, as Velero."""
        own = merged_tags({**self._settings.tags}, tags.items())
        return merged_tags(own, (found.get("tags") or {}).items())


def open_disk_snapshotter(config: Mapping[str, str]) -> ManagedDiskSnapshotter:
    """Return the snapshotter that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin; see ``docs/plugins/volume-snapshotters.md``.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, or the credentials
            name no whole identity or not where the disks are.
    """
    settings = read_disks_config(config)
    return ManagedDiskSnapshotter(Compute(settings), settings)


def _together(one: ResourceId, other: ResourceId) -> bool:
    return one.place.subscription.lower() == other.place.subscription.lower()
