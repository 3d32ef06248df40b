"""Uploads to S3 that were broken off: found, told from live ones, aborted."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.catalog import BackupStore, RepairKind, RepairResult
from kbackup.errors import ObjectNotFoundError
from kbackup.stores import PrefixedStore, TidyStore
from kbackup.testing import FrozenClock

NOW = datetime.now(UTC)
TOMORROW = NOW + timedelta(hours=25)
KEY = "backups/shop/shop.tar.gz"


@pytest.fixture
def begin(s3_client, s3_bucket):
    """Begin an upload with one part and do not end it."""

    def upload(key):
        begun = s3_client.create_multipart_upload(Bucket=s3_bucket, Key=key)
        named = {"Bucket": s3_bucket, "Key": key, "UploadId": begun["UploadId"]}
        s3_client.upload_part(**named, PartNumber=1, Body=b"x" * 100)
        return begun["UploadId"]

    return upload


@pytest.fixture
def left(s3_client, s3_bucket):
    """Return the keys of the uploads that have not ended."""

    def list_uploads():
        found = s3_client.list_multipart_uploads(Bucket=s3_bucket)
        return sorted(each["Key"] for each in found.get("Uploads", ()))

    return list_uploads


def backups(store, now):
    """The backups of a store at a time."""
    return BackupStore(store, clock=FrozenClock(now))


def test_a_cancelled_upload_leaves_parts_that_repair_aborts(
    store, left, tmp_path, monkeypatch
):
    """A large put that is cancelled leaves parts; a day later repair aborts them."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (17 << 20))
    real = store._ask

    def cancelled(key, seconds, method, **parameters):
        """Be interrupted at the last step."""
        if method == "complete_multipart_upload":
            raise KeyboardInterrupt
        return real(key, seconds, method, **parameters)

    monkeypatch.setattr(store, "_ask", cancelled)
    with pytest.raises(KeyboardInterrupt):
        store.put(KEY, source)
    monkeypatch.undo()
    assert left() == [KEY]
    late = backups(store, TOMORROW)

    plan = late.plan_repair()
    report = late.repair(plan)

    assert [(step.kind, step.key) for step in plan.steps] == [(RepairKind.DISCARD, KEY)]
    assert [each.result for each in report.outcomes] == [RepairResult.DONE]
    assert left() == []
    assert late.plan_repair().steps == ()


def test_a_young_upload_is_left(store, begin, left):
    """An upload that got a part within the last day may be on its way."""
    begin(KEY)

    plan = backups(store, NOW + timedelta(hours=23)).plan_repair()

    assert plan.steps == ()
    assert any(KEY in text for text in plan.left)
    assert left() == [KEY]


def test_an_upload_of_a_live_run_is_left(store, begin, left):
    """An upload for a name that a run holds is left, however old it is."""
    begin(KEY)
    late = backups(store, TOMORROW)

    with late.claim("shop", run_uid="live"):
        plan = late.plan_repair()

    assert plan.steps == ()
    assert any("is being written" in text for text in plan.left)
    assert left() == [KEY]


def test_only_uploads_of_ours_are_aborted(store, begin, left):
    """Uploads of other programs, and those outside the prefix, are not touched."""
    foreign = ["kopia/pack", "else/backups/b/x", "prod/kopia/x"]
    for key in [*foreign, "prod/backups/b/b.tar.gz", "prod/plugins/kbackup.io/x"]:
        begin(key)
    late = backups(PrefixedStore(store, "prod"), TOMORROW)

    plan = late.plan_repair()
    report = late.repair(plan)

    assert report.ok
    assert [step.key for step in plan.steps] == [
        "backups/b/b.tar.gz",
        "plugins/kbackup.io/x",
    ]
    assert left() == sorted(foreign)


def test_an_upload_that_has_ended_meanwhile(store, begin, s3_client, s3_bucket, left):
    """To abort an upload that is gone is success."""
    upload = begin(KEY)
    (found,) = store.unfinished("backups/")
    s3_client.abort_multipart_upload(Bucket=s3_bucket, Key=KEY, UploadId=upload)

    store.discard(found)

    assert left() == []
    assert isinstance(store, TidyStore)


def test_uploads_of_many_pages(store, begin, monkeypatch):
    """All pages of uploads are read."""
    keys = [f"backups/b{number}/x" for number in range(5)]
    for key in keys:
        begin(key)
    real = store._ask

    def small(key, seconds, method, **parameters):
        """Ask for pages of two."""
        if method == "list_multipart_uploads":
            parameters["MaxUploads"] = 2
        return real(key, seconds, method, **parameters)

    monkeypatch.setattr(store, "_ask", small)

    assert [write.key for write in store.unfinished("backups/")] == keys


def test_few_objects_are_in_memory_at_once(store, tmp_path, monkeypatch):
    """What goes in one request, and is not small, is read by the threads for parts."""
    real, by = store._ask, {}

    def ask(key, seconds, method, **parameters):
        """Write down which thread holds the bytes."""
        by[len(parameters["Body"])] = threading.current_thread().name
        return real(key, seconds, method, **parameters)

    monkeypatch.setattr(store, "_ask", ask)
    for size in (1 << 20, (1 << 20) + 1, 8 << 20):
        source = tmp_path / "source"
        source.write_bytes(bytes(size))
        store.put(KEY, source)
        store.put(KEY, source.read_bytes())

    own, *others = by.values()
    assert own == threading.current_thread().name
    assert all(name.startswith("kbackup-part") for name in others)
    assert len(others) == 2


@pytest.mark.parametrize("create", [False, True])
def test_an_upload_that_somebody_aborts_is_begun_again(
    store, left, tmp_path, monkeypatch, create
):
    """It is no missing object: the put goes on with an upload of its own."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (17 << 20))
    real, aborted = store._ask, []

    def ask(key, seconds, method, **parameters):
        """Abort the first upload behind its last part."""
        if method != "complete_multipart_upload" or aborted:
            return real(key, seconds, method, **parameters)
        aborted.append(parameters["UploadId"])
        real(key, seconds, "abort_multipart_upload", Key=key, UploadId=aborted[0])
        raise ObjectNotFoundError(key, "NoSuchUpload")  # the emulator breaks down

    monkeypatch.setattr(store, "_ask", ask)

    store.put(KEY, source, create=create)

    assert len(aborted) == 1
    assert store.stat(KEY).size == 17 << 20
    assert left() == []
