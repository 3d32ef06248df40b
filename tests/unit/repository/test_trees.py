"""Trees are read as restic wrote them, and written byte for byte as it does."""

import json
import stat
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.errors import IntegrityError
from kbackup.repository import _times
from kbackup.repository._ids import hash_of
from kbackup.repository._nodes import (
    Node,
    NodeType,
    quote,
    to_go_mode,
    to_posix_mode,
    unquote,
)
from kbackup.repository._times import format_nanoseconds, parse_nanoseconds
from kbackup.repository._trees import decode_tree, encode_tree

WRITTEN = Path(__file__).parents[2] / "formats" / "restic" / "trees"
SAME = ["root", "names", "kinds", "rights", "times", "attributes", "empty"]
ID = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
NOW = "2024-05-01T02:00:00Z"


def read(name):
    """The nodes of one of restic's trees, by their names."""
    nodes = decode_tree((WRITTEN / f"{name}.json").read_bytes(), "tree")
    return {node.name: node for node in nodes}


def node(**members):
    """A symlink, which needs nothing else, with members."""
    wanted = {"quoted_name": "a", "type": NodeType.SYMLINK, "content": None}
    times = {"mtime": NOW, "atime": NOW, "ctime": NOW}
    return Node(**wanted | times | {"uid": 0, "gid": 0} | members)


def tree(**members):
    """A tree of one node in JSON, some of its members as given."""
    whole = {
        "name": "a",
        "type": "file",
        "mtime": NOW,
        "atime": NOW,
        "ctime": NOW,
        "uid": 0,
        "gid": 0,
        "content": [ID],
    }
    return json.dumps({"nodes": [whole | members]}).encode()


@pytest.fixture
def zone(monkeypatch):
    """Puts this process into a time zone."""

    def put(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()
        forget_times()

    yield put
    monkeypatch.undo()
    time.tzset()
    forget_times()


def forget_times():
    """Forget what was written in another zone."""
    _times._whole.cache_clear()
    _times._quarter.cache_clear()


# --- what restic wrote ------------------------------------------------------------------


@pytest.mark.parametrize("name", SAME)
def test_a_tree_of_restic_comes_back(name):
    """Byte for byte: the same directory has the same name, whoever saved it."""
    content = (WRITTEN / f"{name}.json").read_bytes()

    assert encode_tree(decode_tree(content, "tree")) == content


def test_the_names_of_trees_are_those_of_restic():
    """Each directory in the root says which tree it has."""
    found = {
        name.decode(): node.subtree
        for name, node in read("root").items()
        if node.subtree
    }

    assert {"names", "kinds", "rights"} <= found.keys()
    for name, subtree in found.items():
        assert hash_of((WRITTEN / f"{name}.json").read_bytes()).hex() == subtree


def test_what_newer_programs_write():
    """The newest Go writes some signs in another way: that one is taken."""
    nodes = decode_tree((WRITTEN / "rewritten.json").read_bytes(), "tree")
    again = [
        msgspec.structs.replace(each, quoted_name=quote(each.name)) for each in nodes
    ]

    expected = (WRITTEN / "rewritten-by-go-1.26.json").read_bytes()
    assert encode_tree(again) == expected


@pytest.mark.parametrize("name", [*SAME, "rewritten"])
def test_names_are_quoted_as_restic_does(name):
    """From the bytes that the system had."""
    for raw, found in read(name).items():
        if name != "rewritten":
            assert quote(raw) == found.quoted_name
        assert unquote(quote(raw)) == raw


def test_modes_are_those_of_restic():
    """Set-user-ID, set-group-ID, sticky and the type have other bits in Go."""
    for nodes in (read("rights"), read("kinds")):
        for found in nodes.values():
            posix = to_posix_mode(found.mode)
            kinds = {
                NodeType.FILE: stat.S_IFREG,
                NodeType.DIRECTORY: stat.S_IFDIR,
                NodeType.SYMLINK: stat.S_IFLNK,
                NodeType.FIFO: stat.S_IFIFO,
                NodeType.CHARACTER_DEVICE: stat.S_IFCHR,
                NodeType.BLOCK_DEVICE: stat.S_IFBLK,
            }
            kind = NodeType(found.type)
            assert to_go_mode(posix | kinds[kind]) == (kind, found.mode)


@pytest.mark.parametrize("special", [stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX, 0o7000])
def test_special_bits_come_back(special):
    """Each alone and all together."""
    _, mode = to_go_mode(stat.S_IFREG | special | 0o644)

    assert to_posix_mode(mode) == special | 0o644


def test_what_is_neither():
    """A kind that nobody knows is irregular; a socket is one."""
    assert to_go_mode(0o644)[0] is NodeType.IRREGULAR
    assert to_go_mode(stat.S_IFSOCK | 0o644)[0] is NodeType.SOCKET


# --- what restic 0.14 cannot write ------------------------------------------------------


def test_a_target_that_is_no_text():
    r"""Its bytes are kept apart; each that is no text is ``\ufffd`` in the text."""
    link = node(linktarget="x", linktarget_raw=b"<a>\xff\xef\xbf\xbd\n")
    written = encode_tree([link, node(quoted_name="b", linktarget="plain")])

    expected = (
        rb'"linktarget":"\u003ca\u003e\ufffd' + b"\xef\xbf\xbd" + rb'\n",'
        rb'"linktarget_raw":"PGE+/++/vQo="'
    )
    assert expected in written
    first, second = decode_tree(written, "tree")
    assert (first.target, second.target) == (b"<a>\xff\xef\xbf\xbd\n", b"plain")


def test_members_that_newer_programs_add_are_passed_over():
    """What is known of a file is enough to restore it."""
    (found,) = decode_tree(tree(colour="red"), "tree")

    assert found.blobs == [bytes.fromhex(ID)]


# --- names and times --------------------------------------------------------------------


@given(st.binary(max_size=60))
def test_any_name_comes_back(name):
    """Whatever bytes it has."""
    assert unquote(quote(name)) == name


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        (r"\a\b\f\n\r\t\v\\\"", b'\a\b\f\n\r\t\v\\"'),
        (r"\xff\377", b"\xff\xff"),
        (r"\u00e4\U0001f600", "\u00e4\U0001f600".encode()),
        ("\u00e4", "\u00e4".encode()),
    ],
)
def test_escapes_of_go(quoted, name):
    """Each one that its reader takes."""
    assert unquote(quoted) == name


