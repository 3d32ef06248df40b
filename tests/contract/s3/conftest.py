"""The S3 store that the tests of this directory look at."""

import pytest

from kbackup_plugins_aws import open_s3_store
from moto_s3 import running_s3
from odd_s3 import OddServer


@pytest.fixture
def store(s3_server, s3_bucket):
    """Open a store of an empty bucket."""
    store = open_s3_store(s3_server.config(s3_bucket))
    yield store
    store.close()


@pytest.fixture(scope="session")
def odd_running():
    """Run moto behind rules for all tests of a process."""
    fronts = []

    def front(application):
        fronts.append(OddServer(application))
        return fronts[0]

    with running_s3(front) as server:
        yield server, fronts[0]


@pytest.fixture
def odd(odd_running):
    """Return the rules' server, without rules, and nothing seen so far."""
    _, front = odd_running
    front.rules.clear()
    front.seen.clear()
    yield front
    front.rules.clear()


@pytest.fixture
def open_odd(odd_running, odd, bucket_maker, request):
    """Open stores of an empty bucket of the odd server, with more config or other."""
    server, _ = odd_running
    bucket = bucket_maker()  # moto's buckets are the process's, whatever its port

    def open_store(**more):
        store = open_s3_store(server.config(bucket, **more))
        request.addfinalizer(store.close)
        return store

    return open_store
