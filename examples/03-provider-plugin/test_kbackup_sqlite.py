"""The store keeps its contract, and hosts find it."""

from pathlib import Path

import kbackup_sqlite
import pytest
from kbackup_sqlite import SqliteStore, open_sqlite_store

from kbackup.errors import InvalidConfigError
from kbackup.plugins import PluginManager
from kbackup.testing import ObjectStoreContract


class TestSqliteStore(ObjectStoreContract):
    """An SQLite file is an object store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        """A store in a new file."""
        return open_sqlite_store({"path": str(tmp_path / "backups.db")})


@pytest.fixture
def manager() -> PluginManager:
    """A host that has this plugin and no other."""
    return PluginManager([kbackup_sqlite], strict=True)


def test_addresses_are_understood(manager: PluginManager, tmp_path: Path) -> None:
    """An address with our scheme leads to a store in that file."""
    spec = manager.spec_for_url(f"sqlite://{tmp_path}/a%20b.db")

    store = manager.object_store_factory(spec.provider).open(spec.config)
    store.put("backups/x", b"1")

    assert isinstance(store, SqliteStore)
    assert (tmp_path / "a b.db").is_file()


@pytest.mark.parametrize("config", [{}, {"path": "backups.db"}])
def test_a_path_is_needed(config: dict[str, str]) -> None:
    """A location without an absolute path is refused before anything is touched."""
    with pytest.raises(InvalidConfigError, match="absolute path"):
        open_sqlite_store(config)
