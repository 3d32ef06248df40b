"""The contract suites, bound to what `_conformance` was asked to check.

Collected by nobody but the session of pytest that it starts, whose plugin has the
fixture ``checked`` and gives an action its inputs.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kbackup.plugins import ObjectStore
from kbackup.testing._action_contracts import (
    BackupItemActionContract,
    DeleteItemActionContract,
    ItemBlockActionContract,
    RestoreItemActionContract,
)
from kbackup.testing._conformance import ActionCase
from kbackup.testing._conformance_place import StorePlace, StorePlaces
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
