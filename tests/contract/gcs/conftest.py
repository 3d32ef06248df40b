"""The store in Cloud Storage that the tests of this directory look at."""

import pytest

from kbackup_plugins_gcp import open_gcs_store


@pytest.fixture
def store(gcs_server, gcs_bucket):
    """Open a store of an empty bucket."""
    store = open_gcs_store(gcs_server.config(gcs_bucket))
    yield store
    store.close()
