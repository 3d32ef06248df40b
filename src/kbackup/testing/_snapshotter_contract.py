"""What every volume snapshotter promises, as a suite for pytest.

Subclass it, name the class ``Test...`` and give six fixtures::

    class TestMyDisks(VolumeSnapshotterContract):
        @pytest.fixture
        def snapshotter(self):
            return open_my_disks({"region": "here"})

        @pytest.fixture
        def make_volume(self, client):
            return lambda description: client.create(description.volume_type)

        @pytest.fixture
        def descriptions(self):
            return [VolumeDescription(volume_type="fast", iops=100)]

        @pytest.fixture
        def persistent_volumes(self):
            return lambda volume_id: [persistent_volume("csi", driver=..., ...)]

        @pytest.fixture
        def tags_of(self, client):
            return lambda snapshot_id: client.tags(snapshot_id)

        @pytest.fixture
        def missing(self):
            return MissingIds(volume_id="disk-404", snapshot_id="snapshot-404")

``zone``, ``throttle``, ``finish`` and ``patience`` have defaults.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from kbackup.errors import (
    KBackupError,
    NativeSnapshotNotFoundError,
    SnapshotterError,
    VolumeError,
    VolumeNotFoundError,
)
from kbackup.plugins import VolumeDescription, VolumeSnapshotter
from kbackup.testing._snapshotter_contract_inputs import (
    BAD_IDS,
    TAGS,
    MissingIds,
    SnapshotterInputs,
)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every value of a document that is no mapping, by its path."""
    if not isinstance(value, Mapping):
        return {path: value}
    found: dict[tuple[str, ...], Any] = {}
    for key, below in value.items():
        found.update(_leaves(below, (*path, key)))
    return found


