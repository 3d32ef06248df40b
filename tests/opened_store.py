"""The contract of all stores, held to a store that is opened twice with one config."""

from __future__ import annotations

import io
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

    @pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, (17 << 20) + 3])
    def test_objects_of_all_sizes_come_whole(self, store, size, tmp_path):
        """What does not come with the first request comes with the next ones."""
        content = (bytes(range(251)) * (size // 251 + 1))[:size]
        source = tmp_path / "source"
        source.write_bytes(content)
        whole, part = io.BytesIO(), io.BytesIO()

        store.put("backups/b/x", source)
        info = store.get("backups/b/x", whole)
        store.get("backups/b/x", part, start=size // 2, length=100)

        assert info.size == size
        assert whole.getvalue() == content
        assert part.getvalue() == content[size // 2 : size // 2 + 100]
