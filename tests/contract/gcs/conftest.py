"""The store in Cloud Storage that the tests of this directory look at."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kbackup.stores import RetryPolicy
from kbackup_plugins_gcp import open_gcs_store

ACCOUNT = "backup@project.iam.gserviceaccount.com"


@pytest.fixture
def store(gcs_server, gcs_bucket):
    """Open a store of an empty bucket."""
    store = open_gcs_store(gcs_server.config(gcs_bucket))
    yield store
    store.close()


@pytest.fixture(scope="session")
def private_key():
    """The PEM of a key that opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def key_file(tmp_path, gcs_server, private_key):
    """The key file of a service account, which gets its tokens from the emulator."""
    info = {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key": private_key,
        "private_key_id": "1",
        "token_uri": f"{gcs_server.url}/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    return str(path)


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
