"""What a location's configuration says of S3."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from kbackup.errors import InvalidConfigError
from kbackup.models import ObjectStorage
from kbackup.plugins import Capability
from kbackup_plugins_aws import open_s3_store
from kbackup_plugins_aws._checksums import checksum_of
from kbackup_plugins_aws._config import read_config, s3_spec


def test_the_config_of_velero():
    """Every key that Velero's plugin needs for a server like MinIO is read."""
    settings = read_config(
        {
            "bucket": "b",
            "region": "minio",
            "s3ForcePathStyle": "true",
            "s3Url": "http://minio.velero.svc:9000/",
            "publicUrl": "https://minio.example.com",
            "profile": "backup",
            "insecureSkipTLSVerify": "True",
            "checksumAlgorithm": "",
            "prefix": "p",
        }
    )

    assert settings.bucket == "b"
    assert settings.region == "minio"
    assert settings.path_style
    assert settings.url == "http://minio.velero.svc:9000"
    assert settings.profile == "backup"
    assert not settings.verify_tls


def test_a_key_implies_its_encryption():
    """A KMS key alone means encryption by KMS."""
    assert read_config({"bucket": "b", "kmsKeyId": "k"}).encryption == "aws:kms"
    assert read_config({"bucket": "b"}).encryption == ""


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("s3url", "s3Url"),
        ("insecureSkipTlsVerify", "insecureSkipTLSVerify"),
        ("s3_force_path_style", "s3ForcePathStyle"),
    ],
)
def test_a_slip_in_a_key(slip, meant):
    """Of a key that is unknown it is told which one may be meant, in an address too."""
    with pytest.raises(InvalidConfigError) as given:
        read_config({"bucket": "b", slip: "x"})
    with pytest.raises(InvalidConfigError) as address:
        s3_spec(f"s3://b?{slip}=x")

    assert given.value.hint.startswith(f"{meant} may be meant; known are: ")
    assert address.value.hint == f"{meant} may be meant"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "needs a bucket"),
        (
            {"bucket": "b", "customerKeyEncryptionFile": "/not/there"},
            "/not/there cannot be read",
        ),
        (
            {"bucket": "b", "customerKeyEncryptionFile": "/f", "kmsKeyId": "k"},
            "one way only",
        ),
        (
            {"bucket": "b", "customerKeyEncryptionSecret": "name/key"},
            "cannot read customerKeyEncryptionSecret",
        ),
        ({"bucket": "b", "publicUrl": "minio.example.com"}, "publicUrl"),
        ({"bucket": "b", "signatureVersion": "1"}, "only 4 can be signed"),
        ({"bucket": "b", "enableSharedConfig": "perhaps"}, "enableSharedConfig"),
        ({"bucket": "b", "tagging": "no-value"}, "tagging"),
        ({"bucket": "b", "tagging": "=v"}, "tagging"),
        ({"bucket": "b", "tagging": "a=1&a=2"}, "tagging"),
        ({"bucket": "b", "tagging": "&".join(f"k{n}=v" for n in range(11))}, "tagging"),
        ({"bucket": "b", "tagging": f"k={'v' * 257}"}, "tagging"),
        ({"bucket": "b", "checksumAlgorithm": "MD5"}, "checksumAlgorithm"),
        ({"bucket": "b", "objectLockDays": "7"}, "no objectLockMode"),
        (
            {"bucket": "b", "objectLockMode": "COMPLIANCE", "objectLockDays": "0"},
            "objectLockDays",
        ),
        (
            {"bucket": "b", "objectLockMode": "COMPLIANCE", "objectLockDays": "a week"},
            "objectLockDays",
        ),
        ({"bucket": "b", "s3forcepathstyle": "true"}, "s3forcepathstyle"),
        ({"bucket": "b", "s3ForcePathStyle": "yes"}, "not true or false"),
        ({"bucket": "b", "s3Url": "minio:9000"}, "no address"),
        ({"bucket": "b", "s3Url": "http://u:secret@minio:9000"}, "no address"),
        ({"bucket": "b", "credentialsFile": "/not/there"}, "/not/there"),
        ({"bucket": "b", "objectLockMode": "LEGAL"}, "objectLockMode"),
        ({"bucket": "b", "requestTimeout": "soon"}, "requestTimeout"),
    ],
    ids=str,
)
def test_configs_that_cannot_be_meant(config, words):
    """What we cannot honour is refused, not passed over; secrets are not repeated."""
    with pytest.raises(InvalidConfigError, match=words) as caught:
        open_s3_store(config)

    assert "secret" not in str(caught.value)


def test_addresses():
    """An address has bucket and prefix; its query is the config."""
    spec = s3_spec(
        "s3://bucket/some/prefix?region=eu-west-1&s3Url=http://127.0.0.1:9000"
        "&s3ForcePathStyle=true"
    )

    assert spec.provider == "velero.io/aws"
    assert spec.object_storage == ObjectStorage(bucket="bucket", prefix="some/prefix")
    assert spec.config == {
        "region": "eu-west-1",
        "s3Url": "http://127.0.0.1:9000",
        "s3ForcePathStyle": "true",
    }


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/p",
        "s3://bucket/p?secret=x",
        "s3://bucket/p?region=a&region=b",
        "s3://bucket/p#x",
    ],
)
def test_addresses_that_cannot_be_meant(url):
    """Credentials, unknown or repeated keys in an address are refused, not repeated."""
    with pytest.raises(InvalidConfigError) as caught:
        s3_spec(url)

    assert "secret" not in str(caught.value)


