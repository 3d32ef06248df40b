"""What names a persistent disk: ids, zones, regions and types; values only, no request.

Source: Compute Engine API reference, "Disks"; Kubernetes, "csi-translation-lib", for what
a handle holds that was a volume in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from kbackup.errors import SnapshotterError

# Both have one form of id. The second is of Google's fork for confidential computing.
CSI_DRIVERS = frozenset({"pd.csi.storage.gke.io", "gcp.csi.confidential.cloud"})
UNSPECIFIED = "UNSPECIFIED"  # in a handle: the driver looks for it

_IN_TREE = "gcePersistentDisk"
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST = 63
_HANDLE = re.compile(
    r"projects/(?P<project>[^/\s]+)/(?P<kind>zones|regions)/(?P<place>[^/\s]+)"
    r"/disks/(?P<name>[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)"
)
_ZONE = re.compile(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)-[a-z][a-z0-9]*")
_BETWEEN_ZONES = "__"
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
)
_TYPE = re.compile(r"(?:[^\s?#]*/)?([a-z][-a-z0-9]*)")


@attrs.frozen(kw_only=True)
class Place:
    """Where a disk is.

    Attributes:
        name: Of the zone, or of the region.
        replica_zones: Of a disk that a region keeps in several; empty: in one zone.
    """

    name: str
    replica_zones: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """``zone`` or ``region``, as the API calls it."""
        return "region" if self.replica_zones else "zone"

    def path(self, project: str) -> str:
        """Return the zone or region, as a part of a resource's name."""
        return f"projects/{project}/{self.scope}s/{self.name}"

    def disk_type(self, project: str, text: str) -> str:
        """Return a type, which may be of another place or project, as one of this one.

        Raises:
            SnapshotterError: *text* is neither a type nor the address of one.
        """
        found = _TYPE.fullmatch(text)
        if not found:
            raise SnapshotterError(repr(text[:80]), "no type of a persistent disk")
        return f"{self.path(project)}/diskTypes/{found[1]}"


def place_of(thing: str, zone: str) -> Place:
    """Return where a disk is whose volume has the label *zone*.

    Two zones joined by ``__``, as GKE writes them, are those of a regional disk.

    Args:
        thing: The id that an error names.
        zone: The value of the label.

    Raises:
        SnapshotterError: It names no zone, or zones of several regions.
    """
    if not zone:
        raise SnapshotterError(
            thing,
            "a persistent disk is only found by its zone",
            hint="label the PersistentVolume with topology.kubernetes.io/zone",
        )
    zones = tuple(dict.fromkeys(zone.split(_BETWEEN_ZONES)))
    found = [_ZONE.fullmatch(each) for each in zones]
    regions = {each[1] for each in found if each}
    if not all(found) or len(regions) != 1:
        raise SnapshotterError(
            thing, f"{zone[:80]!r} is neither a zone nor are these zones of a region"
        )
    if len(zones) == 1:
        return Place(name=zones[0])
    return Place(name=regions.pop(), replica_zones=zones)


def check_name(name: str, what: str) -> None:
    """Refuse what names nothing in Compute Engine: RFC 1035, at most 63 characters.

    Raises:
        SnapshotterError: *name* is none.
    """
    if not _NAME.fullmatch(name):
        raise SnapshotterError(repr(name[:80]), f"no name of a {what}")


def snapshot_name(volume_id: str, unique: str) -> str:
    """Return Velero's name for a snapshot: the disk's, as much as fits, and *unique*."""
    suffix = f"-{unique}"
    return volume_id[: _LONGEST - len(suffix)] + suffix


def id_in(volume: Mapping[str, Any]) -> str:
    """Return the name of a PersistentVolume's disk, or empty: it has none.

    Raises:
        SnapshotterError: It has one whose name is none.
    """
    spec = volume.get("spec") or {}
    source = spec.get("csi") or {}
    if source.get("driver") in CSI_DRIVERS:
        text = str(source.get("volumeHandle") or "")
        found = _HANDLE.fullmatch(text)
        name = found["name"] if found else ""
    elif spec.get(_IN_TREE):
        text = str(spec[_IN_TREE].get("pdName") or "")
        name = text if _NAME.fullmatch(text) else ""
    else:
        return ""
    if not name:
        holder = (volume.get("metadata") or {}).get("name", "")
        raise SnapshotterError(
            text[:200], f"no id of a persistent disk, in PersistentVolume {holder}"
        )
    return name


def has_handle(volume: Mapping[str, Any]) -> bool:
    """Tell whether the id of a PersistentVolume's disk names a project, too."""
    source = (volume.get("spec") or {}).get("csi") or {}
    return source.get("driver") in CSI_DRIVERS


def pointed_at(volume: Mapping[str, Any], name: str, project: str) -> dict[str, Any]:
    """Return a PersistentVolume of a persistent disk pointed at another disk.

    Zone or region stay, as with Velero; those that a handle leaves open are taken from
    the label.

    Args:
        volume: Has an id, see `id_in`.
        name: Of the other disk.
        project: Where that is; empty: where the handle says.
    """
    spec = volume["spec"]
    if not has_handle(volume):
        return {
            **volume,
            "spec": {**spec, _IN_TREE: {**spec[_IN_TREE], "pdName": name}},
        }
    found = _HANDLE.fullmatch(spec["csi"]["volumeHandle"])
    assert found is not None, "the id was read before"  # noqa: S101 - see `id_in`
    project = project or found["project"]
    where = f"projects/{project}/{found['kind']}/{found['place']}"
    if found["place"] == UNSPECIFIED and (zone := _zone(volume)):
        where = place_of(name, zone).path(project)
    handle = f"{where}/disks/{name}"
    return {**volume, "spec": {**spec, "csi": {**spec["csi"], "volumeHandle": handle}}}


def _zone(volume: Mapping[str, Any]) -> str:
    labels = (volume.get("metadata") or {}).get("labels") or {}
    return next((labels[name] for name in _ZONE_LABELS if labels.get(name)), "")
