"""What a backup holds of its volumes' data: by the manifest, or by Velero's side files.

Velero writes a summary of all volumes since 1.13, and before that one file for each way
in which data are kept. Only a few fields are looked at, as plain JSON: a newer Velero
may say the rest in words that are not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from kbackup._kits.nested import text_at, value_at
from kbackup.catalog._manifest import Manifest, VolumeRecord
from kbackup.catalog._reading import read_side_file
from kbackup.catalog._side_files import SideFile
from kbackup.errors import BackupDamagedError
from kbackup.models import GroupResource, labels, well_known
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
        listed = _listed_claims(store, name)
        found = list(_from_each_way(store, name, listed))
        if all(each.claim or not each.volume for each in found):
            known = {each.claim for each in found}
            found += [VolumeRecord(claim=each) for each in listed if each not in known]
    return tuple(each for each in found if each.claim or each.volume)


def _side(store: ObjectStore, name: str, side: SideFile) -> list[Any] | None:
    held = read_side_file(store, name, None, side)
    if held is not None and not isinstance(held, list):
        raise BackupDamagedError(name, f"{side.key(name)} is no list")
    return held


def _from_summary(info: Any) -> VolumeRecord:
    """Read one element of the volume infos."""
    data = _METHODS.get(text_at(info, "backupMethod"), "none")
    failed = text_at(info, "result") == "failed"
    if value_at(info, "skipped") is True or failed:
        data = "none"
    elif data == "fs" and not text_at(info, "pvbInfo", "snapshotHandle"):
        data = "none"  # the volume was empty
    claim = _claim(text_at(info, "pvcNamespace"), text_at(info, "pvcName"))
    return VolumeRecord(claim=claim, volume=text_at(info, "pvName"), data=data)


def _from_each_way(
    store: ObjectStore, name: str, listed: Collection[str]
) -> Iterator[VolumeRecord]:
    """Read the files of before there was a summary; *listed* are all claims."""
    for each in _side(store, name, SideFile.POD_VOLUME_BACKUPS) or ():
        kept = bool(text_at(each, "status", "snapshotID"))
        claim = _claim_of_pod_volume(each, listed)
        yield VolumeRecord(claim=claim, data="fs" if kept else "none")
    yield from _snapshots(store, name)
    for each in _side(store, name, SideFile.ITEM_OPERATIONS) or ():
        # 1.12 moved data out of snapshots: an operation on the claim.
        about = value_at(each, "spec", "resourceIdentifier")
        named = (text_at(about, "Group"), text_at(about, "Resource"))
        if GroupResource(*named) == well_known.PERSISTENT_VOLUME_CLAIMS:
            claim = _claim(text_at(about, "Namespace"), text_at(about, "Name"))
            moved = text_at(each, "status", "phase") == "Completed"
            yield VolumeRecord(claim=claim, data="csi" if moved else "none")


def _snapshots(store: ObjectStore, name: str) -> Iterator[VolumeRecord]:
    """Read the provider's snapshots, and those of CSI."""
    for each in _side(store, name, SideFile.VOLUME_SNAPSHOTS) or ():
        # Up to 1.10 the name is capitalised.
        volume = text_at(each, "spec", "persistentVolumeName")
        volume = volume or text_at(each, "spec", "PersistentVolumeName")
        kept = bool(text_at(each, "status", "providerSnapshotID"))
        yield VolumeRecord(claim="", volume=volume, data="native" if kept else "none")
    for each in _side(store, name, SideFile.CSI_VOLUME_SNAPSHOTS) or ():
        claim = _claim(
            text_at(each, "metadata", "namespace"),
            text_at(each, "spec", "source", "persistentVolumeClaimName"),
        )
        yield VolumeRecord(claim=claim, data="csi")


def _claim_of_pod_volume(backup: Any, listed: Collection[str]) -> str:
    """Return the claim behind a Pod's volume; empty: it is a volume without.

    Velero notes the claim that a Pod names, since 1.1, which was the first to write this
    file. Not the one that Kubernetes makes for a Pod out of a template, whose name tells
    it; a volume that is neither, such as an ``emptyDir``, has no claim of that name.

    Source: Velero ``newPodVolumeBackup``; Kubernetes, "Ephemeral Volumes",
    "PersistentVolumeClaim naming".
    """
    namespace = text_at(backup, "spec", "pod", "namespace")
    if noted := text_at(backup, "metadata", "annotations", labels.PVC_NAME):
        return _claim(namespace, noted)
    pod, volume = (
        text_at(backup, "spec", "pod", "name"),
        text_at(backup, "spec", "volume"),
    )
    made = _claim(namespace, f"{pod}-{volume}")
    return made if made in listed else ""


def _listed_claims(store: ObjectStore, name: str) -> list[str]:
    """Return the claims in the backup, by its list of resources."""
    listed = read_side_file(store, name, None, SideFile.RESOURCE_LIST)
    claims = value_at(listed, _CLAIM_KIND)
    found = claims if isinstance(claims, list) else []
    return [claim for claim in found if isinstance(claim, str)]


def _claim(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if name else ""
