"""What requests for snapshots and disks say: values only, no request.

Source: Azure REST API, "Disks" and "Snapshots", "Create Or Update".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kbackup.errors import SnapshotFailedError
from kbackup.plugins import SnapshotState, VolumeDescription
from kbackup_plugins_azure._resource_ids import ResourceId

# Of these alone speed is provisioned, and they know no snapshots but incremental ones.
_PROVISIONED = {"UltraSSD_LRS", "PremiumV2_LRS"}
_NAME_OF_SNAPSHOT = 80
_ZONE = re.compile(r".+-([0-9]+)")  # a region's name, and the zone in it
# Who may reach the bytes of a disk past its machine is kept as well.
_KEPT = ("networkAccessPolicy", "publicNetworkAccess", "diskAccessId")

_MOST_TAGS = 50
_TAG_NAME = 512
_TAG_VALUE = 256
_NOT_IN_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")
_RESERVED = ("microsoft", "azure", "windows")


def snapshot_name(disk: str, unique: str) -> str:
    """Return the name of a snapshot as Velero makes it: at most 80 characters."""
    room = _NAME_OF_SNAPSHOT - len(unique) - 1
    return f"{disk[:room]}-{unique}"


def snapshot_body(
    disk: ResourceId,
    found: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    incremental: bool | None,
    same_subscription: bool,
) -> Mapping[str, Any]:
    """Return what asks for a snapshot.

    Args:
        disk: Of which.
        found: The disk as the API describes it.
        tags: For the snapshot, see `merged_tags`.
        incremental: None: where the disk knows no others.
        same_subscription: An encryption set is used in its own subscription only.
    """
    properties: dict[str, Any] = {
        "creationData": {"createOption": "Copy", "sourceResourceId": str(disk)},
        **_kept(found, encryption=same_subscription),
    }
    if incremental is None and _sku(found) in _PROVISIONED:
        incremental = True
    if incremental is not None:
        properties["incremental"] = incremental
    return {"location": found["location"], "tags": dict(tags), "properties": properties}


def disk_body(
    snapshot: ResourceId,
    found: Mapping[str, Any],
    description: VolumeDescription,
    zone: str,
    *,
    same_subscription: bool,
) -> Mapping[str, Any]:
    """Return what asks for a disk from a snapshot.

    Args:
        snapshot: From which.
        found: The snapshot as the API describes it.
        description: Type and speed.
        zone: ``region-1``; anything else is no zone of Azure's.
        same_subscription: As for `snapshot_body`.
    """
    creation = {"createOption": "Copy", "sourceResourceId": str(snapshot)}
    properties = {
        "creationData": creation,
        **_kept(found, encryption=same_subscription),
    }
    kind = description.volume_type
    if kind in _PROVISIONED:
        source = (found.get("properties") or {}).get("creationData") or {}
        if sector := source.get("logicalSectorSize"):
            creation["logicalSectorSize"] = sector
        if description.iops:
            properties["diskIOPSReadWrite"] = description.iops
        if description.throughput:
            properties["diskMBpsReadWrite"] = description.throughput
    body: dict[str, Any] = {
        "location": found["location"],
        "tags": dict(found.get("tags") or {}),
        "properties": properties,
    }
    if kind:
        body["sku"] = {"name": kind}
    placed = _ZONE.fullmatch(zone)
    if placed and not kind.endswith("_ZRS"):  # those are in every zone
        body["zones"] = [placed[1]]
    return body


def described(found: Mapping[str, Any]) -> VolumeDescription:
    """Return type, and speed where it can be provisioned, of a disk."""
    kind, properties = _sku(found), found.get("properties") or {}
    if kind not in _PROVISIONED:
        return VolumeDescription(volume_type=kind)
    return VolumeDescription(
        volume_type=kind,
        iops=properties.get("diskIOPSReadWrite"),
        throughput=properties.get("diskMBpsReadWrite"),
    )


def snapshot_progress(snapshot_id: str, found: Mapping[str, Any]) -> SnapshotState:
    """Read a snapshot; its bytes may be copied after it is made.

    Raises:
        SnapshotFailedError: It will never be complete.
    """
    properties = found.get("properties") or {}
    state = str(properties.get("provisioningState") or "")
    copy = properties.get("copyCompletionError") or {}
    if state.lower() in {"failed", "canceled"} or copy:
        said = copy.get("errorMessage") or f"it is {state}"
        raise SnapshotFailedError(f"snapshot {snapshot_id} failed", said)
    percent = properties.get("completionPercent")
    done = 100 if percent is None else min(int(percent), 100)
    if state.lower() == "succeeded":
        return SnapshotState(complete=done == 100, percent=done)  # noqa: PLR2004
    return SnapshotState(complete=False, percent=None if percent is None else done)


def merged_tags(
    tags: Mapping[str, str], inherited: Iterable[tuple[str, str]]
) -> Mapping[str, str]:
    """Return *tags*, and of the *inherited* ones those that fit beside them.

    A name has neither slashes nor the like; as in Velero each is written as a hyphen.
    Names that differ in case are one.
    """
    merged: dict[str, str] = {}
    taken: set[str] = set()
    reserved = ((name, text) for name, text in inherited if not _is_reserved(name))
    for given, value in [*tags.items(), *reserved]:
        name = _NOT_IN_NAMES.sub("-", given)
        fits = 0 < len(name) <= _TAG_NAME and len(merged) < _MOST_TAGS
        if fits and name.lower() not in taken:
            taken.add(name.lower())
            merged[name] = value[:_TAG_VALUE]
    return merged


def _is_reserved(name: str) -> bool:
    return name.lower().startswith(_RESERVED)


def _sku(found: Mapping[str, Any]) -> str:
    return str((found.get("sku") or {}).get("name") or "")


def _kept(found: Mapping[str, Any], *, encryption: bool) -> dict[str, Any]:
    """Return the properties that a copy has as its source."""
    properties = found.get("properties") or {}
    kept = {name: properties[name] for name in _KEPT if properties.get(name)}
    encrypted = properties.get("encryption") or {}
    if encryption and encrypted.get("diskEncryptionSetId"):
        names = ("type", "diskEncryptionSetId")
        kept["encryption"] = {
            name: encrypted[name] for name in names if encrypted.get(name)
        }
    return kept
