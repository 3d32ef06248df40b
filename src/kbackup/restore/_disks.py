"""The disk behind a PersistentVolume, and which other volume of the target has it.

Pure. Two volumes over one disk have two writers: what is planned for claims and volumes
never leads there.
"""

import posixpath
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

_PATHS = frozenset(("nfs", "hostPath", "local", "cephfs"))
"""Sources whose `path` is one of a file system, which may be spelled in many ways."""

_EBS, _GCE, _AZURE = "ebs.csi.aws.com", "pd.csi.storage.gke.io", "disk.csi.azure.com"
_DRIVERS = {
    "awsElasticBlockStore": _EBS,
    "gcePersistentDisk": _GCE,
    "azureDisk": _AZURE,
    "cinder": "cinder.csi.openstack.org",
    "portworxVolume": "pxd.portworx.com",
}
"""The CSI driver that took a source over: its handle is what the source's field says.

Source: ``k8s.io/csi-translation-lib/plugins``.
"""


def disk_of(volume: Content) -> str:
    """Name the disk behind a PersistentVolume, however it is spelled: see `are_one`.

    Empty when the source is unknown.
    """
    spec = volume.get("spec") or {}
    for source, fields in _DISK_FIELDS.items():
        found = spec.get(source)
        if isinstance(found, Mapping):
            parts = [_spelled(source, x, f"{found.get(x, '')}") for x in fields]
            if source == "local":
                parts += sorted(local_nodes(volume))
            if source == "csi":
                return _csi_disk(*parts)
            driver = _DRIVERS.get(source)
            return _csi_disk(driver, *parts) if driver else " ".join((source, *parts))
    return ""


def _spelled(source: str, field: str, value: str) -> str:
    """One spelling of what a field says."""
    if field == "path" and value and source in _PATHS:
        path = posixpath.normpath(value)
        return path.replace("//", "/", 1)  # two in front are all that it leaves
    return value.lower() if (source, field) == ("nfs", "server") else value


def _csi_disk(driver: str, handle: str) -> str:
    if driver == _EBS:
        handle = handle.rpartition("/")[2]  # aws://<zone>/<id>: the id is unique
    elif driver == _AZURE:
        handle = handle.lower()  # Azure tells no two resources apart by their case
    return f"csi {driver} {handle}"


def are_one(one: str, other: str) -> bool:
    """Whether two names by `disk_of` mean one disk.

    In-tree, a GCE disk has no zone and no project: it may be each one of its name.
    """
    return one == other or _bare(one) == other or one == _bare(other)


def _bare(disk: str) -> str:
    kind = f"csi {_GCE} "
    has_place = disk.startswith(f"{kind}projects/")
    return kind + disk.rpartition("/")[2] if has_place else disk


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
    if not disk or are_one(disk, found):
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
        if other != name and are_one(disk_of(live), disk):
            return other, live
    return None
