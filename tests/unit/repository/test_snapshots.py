"""A snapshot file is read and written as restic does."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.errors import IntegrityError
from kbackup.repository._calendar import Instant
from kbackup.repository._snapshots import (
    Snapshot,
    SnapshotSummary,
    snapshot_from_json,
)
from kbackup.repository._tag import TagChange

WRITTEN = json.loads(
    (
        Path(__file__).parents[2] / "formats" / "restic" / "snapshots" / "forget.json"
    ).read_text()
)["snapshots"]
ID = bytes.fromhex("3f2a9c01" + "00" * 28)
TREE = b"\1" * 32
TIME = Instant.parse("2026-04-01T12:00:00.123456789+02:00")
SMALL = (
    b'{"time":"2026-04-01T12:00:00.123456789+02:00","tree":"'
    + TREE.hex().encode()
    + b'","paths":["/srv"]}'
)
SUMMARY = b'{"backup_start":"2026-04-01T12:00:00Z","backup_end":"2026-04-01T12:00:01Z"'


def changed(old, new):
    """Return the small document with something else in it."""
    assert old in SMALL
    return SMALL.replace(old, new)


def with_member(member):
    """Return the small document with one member more."""
    return SMALL[:-1] + b"," + member + b"}"


@pytest.mark.parametrize("written", WRITTEN, ids=lambda each: each["id"][:8])
def test_what_restic_wrote_is_written_again(written):
    """Each file that a restic wrote comes out again with the same bytes."""
    snapshot = snapshot_from_json(
        bytes.fromhex(written["id"]), written["json"].encode()
    )

    assert snapshot.to_json().decode() == written["json"]


def test_all_members():
    """Every member is read to where a program looks for it."""
    data = (
        b'{"time":"2026-04-01T12:00:00.123456789+02:00","parent":"%b","tree":"%b",'
        b'"paths":["/srv","/home"],"hostname":"till","username":"eva","uid":1000,'
        b'"gid":100,"excludes":["*.tmp"],"tags":["b","a"],"original":"%b",'
        b'"program_version":"restic 0.19.1","summary":%b,"files_new":1,'
        b'"files_changed":2,"files_unmodified":3,"dirs_new":4,"dirs_changed":5,'
        b'"dirs_unmodified":6,"data_blobs":7,"tree_blobs":8,"data_added":9,'
        b'"data_added_packed":10,"total_files_processed":11,'
        b'"total_bytes_processed":12}}'
    ) % (b"02" * 32, b"01" * 32, b"03" * 32, SUMMARY)

    snapshot = snapshot_from_json(ID, data)

    assert snapshot == Snapshot(
        id=ID,
        time=TIME,
        tree=TREE,
        paths=["/srv", "/home"],
        hostname="till",
        username="eva",
        uid=1000,
        gid=100,
        excludes=["*.tmp"],
        tags=["b", "a"],
        parent=b"\2" * 32,
        original=b"\3" * 32,
        program_version="restic 0.19.1",
        summary=SnapshotSummary(
            backup_start=Instant.parse("2026-04-01T12:00:00Z"),
            backup_end=Instant.parse("2026-04-01T12:00:01Z"),
            files_new=1,
            files_changed=2,
            files_unmodified=3,
            dirs_new=4,
            dirs_changed=5,
            dirs_unmodified=6,
            data_blobs=7,
            tree_blobs=8,
            data_added=9,
            data_added_packed=10,
            total_files_processed=11,
            total_bytes_processed=12,
        ),
    )
    assert snapshot.to_json() == data


def test_empty_members_are_left_out():
    """What is empty is not written, but for the paths, and the ID never is."""
    snapshot = Snapshot(id=ID, time=TIME, tree=TREE, paths=[])

    assert snapshot.to_json() == changed(b'"/srv"', b"")


def test_strings_are_escaped_as_go_does():
    """Every sign of a name is written as by Go's encoder, so that IDs agree."""
    name = "".join(map(chr, range(0x80))) + "é\u2028\u2029\ufffd😀\u0085\u00a0\ufeff"
    snapshot = Snapshot(time=TIME, tree=TREE, paths=[name])
    # What Go 1.26 makes of it.
    go = (
        r'"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e'
        r"\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a"
        r"\u001b\u001c\u001d\u001e\u001f !\"#$%\u0026'()*+,-./0123456789:;\u003c="
        r"\u003e?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
        "\x7fé\\u2028\\u2029\ufffd😀\u0085\u00a0\ufeff" + '"'
    )

    data = snapshot.to_json()

    assert b'"paths":[%b]' % go.encode() in data
    assert snapshot_from_json(snapshot.id, data) == snapshot


def test_names_that_are_no_utf8():
    """A path whose bytes are no UTF-8 does not keep a backup from being saved."""
    snapshot = Snapshot(time=TIME, tree=TREE, paths=["/m\udcfcsli"], hostname="\udcff")

    again = snapshot_from_json(snapshot.id, snapshot.to_json())

    assert (again.paths, again.hostname) == (("/m\ufffdsli",), "\ufffd")


def test_unknown_members_survive():
    """What a newer version wrote is still there after a change of tags."""
    summary = SUMMARY + b',"files_new":1,"checked" : 1e5 }'
    data = with_member(b'"summary":%b,"lock\\u003ced": [1.0, {"a":null}]' % summary)
    snapshot = snapshot_from_json(ID, data)

    text = TagChange(add=["a"]).of(snapshot).to_json()

    assert text.endswith(b',"lock\\u003ced":[1.0, {"a":null}]}')
    assert b'"total_bytes_processed":0,"checked":1e5}' in text
    assert json.loads(text).keys() - json.loads(data).keys() == {"tags", "original"}


