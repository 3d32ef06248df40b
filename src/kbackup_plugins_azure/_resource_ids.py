"""Ids of disks and snapshots, as Azure Resource Manager writes them and as Velero does.

Source: Azure Resource Manager, "Naming rules and restrictions for Azure resources".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from kbackup.errors import SnapshotterError

CSI_DRIVER = "disk.csi.azure.com"
IN_TREE = "azureDisk"
DISKS = "disks"
SNAPSHOTS = "snapshots"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_ID = re.compile(
    r"/subscriptions/(?P<subscription>[A-Za-z0-9-]{1,64})"
    r"/resourceGroups/(?P<group>[\w().-]{0,89}[\w()-])"
    r"/providers/Microsoft\.Compute/(?P<kind>disks|snapshots)"
    rf"/(?P<name>{_NAME})",
    re.IGNORECASE,  # as everything in an id
)


@attrs.frozen(kw_only=True)
class Place:
    """A resource group in a subscription."""

    subscription: str
    group: str

    def holds(self, resource: ResourceId) -> bool:
        """Tell whether a resource is in this group; case means nothing."""
        place = resource.place
        return (place.subscription.lower(), place.group.lower()) == (
            self.subscription.lower(),
            self.group.lower(),
        )


@attrs.frozen(kw_only=True)
class ResourceId:
    """A disk or a snapshot; as text its full id.

    Attributes:
        place: Its resource group.
        kind: ``disks`` or ``snapshots``.
        name: In that group.
    """

    place: Place
    kind: str
    name: str

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.place.subscription}"
            f"/resourceGroups/{self.place.group}"
            f"/providers/Microsoft.Compute/{self.kind}/{self.name}"
        )


def read_id(text: str) -> ResourceId | None:
    """Return what a full id names; None: it is none of a disk or a snapshot."""
    found = _ID.fullmatch(text)
    if not found:
        return None
    place = Place(subscription=found["subscription"], group=found["group"])
    return ResourceId(place=place, kind=found["kind"].lower(), name=found["name"])


def disk_of(volume_id: str, cluster: Place) -> ResourceId:
    """Return the disk of a volume id: a name in the *cluster*'s group, or a full id.

    Raises:
        SnapshotterError: It is neither.
    """
    if re.fullmatch(_NAME, volume_id):
        return ResourceId(place=cluster, kind=DISKS, name=volume_id)
    found = read_id(volume_id)
    if found is None or found.kind != DISKS:
        raise SnapshotterError(repr(volume_id), "no id of a managed disk of Azure")
    return found


def snapshot_of(text: str) -> ResourceId:
    """Return the snapshot of a full id.

    Raises:
        SnapshotterError: It is none.
    """
    found = read_id(text)
    if found is None or found.kind != SNAPSHOTS:
        raise SnapshotterError(repr(text), "no id of a snapshot of a managed disk")
    return found


def volume_id_of(volume: Mapping[str, Any], cluster: Place) -> str:
    """Return the id of a PersistentVolume: as in Velero its disk's name.

    A disk outside the *cluster*'s group has its full id. Velero knows names only, and
    looks for each in that group.

    Returns:
        Empty where the volume is not on a disk of Azure.

    Raises:
        SnapshotterError: It is, and what it names is no managed disk.
    """
    source = source_of(volume)
    if not source:
        return ""
    fields = volume["spec"][source]
    text = str(fields.get("volumeHandle" if source == "csi" else "diskURI") or "")
    disk, said = read_id(text), str(fields.get("diskName") or "")
    if source == IN_TREE and not text and re.fullmatch(_NAME, said):
        return said
    if (
        disk is None
        or disk.kind != DISKS
        or said.lower() not in {"", disk.name.lower()}
    ):
        name = (volume.get("metadata") or {}).get("name", "")
        raise SnapshotterError(
            text or said,
            f"no id of a managed disk of Azure, in PersistentVolume {name}",
        )
    return disk.name if cluster.holds(disk) else str(disk)


def source_of(volume: Mapping[str, Any]) -> str:
    """Return the field of ``spec`` that names a disk of Azure; empty: there is none."""
    spec = volume.get("spec") or {}
    if (spec.get("csi") or {}).get("driver") == CSI_DRIVER:
        return "csi"
    return IN_TREE if spec.get(IN_TREE) else ""


def pointed_at(volume: Mapping[str, Any], disk: ResourceId) -> Mapping[str, Any]:
    """Return a PersistentVolume with another disk, else as it was; see `source_of`."""
    source, spec = source_of(volume), volume["spec"]
    fields = (
        {"volumeHandle": str(disk)}
        if source == "csi"
        else {"diskName": disk.name, "diskURI": str(disk)}
    )
    return {**volume, "spec": {**spec, source: {**spec[source], **fields}}}
