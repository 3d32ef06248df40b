"""Volume snapshotter ``kbackup.io/local``: copies of directories on this machine.

A snapshot is a directory ``<snapshots>/<id>`` with the copy in ``data`` and what it is
of in ``snapshot.json``; it is renamed to its id when it is whole and on the disk.
"""

from __future__ import annotations

import errno
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from kbackup.errors import (
    KBackupError,
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    VolumeNotFoundError,
)
from kbackup.plugins import SnapshotState, VolumeDescription
from kbackup_plugins_local._copy_tree import TreeCopy, sync_directory
from kbackup_plugins_local._host_path_config import (
    HostPathConfig,
    read_host_path_config,
)
from kbackup_plugins_local._workspaces import (
    remove_dead,
    remove_tree,
    rename_new,
    workspace,
)

_SNAPSHOT = re.compile(r"snap-[0-9a-f]{32}")
_RECORD = "snapshot.json"
_DATA = "data"
_DESCRIPTION = VolumeDescription(volume_type="directory")
_DIRECTORIES = {None, "", "Directory", "DirectoryOrCreate"}  # types of a hostPath
_HOSTNAME = "kubernetes.io/hostname"
_REFUSED = {errno.EACCES, errno.EPERM}


class HostPathSnapshotter:
    """Copies of the directories behind hostPath and local volumes.

    A copy shows one moment only if nobody writes while it is made; with reflinks that
    is soon over, for each file at once. Made and removed as whoever runs it: owners are
    kept by root only, and anybody else fails at files of others.

    Args:
        settings: Where snapshots are, and whose volumes.
    """

    api_version: ClassVar[int] = 1

    def __init__(self, settings: HostPathConfig) -> None:
        self._settings = settings
        self._closed = False

    # --- PersistentVolumes ------------------------------------------------------------

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Return the path of a directory that is on this node; else it is not ours."""
        source = _source(volume, self._settings.node)
        if not source:
            return ""
        path = str(volume["spec"][source].get("path") or "")
        return str(_directory(path))

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Point the PersistentVolume at another directory."""
        path = str(_directory(volume_id))
        source = _source(volume, self._settings.node)
        if not source:
            raise SnapshotterError(
                volume_id, "the PersistentVolume is no directory on this node"
            )
        spec = volume["spec"]
        return {**volume, "spec": {**spec, source: {**spec[source], "path": path}}}

    # --- volumes and snapshots --------------------------------------------------------

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:  # noqa: ARG002
        """Say ``directory``: nothing is provisioned for one."""
        with self._translated(volume_id):
            _existing(volume_id)
            return _DESCRIPTION

    def create_snapshot(
        self,
        volume_id: str,
        zone: str,  # noqa: ARG002 - a directory has none
        tags: Mapping[str, str],
    ) -> str:
        """Copy the directory; it is complete when this returns."""
        with self._translated(volume_id):
            source = _existing(volume_id)
            self._refuse_overlap(volume_id, source)
            snapshot_id = f"snap-{uuid.uuid4().hex}"
            snapshots = self._settings.snapshots
            snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
            record = {
                "apiVersion": "kbackup.io/v1",
                "kind": "HostPathSnapshot",
                "volume": str(source),
                "createdAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "tags": dict(tags),
            }
            with self._made(snapshots / snapshot_id) as temporary:
                temporary.mkdir(mode=0o700)
                TreeCopy().run(str(source), str(temporary / _DATA))
                _write(temporary / _RECORD, json.dumps(record).encode())
                sync_directory(str(temporary))
            return snapshot_id

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Say complete, for what has a name is whole."""
        with self._translated(snapshot_id):
            self._record(snapshot_id)
            return SnapshotState(complete=True, percent=100)

    def create_volume(
        self,
        snapshot_id: str,
        description: VolumeDescription,  # noqa: ARG002 - there is one kind
        zone: str,  # noqa: ARG002 - a directory has none
    ) -> str:
        """Copy a snapshot to a new directory beside the one that it was made of."""
        with self._translated(snapshot_id):
            origin = Path(self._record(snapshot_id)["volume"])
            parent = self._settings.volumes or origin.parent
            if not parent.is_dir():
                raise SnapshotterError(
                    snapshot_id,
                    f"{parent} is not there, so no volume can be made in it",
                    hint="make it, or write volumes: /a/directory in the location's config",
                )
            target = parent / f"{origin.name}-{uuid.uuid4().hex[:8]}"
            with self._made(target) as temporary:
                data = self._place(snapshot_id) / _DATA
                TreeCopy().run(str(data), str(temporary))
            return str(target)

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Hide a snapshot in one step, then remove it."""
        with self._translated(snapshot_id):
            place, node = self._place(snapshot_id), self._settings.node
            if not os.path.lexists(place):
                return
            with suppress(FileNotFoundError), workspace(place.parent, node) as hidden:
                place.rename(hidden / place.name)
                sync_directory(str(place.parent))
                remove_tree(hidden / place.name)

    def close(self) -> None:
        """Do nothing more; closing twice is fine."""
        self._closed = True

    # --- inside -----------------------------------------------------------------------

    @contextmanager
    def _translated(self, thing: str) -> Iterator[None]:
        """Raise our errors for the system's, with *thing* named."""
        if self._closed:
            raise SnapshotterError(thing, "the snapshotter is closed")
        try:
            yield
        except KBackupError:
            raise
        except OSError as exc:
            name = str(exc.filename or "").encode(errors="backslashreplace").decode()
            reason = f"{name}: {exc.strerror or exc}".removeprefix(": ")
            if exc.errno in _REFUSED:
                raise SnapshotterAccessError(
                    thing, reason, hint="run as root: files of others are copied"
                ) from exc
            raise SnapshotterError(thing, reason) from exc

    @contextmanager
    def _made(self, target: Path) -> Iterator[Path]:
        """Give the name of what becomes *target* if all goes well.

        What processes left beside it that were killed is removed before.
        """
        remove_dead(target.parent, self._settings.node)
        with workspace(target.parent, self._settings.node) as directory:
            temporary = directory / target.name
            yield temporary
            rename_new(temporary, target)

    def _place(self, snapshot_id: str) -> Path:
        if not _SNAPSHOT.fullmatch(snapshot_id):
            raise SnapshotterError(repr(snapshot_id), "no id of a snapshot")
        return self._settings.snapshots / snapshot_id

    def _record(self, snapshot_id: str) -> Mapping[str, Any]:
        try:
            text = (self._place(snapshot_id) / _RECORD).read_bytes()
        except FileNotFoundError as exc:
            raise NativeSnapshotNotFoundError(snapshot_id) from exc
        try:
            record = json.loads(text)
            _directory(record["volume"])
        except (ValueError, KeyError, TypeError) as exc:
            raise SnapshotterError(snapshot_id, f"{_RECORD} is damaged") from exc
        return dict(record)

    def _refuse_overlap(self, volume_id: str, source: Path) -> None:
        """Raise where one of volume and snapshots is within the other."""
        snapshots = self._settings.snapshots.resolve()
        volume = source.resolve()
        if volume in {snapshots, *snapshots.parents} or snapshots in volume.parents:
            raise SnapshotterError(
                volume_id,
                f"one of it and the directory of the snapshots, {snapshots}, is in the other",
            )


