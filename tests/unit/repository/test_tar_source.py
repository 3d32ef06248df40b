"""A tar stream becomes the snapshot that its extraction would have been."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from kbackup.errors import ArchiveCorruptError, InvalidSpecError
from kbackup.repository import (
    DirectorySource,
    MemoryBackend,
    Repository,
    ScryptParameters,
    TarSource,
    Unreadable,
)
from kbackup.repository._acl import acl_value
from kbackup.repository._dump import dump
from kbackup.repository._entries import walk_tree
from odd_tree import make_odd_tree, seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
LARGE = os.urandom(3 << 20)


@pytest.fixture
def repository():
    """A new one in memory."""
    return Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)


class Stream(io.BytesIO):
    """As a pipe gives it: a little at a time, and only once."""

    def read(self, size=-1):
        """Less than was asked for."""
        return super().read(min(size, 30_000) if size > 0 else size)

    def seek(self, *_):
        """Nobody may."""
        raise io.UnsupportedOperation("seek")

    tell = seek


def member(name, content=b"", kind=tarfile.REGTYPE, **how):
    """A header, and what is behind it."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.mtime = kind, len(content), 0o640, 1000
    for key, value in how.items():
        setattr(info, key, value)
    return info, content


def tar(*members, end=True):
    """A stream with these members."""
    parts = []
    for info, content in members:
        kind = tarfile.GNU_FORMAT if info.devmajor < 0 else tarfile.PAX_FORMAT
        parts.append(info.tobuf(kind, "utf-8", "surrogateescape"))
        parts.append(content.ljust(-(-len(content) // 512) * 512, b"\0"))
    return b"".join(parts) + bytes(1024) * end


def back_up(repository, content, **how):
    """Save a stream; return the result and the nodes by path."""
    result = repository.back_up(TarSource(Stream(content), paths=["/data"]), **how)
    repository._opened.refresh_index()
    return result, dict(walk_tree(repository._opened, result.snapshot.tree))


def restored(repository, tmp_path, name="target"):
    """Restore the newest snapshot; return where, which has no problems."""
    assert repository.restore("latest", tmp_path / name).problems == []
    return tmp_path / name


def unreadable(result):
    """What was not saved, by path."""
    return {each.path: each.reason for each in result.unreadable}


@pytest.mark.parametrize("kind", ["pax", "gnu"])
def test_what_tar_wrote_comes_back(need_tool, repository, tmp_path, kind):
    """Everything that there can be, and holes; GNU's own format knows less."""
    source = tmp_path / "source"
    source.mkdir()
    make_odd_tree(source)
    os.utime(source / "directory/large", ns=(5, 7))  # GNU tar turns -0.1 into 0.1
    options = ["--format=posix", "--xattrs"] if kind == "pax" else ["--format=gnu"]
    written = subprocess.run(
        [need_tool("tar"), "-c", "--sparse", *options, "-C", source, "."],
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout

    result, _ = back_up(repository, written)

    assert result.unreadable == ()
    assert result.snapshot.paths == ("/data",)
    found, expected = seen(restored(repository, tmp_path)), seen(source)
    if kind == "gnu":

        def known(what):
            return {path: (*v[:3], v[3] // 10**9, *v[4:7]) for path, v in what.items()}

        found, expected = known(found), known(expected)
    assert found == expected


def test_what_was_dumped_comes_back(repository, tmp_path):
    """An archive of a snapshot is a snapshot again."""
    source = tmp_path / "source"
    source.mkdir()
    make_odd_tree(source)
    snapshot = repository.back_up(DirectorySource(source, base=source)).snapshot
    repository._opened.refresh_index()
    stream = io.BytesIO()
    dump(repository._opened, snapshot.tree, "/", stream)

    result, _ = back_up(repository, stream.getvalue())

    assert result.unreadable == ()
    assert result.snapshot.summary.data_blobs == 0
    assert seen(restored(repository, tmp_path)) == seen(source)


def test_the_same_stream_is_the_same_tree(repository):
    """Nothing in a node is of this moment; all of it is read, whatever the parent has."""
    content = tar(
        member("d/a", b"1"), member("d/b", kind=tarfile.LNKTYPE, linkname="d/a")
    )
    first, _ = back_up(repository, content)

    second, _ = back_up(repository, content)

    assert second.snapshot.parent == first.snapshot.id
    assert second.snapshot.tree == first.snapshot.tree
    assert second.snapshot.summary.files_unmodified == 0
    assert second.snapshot.summary.data_blobs == 0


def test_what_changed_under_the_same_time_is_seen(repository):
    """A tar tells nothing by which a file could be known to be unchanged."""
    back_up(repository, tar(member("file", b"one")))
    result, _ = back_up(repository, tar(member("file", b"two")))

    assert result.snapshot.summary.data_blobs == 1


def test_directories_that_do_not_come(repository):
    """They are made, with owner and time of what lies in them first."""
    how = {"uid": 7, "gid": 8, "uname": "u", "gname": "g"}
    fine = {"pax_headers": {"mtime": "1000.123456789"}}
    _, nodes = back_up(
        repository,
        tar(member("a/b/one", b"1", **how, **fine), member("a/two", b"2", mtime=5)),
    )

    assert list(nodes) == [b"a", b"a/b", b"a/b/one", b"a/two"]
    for path in (b"a", b"a/b"):
        made = nodes[path]
        assert (made.type, made.posix_mode) == ("dir", 0o755)
        assert (made.uid, made.gid, made.user, made.group) == (7, 8, "u", "g")
        assert made.mtime_ns == 1_000_123_456_789


def test_directories_that_come_late(repository):
    """Their own header counts, and what lies in them stays."""
    late = member("d", kind=tarfile.DIRTYPE, mode=0o700, mtime=77)
    _, nodes = back_up(repository, tar(member("d/a", LARGE), late, member("d/b", b"2")))

    assert list(nodes) == [b"d", b"d/a", b"d/b"]
    assert (nodes[b"d"].posix_mode, nodes[b"d"].mtime_ns) == (0o700, 77 * 10**9)


@pytest.mark.parametrize(
    ("first", "second"),
    [(LARGE, b"2"), (b"1", LARGE), (b"1", b"")],
    ids=["large, then small", "small, then large", "empty at last"],
)
def test_a_name_that_comes_twice(repository, tmp_path, first, second):
    """The later one counts, however long the earlier one takes to be saved."""
    back_up(repository, tar(member("d/a", first), member("d/a", second, mode=0o600)))

    target = restored(repository, tmp_path)
    assert (target / "d/a").read_bytes() == second
    assert stat.S_IMODE((target / "d/a").stat().st_mode) == 0o600


def test_a_name_that_becomes_something_else(repository, tmp_path):
    """A directory or a link takes the place of a file, but no file that of a directory."""
    result, nodes = back_up(
        repository,
        tar(
            member("a", b"1"),
            member("a", kind=tarfile.DIRTYPE),
            member("a/b", b"2"),
            member("c", b"3"),
            member("c", kind=tarfile.SYMTYPE, linkname="a"),
            member("a", b"4"),
            member("c/d", b"5"),
        ),
    )

    assert {path: node.type for path, node in nodes.items()} == {
        b"a": "dir",
        b"a/b": "file",
        b"c": "symlink",
    }
    assert unreadable(result) == {
        b"a": "a directory is in its place",
        b"c/d": "c is no directory",
    }


def names_of(target):
    """Which names are the same file."""
    found = {}
    for path in sorted(target.rglob("*")):
        if path.is_file():
            found.setdefault(path.stat().st_ino, []).append(
                str(path.relative_to(target))
            )
    return sorted(found.values())


def test_hard_links(repository, tmp_path):
    """All names are one file, whatever the size, and in whatever directory."""
    result, nodes = back_up(
        repository,
        tar(
            member("large", LARGE),
            member("d/two", kind=tarfile.LNKTYPE, linkname="large"),
            member("d/three", kind=tarfile.LNKTYPE, linkname="./d/two"),
            member("small", b"1"),
            member("other", kind=tarfile.LNKTYPE, linkname="small"),
            member("alone", b"1"),
        ),
    )

    assert result.unreadable == ()
    assert result.snapshot.summary.files_new == 6
    assert {nodes[path].links for path in (b"large", b"d/two", b"d/three")} == {3}
    assert (nodes[b"alone"].links, nodes[b"alone"].inode) == (1, 0)
    target = restored(repository, tmp_path)
    assert names_of(target) == [
        ["alone"],
        ["d/three", "d/two", "large"],
        ["other", "small"],
    ]
    assert (target / "d/three").read_bytes() == LARGE


def test_a_hard_link_to_a_file_that_comes_again(repository, tmp_path):
    """It is a name of the one that was there when it came."""
    back_up(
        repository,
        tar(
            member("a", b"old"),
            member("b", kind=tarfile.LNKTYPE, linkname="a"),
            member("a", b"new"),
            member("c", kind=tarfile.LNKTYPE, linkname="a"),
        ),
    )

    target = restored(repository, tmp_path)
    assert names_of(target) == [["a", "c"], ["b"]]
    assert (target / "a").read_bytes() == b"new"
    assert (target / "b").read_bytes() == b"old"


def test_a_hard_link_that_becomes_a_file(repository, tmp_path):
    """It is no name of the other any more."""
    back_up(
        repository,
        tar(
            member("a", b"old"),
            member("b", kind=tarfile.LNKTYPE, linkname="a"),
            member("b", b"new"),
            member("a", kind=tarfile.LNKTYPE, linkname="a"),
        ),
    )

    target = restored(repository, tmp_path)
    assert names_of(target) == [["a"], ["b"]]
    assert (target / "b").read_bytes() == b"new"


def test_a_hard_link_to_a_symlink(repository, tmp_path):
    """GNU tar writes such; it is the same symlink."""
    _, nodes = back_up(
        repository,
        tar(
            member("a", kind=tarfile.SYMTYPE, linkname="x"),
            member("b", kind=tarfile.LNKTYPE, linkname="a"),
        ),
    )

    assert nodes[b"b"].target == b"x"
    assert (restored(repository, tmp_path) / "b").readlink() == Path("x")


def test_names_that_lead_elsewhere(repository):
    """They are not saved, and told; so is what cannot be."""
    result, nodes = back_up(
        repository,
        tar(
            member("/etc/passwd", b"1"),
            member("a/../../b", b"2"),
            member("link", kind=tarfile.LNKTYPE, linkname="../x"),
            member("lost", kind=tarfile.LNKTYPE, linkname="nowhere"),
            member("odd", kind=b"Q"),
            member("whose", uid=1 << 40),
            member("nul", pax_headers={"path": "a\0b"}),
            member("device", kind=tarfile.CHRTYPE, devmajor=-1),
            member("good", b"3"),
        ),
    )

    assert list(nodes) == [b"good"]
    assert unreadable(result) == {
        b"/etc/passwd": "its name is absolute",
        b"a/../../b": "its name leads out of the archive",
        b"link": "its name leads out of the archive",
        b"lost": "it is another name of nowhere, which is not there",
        b"odd": "it is of the unknown type b'Q'",
        b"whose": "its owner 1099511627776:0 is none",
        b"a\0b": "its name is none",
        b"device": "its device -1:0 is none",
    }
    assert result.exit_code == 3


def test_times_to_the_nanosecond(repository):
    """Before 1970, too; what is no time is none."""
    times = {
        "a": "1.000000001",
        "b": "-0.000000001",
        "c": "12",
        "d": "nan",
        "e": "1e99",
    }
    _, nodes = back_up(
        repository,
        tar(*(member(n, pax_headers={"mtime": text}) for n, text in times.items())),
    )

    found = [nodes[name.encode()].mtime_ns for name in "abcd"]
    assert found == [1_000_000_001, -1, 12_000_000_000, 0]
    assert nodes[b"e"].mtime.startswith("9999")


def test_names_that_are_no_text(repository):
    """Their bytes are kept; names of users, which JSON must hold, as far as it can."""
    _, nodes = back_up(
        repository,
        tar(
            member("a\udcff", uname="\udcff", gname="g"),
            member("b", kind=tarfile.SYMTYPE, linkname="\udcfe"),
        ),
    )

    assert nodes[b"a\xff"].user == "\ufffd"
    assert nodes[b"b"].target == b"\xfe"


def test_an_empty_archive(repository):
    """An end mark is one; nothing at all is not."""
    result, nodes = back_up(repository, bytes(1024))
    assert (result.unreadable, nodes) == ((), {})

    with pytest.raises(ArchiveCorruptError, match="at its beginning"):
        back_up(repository, b"")


WHOLE = tar(member("a", b"1" * 600), member("b", LARGE), member("c", b"3"))


@pytest.mark.parametrize(
    "size",
    [100, 512, 700, 1024 + 512, 2048 + 100_000, len(WHOLE) - 1024, len(WHOLE) - 2048],
)
def test_a_stream_that_ends_early(repository, size):
    """Wherever that is, there is no snapshot that looks whole."""
    with pytest.raises(ArchiveCorruptError, match="the tar stream cannot be read"):
        back_up(repository, WHOLE[:size])

    assert repository.list() == []


def test_a_damaged_header(repository):
    """It is not taken for the end."""
    content = bytearray(tar(member("a", b"1"), member("b", b"2")))
    content[1024 + 5] ^= 1

    with pytest.raises(ArchiveCorruptError, match="in or after a: no end mark"):
        back_up(repository, bytes(content))


def test_headers_that_would_fill_the_memory(repository):
    """They are refused before they are read."""
    info, _ = member("x", kind=tarfile.XHDTYPE, size=1 << 30)

    with pytest.raises(ArchiveCorruptError, match="a size of 1073741824 bytes"):
        back_up(repository, tar(member("a", b"1"), (info, b"")))


def test_headers_without_end(repository):
    """A chain of those that describe the next one is refused."""
    chain = [member("x", b"", kind=tarfile.XHDTYPE)] * 5000

    with pytest.raises(ArchiveCorruptError, match="in or after a"):
        back_up(repository, tar(member("a", b"1"), *chain))


@pytest.mark.parametrize("size", [100, 2 << 20])
def test_a_pipe_that_breaks(repository, size):
    """What failed in the middle of a file cannot go on behind it."""

    class Broken(Stream):
        def read(self, wanted=-1):
            if wanted and self.left <= 0:
                raise OSError(5, "Input/output error")
            found = super().read(wanted)
            self.left -= len(found)
            return found

    stream = Broken(tar(member("a", bytes(size)), member("b", LARGE)))
    stream.left = size

    with pytest.raises(ArchiveCorruptError, match="Input/output error"):
        repository.back_up(TarSource(stream, paths=["/data"]))


def test_a_stream_is_read_once(repository):
    """A second walk would find nothing."""
    source = TarSource(Stream(tar(member("a", b"1"))), paths=["/data"])
    repository.back_up(source)

    with pytest.raises(InvalidSpecError, match="read already"):
        repository.back_up(source)


def test_a_link_to_a_file_that_could_not_be_saved(repository, monkeypatch):
    """Both names are told."""

    def fails(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("kbackup.repository._archiver._opened", fails)
    result, nodes = back_up(
        repository,
        tar(member("a", b"1"), member("b", kind=tarfile.LNKTYPE, linkname="a")),
    )

    assert nodes == {}
    assert result.unreadable == (
        Unreadable(b"a", "Input/output error"),
        Unreadable(b"b", "what it is another name of could not be saved"),
    )


def test_access_control_lists(repository):
    """As a tar of GNU's or restic's has them; whoever is unknown here is told."""
    text = "user::rw-\nuser:7:r--\ngroup::r--\nmask::r--\nother::---\n"
    known = {"SCHILY.acl.access": text}
    lost = {"SCHILY.acl.default": "user:nosuchuser:rwx"}
    result, nodes = back_up(
        repository,
        tar(
            member("a", b"1", pax_headers=known),
            member("b", b"2", pax_headers=known | lost),
            member(
                "c", pax_headers=lost | {"SCHILY.xattr.system.posix_acl_default": "x"}
            ),
        ),
    )

    for name in (b"a", b"b"):
        (attribute,) = nodes[name].extended_attributes
        assert attribute.name == "system.posix_acl_access"
        assert attribute.value == acl_value(text)
    assert nodes[b"c"].extended_attributes[0].value == b"x"
    reason = "its access control list names the unknown 'nosuchuser'"
    assert unreadable(result) == {b"b": reason}
    stream = io.BytesIO()
    dump(repository._opened, result.snapshot.tree, "/", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        headers = [info.pax_headers for info in archive]
    assert headers[0]["SCHILY.acl.access"] == text
    assert headers[2]["SCHILY.xattr.system.posix_acl_default"] == "x"


def test_attributes_and_devices(repository):
    """As pax headers and numbers have them."""
    headers = {"SCHILY.xattr.user.colour": "red\udcff", "comment": "no"}
    _, nodes = back_up(
        repository,
        tar(
            member("a", b"1", pax_headers=headers),
            member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
        ),
    )

    (attribute,) = nodes[b"a"].extended_attributes
    assert (attribute.name, attribute.value) == ("user.colour", b"red\xff")
    assert nodes[b"null"].device == os.makedev(1, 3)


def test_one_of_several_links_that_becomes_a_file(repository, tmp_path):
    """The others stay names of the first one."""
    content = tar(
        member("first", b"1"),
        member("second", kind=tarfile.LNKTYPE, linkname="first"),
        member("third", kind=tarfile.LNKTYPE, linkname="first"),
        member("second", b"2"),
    )

    back_up(repository, content)

    target = restored(repository, tmp_path)
    assert (target / "second").read_text() == "2"
    assert (target / "second").stat().st_nlink == 1
    assert (target / "third").samefile(target / "first")
