"""A directory store for the tests, and what `catalog_samples` makes."""

import sys
from pathlib import Path

import pytest

from kbackup.catalog import BackupStore
from kbackup.testing import FrozenClock
from kbackup_plugins_local import open_local_store

sys.path.insert(
    0, str(Path(__file__).parent)
)  # for `catalog_samples`, also in processes

import catalog_samples as samples


@pytest.fixture
def root(tmp_path):
    """The directory of the store."""
    return tmp_path / "store"


@pytest.fixture
def objects(root):
    """The object store itself."""
    return open_local_store({"path": str(root)})


@pytest.fixture
def clock():
    """A clock that stands still one hour after the sample backup began."""
    return FrozenClock(samples.START.replace(hour=3))


@pytest.fixture
def store(objects, clock):
    """The backup store over it."""
    return BackupStore(objects, clock=clock)
