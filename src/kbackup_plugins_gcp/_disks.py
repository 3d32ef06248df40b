"""Volume snapshotter ``velero.io/gcp``: snapshots of disks of Compute Engine."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotFailedError,
    SnapshotterAccessError,
    SnapshotterError,
    VolumeNotFoundError,
)
from kbackup.plugins import SnapshotState, VolumeDescription
from kbackup_plugins_gcp._compute import (
    DELETE_SNAPSHOT,
    GET_DISK,
    GET_SNAPSHOT,
    INSERT_DISK,
    INSERT_SNAPSHOT,
    Call,
    Compute,
)
from kbackup_plugins_gcp._disk_names import (
    Place,
    check_name,
    has_handle,
    id_in,
    place_of,
    pointed_at,
    snapshot_name,
)
from kbackup_plugins_gcp._disks_config import DisksConfig, read_disks_config

_log = logging.getLogger("kbackup.volumes")

# Source: Compute Engine, "Hyperdisk performance limits", "Extreme Persistent Disk".
_HYPERDISK = "hyperdisk-"
_WITHOUT_IOPS = {"hyperdisk-throughput", "hyperdisk-ml"}
_WITHOUT_THROUGHPUT = {"hyperdisk-extreme"}
_WITH_IOPS = {"pd-extreme"}

_MOST_DESCRIBED = 2048  # characters of a description
_SET_LABELS = ".setLabels"  # a permission of its own
_POLL = 1.0  # seconds
_UNSEEN = "compute.zoneOperations.get, or that of the region, tells more"

_READY, _FAILED, _DELETING = "READY", "FAILED", "DELETING"


class DiskSnapshotter:
    """Snapshots of persistent disks and Hyperdisks; see `VolumeSnapshotter`.

    Args:
        compute: Where requests go.
        settings: Of the location; its ``transfer`` timeout is how long a new volume may
            take to be there, a snapshot to be begun, and one to be deleted.
        sleep: Waits between two looks at what is being made.
    """

    api_version: ClassVar[int] = 1

    def __init__(
        self,
        compute: Compute,
        settings: DisksConfig,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._compute = compute
        self._settings = settings
        self._sleep = sleep

    # --- PersistentVolumes ------------------------------------------------------------

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Read the name of a disk of a CSI driver, or of the volume in Kubernetes."""
        return id_in(volume)

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Write the id as Velero does: a handle names the project of the location."""
        check_name(volume_id, "persistent disk")
        if not id_in(volume):
            raise SnapshotterError(
                volume_id, "the PersistentVolume is not one of a persistent disk"
            )
        project = self._compute.volume_project(volume_id) if has_handle(volume) else ""
        return pointed_at(volume, volume_id, project)

    # --- volumes and snapshots --------------------------------------------------------

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:
        """Return type, and IOPS and throughput where they can be provisioned.

        The type is an address, as Velero's plugin has it, which takes nothing else.
        """
        _, found = self._disk(volume_id, zone)
        kind = found.type_.rpartition("/")[2]
        return VolumeDescription(
            volume_type=found.type_,
            iops=(found.provisioned_iops or None) if _takes_iops(kind) else None,
            throughput=(found.provisioned_throughput or None)
            if _takes_throughput(kind)
            else None,
        )

    def create_snapshot(
        self, volume_id: str, zone: str, tags: Mapping[str, str]
    ) -> str:
        """Begin a snapshot and wait until later writes are no part of it."""
        place, disk = self._disk(volume_id, zone)
        snapshot_id = snapshot_name(volume_id, str(uuid.uuid4()))
        source = f"{place.path(self._compute.volume_project(volume_id))}/disks"
        body: dict[str, Any] = {
            "name": snapshot_id,
            "description": _described(tags, disk.description),
            "source_disk": f"{source}/{volume_id}",
            "snapshot_type": self._settings.snapshot_type,
            "labels": dict(disk.labels),
            **_encryption(
                volume_id, "snapshot_encryption_key", disk.disk_encryption_key
            ),
        }
        if self._settings.snapshot_location:
            body["storage_locations"] = [self._settings.snapshot_location]
        project = self._compute.snapshot_project(volume_id)
        operation = self._insert(
            volume_id, INSERT_SNAPSHOT, "snapshot_resource", body, project=project
        )
        look = partial(self._is_taken, snapshot_id)
        self._wait(snapshot_id, operation, look, {"project": project}, is_enough=True)
        return snapshot_id

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Ask Compute Engine whether it is ready; how far it is, that does not tell."""
        return _state(snapshot_id, self._snapshot(snapshot_id))

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        """Make a disk, encrypted by the key of the snapshot, in a zone or in two."""
        found = self._snapshot(snapshot_id)
        if not _state(snapshot_id, found).complete:
            raise SnapshotterError(snapshot_id, f"not complete yet: {found.status}")
        place = place_of(snapshot_id, zone)
        volume_id = f"restore-{uuid.uuid4()}"  # Velero's name
        project = self._compute.volume_project(snapshot_id)
        snapshots = f"{self._compute.snapshot_project(snapshot_id)}/global/snapshots"
        body: dict[str, Any] = {
            "name": volume_id,
            "source_snapshot": f"projects/{snapshots}/{snapshot_id}",
            "description": found.description,
            "labels": dict(found.labels),
            "replica_zones": [
                f"projects/{project}/zones/{each}" for each in place.replica_zones
            ],
            **_provisioned(description, place, project),
            **_encryption(
                snapshot_id, "disk_encryption_key", found.snapshot_encryption_key
            ),
        }
        if found.enable_confidential_compute:
            body["enable_confidential_compute"] = True
        where = {"project": project, place.scope: place.name}
        operation = self._insert(
            snapshot_id, INSERT_DISK[place.scope], "disk_resource", body, **where
        )
        look = partial(self._is_made, volume_id, zone)
        self._wait(volume_id, operation, look, where, scope=place.scope)
        return volume_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot and wait until it is gone; what is gone is success."""
        check_name(snapshot_id, "snapshot")
        project = self._compute.snapshot_project(snapshot_id)
        with suppress(NativeSnapshotNotFoundError):
            operation = self._compute.send(
                snapshot_id,
                DELETE_SNAPSHOT,
                project=project,
                snapshot=snapshot_id,
                request_id=str(uuid.uuid4()),
            )
            look = partial(self._is_gone, snapshot_id)
            self._wait(snapshot_id, operation.name, look, {"project": project})

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._compute.close()

    # --- inside -----------------------------------------------------------------------

    def _disk(self, volume_id: str, zone: str) -> tuple[Place, Any]:
        check_name(volume_id, "persistent disk")
        place = place_of(volume_id, zone)
        project = self._compute.volume_project(volume_id)
        where = {"project": project, place.scope: place.name}
        call = GET_DISK[place.scope]
        return place, self._compute.send(volume_id, call, disk=volume_id, **where)

    def _snapshot(self, snapshot_id: str) -> Any:
        check_name(snapshot_id, "snapshot")
        project = self._compute.snapshot_project(snapshot_id)
        found = self._compute.send(
            snapshot_id, GET_SNAPSHOT, project=project, snapshot=snapshot_id
        )
        if found.status == _DELETING:
            raise NativeSnapshotNotFoundError(snapshot_id, "it is being deleted")
        return found

    def _insert(
        self,
        thing: str,
        call: Call,
        field: str,
        body: Mapping[str, Any],
        **where: str,
    ) -> str:
        """Ask for something new and return the operation, without labels if need be."""

        def ask(wanted: Mapping[str, Any]) -> str:
            # By its id a second request makes no second thing.
            request = {**where, field: wanted, "request_id": str(uuid.uuid4())}
            return str(self._compute.send(thing, call, **request).name)

        try:
            return ask(body)
        except SnapshotterAccessError as exc:
            if not body["labels"] or _SET_LABELS not in exc.reason:
                raise
            _log.warning("%s: made without the labels: %s", thing, exc.reason)
        return ask({name: given for name, given in body.items() if name != "labels"})

    def _wait(
        self,
        thing: str,
        operation: str,
        look: Callable[[], bool],
        where: Mapping[str, str],
        *,
        scope: str = "",
        is_enough: bool = False,
    ) -> None:
        """Wait until an operation is done.

        The role that Velero's documentation makes may not look at operations. With it
        we look at what comes of them instead, and do not learn why nothing does.

        Args:
            thing: The id that an error names.
            operation: Its name.
            look: Tells whether that is there, or gone, which the operation is about.
            where: Its project, and zone or region.
            scope: Which of these, see `Compute.operation`.
            is_enough: *look* alone decides, also while the operation goes on.

        Raises:
            SnapshotterError: It failed, or takes longer than the location allows.
        """
        allowed = self._settings.timeouts.transfer.total_seconds()
        deadline = time.monotonic() + allowed
        ask = partial(
            self._compute.operation, thing, scope, operation=operation, **where
        )
        while not (is_done := ask()):
            if (is_enough or is_done is None) and look():
                return
            if time.monotonic() > deadline:
                raise SnapshotterError(
                    thing,
                    f"operation {operation} is not done after {allowed:g} s",
                    hint=_UNSEEN if is_done is None else "",
                )
            self._sleep(_POLL)

    def _is_taken(self, snapshot_id: str) -> bool:
        """Tell whether a snapshot shows its moment; the upload may take hours more."""
        with suppress(NativeSnapshotNotFoundError):  # it may not show yet
            found = self._snapshot(snapshot_id)
            return _state(snapshot_id, found).complete or found.status == "UPLOADING"
        return False

    def _is_made(self, volume_id: str, zone: str) -> bool:
        with suppress(VolumeNotFoundError):
            _, found = self._disk(volume_id, zone)
            if found.status == _FAILED:
                raise SnapshotterError(volume_id, "Compute Engine gave it up")
            return bool(found.status == _READY)
        return False

    def _is_gone(self, snapshot_id: str) -> bool:
        with suppress(NativeSnapshotNotFoundError):
            self._snapshot(snapshot_id)
            return False
        return True


def open_disk_snapshotter(config: Mapping[str, str]) -> DiskSnapshotter:
    """Return the snapshotter that *config* means; the network is not touched yet.

    Args:
        config: Of Velero's plugin; see ``docs/plugins/volume-snapshotters.md``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    settings = read_disks_config(config)
    return DiskSnapshotter(Compute(settings), settings)


