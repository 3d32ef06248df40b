"""What the suite of volume snapshotters works on outside a test session: a real volume.

Everything is tried on a copy of the volume that somebody named, which is made by a
snapshot of it. Snapshots are removed again. A snapshotter has nothing that removes
volumes: those that were made are told.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar
from uuid import uuid4

import attrs

from kbackup.errors import (
    KBackupError,
    NativeSnapshotNotFoundError,
    PluginError,
    SnapshotterUnavailableError,
    VolumeError,
)
from kbackup.models import VolumeSnapshotLocation
from kbackup.plugins import (
    PluginKind,
    PluginManager,
    SnapshotState,
    VolumeDescription,
    VolumeSnapshotter,
    open_volume_snapshotter,
)
from kbackup.testing._conformance import ConformanceReport, Heard, run_suite, suite_of
from kbackup.testing._snapshotter_contract_inputs import kind_of, wait_for_snapshot

PATIENCE = 3600.0  # seconds for a snapshot of a volume with data in it
MOST_SNAPSHOTS, MOST_VOLUMES = 24, 16  # that the suite makes of one that conforms

_TAG = "kbackup.io/check"
_ZONE = "topology.kubernetes.io/zone"
_ZONE_LABELS = (_ZONE, "failure-domain.beta.kubernetes.io/zone")
_NUMBER = re.compile(r"[0-9A-Za-z]{4,}$")  # at the end of an id
_END = re.compile(r"[^/]{1,8}$")
_TURNED = (
    dict(  # digits, letters of hexadecimal numbers, and others, each among its own
        zip(
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "1234567890bcdefahijklmnopqrstuvwxyzgBCDEFAHIJKLMNOPQRSTUVWXYZG",
            strict=True,
        )
    )
)

_Volume = Mapping[str, Any]
Made = Callable[[str], None]
"""Told the id of each volume as soon as it was made."""


@attrs.frozen(kw_only=True)
class SnapshotterCheckPlan:
    """What a check of a volume snapshotter would work on, and make.

    Attributes:
        location: Who is checked, and where.
        volume_id: The volume of which a copy is made.
        forms: PersistentVolumes that the snapshotter calls its own, of each form one; the
            first is that volume's.
        zone: Of the volume; empty: nothing tells it.
    """

    location: VolumeSnapshotLocation
    volume_id: str
    forms: tuple[_Volume, ...] = attrs.field(repr=False)
    zone: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What would be done, for people."""
        name = self.forms[0]["metadata"]["name"]
        volume = f"the volume {self.volume_id} (PersistentVolume {name})"
        where = f" in zone {self.zone}" if self.zone else ""
        most = f"{MOST_SNAPSHOTS} snapshots and {MOST_VOLUMES} volumes"
        return (
            f"makes a snapshot of {volume}{where}, and of that a copy",
            f"works with the copy alone: makes up to {most} of its size of it",
            "deletes all of these snapshots",
            "leaves the volumes, and prints their ids: a snapshotter deletes no volume",
        )


def plan_snapshotter_check(
    location: VolumeSnapshotLocation,
    plugins: PluginManager,
    volumes: Sequence[_Volume],
    *,
    zone: str = "",
) -> SnapshotterCheckPlan:
    """Tell what `check_volume_snapshotter` would do; nothing is sent anywhere.

    Args:
        location: Who is checked, and where.
        plugins: Where the provider is looked up.
        volumes: Objects, of which the first PersistentVolume that is the provider's is
            worked with; others may be there to show more forms.
        zone: Where that volume is; empty: as its labels or its node affinity say.

    Raises:
        PluginError: The provider is not installed or not complete, or has none of
            *volumes*.
        InvalidConfigError: The provider refuses the location.
        VolumeError: A volume is the provider's, and has no id that makes sense.
    """
    given = [each for each in volumes if each.get("kind") == "PersistentVolume"]
    provider = location.spec.provider
    with _faults_of(provider), _closed_after(location, plugins) as snapshotter:
        ours = [each for each in given if snapshotter.volume_id(each)]
        if not ours:
            raise PluginError(
                f"none of the {len(given)} PersistentVolumes that it could be tried on "
                f"is one of {provider}",
                plugin=provider,
                hint="give a volume that it is for: kubectl get pv NAME -o yaml",
            )
        first = snapshotter.volume_id(ours[0])
    by_form = {kind_of(each): each for each in reversed(ours)}  # of each the first one
    return SnapshotterCheckPlan(
        location=location,
        volume_id=first,
        forms=tuple(sorted(by_form.values(), key=ours.index)),
        zone=zone or _zone_of(ours[0]),
    )


