"""Servers that speak like S3 and not quite: what a probe finds, and what still works."""

from __future__ import annotations

import json

import pytest

from kbackup.catalog import BackupStore
from kbackup.errors import ObjectExistsError, StoreError
from kbackup.plugins import Capability
from kbackup.stores import (
    PrefixedStore,
    RetryPolicy,
    ensure_location_record,
    read_location_record,
    validate_object_store,
)
from odd_s3 import (
    calls_checksums_invalid,
    knows_paths_only,
    overlooks_conditions,
    overlooks_start_after,
    refuses,
    refuses_checksums,
    refuses_conditions,
)


def puts(odd):
    """The keys that were put, in their order, each with whether a condition went along."""
    return [
        ("probe" in path, "HTTP_IF_NONE_MATCH" in environ)
        for method, path, _, environ in odd.seen
        if method == "PUT"
    ]


def test_the_first_use_tries_a_location_out_once(odd, open_odd):
    """A new location is probed before its identity is written, and never again."""
    store = PrefixedStore(open_odd(), "prod")

    record = ensure_location_record(store)

    assert puts(odd) == [(True, False), (True, True), (False, True)]
    assert record.profile is not None
    assert record.profile.lacks == frozenset()
    assert [info.key for info in store.list("")] == ["plugins/kbackup.io/location.json"]
    odd.seen.clear()

    again = PrefixedStore(open_odd(), "prod")

    assert ensure_location_record(again) == record
    assert puts(odd) == []


@pytest.mark.parametrize("rule", [refuses_conditions, overlooks_conditions])
def test_a_server_without_conditional_put(odd, open_odd, rule):
    """What is found once is remembered in the location and kept to by later stores."""
    odd.rules.append(rule)
    first = PrefixedStore(open_odd(), "prod")

    ensure_location_record(first)

    later = PrefixedStore(open_odd(), "prod")
    assert Capability.ATOMIC_CREATE in later.capabilities
    ensure_location_record(later)
    for store in (first, later):
        assert Capability.ATOMIC_CREATE not in store.capabilities
        key = f"backups/b/{id(store)}"
        store.put(key, b"first", create=True)
        with pytest.raises(ObjectExistsError):
            store.put(key, b"second", create=True)
        assert store.stat(key).size == len(b"first")


def test_two_runs_of_one_name_without_conditional_put(odd, open_odd):
    """A claim made right after the probe relies on no condition."""
    odd.rules.append(overlooks_conditions)
    backups = BackupStore(open_odd())

    with backups.claim("shop", run_uid="one"):
        keys = [path for method, path, _, _ in odd.seen if method == "PUT"]
        assert keys[-1].endswith("claims/shop/one.json")


def test_a_refused_condition_costs_one_request(odd, open_odd):
    """A store that was not probed goes on after a refusal, and remembers it."""
    odd.rules.append(refuses_conditions)
    store = open_odd()

    store.put("a", b"x", create=True)
    store.put("b", b"x", create=True)

    assert [condition for _, condition in puts(odd)] == [True, False, False]
    assert store.stat("b").size == 1


@pytest.mark.parametrize("rule", [refuses_checksums, calls_checksums_invalid])
def test_a_server_that_refuses_checksums(odd, open_odd, tmp_path, rule):
    """The probe finds it, and uploads in one and in several parts go without."""
    odd.rules.append(rule)
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    store = open_odd(checksumAlgorithm="CRC32")
    with pytest.raises(StoreError):
        store.put("a", b"x")

    record = ensure_location_record(store)

    assert record.profile.refused_checksums == ("CRC32",)
    for name, source in (("small", b"x"), ("large", large)):
        store.put(name, source)
    later = open_odd(checksumAlgorithm="CRC32")
    ensure_location_record(later)
    later.put("later", b"x")
    assert validate_object_store(open_odd(checksumAlgorithm="CRC32")).checksum == ""


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_go_along(odd, open_odd, tmp_path, algorithm):
    """Each request with bytes carries the checksum of them, as a header."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    store = open_odd(checksumAlgorithm=algorithm)

    store.put("small", b"x")
    store.put("large", large)

    header = f"HTTP_X_AMZ_CHECKSUM_{algorithm}"
    sent = [environ for method, _, _, environ in odd.seen if method == "PUT"]
    assert len(sent) == 1 + 3
    assert all(header in environ for environ in sent)
    assert not any("aws-chunked" in str(environ) for environ in sent)
    assert validate_object_store(store).checksum == algorithm


def test_no_checksum_without_asking(odd, open_odd):
    """A server that is not Amazon's gets no checksum that nobody asked for."""
    open_odd().put("small", b"x")

    [environ] = [environ for *_, environ in odd.seen]
    assert not any("CHECKSUM" in name for name in environ)


def test_a_server_without_start_after(odd, open_odd):
    """A list that begins after a key gives nothing before it all the same."""
    odd.rules.append(overlooks_start_after)
    store = open_odd()
    for key in "abc":
        store.put(key, b"")

    assert [info.key for info in store.list("", after="b")] == ["c"]
    assert validate_object_store(store).ok


def test_a_server_that_knows_paths_only(odd, open_odd):
    """A bucket that was sought in the host name is told with the key that is missing."""
    odd.rules.append(knows_paths_only)
    good = open_odd()
    server = good._reached.url.replace("127.0.0.1", "localhost")
    bad = open_odd(s3Url=server, s3ForcePathStyle="false")
    bad._retry = RetryPolicy(attempts=1)  # what its time cuts off says nothing else

    assert validate_object_store(good).ok
    with pytest.raises(StoreError) as caught:
        list(bad.list(""))
    assert "s3ForcePathStyle" in caught.value.hint


def test_who_may_not_delete_still_writes(odd, open_odd, caplog):
    """A probe that cannot end is logged; the location is made and nothing taken away."""
    odd.rules.append(refuses("DELETE"))
    store = open_odd()

    record = ensure_location_record(store)

    assert record.profile is None
    assert "s3:DeleteObject is not allowed" in caplog.text
    assert read_location_record(store) == record
    assert Capability.ATOMIC_CREATE in store.capabilities


def test_validate_shows_what_was_found(odd, open_odd, capsys):
    """The command prints the working profile, and a document has it too."""
    from kbackup.cli._app import run  # noqa: PLC0415 - with what it needs

    store = open_odd()
    location = (
        f"s3://{store._root}/prod?s3Url={store._reached.url}&s3ForcePathStyle=true"
        "&region=us-east-1&checksumAlgorithm=CRC32"
    )
    odd.rules += [refuses_conditions, refuses_checksums]

    code = run(["location", "validate", "--location", location])
    text = capsys.readouterr().out
    run(["location", "validate", "--location", location, "-o", "json"])
    document = json.loads(capsys.readouterr().out)

    assert code == 0
    assert "conditional put: no" in text
    assert "checksum of uploads: none" in text
    assert "object lock: no" in text
    assert document["profile"] == {
        "capabilities": ["range", "signed-url"],
        "checksum": "",
        "lockDays": None,
    }
