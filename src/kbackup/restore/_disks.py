"""The disk behind a PersistentVolume, and which other volume of the target has it.

Pure. Two volumes over one disk have two writers: what is planned for claims and volumes
never leads there.
"""

from collections.abc import Mapping
from typing import Any

Content = Mapping[str, Any]

_HOSTNAME = "kubernetes.io/hostname"

_DISK_FIELDS: Mapping[str, tuple[str, ...]] = {
    "csi": ("driver", "volumeHandle"),
    "nfs": ("server", "path"),
    "hostPath": ("path",),
    "local": ("path",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskURI",),
    "azureFile": ("secretNamespace", "shareName"),
    "cephfs": ("monitors", "path"),
    "rbd": ("monitors", "pool", "image"),
    "iscsi": ("targetPortal", "iqn", "lun"),
    "fc": ("targetWWNs", "lun", "wwids"),
    "cinder": ("volumeID",),
    "vsphereVolume": ("volumePath",),
    "glusterfs": ("endpoints", "path"),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "scaleIO": ("system", "volumeName"),
    "storageos": ("volumeNamespace", "volumeName"),
    "flexVolume": ("driver", "options"),
    "photonPersistentDisk": ("pdID",),
    "flocker": ("datasetUUID", "datasetName"),
}
"""By volume source: the fields that name the disk behind it."""


def disk_of(volume: Content) -> str:
    """Name the disk behind a PersistentVolume; equal names are one disk.

    Empty when the source is unknown.
    """
    spec = volume.get("spec") or {}
    for source, fields in _DISK_FIELDS.items():
        found = spec.get(source)
        if isinstance(found, Mapping):
            parts = [f"{found.get(field, '')}" for field in fields]
            if source == "local":
                parts += sorted(local_nodes(volume))
            return f"{source} {' '.join(parts)}"
    return ""


def disk_in_use(volume: Content, name: str, volumes: Mapping[str, Content]) -> str:
    """Why a volume is not created: another one has its disk; empty: none has.

    Args:
        volume: As it would be written.
        name: Its own, under which it may live.
        volumes: The live ones by name.
    """
    other = _same_disk(volume, name, volumes)
    return conflict_text(*other) if other else ""


def another_disk(name: str, live: Content, archived: Content | None) -> str:
    """Why a live volume is not the claim's for all its name; empty: it may be."""
    disk, found = disk_of(archived or {}), disk_of(live)
    if not disk or disk == found:
        return ""
    return (
        f"conflict: the live PV {name} is another disk ({found or 'of unknown kind'}) "
        f"than in the backup ({disk})"
    )


def conflict_text(name: str, live: Content) -> str:
    """Whose a disk is that was wanted: that of a live volume, maybe with a claim."""
    reference = (live.get("spec") or {}).get("claimRef")
    if not reference:
        return f"conflict: that disk belongs to PV {name}, bound to no claim"
    claim = f"{reference.get('namespace')}/{reference.get('name')}"
    return f"conflict: that disk belongs to PV {name}, bound to claim {claim}"


def local_nodes(volume: Content) -> frozenset[str]:
    """The host names that a volume's node affinity asks for; empty: any node."""
    spec = volume.get("spec") or {}
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    return frozenset(
        str(value)
        for term in required.get("nodeSelectorTerms") or ()
        for expression in term.get("matchExpressions") or ()
        if expression.get("key") == _HOSTNAME and expression.get("operator") == "In"
        for value in expression.get("values") or ()
    )


def _same_disk(
    volume: Content, name: str, volumes: Mapping[str, Content]
) -> tuple[str, Content] | None:
    """The live volume, with its name, that has the disk of another one; None: none has."""
    disk = disk_of(volume)
    if not disk:
        return None
    for other, live in volumes.items():
        if other != name and disk_of(live) == disk:
            return other, live
    return None