def check_volume_snapshotter(
    plan: SnapshotterCheckPlan,
    plugins: PluginManager,
    *,
    heard: Heard | None = None,
    made: Made | None = None,
) -> ConformanceReport:
    """Try every promise of a volume snapshotter on a copy of the plan's volume.

    Raises:
        PluginError: The provider is not installed or not complete.
        VolumeError: No copy could be made of the volume: nothing could be tried.
    """
    trial = SnapshotterTrial(plan, plugins, made)
    try:
        trial.make_copy()
        promises = run_suite(PluginKind.VOLUME_SNAPSHOTTER, trial, heard)
    finally:
        left_behind = trial.remove_snapshots()
    return ConformanceReport(
        suite=suite_of(PluginKind.VOLUME_SNAPSHOTTER),
        promises=promises,
        left_behind=left_behind,
        volumes_made=tuple(trial.volumes),
    )


class SnapshotterTrial:
    """A copy of the volume, and a book of all that is made meanwhile.

    Attributes:
        plan: What was agreed to.
        copy: The id of the copy.
        description: Of the volume, and so of the copy.
        gone: The id of a snapshot that is no more.
        volumes: The ids of those that were made, the copy first.
    """

    def __init__(
        self, plan: SnapshotterCheckPlan, plugins: PluginManager, made: Made | None
    ) -> None:
        self.plan = plan
        self.copy = self.gone = ""
        self.description = VolumeDescription()
        self.volumes: list[str] = []
        self._plugins = plugins
        self._made = made
        self._run = uuid4().hex[:8]
        self._snapshots: list[str] = []
        self._unknown: list[str] = []
        self._noting = threading.Lock()

    def make_copy(self) -> None:
        """Make the volume that is worked with.

        Raises:
            KBackupError: The snapshotter could not.
        """
        zone = self.plan.zone
        with _faults_of(self.plan.location.spec.provider), self.opened() as snapshotter:
            self.description = snapshotter.describe(self.plan.volume_id, zone)
            tags = {"velero.io/pv": self.plan.forms[0]["metadata"]["name"]}
            self.gone = snapshotter.create_snapshot(self.plan.volume_id, zone, tags)
            wait_for_snapshot(snapshotter, self.gone, PATIENCE)
            self.copy = snapshotter.create_volume(self.gone, self.description, zone)
        self.remove_snapshots()

    @contextmanager
    def opened(self) -> Iterator[VolumeSnapshotter]:
        """Open the snapshotter once more; what it makes is noted."""
        with _closed_after(self.plan.location, self._plugins) as inner:
            yield _Noted(inner, self)

    def note_snapshot(self, snapshot_id: str) -> None:
        """Remember what is to be removed."""
        with self._noting:
            self._snapshots.append(snapshot_id)

    def note_unknown(self, volume_id: str) -> None:
        """Remember that there may be a snapshot that nobody knows the id of."""
        with self._noting:
            self._unknown.append(volume_id)

    def note_volume(self, volume_id: str) -> None:
        """Remember what stays."""
        with self._noting:
            self.volumes.append(volume_id)
        if self._made is not None:
            self._made(volume_id)

    @property
    def tags(self) -> Mapping[str, str]:
        """What the snapshots can be found by, if they should be left."""
        return {_TAG: self._run}

    def remove_snapshots(self) -> tuple[str, ...]:
        """Remove those that are still there; return what could not be, or why."""
        with self._noting:
            waiting, self._snapshots = self._snapshots, []
            left = [
                f"perhaps a snapshot of {volume_id}, tagged {_TAG}={self._run}"
                for volume_id in self._unknown
            ]
        try:
            with _closed_after(self.plan.location, self._plugins) as snapshotter:
                faults = {each: _removed(snapshotter, each) for each in waiting}
        except KBackupError as exc:
            faults = {each: f"{each}: {exc}" for each in waiting}
        for snapshot_id, fault in faults.items():
            if fault:
                self.note_snapshot(snapshot_id)  # for the next time
                left.append(fault)
        return tuple(left)