def open_host_path_snapshotter(config: Mapping[str, str]) -> HostPathSnapshotter:
    """Return the snapshotter that *config* means; nothing is looked at or made yet.

    Args:
        config: ``snapshots``; optionally ``volumes`` and ``node``.

    Raises:
        InvalidConfigError: A key is unknown or a value has no meaning.
    """
    return HostPathSnapshotter(read_host_path_config(config))


def _source(volume: Mapping[str, Any], node: str) -> str:
    """Return ``hostPath`` or ``local`` for a directory on *node*, else nothing."""
    spec = volume.get("spec") or {}
    if spec.get("volumeMode") == "Block" or not _may_be_on(spec, node):
        return ""
    if spec.get("hostPath"):
        return "hostPath" if spec["hostPath"].get("type") in _DIRECTORIES else ""
    return "local" if spec.get("local") else ""


def _may_be_on(spec: Mapping[str, Any], node: str) -> bool:
    """Tell whether the node affinity lets the volume be on *node*, by its hostname."""
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    terms = required.get("nodeSelectorTerms") or []
    return not terms or any(_fits(term, node) for term in terms)


def _fits(term: Mapping[str, Any], node: str) -> bool:
    for wanted in term.get("matchExpressions") or ():
        if wanted.get("key") == _HOSTNAME:
            listed = node in (wanted.get("values") or ())
            if listed != (wanted.get("operator") == "In"):
                return False
    return True


def _directory(text: str) -> Path:
    """Return the path that an id is; raises for one that leads elsewhere."""
    path = Path(os.path.normpath(text)) if text else Path()
    if not path.is_absolute() or path == path.parent or ".." in Path(text).parts:
        raise SnapshotterError(repr(text), "no absolute path of a directory")
    if not text.isprintable():
        raise SnapshotterError(repr(text), "no printable path")
    return path


def _existing(volume_id: str) -> Path:
    path = _directory(volume_id)
    if not path.exists():
        raise VolumeNotFoundError(volume_id)
    if not path.is_dir():
        raise SnapshotterError(volume_id, "what is there is no directory")
    return path


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
