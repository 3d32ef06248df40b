"""The store in Cloud Storage that the tests of this directory look at."""

import pytest

from kbackup.stores import RetryPolicy
from kbackup_plugins_gcp import open_gcs_store


@pytest.fixture
def store(gcs_server, gcs_bucket):
    """Open a store of an empty bucket."""
    store = open_gcs_store(gcs_server.config(gcs_bucket))
    yield store
    store.close()


@pytest.fixture
def opened(gcs_server, gcs_bucket):
    """A function that opens a store of the bucket with more config."""
    stores = []

    def make(**more):
        store = open_gcs_store(gcs_server.config(gcs_bucket, **more))
        store._retry = RetryPolicy(sleep=lambda _: None)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()