class _Noted:
    """A snapshotter as it is, but for a note of all that it makes."""

    api_version: ClassVar[int] = 1

    def __init__(self, inner: VolumeSnapshotter, trial: SnapshotterTrial) -> None:
        self._inner, self._trial = inner, trial

    def volume_id(self, volume: _Volume) -> str:
        return self._inner.volume_id(volume)

    def with_volume_id(self, volume: _Volume, volume_id: str) -> _Volume:
        return self._inner.with_volume_id(volume, volume_id)

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:
        return self._inner.describe(volume_id, zone)

    def create_snapshot(
        self, volume_id: str, zone: str, tags: Mapping[str, str]
    ) -> str:
        tags = {**tags, **self._trial.tags}
        try:
            made = self._inner.create_snapshot(volume_id, zone, tags)
        except SnapshotterUnavailableError:
            self._trial.note_unknown(volume_id)
            raise
        self._trial.note_snapshot(made)
        return made

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        return self._inner.snapshot_state(snapshot_id)

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        made = self._inner.create_volume(snapshot_id, description, zone)
        self._trial.note_volume(made)
        return made

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._inner.delete_snapshot(snapshot_id)

    def close(self) -> None:
        self._inner.close()


def is_claimed(snapshotter: VolumeSnapshotter, volume: _Volume) -> bool:
    """Whether a snapshotter takes a volume for one of its own, be its id odd."""
    try:
        return bool(snapshotter.volume_id(volume))
    except VolumeError:
        return True


def unlike(volume_id: str) -> str:
    """Return an id of the same form that, in all likelihood, nothing has.

    Its last letters and digits are others, of one such as ``vol-0123`` only what follows
    the hyphen; a hexadecimal number stays one.
    """
    found = _NUMBER.search(volume_id) or _END.search(volume_id)
    if found is None:
        return f"{volume_id}0"
    turned = "".join(_TURNED.get(letter, letter) for letter in found[0])
    return f"{volume_id[: found.start()]}{turned}"


@contextmanager
def _closed_after(
    location: VolumeSnapshotLocation, plugins: PluginManager
) -> Iterator[VolumeSnapshotter]:
    """Open a snapshotter; one that cannot be closed is told by its own promise."""
    snapshotter = open_volume_snapshotter(location, plugins)
    try:
        yield snapshotter
    finally:
        with suppress(Exception):
            snapshotter.close()


@contextmanager
def _faults_of(provider: str) -> Iterator[None]:
    """Raise our errors for those of foreign code, whose text may hold anything."""
    try:
        yield
    except KBackupError:
        raise
    except Exception as exc:
        raise PluginError(
            f"{provider} failed before anything could be tried: {type(exc).__name__}",
            plugin=provider,
        ) from exc


def _removed(snapshotter: VolumeSnapshotter, snapshot_id: str) -> str:
    """Delete a snapshot and look again; return why it is still there, or nothing."""
    try:
        snapshotter.delete_snapshot(snapshot_id)
        snapshotter.snapshot_state(snapshot_id)
    except NativeSnapshotNotFoundError:
        return ""
    except KBackupError as exc:
        return f"{snapshot_id}: {exc}"
    except Exception as exc:  # noqa: BLE001 - foreign code, its text may hold anything
        return f"{snapshot_id}: {type(exc).__name__}"
    return snapshot_id


def _zone_of(volume: _Volume) -> str:
    """Return where a PersistentVolume says that it is, or nothing."""
    labels = volume["metadata"].get("labels") or {}
    for key in _ZONE_LABELS:
        if zone := labels.get(key):
            return str(zone)
    affinity = volume["spec"].get("nodeAffinity") or {}
    terms = (affinity.get("required") or {}).get("nodeSelectorTerms") or ()
    for term in terms:
        for wanted in term.get("matchExpressions") or ():
            if str(wanted.get("key")).endswith("/zone") and wanted.get("values"):
                return str(wanted["values"][0])
    return ""
