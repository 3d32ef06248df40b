"""What the S3 store does beyond the contract of all stores."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.catalog import BackupStore
from kbackup.errors import (
    ObjectExistsError,
    StoreAccessError,
    StoreError,
)
from kbackup.plugins import Capability, PluginManager
from kbackup.stores import (
    location_from,
    open_object_store,
    validate_object_store,
)
from kbackup_plugins_aws import open_s3_store


@pytest.fixture
def requests_of(store):
    """The S3 calls that a store makes, each with its parameters."""
    calls = []
    filesystem = store._fs
    real = filesystem._call_s3

    async def recorded(method, *args, **parameters):
        """Write the call down and make it."""
        calls.append((method, parameters))
        return await real(method, *args, **parameters)

    filesystem._call_s3 = recorded
    parts = store._parts
    really = parts._call

    def recorded_of_parts(key, method, parameters):
        """Write down what goes by the client for parts."""
        calls.append((method, parameters))
        return really(key, method, parameters)

    parts._call = recorded_of_parts
    return calls


def test_an_address_opens_a_store(s3_server, s3_bucket):
    """An address with the server in its query is all that it takes."""
    plugins = PluginManager()
    url = (
        f"s3://{s3_bucket}/some/prefix?s3Url={s3_server.url}"
        "&s3ForcePathStyle=true&region=us-east-1"
    )

    store = open_object_store(location_from(url, plugins), plugins)

    assert validate_object_store(store).ok
    store.put("backups/b/x", b"x")
    assert [info.key for info in store.list("")] == ["backups/b/x"]
    store.close()


def test_a_create_is_one_conditional_request(store, requests_of):
    """The condition goes with the request that writes; nothing is asked before."""
    store.put("backups/b/x", b"x", create=True)

    ((method, parameters),) = requests_of
    assert method == "put_object"
    assert parameters["IfNoneMatch"] == "*"


def test_a_large_create_is_conditional_too(store, requests_of, tmp_path):
    """An upload in parts carries the condition with its end and leaves no parts."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (17 << 20))
    store.put("backups/b/x", b"first")
    requests_of.clear()

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", source, create=True)

    calls = dict(requests_of)
    assert calls["complete_multipart_upload"]["IfNoneMatch"] == "*"
    assert "abort_multipart_upload" in calls
    assert store.stat("backups/b/x").size == len(b"first")


def test_a_small_object_is_read_in_one_request(store, requests_of):
    """What describes an object comes with its bytes; nothing is asked ahead."""
    store.put("backups/b/x", b"content")
    requests_of.clear()
    target = io.BytesIO()

    info = store.get("backups/b/x", target)

    assert target.getvalue() == b"content"
    assert (info.size, info.etag) == (7, store.stat("backups/b/x").etag)
    assert [method for method, _ in requests_of][:-1] == ["get_object"]


def test_a_list_takes_one_request_for_each_backup(store, requests_of, monkeypatch):
    """A long list is one request for the names and one for each record, in parallel."""
    record = {"apiVersion": "velero.io/v1", "kind": "Backup"}
    for number in range(20):
        name = f"b{number:02}"
        content = {
            **record,
            "metadata": {"name": name, "namespace": "velero"},
            "status": {"phase": "Completed"},
        }
        store.put(f"backups/{name}/{name}.tar.gz", b"archive")
        store.put(f"backups/{name}/velero-backup.json", json.dumps(content).encode())
    requests_of.clear()
    real, under_way, most = store.get, [], []
    together = threading.Event()

    def counted(key, target, **options):
        """Count the reads that are under way at once; the first one waits for another."""
        under_way.append(key)
        most.append(len(under_way))
        if len(under_way) > 1:
            together.set()
        if key.endswith("velero-backup.json"):
            together.wait(30)
        try:
            return real(key, target, **options)
        finally:
            under_way.remove(key)

    monkeypatch.setattr(store, "get", counted)

    entries = BackupStore(store).list()

    asked = Counter(method for method, _ in requests_of)
    assert [entry.state for entry in entries] == ["complete"] * 20
    # The records and the location's identity; names, claims and journals.
    assert asked == {"get_object": 20 + 1, "list_objects_v2": 3}
    assert 1 < max(most) <= 8