@pytest.mark.parametrize(
    "member",
    [
        b'"tags":null',
        b'"excludes":null',
        b'"parent":null',
        b'"summary":null',
        b'"uid":0',
    ],
)
def test_null_is_nothing(member):
    """A member that Go would have left out may be there, and is as if it were not."""
    assert snapshot_from_json(ID, with_member(member)).to_json() == SMALL


def test_no_paths_at_all():
    """A list of paths that Go wrote as null is an empty one."""
    data = changed(b'["/srv"]', b"null")

    assert snapshot_from_json(ID, data).paths == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (b"[]", "array"),
        (SMALL[:-1], "truncated"),
        (SMALL + b"{}", "trailing"),
        (with_member(b'"a":"\xff"'), "utf-8"),
        pytest.param(
            with_member(b'"a":' + b"[" * 100_000), "recursion", id="nested too deep"
        ),
        (with_member(b'"hostname":"\\ud800"'), "truncated|surrogate"),
        (changed(b'"tree"', b'"root"'), "tree"),
        (changed(b'"time"', b'"when"'), "time"),
        (changed(b'"paths"', b'"path"'), "paths"),
        (changed(b'"/srv"', b"1"), "paths"),
        (changed(TREE.hex().encode(), b"0101"), "no ID"),
        (changed(TREE.hex().encode(), b"0A" * 32), "no ID"),
        (changed(TREE.hex().encode(), b"0x" * 32), "hex"),
        (with_member(b'"parent":""'), "no ID"),
        (with_member(b'"original":1'), "original"),
        (with_member(b'"uid":-1'), "uid"),
        (with_member(b'"gid":4294967296'), "gid"),
        (with_member(b'"uid":"0"'), "uid"),
        (with_member(b'"tags":"a"'), "tags"),
        (with_member(b'"hostname":null'), "hostname"),
        (with_member(b'"summary":[]'), "array"),
        (with_member(b'"summary":{}'), "backup_start"),
        (with_member(b'"summary":%b,"files_new":-1}' % SUMMARY), "files_new"),
        (with_member(b'"summary":%b,"data_added":1.5}' % SUMMARY), "data_added"),
        (
            with_member(b'"summary":%b,"data_blobs":%d}' % (SUMMARY, 2**63)),
            "data_blobs",
        ),
        (
            with_member(b'"summary":{"backup_start":"now","backup_end":"then"}'),
            "RFC 3339",
        ),
    ],
)
def test_damaged_file_is_named(data, said):
    """Whatever is no snapshot is refused with the file's name and what is wrong."""
    with pytest.raises(IntegrityError, match=rf"(?i)snapshot 3f2a9c01: .*({said})"):
        snapshot_from_json(ID, data)


@given(st.binary(max_size=4), st.integers(0, 2000), st.integers(0, 4))
def test_damage_raises_nothing_else(put, place, removed):
    """A file with a few other bytes is read, or refused as damaged."""
    data = with_member(b'"summary":%b}' % SUMMARY)
    place %= len(data)

    try:
        found = snapshot_from_json(ID, data[:place] + put + data[place + removed :])
    except IntegrityError:
        return

    assert snapshot_from_json(ID, found.to_json()) == found


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 999),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_times_are_kept(when, nanoseconds, minutes):
    """Any time and zone comes back to the nanosecond and to the minute of its offset."""
    zone = timezone(timedelta(minutes=minutes))
    instant = Instant(when.replace(tzinfo=zone), nanoseconds)

    again = Instant.parse(str(instant))

    assert again == instant
    assert again.when.utcoffset() == zone.utcoffset(None)


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.10+23:59", "2026-01-01T00:00:00.1+23:59"),
        ("2026-01-01T00:00:00.1234567899Z", "2026-01-01T00:00:00.123456789Z"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.000000001-03:30", "2026-01-01T00:00:00.000000001-03:30"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_written_as_go_does(text, again):
    """A time has no zeros at its end, and no offset in UTC."""
    assert str(Instant.parse(text)) == again


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00z",
        "2026-01-01t00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:75",
        "2026-02-30T01:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_times_that_are_none(text):
    """What Go's decoder refuses is refused, and so is the year before the first."""
    with pytest.raises(IntegrityError, match="3f2a9c01"):
        snapshot_from_json(
            ID, changed(b"2026-04-01T12:00:00.123456789+02:00", text.encode())
        )


def test_seconds_of_an_offset_are_cut():
    """An old place whose noon was off by seconds is written as Go does."""
    zone = timezone(timedelta(hours=-3, minutes=-30, seconds=-52))

    assert (
        str(Instant(datetime(1930, 1, 1, tzinfo=zone))) == "1930-01-01T00:00:00-03:30"
    )


def test_times_are_ordered_by_the_moment():
    """Zones do not decide which snapshot is newer, nanoseconds do."""
    assert Instant.parse("2026-01-01T02:00:00+02:00") == Instant.parse(
        "2026-01-01T00:00:00Z"
    )
    assert Instant.parse("2026-01-01T02:00:00+02:00") < Instant.parse(
        "2026-01-01T01:00:00Z"
    )
    assert Instant.parse("2026-01-01T00:00:00.000000002Z") > Instant.parse(
        "2026-01-01T00:00:00.000000001Z"
    )


def test_printed():
    """Messages name a snapshot as restic does."""
    snapshot = Snapshot(id=ID, time=TIME, tree=TREE, paths=["/srv"])

    assert str(snapshot) == "snapshot 3f2a9c01"
