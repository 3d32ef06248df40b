"""Snapshots are found, filtered and grouped as restic does."""

import attrs
import pytest

from kbackup.errors import InvalidSpecError, SnapshotNotFoundError
from kbackup.repository._calendar import Instant
from kbackup.repository._selection import (
    GroupBy,
    SnapshotFilter,
    find_parent,
    find_snapshot,
    group_snapshots,
    split_subfolder,
)
from kbackup.repository._snapshots import Snapshot


def snapshot(digits, day=1, *, host="till", paths=("/srv",), tags=()):
    """Make a snapshot whose ID begins with these digits."""
    return Snapshot(
        id=bytes.fromhex(digits.ljust(64, "0")),
        time=Instant.parse(f"2026-04-{day:02}T00:00:00Z"),
        tree=bytes(32),
        paths=paths,
        hostname=host,
        tags=tags,
    )


OLD = snapshot("3f2a9c01", 1)
MIDDLE = snapshot("3f2b", 2, tags=["a"])
NEW = snapshot("a1", 3, host="desk", tags=["a", "b"])
ALL = [MIDDLE, NEW, OLD]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (OLD.id.hex(), OLD),
        (OLD.id.hex().upper(), OLD),
        ("3f2a", OLD),
        ("a", NEW),
        ("latest", NEW),
        ("latest~0", NEW),
        ("latest~2", OLD),
    ],
)
def test_find(text, found):
    """One snapshot is meant by its ID, by the beginning of it, or by its age."""
    assert find_snapshot(ALL, text) is found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ffff", "'ffff': no such snapshot: none begins so"),
        ("3f2", r"2 begin so: 3f2a9c01, 3f2b0000$"),
        ("", "none begins so"),
        ("none", "none begins so"),
        (NEW.id.hex() + "0", "none begins so"),
        ("latest~3", "3 snapshots to choose from"),
        ("latest~", "none begins so"),
        ("latest:srv", "none begins so"),
        ("3f2a:srv", "none begins so"),
    ],
)
def test_find_nothing(text, said):
    """Of none, or of several, the message says which there are."""
    with pytest.raises(SnapshotNotFoundError, match=said):
        find_snapshot(ALL, text)


def test_candidates_can_be_told_apart():
    """IDs that agree in their first eight digits are shown longer."""
    twins = [snapshot("3f2a9c01aa0"), snapshot("3f2a9c01ab0")]

    with pytest.raises(SnapshotNotFoundError, match="3f2a9c01aa0, 3f2a9c01ab0"):
        find_snapshot(twins, "3f2a9c01a")


def test_latest_of_a_filter():
    """The latest one is that of the filter; an ID is found whatever the filter."""
    of_till = SnapshotFilter(hosts=["till"])

    assert find_snapshot(ALL, "latest", filter=of_till) is MIDDLE
    assert find_snapshot(ALL, "latest~1", filter=of_till) is OLD
    assert find_snapshot(ALL, "a1", filter=of_till) is NEW
    with pytest.raises(SnapshotNotFoundError, match="0 snapshots to choose from"):
        find_snapshot(ALL, "latest", filter=SnapshotFilter(hosts=["nobody"]))


@pytest.mark.parametrize("order", [ALL, ALL[::-1]])
def test_latest_of_the_same_time(order):
    """Of snapshots of the same time it is the same one, however they were listed."""
    same = [attrs.evolve(each, time=OLD.time) for each in order]

    assert find_snapshot(same, "latest").id == NEW.id


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("3f2a", ("3f2a", "")),
        ("latest:/srv/a:b", ("latest", "/srv/a:b")),
        ("3f2a:", ("3f2a", "")),
    ],
)
def test_subfolder(text, parts):
    """What stands behind the first colon is a path."""
    assert split_subfolder(text) == parts


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, ALL),
        ({"hosts": ["desk", "x"]}, [NEW]),
        ({"tags": [["a", "b"]]}, [NEW]),
        ({"tags": [["b"], ["a"]]}, [MIDDLE, NEW]),
        ({"tags": [["a", "b"], ["c"]]}, [NEW]),
        ({"tags": [[""]]}, [OLD]),
        ({"tags": [["", "a"]]}, [OLD]),
        ({"tags": [["a", ""]]}, []),
        ({"tags": [[""], ["b"]]}, [NEW, OLD]),
        ({"paths": ["/srv"]}, ALL),
        ({"paths": ["/srv", "/home"]}, []),
        ({"hosts": ["till"], "tags": [["a"]]}, [MIDDLE]),
    ],
)
def test_filter(chosen, found):
    """Hosts are one of several, paths are all of them, tags are lists of alternatives."""
    chosen = SnapshotFilter(**chosen)

    assert [each for each in ALL if chosen.matches(each)] == found


@pytest.mark.parametrize(
    ("text", "by", "again"),
    [
        ("host,paths", GroupBy(), "host,paths"),
        ("tags,path", GroupBy(host=False, tags=True), "paths,tags"),
        ("hosts,,tag", GroupBy(paths=False, tags=True), "host,tags"),
        ("", GroupBy(host=False, paths=False), ""),
    ],
)
def test_group_by(text, by, again):
    """What snapshots have in common is told in restic's words, one or many."""
    assert GroupBy.parse(text) == by
    assert str(by) == again


def test_group_by_refuses():
    """A grouping that nobody knows is refused by name."""
    with pytest.raises(InvalidSpecError, match="'user'"):
        GroupBy.parse("host,user")


def test_groups():
    """Series come in the order of their keys, the newest first in each."""
    both = snapshot("b", 4, paths=["/srv", "/home"], tags=["b", "a"])
    swapped = snapshot("c", 5, paths=["/home", "/srv"], tags=["a", "b"])

    groups = group_snapshots([*ALL, both, swapped])

    assert {str(key): found for key, found in groups.items()} == {
        "host [desk], paths [/srv]": [NEW],
        "host [till], paths [/home, /srv]": [swapped, both],
        "host [till], paths [/srv]": [MIDDLE, OLD],
    }
    assert list(groups) == sorted(groups)
    assert [
        str(key) for key in group_snapshots([both, OLD], GroupBy.parse("tags"))
    ] == [
        "",
        "tags [a, b]",
    ]
    assert list(group_snapshots(ALL, GroupBy.parse("")).values()) == [
        [NEW, MIDDLE, OLD]
    ]


BACKUP = {"host": "till", "paths": ["/srv"], "before": MIDDLE.time}


@pytest.mark.parametrize(
    ("snapshots", "backup", "parent"),
    [
        (ALL, {}, MIDDLE),
        (ALL, {"before": OLD.time}, OLD),
        (ALL, {"before": Instant.parse("2026-03-01T00:00:00Z")}, None),
        (ALL, {"host": "desk", "before": NEW.time}, NEW),
        (ALL, {"host": "desk"}, None),
        (ALL, {"paths": ["/srv", "/home"]}, None),
        (
            [snapshot("d", paths=["/srv", "/home"])],
            {},
            snapshot("d", paths=["/srv", "/home"]),
        ),
    ],
)
def test_parent(snapshots, backup, parent):
    """A backup compares with the newest before it that has all that it saves."""
    assert find_parent(snapshots, **{**BACKUP, **backup}) == parent
