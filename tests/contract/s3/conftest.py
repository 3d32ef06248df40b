"""The S3 store that the tests of this directory look at."""

import pytest

from kbackup_plugins_aws import open_s3_store


@pytest.fixture
def store(s3_server, s3_bucket):
    """Open a store of an empty bucket."""
    store = open_s3_store(s3_server.config(s3_bucket))
    yield store
    store.close()