def test_parts_are_of_a_known_size(store, requests_of, tmp_path):
    """A large object goes up in parts of 8 MiB, whatever s3fs would choose."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (17 << 20))

    store.put("backups/b/x", source)

    parts = [p for method, p in requests_of if method == "upload_part"]
    sizes = {p["PartNumber"]: len(p["Body"]) for p in parts}
    assert sizes == {1: 8 << 20, 2: 8 << 20, 3: 1 << 20}


def test_a_missing_bucket_is_not_an_empty_one(s3_server, s3_credentials):
    """A bucket that is not there is told by its name, in lists and writes."""
    store = open_s3_store(s3_server.config("no-such-bucket"))

    for call in (
        lambda: list(store.list("")),
        lambda: store.put("backups/b/x", b""),
    ):
        with pytest.raises(StoreAccessError, match="bucket: no-such-bucket"):
            call()
    store.close()


def test_the_credentials_file_is_used(s3_server, s3_bucket, tmp_path):
    """The file of the location wins over the environment, and its profile is read."""
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = of-the-file\naws_secret_access_key = x\n"
        "[other]\naws_access_key_id = of-the-profile\naws_secret_access_key = x\n"
    )
    named = {"credentialsFile": str(file)}

    keys = []
    for more in (named, {**named, "profile": "other"}):
        other = open_s3_store(s3_server.config(s3_bucket, **more))
        url = other.signed_url("backups/b/x", timedelta(minutes=1))
        keys.append(url)
        other.close()

    assert "of-the-file" in keys[0]
    assert "of-the-profile" in keys[1]


def test_a_profile_that_is_not_in_the_file(s3_server, s3_bucket, tmp_path):
    """A missing profile is an access error, not a fall back to other credentials."""
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = x\n")
    config = s3_server.config(s3_bucket, credentialsFile=str(file), profile="not-there")

    store = open_s3_store(config)
    with pytest.raises(StoreAccessError, match="not-there"):
        store.stat("backups/b/x")
    store.close()


def test_signed_addresses(store):
    """A signed address serves the object to whoever has it."""
    store.put("backups/b/b.tar.gz", b"archive")

    url = store.signed_url("backups/b/b.tar.gz", timedelta(minutes=10))

    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        assert answer.read() == b"archive"
        assert answer.headers.get("Content-Encoding") is None


def test_an_archive_is_stored_without_content_encoding(
    store, s3_client, s3_bucket, tmp_path
):
    """A gzip payload is not marked as an encoding that clients would undo."""
    source = tmp_path / "b.tar.gz"
    source.write_bytes(b"gzip")

    store.put("backups/b/b.tar.gz", source)

    head = s3_client.head_object(Bucket=s3_bucket, Key="backups/b/b.tar.gz")
    assert "ContentEncoding" not in head


def test_lists_of_many_pages(store, requests_of, monkeypatch):
    """A list goes on page by page, and asks for no page before it is needed."""
    for number in range(7):
        store.put(f"backups/b{number}/x", b"")
    requests_of.clear()
    real = store._list_page

    def small(prefix, parameters, seconds):
        return real(prefix, {**parameters, "MaxKeys": 2}, seconds)

    monkeypatch.setattr(store, "_list_page", small)

    listing = store.list("backups/")
    first = next(listing).key
    assert len(requests_of) == 1
    rest = [info.key for info in listing]

    assert [first, *rest] == [f"backups/b{number}/x" for number in range(7)]
    assert len(requests_of) == 4
    assert len(list(store.list_prefixes("backups/"))) == 7


def test_a_version_mark_in_a_key(store):
    """A key that s3fs would cut is refused by writes and reads."""
    for call in (
        lambda: store.put("backups/b/x?versionId=1", b"x"),
        lambda: store.delete("backups/b/x?versionId=1"),
    ):
        with pytest.raises(StoreAccessError):
            call()

    assert list(store.list("")) == []


def test_objects_are_locked(s3_server, bucket_maker, s3_client):
    """With a lock mode an object is locked until the given time."""
    bucket = bucket_maker(ObjectLockEnabledForBucket=True)
    store = open_s3_store(s3_server.config(bucket, objectLockMode="GOVERNANCE"))
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    assert Capability.RETENTION in store.capabilities

    store.put("backups/b/x", b"x", retain_until=until)

    head = s3_client.head_object(Bucket=bucket, Key="backups/b/x")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] == until
    store.close()


def test_without_a_conditional_create_a_taken_key_is_still_seen(store, requests_of):
    """A store whose condition was taken away looks before it writes."""
    store.capabilities -= {Capability.ATOMIC_CREATE}
    store.put("backups/b/x", b"first", create=True)

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", b"second", create=True)

    assert all("IfNoneMatch" not in parameters for _, parameters in requests_of)
    assert [method for method, _ in requests_of] == [
        "head_object",
        "put_object",
        "head_object",
    ]


def test_encryption_goes_with_every_upload(s3_server, s3_bucket, s3_client):
    """The encryption that the location asks for is asked of S3."""
    store = open_s3_store(s3_server.config(s3_bucket, serverSideEncryption="AES256"))

    store.put("backups/b/x", b"x")

    head = s3_client.head_object(Bucket=s3_bucket, Key="backups/b/x")
    assert head["ServerSideEncryption"] == "AES256"
    store.close()


def test_errors_hold_no_credentials(s3_server, s3_bucket, monkeypatch):
    """An error shows neither key nor secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    store = open_s3_store(s3_server.config(s3_bucket))

    with pytest.raises(StoreError) as caught:
        store.stat("backups/b/x")

    assert "the-secret" not in f"{caught.value!r} {store!r}"
    store.close()
