"""The SFTP store that the tests of this directory look at."""

import pytest

from kbackup_plugins_fsspec import open_filesystem_store


@pytest.fixture
def store(sftp_config):
    """Open an empty store."""
    store = open_filesystem_store(sftp_config)
    yield store
    store.close()
