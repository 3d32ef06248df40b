"""The contract of all stores, held to a store that is opened twice with one config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from kbackup.testing import ObjectStoreContract


class OpenedStore(ObjectStoreContract):
    """Subclasses give ``open_store`` and the fixture ``config``."""

    open_store: ClassVar[Callable[..., Any]]
    """The factory of the provider."""

    @pytest.fixture
    def store(self, config):
        """An empty store."""
        store = self.open_store(config)
        yield store
        store.close()

    @pytest.fixture
    def other_store(self, store, config):
        """Another opening of the same store."""
        other = self.open_store(config)
        yield other
        other.close()
