"""What the keys of a location's config do to the requests that are sent."""

from __future__ import annotations

import io
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore
from kbackup.errors import StoreError, UnsupportedCapabilityError
from kbackup.stores import PrefixedStore, validate_object_store
from kbackup.testing import FrozenClock, SimulatedCluster, load_sample_shop
from kbackup_plugins_aws import open_s3_store
from odd_s3 import Answer

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime.now(UTC).replace(microsecond=0)
_OF_KEY = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_KEY"


def test_signed_addresses_for_the_public(odd, odd_running, open_odd):
    """An address is signed for the public server, and served by it."""
    public = odd_running[0].url.replace("127.0.0.1", "localhost")
    store = open_odd(publicUrl=f"{public}/")
    store.put("backups/b/b.tar.gz", b"archive")
    odd.seen.clear()

    url = store.signed_url("backups/b/b.tar.gz", timedelta(minutes=10))

    assert odd.seen == []
    assert url.startswith(f"{public}/{store._root}/backups/b/b.tar.gz?")
    assert "X-Amz-Signature" in url
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        assert answer.read() == b"archive"


def test_a_customer_key_goes_with_every_request_about_bytes(
    odd, open_odd, tmp_path, caplog
):
    """Puts, parts, reads and descriptions carry the key; no log of ours or s3fs's does."""
    caplog.set_level("DEBUG", "s3fs")
    caplog.set_level("DEBUG", "kbackup")
    file, large = tmp_path / "key", tmp_path / "large"
    file.write_bytes(KEY)
    large.write_bytes(b"x" * (17 << 20))
    store = open_odd(customerKeyEncryptionFile=str(file))

    store.put("small", b"content")
    store.put("large", large)
    store.stat("small")
    store.get("small", target := io.BytesIO())

    assert target.getvalue() == b"content"
    with_key = {(m, "uploadId" in q) for m, _, q, env in odd.seen if _OF_KEY in env}
    assert with_key >= {("PUT", False), ("PUT", True), ("HEAD", False), ("GET", False)}
    assert all(_OF_KEY in env for m, _, _, env in odd.seen if m in {"PUT", "HEAD"})
    assert "MDEyMzQ1Njc4" not in caplog.text
    assert "CALL" in caplog.text
    with pytest.raises(UnsupportedCapabilityError):
        store.signed_url("small", timedelta(minutes=1))


def test_tags(open_odd, s3_client, tmp_path):
    """Every object has the location's tags, however it came."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    store = open_odd(tagging="team=shop&cost=shop%20one")

    store.put("small", b"x")
    store.put("large", large)

    for key in ("small", "large"):
        found = s3_client.get_object_tagging(Bucket=store._root, Key=key)["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in found} == {
            "team": "shop",
            "cost": "shop one",
        }


def test_the_credentials_file_is_a_config_file_too(s3_server, s3_bucket, tmp_path):
    """What Velero reads from a credentials file as from a config file is read here."""
    file = tmp_path / "credentials"
    program = 'print(\'{"Version":1,"AccessKeyId":"of-a-program",\''
    program += '\'"SecretAccessKey":"x"}\')'
    script = tmp_path / "program.py"
    script.write_text(program)
    file.write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")

    with_file = s3_server.config(s3_bucket, credentialsFile=str(file))
    store = open_s3_store({**with_file, "enableSharedConfig": "true"})
    url = store.signed_url("x", timedelta(minutes=1))
    store.close()

    assert "of-a-program" in urlsplit(url).query


# --- object lock ----------------------------------------------------------------------


@pytest.fixture
def locking(s3_server, bucket_maker):
    """A store that locks backups for fourteen days."""
    bucket = bucket_maker(ObjectLockEnabledForBucket=True)
    days = {"objectLockMode": "COMPLIANCE", "objectLockDays": "14"}
    store = open_s3_store(s3_server.config(bucket, **days))
    yield store
    store.close()


def test_every_object_of_a_backup_is_locked(locking, s3_client):
    """Archive, side files, manifest and record are locked for the days, no claim is."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        load_sample_shop(cluster)
        store = BackupStore(PrefixedStore(locking, "prod"), clock=FrozenClock(NOW))
        spec = BackupSpec(included_namespaces=("shop",))

        BackupEngine(cluster, store).run("shop-1", spec)

    heads = {
        info.key: s3_client.head_object(Bucket=locking._root, Key=info.key)
        for info in locking.list("")
    }
    until = {key: head.get("ObjectLockRetainUntilDate") for key, head in heads.items()}
    backup = {key for key in until if key.startswith("prod/backups/")}
    assert len(backup) > 3
    assert {until[key] for key in backup} == {NOW + timedelta(days=14)}
    assert {until[key] for key in until.keys() - backup} == {None}


def test_validate_shows_the_lock(locking):
    """A bucket that locks is fit, and the days are shown."""
    check = validate_object_store(locking)

    assert check.ok
    assert check.lock_for == timedelta(days=14)
    assert list(locking.list("")) == []


def test_a_bucket_that_locks_nothing(odd, open_odd):
    """A lock that the bucket does not give is told by validate, and before a backup."""
    odd.rules.append(refuses_locks)
    days = {"objectLockMode": "COMPLIANCE", "objectLockDays": "14"}
    backups = BackupStore(open_odd(**days))

    problems = backups.validate()
    with pytest.raises(StoreError, match="locks nothing"):
        backups.claim("shop", run_uid="one")

    assert "locks no objects" in problems[0]
    assert [e.name for e in backups.list()] == []


def refuses_locks(environ):
    """Answer as S3 does for a bucket that was made without object lock."""
    if "HTTP_X_AMZ_OBJECT_LOCK_MODE" in environ:
        return Answer("400 Bad Request", "InvalidRequest")
    return None
