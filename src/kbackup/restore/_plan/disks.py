"""The disk behind a PersistentVolume, and which other volume of the target has it.

Pure. Two volumes over one disk have two writers: what is planned for claims and volumes
never leads there.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import Any

import attrs

from kbackup._kits.nested import mapping_at, objects_at

Content = Mapping[str, Any]

_DISK_FIELDS: Mapping[str, tuple[str, ...]] = {
    "csi": ("driver", "volumeHandle"),
    "nfs": ("server", "path"),
    "hostPath": ("path",),
    "local": ("path",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskURI",),
    "azureFile": ("shareName",),
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
    "azureDisk": _AZURE,
    "cinder": "cinder.csi.openstack.org",
    "portworxVolume": "pxd.portworx.com",
}
"""The CSI driver that took a source over: its handle is what the source's field says.

Source: ``k8s.io/csi-translation-lib/plugins``.
"""

_GCE_HANDLE = re.compile(
    "(?P<project>projects/[^/]+)/(?P<place>(?:zones|regions)/[^/]+)/disks/([^/]+)"
)
_ANY = "/UNSPECIFIED"  # stands for what a volume did not say that was named in-tree
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
)

_PATH = "path"  # a hostPath and a local volume may be one directory
_HOSTNAME = ("matchExpressions", "kubernetes.io/hostname")
_NODE_NAME = ("matchFields", "metadata.name")

# By this name Kubernetes and Azure's driver find the Secret of a storage account. One of
# another name may be for any account.
# Source: ``k8s.io/csi-translation-lib/plugins/azure_file.go``.
_SECRET_OF_ACCOUNT = re.compile(r"azure-storage-account-(.+)-secret")


@attrs.frozen
class Disk:
    """What is behind a PersistentVolume.

    Attributes:
        name: The same for one disk, however volumes spell it.
        where: What tells it from others of the name: by mark, such as a label of nodes,
            the values of which it has one. A volume need not say any.
    """

    name: str
    where: Mapping[Any, frozenset[str]] = attrs.field(factory=dict)

    def __str__(self) -> str:
        places = sorted(set().union(*self.where.values()))
        return f"{self.name} of {', '.join(places)}" if places else self.name


def disk_of(volume: Content) -> Disk | None:
    """Return the disk behind a PersistentVolume; None: its source is unknown."""
    spec = mapping_at(volume, "spec")
    for source, fields in _DISK_FIELDS.items():
        found = spec.get(source)
        if isinstance(found, Mapping):
            parts = [_spelled(source, x, f"{found.get(x, '')}") for x in fields]
            if source in ("hostPath", "local"):
                return Disk(" ".join((_PATH, *parts)), _nodes(volume))
            if source == "csi":
                return _csi_disk(*parts)
            if source == "gcePersistentDisk":
                return Disk(f"csi {_GCE} {parts[0]}", _zone(volume))
            if driver := _DRIVERS.get(source):
                return _csi_disk(driver, *parts)
            name = " ".join((source, *parts))
            return Disk(name, _account(found)) if source == "azureFile" else Disk(name)
    return None


def _spelled(source: str, field: str, value: str) -> str:
    """One spelling of what a field says."""
    if field == "path" and value and source in _PATHS:
        path = posixpath.normpath(value)
        return path.replace("//", "/", 1)  # two in front are all that it leaves
    return value.lower() if (source, field) == ("nfs", "server") else value


def _csi_disk(driver: str, handle: str) -> Disk:
    where = {}
    if driver == _EBS:
        handle = handle.rpartition("/")[2]  # aws://<zone>/<id>: the id is unique
    elif driver == _AZURE:
        handle = handle.lower()  # Azure tells no two resources apart by their case
    elif driver == _GCE and (found := _GCE_HANDLE.fullmatch(handle)):
        marks, handle = found.groupdict(), found[3]
        known = {x: text for x, text in marks.items() if not text.endswith(_ANY)}
        where = {mark: frozenset({text}) for mark, text in known.items()}
    return Disk(f"csi {driver} {handle}", where)


def _zone(volume: Content) -> dict[Any, frozenset[str]]:
    """Where a GCE disk is that has no place in-tree: its labels say it, if anything.

    Source: ``k8s.io/csi-translation-lib/plugins/gce_pd.go``.
    """
    given = mapping_at(volume, "metadata", "labels")
    zones = next((str(given[x]) for x in _ZONE_LABELS if given.get(x)), "")
    if not zones:
        return {}
    first, *others = zones.split("__")
    region = first.rpartition("-")[0]
    return {"place": frozenset({f"regions/{region}" if others else f"zones/{first}"})}


def _account(source: Content) -> dict[Any, frozenset[str]]:
    named = _SECRET_OF_ACCOUNT.fullmatch(str(source.get("secretName", "")))
    return {"account": frozenset({named[1]})} if named else {}


def _nodes(volume: Content) -> dict[Any, frozenset[str]]:
    """By label or field: the values of which a node must have one for a volume.

    Terms are alternatives: what not all of them ask for, the node need not have.
    """
    required = mapping_at(volume, "spec", "nodeAffinity", "required")
    terms = [_values(term) for term in objects_at(required, "nodeSelectorTerms")]
    marks = set.intersection(*map(set, terms)) if terms else set()
    return {mark: frozenset().union(*(each[mark] for each in terms)) for mark in marks}


def _values(term: Content) -> dict[Any, frozenset[str]]:
    return {
        (selector, expression.get("key")): frozenset(expression.get("values") or ())
        for selector in ("matchExpressions", "matchFields")
        for expression in objects_at(term, selector)
        if expression.get("operator") == "In"
    }


def are_one(one: Disk | None, other: Disk | None) -> bool:
    """Whether two disks may be one: of one name, and no mark tells them apart."""
    if one is None or other is None or one.name != other.name:
        return False
    marks = one.where.keys() & other.where.keys()
    return not any(one.where[mark].isdisjoint(other.where[mark]) for mark in marks)


class DiskUsers:
    """Volumes by the name of their disk, so that none is held against all others."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Disk]] = {}
        self._noted: dict[str, str] = {}

    def add(self, name: str, volume: Content) -> None:
        """Note the disk of a volume, if it is known, instead of an earlier one."""
        disk = disk_of(volume)
        if disk is None:
            return
        if name in self._noted:
            del self._users[self._noted[name]][name]
        self._users.setdefault(disk.name, {})[name] = disk
        self._noted[name] = disk.name

    def other(self, name: str, volume: Content) -> str:
        """The first volume of another name that has a volume's disk; empty: none has."""
        disk = disk_of(volume)
        users = self._users.get(disk.name, {}) if disk is not None else {}
        found = (x for x, used in users.items() if x != name and are_one(disk, used))
        return next(found, "")


class LiveDisks:
    """The disks of the target's volumes."""

    def __init__(self, volumes: Mapping[str, Content]) -> None:
        self._volumes = volumes
        self._users = DiskUsers()
        for name, volume in volumes.items():
            self._users.add(name, volume)

    def in_use(self, volume: Content, name: str) -> str:
        """Why a volume is not created: another one has its disk; empty: none has.

        Args:
            volume: As it would be written.
            name: Its own, under which it may live.
        """
        other = self._users.other(name, volume)
        return conflict_text(other, self._volumes[other]) if other else ""


def another_disk(name: str, live: Content, archived: Content | None) -> str:
    """Why a live volume is not the claim's for all its name; empty: it may be."""
    disk, found = disk_of(archived or {}), disk_of(live)
    if disk is None or are_one(disk, found):
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
    """The nodes that a volume's node affinity asks for; empty: any node."""
    found = _nodes(volume)
    return found.get(_HOSTNAME) or found.get(_NODE_NAME) or frozenset()
