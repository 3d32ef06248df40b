"""What a backup holds of its volumes' data: by the manifest, or by Velero's side files.

Velero writes a summary of all volumes since 1.13, and before that one file for each way
in which data are kept. Only a few fields are looked at, as plain JSON: a newer Velero
may say the rest in words that are not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kbackup.catalog._manifest import Manifest, VolumeRecord
from kbackup.catalog._reading import read_side_file
from kbackup.catalog._side_files import SideFile
from kbackup.errors import BackupDamagedError
from kbackup.models import labels
from kbackup.plugins import ObjectStore

_METHODS = {
    "NativeSnapshot": "native",
    "PodVolumeBackup": "fs",
    "CSISnapshot": "csi",
}
_CLAIM_KIND = "v1/PersistentVolumeClaim"  # as the list of resources has it


def read_volumes(
    store: ObjectStore, name: str, manifest: Manifest | None
) -> tuple[VolumeRecord, ...]:
    """Return what a backup says of its volumes.

    A provider's snapshot knows its volume and no claim, a Pod's volume its claim and no
    volume; a volume that is neither a claim's nor a PersistentVolume is left out.
    Before there was a summary, claims without data are told by their absence. Beside a
    provider's snapshots they are not told: one of those may be theirs.

    Raises:
        BackupDamagedError: A file that should tell cannot be read.
    """
    if manifest is not None:
        return manifest.volumes
    summary = _side(store, name, SideFile.VOLUME_INFO)
    if summary is not None:
        found = [_from_summary(each) for each in summary]
    else:
        found = list(_from_each_way(store, name))
        if all(each.claim or not each.volume for each in found):
            found += _passed_over(store, name, {each.claim for each in found})
    return tuple(each for each in found if each.claim or each.volume)


def _side(store: ObjectStore, name: str, side: SideFile) -> list[Any] | None:
    held = read_side_file(store, name, None, side)
    if held is not None and not isinstance(held, list):
        raise BackupDamagedError(name, f"{side.key(name)} is no list")
    return held


def _from_summary(info: Any) -> VolumeRecord:
    """Read one element of the volume infos."""
    data = _METHODS.get(_text(info, "backupMethod"), "none")
    failed = _text(info, "result") == "failed"
    if _at(info, "skipped") is True or failed:
        data = "none"
    elif data == "fs" and not _text(info, "pvbInfo", "snapshotHandle"):
        data = "none"  # the volume was empty
    claim = _claim(_text(info, "pvcNamespace"), _text(info, "pvcName"))
    return VolumeRecord(claim=claim, volume=_text(info, "pvName"), data=data)


def _from_each_way(store: ObjectStore, name: str) -> Iterator[VolumeRecord]:
    """Read the files that Velero wrote before there was a summary."""
    for each in _side(store, name, SideFile.POD_VOLUME_BACKUPS) or ():
        namespace = _text(each, "spec", "pod", "namespace")
        claim = _claim(
            namespace, _text(each, "metadata", "annotations", labels.PVC_NAME)
        )
        kept = bool(_text(each, "status", "snapshotID"))
        yield VolumeRecord(claim=claim, data="fs" if kept else "none")
    for each in _side(store, name, SideFile.VOLUME_SNAPSHOTS) or ():
        # Up to 1.10 the name is capitalised.
        volume = _text(each, "spec", "persistentVolumeName")
        volume = volume or _text(each, "spec", "PersistentVolumeName")
        kept = bool(_text(each, "status", "providerSnapshotID"))
        yield VolumeRecord(claim="", volume=volume, data="native" if kept else "none")
    for each in _side(store, name, SideFile.CSI_VOLUME_SNAPSHOTS) or ():
        claim = _claim(
            _text(each, "metadata", "namespace"),
            _text(each, "spec", "source", "persistentVolumeClaimName"),
        )
        yield VolumeRecord(claim=claim, data="csi")
    for each in _side(store, name, SideFile.ITEM_OPERATIONS) or ():
        # 1.12 moved data out of snapshots: an operation on the claim.
        about = _at(each, "spec", "resourceIdentifier")
        if _text(about, "Resource") == "persistentvolumeclaims":
            claim = _claim(_text(about, "Namespace"), _text(about, "Name"))
            moved = _text(each, "status", "phase") == "Completed"
            yield VolumeRecord(claim=claim, data="csi" if moved else "none")


def _passed_over(
    store: ObjectStore, name: str, known: Collection[str]
) -> Iterator[VolumeRecord]:
    """Tell the claims of which no file says that their data were kept."""
    listed = read_side_file(store, name, None, SideFile.RESOURCE_LIST)
    claims = _at(listed, _CLAIM_KIND)
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, str) and claim not in known:
            yield VolumeRecord(claim=claim)


def _claim(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if name else ""


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""
