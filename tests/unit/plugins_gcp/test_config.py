"""What a location's configuration says of Google Cloud Storage."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from kbackup.errors import InvalidConfigError
from kbackup.models import ObjectStorage
from kbackup.plugins import Capability
from kbackup_plugins_gcp import open_gcs_store
from kbackup_plugins_gcp._config import gcs_spec, read_config

KMS_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


def test_the_config_of_velero(tmp_path):
    """Every key of Velero's plugin is read."""
    file = tmp_path / "key.json"
    file.write_text("{}")

    settings = read_config(
        {
            "bucket": "b",
            "prefix": "p",
            "kmsKeyName": KMS_KEY,
            "serviceAccount": "a@p.iam.gserviceaccount.com",
            "credentialsFile": str(file),
            "storeEndpoint": "https://storage-x.p.googleapis.com/storage/v1/",
            "universeDomain": "example.com",
        }
    )

    assert settings.kms_key == KMS_KEY
    assert settings.service_account == "a@p.iam.gserviceaccount.com"
    assert settings.credentials_file == str(file)
    assert settings.endpoint == "https://storage-x.p.googleapis.com"
    assert settings.universe == "example.com"


@pytest.mark.parametrize(
    ("config", "endpoint"),
    [
        ({}, "https://storage.googleapis.com"),
        ({"universeDomain": "example.com"}, "https://storage.example.com"),
        ({"storeEndpoint": "host.example.com"}, "https://host.example.com"),
        ({"storeEndpoint": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
    ids=str,
)
def test_where_requests_go(config, endpoint):
    """The server is the one of the location, else that of the universe, else Google's."""
    store = open_gcs_store({"bucket": "b", **config})

    assert store._connection.endpoint == endpoint
    store.close()


def test_a_slip_in_a_key():
    """Of a key that is unknown it is told which one may be meant, in an address too."""
    with pytest.raises(InvalidConfigError) as given:
        read_config({"bucket": "b", "kmskeyname": "x"})
    with pytest.raises(InvalidConfigError) as address:
        gcs_spec("gs://b?kms_key_name=x")

    assert given.value.hint.startswith("kmsKeyName may be meant; known are: ")
    assert address.value.hint == "kmsKeyName may be meant"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "needs a bucket"),
        ({"bucket": "b", "region": "eu"}, "region"),
        ({"bucket": "b", "kmsKeyName": "secret"}, "projects/P/locations/L"),
        ({"bucket": "b", "storeEndpoint": "ftp://host"}, "no address"),
        ({"bucket": "b", "storeEndpoint": "https://u:secret@host"}, "no address"),
        ({"bucket": "b", "storeEndpoint": "https://host/other"}, "a path other than"),
        ({"bucket": "b", "universeDomain": "https://x"}, "no name of a domain"),
        ({"bucket": "b", "credentialsFile": "/not/there"}, "/not/there"),
        ({"bucket": "b", "objectRetentionMode": "GOVERNANCE"}, "Unlocked or Locked"),
        ({"bucket": "b", "objectRetentionDays": "7"}, "no objectRetentionMode"),
        (
            {
                "bucket": "b",
                "objectRetentionMode": "Locked",
                "objectRetentionDays": "0",
            },
            "can be 1 to",
        ),
        ({"bucket": "b", "requestTimeout": "soon"}, "requestTimeout"),
        ({"bucket": "b", "caCert": "no PEM"}, "no certificate"),
    ],
    ids=str,
)
def test_configs_that_cannot_be_meant(config, words):
    """What we cannot honour is refused, not passed over; secrets are not repeated."""
    with pytest.raises(InvalidConfigError, match=words) as caught:
        open_gcs_store(config)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_addresses(scheme):
    """An address has bucket and prefix; its query is the config."""
    spec = gcs_spec(f"{scheme}://bucket/some/prefix?kmsKeyName={KMS_KEY}")

    assert spec.provider == "velero.io/gcp"
    assert spec.object_storage == ObjectStorage(bucket="bucket", prefix="some/prefix")
    assert spec.config == {"kmsKeyName": KMS_KEY}


@pytest.mark.parametrize(
    "url",
    ["gs://key:secret@bucket/p", "gs://bucket/p?secret=x", "gs://bucket/p#x"],
)
def test_addresses_that_cannot_be_meant(url):
    """Credentials and unknown keys in an address are refused, not repeated."""
    with pytest.raises(InvalidConfigError) as caught:
        gcs_spec(url)

    assert "secret" not in str(caught.value)


def test_secrets_are_not_shown(tmp_path):
    """The settings show neither keys nor files of credentials."""
    file = tmp_path / "credentials-file"
    file.write_text("")

    settings = read_config(
        {"bucket": "b", "credentialsFile": str(file), "kmsKeyName": KMS_KEY}
    )

    assert "credentials-file" not in repr(settings)
    assert "cryptoKeys" not in repr(settings)


def test_opening_touches_neither_network_nor_environment():
    """A store is opened without credentials, and the environment stays as it was."""
    before = dict(os.environ)

    store = open_gcs_store({"bucket": "b"})
    store.close()

    assert dict(os.environ) == before


def test_opening_loads_no_sdk():
    """Neither a filesystem nor anything of Google's is loaded before a request."""
    program = (
        "import sys; from kbackup_plugins_gcp import open_gcs_store;"
        "open_gcs_store({'bucket': 'b'}).close();"
        "heavy = {'fsspec', 'requests', 'google.auth', 'google.cloud', 'grpc'};"
        "print(heavy & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("named", "endpoint"),
    [
        ("", "https://storage.googleapis.com"),
        ("localhost:9023", "http://localhost:9023"),
        ("https://localhost:9023/", "https://localhost:9023"),
    ],
)
def test_an_emulator_of_the_environment(monkeypatch, named, endpoint):
    """The server that the environment names takes the place of Google's own only."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", named)

    assert open_gcs_store({"bucket": "b"})._connection.endpoint == endpoint
    configured = {"bucket": "b", "storeEndpoint": "https://storage.example"}
    assert open_gcs_store(configured)._connection.endpoint == "https://storage.example"


def test_days_of_a_lock():
    """A location says for how many days the objects of a backup are locked."""
    config = {"bucket": "b", "objectRetentionMode": "Locked"}

    assert open_gcs_store(config).lock_for is None
    assert open_gcs_store({**config, "objectRetentionDays": "7"}).lock_for == timedelta(
        days=7
    )


def test_capabilities():
    """Conditional creates are always there; locks when they are asked for."""
    plain = open_gcs_store({"bucket": "b"})
    locking = open_gcs_store({"bucket": "b", "objectRetentionMode": "Unlocked"})

    assert Capability.ATOMIC_CREATE in plain.capabilities
    assert Capability.RETENTION not in plain.capabilities
    assert Capability.RETENTION in locking.capabilities