class VolumeSnapshotterContract(SnapshotterInputs):
    """The promises of `VolumeSnapshotter`."""

    # --- PersistentVolumes ------------------------------------------------------------

    def test_is_a_volume_snapshotter(self, snapshotter: VolumeSnapshotter) -> None:
        """It has every method of the Protocol and says which version it speaks."""
        assert isinstance(snapshotter, VolumeSnapshotter)
        assert snapshotter.api_version == 1

    def test_ids_of_our_volumes(
        self,
        snapshotter: VolumeSnapshotter,
        persistent_volumes: Callable[[str], Sequence[Mapping[str, Any]]],
        volume: str,
    ) -> None:
        """Each form of PersistentVolume tells the provider's id, and stays as it is."""
        for given in persistent_volumes(volume):
            before = copy.deepcopy(given)

            assert snapshotter.volume_id(given) == volume
            assert given == before

    def test_other_volumes_are_not_ours(
        self,
        snapshotter: VolumeSnapshotter,
        foreign: Sequence[Mapping[str, Any]],
        volume: str,
    ) -> None:
        """Volumes of other drivers, and what has none, have no id."""
        assert foreign

        bare: list[dict[str, Any]] = [{}, {"spec": None}, {"spec": {"csi": None}}]
        for given in [*foreign, *bare]:
            assert snapshotter.volume_id(given) == ""
            with pytest.raises(VolumeError):
                snapshotter.with_volume_id(given, volume)

    def test_another_volume_in_its_place(
        self,
        snapshotter: VolumeSnapshotter,
        persistent_volumes: Callable[[str], Sequence[Mapping[str, Any]]],
        missing: MissingIds,
        volume: str,
    ) -> None:
        """A PersistentVolume pointed elsewhere differs in the id alone; a new one."""
        for given in persistent_volumes(volume):
            before = copy.deepcopy(given)

            pointed = snapshotter.with_volume_id(given, missing.volume_id)

            assert given == before
            assert snapshotter.volume_id(pointed) == missing.volume_id
            old, new = _leaves(given), _leaves(pointed)
            assert old.keys() == new.keys()
            changed = [path for path in old if old[path] != new[path]]
            assert changed
            for path in changed if len(changed) > 1 else ():  # each has the id then
                assert volume in old[path]
                assert missing.volume_id in new[path]

    def test_bad_ids_of_volumes(
        self,
        snapshotter: VolumeSnapshotter,
        persistent_volumes: Callable[[str], Sequence[Mapping[str, Any]]],
        volume: str,
        zone: str,
    ) -> None:
        """What is no id of a volume is refused by every method, as an error of ours."""
        given = persistent_volumes(volume)[0]
        for bad in BAD_IDS:
            with pytest.raises(VolumeError):
                snapshotter.with_volume_id(given, bad)
            with pytest.raises(VolumeError):
                snapshotter.describe(bad, zone)
            with pytest.raises(VolumeError):
                snapshotter.create_snapshot(bad, zone, TAGS)

    def test_bad_ids_of_snapshots(
        self, snapshotter: VolumeSnapshotter, volume: str, zone: str
    ) -> None:
        """What is no id of a snapshot is refused; deleting it harms no volume."""
        for bad in (*BAD_IDS, volume):
            with pytest.raises(VolumeError):
                snapshotter.snapshot_state(bad)
            with pytest.raises(VolumeError):
                snapshotter.create_volume(bad, VolumeDescription(), zone)
        for bad in BAD_IDS:
            with pytest.raises(VolumeError):
                snapshotter.delete_snapshot(bad)
        with suppress(VolumeError):  # it may look like one of a snapshot that is gone
            snapshotter.delete_snapshot(volume)

        snapshotter.describe(volume, zone)

    # --- volumes and snapshots --------------------------------------------------------

    def test_descriptions(
        self,
        snapshotter: VolumeSnapshotter,
        make_volume: Callable[[VolumeDescription], str],
        descriptions: Sequence[VolumeDescription],
        zone: str,
    ) -> None:
        """A volume is described by its type and what was provisioned for it."""
        for description in descriptions:
            volume = make_volume(description)

            assert snapshotter.describe(volume, zone) == description

    def test_snapshots_keep_tags(
        self,
        snapshotter: VolumeSnapshotter,
        tags_of: Callable[[str], Mapping[str, str]],
        volume: str,
        zone: str,
    ) -> None:
        """Two snapshots of one volume are two, and each has the tags given for it."""
        first = snapshotter.create_snapshot(volume, zone, TAGS)
        second = snapshotter.create_snapshot(
            volume, zone, {**TAGS, "velero.io/backup": "shop-2"}
        )

        assert first != second
        assert tags_of(first).items() >= TAGS.items()
        assert tags_of(second)["velero.io/backup"] == "shop-2"

    def test_snapshots_become_complete(
        self,
        snapshotter: VolumeSnapshotter,
        complete: Callable[[str], str],
        volume: str,
        zone: str,
    ) -> None:
        """A snapshot is complete at some time; the progress told is a percentage."""
        snapshot = snapshotter.create_snapshot(volume, zone, {})
        percent = snapshotter.snapshot_state(snapshot).percent

        assert percent is None or percent in range(101)
        assert complete(snapshot) == snapshot
        assert snapshotter.snapshot_state(snapshot).percent in {None, 100}

    def test_a_volume_from_a_snapshot(
        self,
        snapshotter: VolumeSnapshotter,
        make_volume: Callable[[VolumeDescription], str],
        descriptions: Sequence[VolumeDescription],
        complete: Callable[[str], str],
        zone: str,
    ) -> None:
        """It is another volume, as the first is described; the snapshot can be used again."""
        for description in descriptions:
            volume = make_volume(description)
            snapshot = complete(snapshotter.create_snapshot(volume, zone, TAGS))

            made = [
                snapshotter.create_volume(snapshot, description, zone) for _ in range(2)
            ]

            assert len({volume, *made}) == len([volume, *made])
            for each in made:
                assert snapshotter.describe(each, zone) == description

    def test_a_volume_of_which_little_is_known(
        self,
        snapshotter: VolumeSnapshotter,
        complete: Callable[[str], str],
        volume: str,
        zone: str,
    ) -> None:
        """A backup may tell neither type nor speed: the provider's default is made."""
        snapshot = complete(snapshotter.create_snapshot(volume, zone, TAGS))

        made = snapshotter.create_volume(snapshot, VolumeDescription(), zone)

        snapshotter.describe(made, zone)

    def test_volumes_outlive_snapshots(
        self,
        snapshotter: VolumeSnapshotter,
        descriptions: Sequence[VolumeDescription],
        complete: Callable[[str], str],
        volume: str,
        zone: str,
    ) -> None:
        """With a snapshot go neither its volume nor one made of it, nor its neighbours."""
        snapshot = complete(snapshotter.create_snapshot(volume, zone, TAGS))
        other = snapshotter.create_snapshot(volume, zone, TAGS)
        made = snapshotter.create_volume(snapshot, descriptions[0], zone)

        snapshotter.delete_snapshot(snapshot)

        snapshotter.describe(volume, zone)
        snapshotter.describe(made, zone)
        snapshotter.snapshot_state(other)
        for call in (
            lambda: snapshotter.snapshot_state(snapshot),
            lambda: snapshotter.create_volume(snapshot, descriptions[0], zone),
        ):
            with pytest.raises(NativeSnapshotNotFoundError):
                call()

    def test_delete_is_idempotent(
        self,
        snapshotter: VolumeSnapshotter,
        missing: MissingIds,
        volume: str,
        zone: str,
    ) -> None:
        """Deleting what is gone, or never was, succeeds."""
        snapshot = snapshotter.create_snapshot(volume, zone, TAGS)

        snapshotter.delete_snapshot(snapshot)
        snapshotter.delete_snapshot(snapshot)
        snapshotter.delete_snapshot(missing.snapshot_id)

    def test_missing_volumes(
        self, snapshotter: VolumeSnapshotter, missing: MissingIds, zone: str
    ) -> None:
        """A volume that is not there is told, with its id."""
        for call in (
            lambda: snapshotter.describe(missing.volume_id, zone),
            lambda: snapshotter.create_snapshot(missing.volume_id, zone, TAGS),
        ):
            with pytest.raises(VolumeNotFoundError, match=missing.volume_id) as caught:
                call()
            assert caught.value.thing == missing.volume_id

    def test_missing_snapshots(
        self, snapshotter: VolumeSnapshotter, missing: MissingIds, zone: str
    ) -> None:
        """A snapshot that is not there is told, with its id."""
        wanted = missing.snapshot_id
        for call in (
            lambda: snapshotter.snapshot_state(wanted),
            lambda: snapshotter.create_volume(wanted, VolumeDescription(), zone),
        ):
            with pytest.raises(NativeSnapshotNotFoundError, match=wanted) as caught:
                call()
            assert caught.value.thing == wanted

    # --- around it --------------------------------------------------------------------

    def test_threads_share_a_snapshotter(
        self,
        snapshotter: VolumeSnapshotter,
        complete: Callable[[str], str],
        descriptions: Sequence[VolumeDescription],
        volume: str,
        zone: str,
    ) -> None:
        """Eight threads snapshot one volume at the same moment, undisturbed."""
        barrier = threading.Barrier(8)

        def work(number: int) -> str:
            barrier.wait()
            tags = {**TAGS, "velero.io/backup": f"shop-{number}"}
            snapshot = complete(snapshotter.create_snapshot(volume, zone, tags))
            made = snapshotter.create_volume(snapshot, descriptions[0], zone)
            snapshotter.delete_snapshot(snapshot)
            assert snapshotter.describe(made, zone) == descriptions[0]
            return snapshot

        with ThreadPoolExecutor(8) as pool:
            snapshots = list(pool.map(work, range(8)))

        assert len(set(snapshots)) == len(snapshots)

    def test_works_under_a_running_loop(
        self, snapshotter: VolumeSnapshotter, volume: str, zone: str
    ) -> None:
        """A notebook has a running event loop: the snapshotter works in its thread."""

        async def cell() -> str:
            return snapshotter.create_snapshot(volume, zone, TAGS)

        assert asyncio.run(cell())

    def test_throttled(
        self,
        snapshotter: VolumeSnapshotter,
        throttle: Callable[[int], None] | None,
        tags_of: Callable[[str], Mapping[str, str]],
        volume: str,
        zone: str,
    ) -> None:
        """Who is asked for patience tries again, and succeeds."""
        if throttle is None:
            return
        throttle(2)
        snapshotter.describe(volume, zone)
        throttle(2)
        snapshot = snapshotter.create_snapshot(volume, zone, TAGS)
        assert tags_of(snapshot).items() >= TAGS.items()
        throttle(2)
        snapshotter.delete_snapshot(snapshot)

    def test_throttled_for_good(
        self,
        snapshotter: VolumeSnapshotter,
        throttle: Callable[[int], None] | None,
        volume: str,
        zone: str,
    ) -> None:
        """Who is never let through ends with an error that says: later perhaps."""
        if throttle is None:
            return
        throttle(1000)

        with pytest.raises(SnapshotterError) as caught:
            snapshotter.describe(volume, zone)

        assert caught.value.retryable
        throttle(0)

    def test_close(
        self, snapshotter: VolumeSnapshotter, volume: str, zone: str
    ) -> None:
        """It can be closed twice, and unused; afterwards its requests raise."""
        snapshotter.close()
        snapshotter.close()

        for call in (
            lambda: snapshotter.describe(volume, zone),
            lambda: snapshotter.create_snapshot(volume, zone, TAGS),
        ):
            with pytest.raises(KBackupError):
                call()
