"""What the clouds' stores do without, where a server is not quite one of theirs."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from azure_locks import locking
from kbackup.errors import ObjectExistsError, UnsupportedCapabilityError
from kbackup.plugins import Capability
from kbackup.stores import (
    ensure_location_record,
    locked_until,
    read_location_record,
    validate_object_store,
)
from kbackup_plugins_aws import open_s3_store
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_fsspec import open_filesystem_store
from kbackup_plugins_gcp import open_gcs_store
from moto_s3 import running_s3
from odd_s3 import Answer, OddServer, overlooks_conditions

HOUR = timedelta(hours=1)


def lacking(store):
    """Use a location first by *store*; return what is remembered that it lacks."""
    return ensure_location_record(store).profile.lacks


# --- Cloud Storage --------------------------------------------------------------------


@pytest.fixture
def overlooking(gcs_server, monkeypatch):
    """The emulator as it is by itself: it overlooks conditions."""
    from gcs_emulator import _Handler  # noqa: PLC0415 - only here

    real = _Handler._refusal

    def refusal(self, asked):
        asked.query.pop("ifGenerationMatch", None)
        return real(self, asked)

    monkeypatch.setattr(_Handler, "_refusal", refusal)
    return gcs_server


@pytest.fixture
def open_gcs(gcs_server, gcs_bucket):
    """A function that opens the bucket with more config."""
    stores = []

    def make(**more):
        stores.append(open_gcs_store(gcs_server.config(gcs_bucket, **more)))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def test_gcs_without_conditions(overlooking, open_gcs):
    """A server that overlooks conditions is found, and looked at before each create."""
    assert lacking(open_gcs()) == {Capability.ATOMIC_CREATE}
    store = open_gcs()
    ensure_location_record(store)
    overlooking.requests.clear()

    store.put("a", b"first", create=True)
    with pytest.raises(ObjectExistsError):
        store.put("a", b"second", create=True)

    assert [request.method for request in overlooking.requests] == [
        "GET",
        "POST",
        "GET",
    ]
    assert not any("ifGenerationMatch" in r.query for r in overlooking.requests)


def test_gcs_that_learns(overlooking, open_gcs, monkeypatch):
    """Once the server keeps conditions, a validation brings the location up to date."""
    lacking(open_gcs())
    monkeypatch.undo()

    check = validate_object_store(open_gcs())

    assert "learned conditional puts" in check.news[0]
    assert Capability.ATOMIC_CREATE in check.capabilities
    assert read_location_record(open_gcs()).profile.lacks == frozenset()


@pytest.mark.parametrize("answer", ["refused", "overlooked"])
def test_gcs_without_locks(open_gcs, gcs_server, monkeypatch, answer):
    """A bucket without object retention is found, whatever it does with a lock."""
    from gcs_emulator import _Handler  # noqa: PLC0415 - only here

    def refuse(self, asked):
        """Say no to a lock."""
        locks = self.command == "POST" and b"retainUntilTime" in asked.body
        return 400 if locks and answer == "refused" else real(self, asked)

    real = _Handler._refusal
    monkeypatch.setattr(_Handler, "_refusal", refuse)
    monkeypatch.setattr(
        "gcs_emulator._REASONS", {400: "invalid", 412: "conditionNotMet"}
    )
    if answer == "overlooked":
        monkeypatch.setattr(_Handler, "_note_lock", lambda *_: None)
    mode = {"objectRetentionMode": "Locked"}

    assert lacking(open_gcs(**mode)) == {Capability.RETENTION}

    store = open_gcs(**mode)
    ensure_location_record(store)
    with pytest.raises(UnsupportedCapabilityError, match="cannot lock"):
        store.put("a", b"x", retain_until=datetime.now(UTC) + HOUR)


# --- Azure ----------------------------------------------------------------------------


def test_azure_without_locks(azurite, container):
    """Azurite takes a lock and keeps none: validate says so, and none is promised."""
    config = azurite.config(container, immutabilityMode="locked")
    store = open_blob_store(config)

    check = validate_object_store(store)

    [problem] = check.problems
    assert problem.startswith("the bucket locks no objects")
    assert problem.endswith("it takes a lock and keeps none")
    assert Capability.RETENTION not in check.capabilities
    with pytest.raises(UnsupportedCapabilityError, match="cannot lock"):
        store.put("a", b"x", retain_until=datetime.now(UTC) + HOUR)
    store.close()


def test_azure_with_locks(azurite, container):
    """A container that keeps locks is fit, and nothing of the trial stays in sight."""
    with locking(azurite) as locks:
        config = locks.server.config(container, immutabilityMode="locked")
        store = open_blob_store(config)
        until = datetime.now(UTC).replace(microsecond=0) + HOUR

        check = validate_object_store(store)
        store.put("a", b"x", retain_until=until)

        assert check.ok
        assert locked_until(store, "a") == until
        assert [info.key for info in store.list("")] == ["a"]
        store.close()


def test_azure_without_conditions(azurite, container, monkeypatch):
    """A store whose condition was taken away looks before it writes."""
    from azure_locks import _Handler  # noqa: PLC0415 - only here

    passed = []

    def note(self):
        passed.append((self.command, self.headers.get("If-None-Match")))
        real(self)

    real = _Handler._pass
    for verb in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        monkeypatch.setattr(_Handler, f"do_{verb}", note)
    with locking(azurite) as locks:
        store = open_blob_store(locks.server.config(container))
        store.capabilities -= {Capability.ATOMIC_CREATE}
        store.put("a", b"first", create=True)
        with pytest.raises(ObjectExistsError):
            store.put("a", b"second", create=True)
        store.close()

    assert [verb for verb, _ in passed] == ["HEAD", "PUT", "HEAD"]
    assert {condition for _, condition in passed} == {None}


# --- S3 -------------------------------------------------------------------------------


def check_of_s3_without_locks(bucket, told):
    """What validation finds in a server that keeps no lock, and answers so about one."""

    def forgets(environ):
        if environ["QUERY_STRING"] == "retention":
            return told
        for name in [name for name in environ if "OBJECT_LOCK" in name]:
            del environ[name]
        return None

    def front(application):
        odd = OddServer(application)
        odd.rules.append(forgets)
        return odd

    with running_s3(front) as server:
        location = server.config(bucket, objectLockMode="COMPLIANCE")
        with closing(open_s3_store(location)) as store:
            return validate_object_store(store)


def test_s3_that_overlooks_locks(bucket_maker, s3_credentials):
    """A server that takes the headers of a lock and keeps none is found."""
    none = Answer("404 Not Found", "NoSuchObjectLockConfiguration")

    check = check_of_s3_without_locks(bucket_maker(), none)

    assert "keeps none" in check.problems[0]
    assert Capability.RETENTION not in check.capabilities


def test_s3_without_the_right_to_read_locks(bucket_maker, s3_credentials):
    """Who may lock and may not ask for locks is believed."""
    refused = Answer("403 Forbidden", "AccessDenied")

    check = check_of_s3_without_locks(bucket_maker(), refused)

    assert check.ok
    assert Capability.RETENTION in check.capabilities


def test_s3_that_learns(s3_server, s3_bucket, s3_credentials, capsys):
    """The command says what the server has learned, as text and in its document."""
    from kbackup.cli._app import run  # noqa: PLC0415 - with what it needs

    def front(application):
        odd = OddServer(application)
        odd.rules.append(overlooks_conditions)
        return odd

    with running_s3(front) as old:
        store = open_s3_store(old.config(s3_bucket))
        assert lacking(store) == {Capability.ATOMIC_CREATE}
        store.close()
    query = f"s3Url={s3_server.url}&s3ForcePathStyle=true&region=us-east-1"
    location = f"s3://{s3_bucket}?{query}"

    code = run(["location", "validate", "--location", location])
    text = capsys.readouterr().out
    run(["location", "validate", "--location", location, "-o", "json"])
    document = json.loads(capsys.readouterr().out)

    assert code == 0
    assert "the server has learned conditional puts: remembered from now on" in text
    assert "conditional put: yes" in text
    assert document["news"] == []


# --- filesystems ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sftp", "ftp", "webdav"])
def test_validate_says_what_a_filesystem_cannot_do(request, kind, capsys):
    """No conditional put, no lock, no signed address: said, and no fault."""
    from kbackup.cli._location import _profile_lines  # noqa: PLC0415 - the words

    store = open_filesystem_store(request.getfixturevalue(f"{kind}_config"))

    check = validate_object_store(store)
    record = ensure_location_record(store)
    store.close()

    assert check.ok
    said = list(_profile_lines(check))
    assert "conditional put: no: names are claimed by a list instead" in said
    assert "object lock: no" in said
    assert "signed addresses: no" in said
    assert not any("checksum" in line for line in said)
    assert record.profile is None  # there was nothing to find out