def test_secrets_are_not_shown(tmp_path):
    """Neither the settings nor the store show keys or files of credentials."""
    file = tmp_path / "credentials-file"
    file.write_text("")
    config = {"bucket": "b", "credentialsFile": str(file), "kmsKeyId": "kms-key"}

    settings = read_config(config)

    assert "credentials-file" not in repr(settings)
    assert "kms-key" not in repr(settings)


def test_opening_touches_neither_network_nor_environment():
    """A store is opened without a connection, and the environment stays as it was."""
    before = dict(os.environ)

    store = open_s3_store({"bucket": "b", "s3Url": "http://127.0.0.1:1"})
    store.close()

    assert dict(os.environ) == before


def test_capabilities():
    """Conditional creates are declared by what the SDK knows; locks when asked for."""
    plain = open_s3_store({"bucket": "b"})
    locking = open_s3_store({"bucket": "b", "objectLockMode": "GOVERNANCE"})

    assert Capability.ATOMIC_CREATE in plain.capabilities
    assert Capability.RETENTION not in plain.capabilities
    assert Capability.RETENTION in locking.capabilities


def test_an_older_sdk_has_no_conditional_create(monkeypatch):
    """A botocore that drops the condition takes the capability away."""
    monkeypatch.setattr("botocore.__version__", "1.35.19")

    store = open_s3_store({"bucket": "b"})

    assert Capability.ATOMIC_CREATE not in store.capabilities


def test_certificates_leave_no_file(tmp_path, monkeypatch):
    """The file made for the certificates is private and goes with the store."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = open_s3_store({"bucket": "b", "caCert": "-----BEGIN CERTIFICATE-----"})
    (bundle,) = tmp_path.iterdir()
    assert bundle.read_text() == "-----BEGIN CERTIFICATE-----"
    assert bundle.stat().st_mode & 0o077 == 0

    store.close()

    assert list(tmp_path.iterdir()) == []


def test_keys_that_only_some_servers_need():
    """Signature 4, tags, a lock in days and every checksum of Velero are read."""
    settings = read_config(
        {
            "bucket": "b",
            "signatureVersion": "4",
            "enableSharedConfig": "true",
            "publicUrl": "https://minio.example.com/",
            "tagging": "team=shop&cost=42%25",
            "objectLockMode": "COMPLIANCE",
            "objectLockDays": "14",
        }
    )

    assert settings.public_url == "https://minio.example.com"
    assert settings.tagging == "team=shop&cost=42%25"
    assert settings.lock_for == timedelta(days=14)


@pytest.mark.parametrize(
    ("config", "checksum"),
    [
        ({}, "CRC32"),
        ({"s3Url": "http://minio:9000"}, ""),
        ({"s3Url": "http://minio:9000", "checksumAlgorithm": "SHA256"}, "SHA256"),
        ({"checksumAlgorithm": ""}, ""),
    ],
    ids=str,
)
def test_the_checksum_of_uploads(config, checksum):
    """Amazon gets Velero's checksum, another server only the one that is asked for."""
    assert read_config({"bucket": "b", **config}).checksum == checksum


def test_a_checksum_that_nothing_here_computes(monkeypatch):
    """A checksum that needs a package that is not there is refused with its name."""
    monkeypatch.setattr("kbackup_plugins_aws._checksums.find_spec", lambda name: None)

    with pytest.raises(InvalidConfigError, match="CRC32C, which needs awscrt"):
        read_config({"bucket": "b", "checksumAlgorithm": "CRC32C"})


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("CRC32", "y/Q5Jg=="),
        ("SHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ("", None),
    ],
)
def test_checksums(algorithm, value):
    """A checksum is that of the bytes, big-endian, in base64 and under S3's name."""
    found = checksum_of(algorithm, b"123456789")

    assert found == ({f"Checksum{algorithm}": value} if value else {})


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_customer_key_of_another_size(tmp_path, size):
    """A key that is not of 32 bytes is refused; no message repeats it."""
    file = tmp_path / "key"
    file.write_bytes(b"k" * size)

    with pytest.raises(InvalidConfigError, match="a key has 32") as caught:
        read_config({"bucket": "b", "customerKeyEncryptionFile": str(file)})

    assert "kkk" not in str(caught.value)


def test_a_customer_key_is_not_shown(tmp_path):
    """The settings and the store keep the key to themselves; nobody signs for it."""
    file = tmp_path / "key"
    file.write_bytes(b"0123456789abcdef0123456789abcdef")
    config = {"bucket": "b", "customerKeyEncryptionFile": str(file)}

    store = open_s3_store(config)

    assert "0123456789" not in f"{read_config(config)!r} {store!r}"
    assert Capability.SIGNED_URL not in store.capabilities