def _state(snapshot_id: str, found: Any) -> SnapshotState:
    """Read a snapshot; raises `SnapshotFailedError`.

    Its ``storageBytes`` make no percentage: they are what differs from the snapshot
    before it, and grow towards a number that nobody knows.
    """
    if found.status == _FAILED:
        raise SnapshotFailedError(
            f"snapshot {snapshot_id} failed", "Compute Engine gave it up"
        )
    if found.status == _READY:
        return SnapshotState(complete=True, percent=100)
    return SnapshotState(complete=False, percent=None)


def _takes_iops(kind: str) -> bool:
    return kind in _WITH_IOPS or (
        kind.startswith(_HYPERDISK) and kind not in _WITHOUT_IOPS
    )


def _takes_throughput(kind: str) -> bool:
    return kind.startswith(_HYPERDISK) and kind not in _WITHOUT_THROUGHPUT


def _provisioned(
    description: VolumeDescription, place: Place, project: str
) -> dict[str, Any]:
    """Return the fields that make a disk of this type and speed."""
    if not description.volume_type:
        return {}
    kind = place.disk_type(project, description.volume_type)
    found: dict[str, Any] = {"type_": kind}
    name = kind.rpartition("/")[2]
    if _takes_iops(name) and description.iops:
        found["provisioned_iops"] = description.iops
    if _takes_throughput(name) and description.throughput:
        found["provisioned_throughput"] = description.throughput
    return found