@pytest.mark.parametrize(
    "text", ["\\", "\\q", "\\x1", "\\u12", "\\'", "\\ud800", "\\U00110000", "\\400"]
)
def test_what_is_no_escape(text):
    """It is refused, never taken for something else."""
    with pytest.raises(ValueError, match=r"escape|surrogates|range|bytes must be"):
        unquote(text)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_time_comes_back(instant):
    """To the nanosecond, over all that a file system of 64 bits can say."""
    assert parse_nanoseconds(format_nanoseconds(instant)) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (10**30, "9999-12-30T23:59:59Z"),
        (-(10**30), "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_written_as_go_does(zone, instant, text):
    """Without zeros at the end; years that cannot be said are near the last that can."""
    zone("UTC")

    assert format_nanoseconds(instant) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0", "2023-11-14T23:13:20+01:00"),
        ("NST3:30NDT,M3.2.0,M11.1.0", "2023-11-14T18:43:20-03:30"),
    ],
)
def test_times_are_those_of_the_machine(zone, name, text):
    """As restic writes them there: the same file has the same name."""
    zone(name)

    assert format_nanoseconds(1_700_000_000_000_000_000) == text
    assert parse_nanoseconds(text) == 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2023-11-14T23:13:20.12+01:00", 1_700_000_000_120_000_000),
        ("2023-11-14T17:43:20-04:30", 1_700_000_000_000_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000_000_000),
    ],
)
def test_times_of_other_zones(text, instant):
    """And Go's zero time, which stands for none."""
    assert parse_nanoseconds(text) == instant


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20"],
)
def test_what_is_no_time(text):
    """It is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_nanoseconds(text)


# --- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"nodes": 1}',
        b'{"nodes": [' + b"[" * 100_000,
        tree(name=""),
        tree(name="."),
        tree(name=".."),
        tree(name="a/b"),
        tree(name="../a"),
        tree(name="\0"),
        tree(name="\\x00"),
        tree(name="\\x2f"),
        tree(name="\\q"),
        tree(name=1),
        tree(mode=-1),
        tree(size=-1),
        tree(size="many"),
        tree(mtime="yesterday"),
        tree(atime="yesterday"),
        tree(ctime="yesterday"),
        tree(content=["ab"]),
        tree(content=[ID.upper()]),
        tree(type="dir"),
        tree(type="dir", subtree="ab"),
    ],
)
def test_what_no_directory_can_hold(data):
    """It is damage, and the tree is named: a name never climbs out of a target."""
    with pytest.raises(IntegrityError, match="tree 12: damaged"):
        decode_tree(data, "tree 12")


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"], ["\\xff", "z"]])
def test_names_out_of_order(names):
    """By their bytes, not by how they are written."""
    whole = json.loads(tree())["nodes"][0]
    data = json.dumps({"nodes": [whole | {"name": name} for name in names]}).encode()

    with pytest.raises(IntegrityError, match="is not in its place"):
        decode_tree(data, "tree 12")


GOOD = (WRITTEN / "kinds.json").read_bytes()


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4))
def test_any_bytes_end_in_our_errors(at, more):
    """Whatever somebody sealed."""
    with suppress(IntegrityError):
        decode_tree(GOOD[:at] + more + GOOD[at + len(more) :], "tree")


def test_a_tree_of_many_nodes_is_one():
    """Though they are encoded some at a time: a comma between any two, none at an end."""
    (first,) = decode_tree(tree(), "tree")
    names = [f"{number:05d}" for number in range(2001)]
    nodes = [msgspec.structs.replace(first, quoted_name=name) for name in names]

    for count in (0, 1, 1000, 1001, 2000, 2001):
        encoded = encode_tree(nodes[:count])
        assert json.loads(bytes(encoded))["nodes"] == [
            json.loads(msgspec.json.encode(node)) for node in nodes[:count]
        ]
        assert decode_tree(encoded, "tree") == nodes[:count]
