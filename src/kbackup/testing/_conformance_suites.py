"""The contract suites, bound to what `_conformance` was asked to check.

Collected by nobody but the session of pytest that it starts, whose plugin has the
fixture ``checked`` and gives an action its inputs.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from kbackup.plugins import ObjectStore, VolumeDescription, VolumeSnapshotter
from kbackup.testing._action_contracts import (
    BackupItemActionContract,
    DeleteItemActionContract,
    ItemBlockActionContract,
    RestoreItemActionContract,
)
from kbackup.testing._conformance import ActionCase
from kbackup.testing._conformance_place import StorePlace, StorePlaces
from kbackup.testing._conformance_volumes import (
    PATIENCE,
    SnapshotterTrial,
    is_claimed,
    unlike,
)
from kbackup.testing._snapshotter_contract import VolumeSnapshotterContract
from kbackup.testing._snapshotter_contract_inputs import (
    SOURCES,
    MissingIds,
    kind_of,
)
from kbackup.testing._store_contract import ObjectStoreContract


class TestObjectStore(ObjectStoreContract):
    """The store of a location."""

    @pytest.fixture
    def place(self, checked: StorePlaces) -> Iterator[StorePlace]:
        """An empty place of this promise's own."""
        with checked.empty() as place:
            yield place

    @pytest.fixture
    def store(self, place: StorePlace) -> ObjectStore:
        """The store there."""
        return place.open()

    @pytest.fixture
    def other_store(self, store: ObjectStore, place: StorePlace) -> ObjectStore:  # noqa: ARG002 - opened after it
        """The same store, opened once more."""
        return place.open()

    @pytest.fixture(autouse=True)
    def trust(self, checked: StorePlaces) -> None:
        """Trust for signed addresses what the location trusts."""
        self._ca_cert = (checked.ca_cert or b"").decode("ascii")

    def fetch(self, url: str) -> bytes:
        """Return what an address serves, by the location's certificates."""
        if not self._ca_cert:
            return super().fetch(url)
        context = ssl.create_default_context(cadata=self._ca_cert)
        with urllib.request.urlopen(url, timeout=60, context=context) as answer:  # noqa: S310 - what the store gave
            data: bytes = answer.read()
            return data


class TestVolumeSnapshotter(VolumeSnapshotterContract):
    """The snapshotter of a location, on a copy of somebody's volume."""

    @pytest.fixture
    def snapshotter(self, checked: SnapshotterTrial) -> Iterator[VolumeSnapshotter]:
        """The snapshotter; what it has snapshotted is removed after each promise."""
        with checked.opened() as snapshotter:
            yield snapshotter
        checked.remove_snapshots()

    @pytest.fixture
    def make_volume(
        self, checked: SnapshotterTrial
    ) -> Callable[[VolumeDescription], str]:
        """The copy: nothing here can make a volume of nothing."""
        return lambda _description: checked.copy

    @pytest.fixture
    def descriptions(self, checked: SnapshotterTrial) -> Sequence[VolumeDescription]:
        """What the volume is that the copy was made of."""
        return [checked.description]

    @pytest.fixture
    def persistent_volumes(
        self, checked: SnapshotterTrial, snapshotter: VolumeSnapshotter
    ) -> Callable[[str], Sequence[Mapping[str, Any]]]:
        """What was given, pointed at the volume that is asked for."""
        forms = checked.plan.forms
        return lambda name: [snapshotter.with_volume_id(each, name) for each in forms]

    @pytest.fixture
    def foreign(
        self, checked: SnapshotterTrial, snapshotter: VolumeSnapshotter
    ) -> Sequence[Mapping[str, Any]]:
        """Volumes of others; a form that it knows need not be among those given."""
        ours = {kind_of(each) for each in checked.plan.forms}
        return [
            each
            for each in SOURCES
            if kind_of(each) not in ours and not is_claimed(snapshotter, each)
        ]

    @pytest.fixture
    def tags_of(self) -> Callable[[str], Mapping[str, str]]:
        """Nothing of a snapshotter shows them."""
        pytest.skip("nothing here can look up the tags of a snapshot")

    @pytest.fixture
    def missing(self, checked: SnapshotterTrial) -> MissingIds:
        """An id much like the copy's, and that of a snapshot which was deleted."""
        return MissingIds(volume_id=unlike(checked.copy), snapshot_id=checked.gone)

    @pytest.fixture
    def zone(self, checked: SnapshotterTrial) -> str:
        """Where the volume is."""
        return checked.plan.zone

    @pytest.fixture
    def throttle(self) -> Callable[[int], None] | None:
        """Nobody here can have the provider refuse requests."""
        pytest.skip("nothing here can have the provider refuse requests")

    @pytest.fixture
    def patience(self) -> float:
        """A volume with data in it takes its time."""
        return PATIENCE


class _ItemAction:
    """What the suites of the four kinds of item actions have in common."""

    @pytest.fixture
    def action(self, checked: ActionCase) -> Any:
        """The action."""
        return checked.action

    @pytest.fixture
    def given(self, checked: ActionCase, request: pytest.FixtureRequest) -> Any:
        """What it is given, made anew for each promise."""
        return checked.inputs[request.param]()


class TestBackupItemAction(_ItemAction, BackupItemActionContract):
    """An action for backups."""


class TestRestoreItemAction(_ItemAction, RestoreItemActionContract):
    """An action for restores."""


class TestDeleteItemAction(_ItemAction, DeleteItemActionContract):
    """An action for deletions."""


class TestItemBlockAction(_ItemAction, ItemBlockActionContract):
    """An action for item blocks."""