def _encryption(thing: str, field: str, key: Any) -> dict[str, Any]:
    """Return the field that keeps a key of Cloud KMS; without one Google's would do.

    Raises:
        SnapshotterError: The key is not one of Cloud KMS: its owner alone has it.
    """
    if not key:
        return {}
    if not key.kms_key_name:
        if key.sha256 or key.raw_key or key.rsa_encrypted_key:
            raise SnapshotterError(
                thing, "it is encrypted with a key that its owner keeps outside of KMS"
            )
        return {}
    # What exists names the version by which it was encrypted; new things take the key.
    kept = {"kms_key_name": key.kms_key_name.partition("/cryptoKeyVersions/")[0]}
    if key.kms_key_service_account:
        kept["kms_key_service_account"] = key.kms_key_service_account
    return {field: kept}


def _described(tags: Mapping[str, str], inherited: str) -> str:
    """Return *tags*, and those of the disk that fit beside them, as its description.

    Source: velero-plugin-for-gcp, "volume_snapshotter.go": Kubernetes writes the tags of
    a disk into its description, as JSON.
    """
    merged: dict[str, str] = {}
    for name, value in (*tags.items(), *_tags_in(inherited).items()):
        grown = {name: value, **merged}
        if len(_json(grown)) <= _MOST_DESCRIBED:
            merged = grown
    return _json(merged) if merged else ""


def _tags_in(description: str) -> dict[str, str]:
    """Read the tags in a description; what people wrote there are none."""
    try:
        found = json.loads(description or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _json(tags: Mapping[str, str]) -> str:
    return json.dumps(tags, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
