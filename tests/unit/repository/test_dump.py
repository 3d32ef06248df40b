"""A file goes to a stream as it is, a directory as an archive."""

import io
import os
import stat
import tarfile
import zipfile

import pytest
from msgspec.structs import replace

from kbackup.errors import IntegrityError, InvalidSpecError, PathNotFoundError
from kbackup.repository import (
    DirectorySource,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._dump import dump
from kbackup.repository._entries import Entry, find_node, walk_tree
from kbackup.repository._growing import GrowingTrees
from kbackup.repository._tar_writer import TarWriter
from kbackup.repository._zip_writer import ZipWriter
from odd_tree import make_odd_tree

CHEAP = ScryptParameters(n=2, r=1, p=1)


class Pipe(io.BytesIO):
    """A stream that can only be written to, as a pipe."""

    def seekable(self):
        """No pipe is."""
        return False

    def seek(self, *_):
        """Nobody may."""
        raise io.UnsupportedOperation("seek")

    tell = seek


@pytest.fixture
def source(tmp_path):
    """A directory with everything that there can be."""
    path = tmp_path / "source"
    path.mkdir()
    make_odd_tree(path)
    return path


@pytest.fixture
def saved(source):
    """An opened repository, and the tree of the source in it."""
    return back_up(source)


def back_up(source):
    """Save a directory; return the opened repository and the tree."""
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    snapshot = repository.back_up(DirectorySource(source, base=source)).snapshot
    repository._opened.refresh_index()
    return repository._opened, snapshot.tree


def dumped(saved, path, **how):
    """What is written to a pipe."""
    pipe = Pipe()
    dump(*saved, path, pipe, **how)
    assert not pipe.closed
    return pipe.getvalue()


def read_tar(content):
    """The members by their names, and an open archive."""
    archive = tarfile.open(  # noqa: SIM115 - in memory
        fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape"
    )
    return {os.fsencode(info.name): info for info in archive}, archive


@pytest.mark.parametrize("path", ["plain", "directory/large", "directory/hole"])
def test_a_file_as_it_is(source, saved, path):
    """Byte by byte."""
    assert dumped(saved, path) == (source / path).read_bytes()


def test_an_archive_has_everything(source, saved):
    """Kind, mode, owner, time, target, device and content; a socket apart."""
    members, archive = read_tar(dumped(saved, "/"))
    entries = dict(walk_tree(*saved))

    assert list(members) == list(entries)
    for path, info in members.items():
        there = os.lstat(os.fsencode(source) + b"/" + path)
        node = entries[path]
        assert info.mode == stat.S_IMODE(there.st_mode)
        assert (info.uid, info.gid) == (there.st_uid, there.st_gid)
        assert (info.uname, info.gname) == (node.user, node.group)
        seconds, _, rest = info.pax_headers.get("mtime", str(info.mtime)).partition(".")
        nanoseconds = int(rest.ljust(9, "0") or 0)
        nanoseconds = -nanoseconds if seconds.startswith("-") else nanoseconds
        assert int(seconds) * 1_000_000_000 + nanoseconds == there.st_mtime_ns
        if info.isreg():
            content = (source / os.fsdecode(path)).read_bytes()
            assert archive.extractfile(info).read() == content
        elif info.isdev() and not info.isfifo():
            assert os.makedev(info.devmajor, info.devminor) == there.st_rdev
    assert os.fsencode(members[b"broken link"].linkname) == b"nowhere/\xff"
    assert members[b"fifo"].isfifo()
    assert members[b"directory"].isdir()


def test_what_an_archive_has_no_kind_for(saved):
    """A socket, which some programs record, is passed over."""
    opened, tree = saved
    socket = replace(find_node(opened, tree, "fifo"), type="socket")
    for writer in (TarWriter, ZipWriter):
        stream = Pipe()
        archive = writer(stream)
        before = stream.getvalue()
        archive.add(Entry(b"socket", socket), iter(()))
        assert stream.getvalue() == before


def test_attributes_are_in_an_archive(saved):
    """By the names that other tars know, whatever bytes they have."""
    members, _ = read_tar(dumped(saved, ""))

    def attributes(name):
        found = members[name].pax_headers.items()
        return {key: text for key, text in found if key.startswith("SCHILY.xattr.user")}

    assert attributes(b"plain") == {"SCHILY.xattr.user.colour": "red\udcff"}
    assert attributes(b"directory") == {"SCHILY.xattr.user.nothing": ""}


def test_a_second_name_is_a_link(saved):
    """To the first one in the archive; alone it is a file."""
    members, _ = read_tar(dumped(saved, "/"))
    alone, archive = read_tar(dumped(saved, "directory"))

    assert members[b"plain"].islnk()
    assert members[b"plain"].linkname == "directory/second name"
    assert archive.extractfile(alone[b"directory/second name"]).read() == b"some text\n"


def test_two_names_that_were_read_at_different_moments(source, monkeypatch):
    """What was not the same any more when it was saved does not become the same."""
    real = GrowingTrees.put

    def changed(self, directory, name, node):
        if name == b"second name":
            (source / "plain").write_text("changed since")
        real(self, directory, name, node)

    monkeypatch.setattr(GrowingTrees, "put", changed)
    monkeypatch.setattr("kbackup.repository._archiver._MOST_FILES", 1)
    opened, tree = back_up(source)
    first = find_node(opened, tree, "directory/second name")
    second = find_node(opened, tree, "plain")
    assert first.content != second.content

    members, archive = read_tar(dumped((opened, tree), "/"))

    assert members[b"plain"].isreg()
    assert archive.extractfile(members[b"plain"]).read() == b"changed since"


def test_a_directory_has_its_names_from_the_root_on(saved):
    """As restic's archives have; the directory itself is not in it."""
    members, _ = read_tar(dumped(saved, "/directory/"))

    assert list(members) == [
        b"directory/hole",
        b"directory/large",
        b"directory/same",
        b"directory/second name",
    ]


def test_an_empty_directory(saved):
    """An archive of nothing is one."""
    content = dumped(saved, "empty")

    assert read_tar(content)[0] == {}
    assert len(content) == tarfile.RECORDSIZE


def test_an_archive_ends_at_a_record(saved):
    """Old programs read by the record."""
    assert len(dumped(saved, "/")) % tarfile.RECORDSIZE == 0


def test_a_zip(source, saved):
    """Files, directories and links with their modes; it is not sought in."""
    archive = zipfile.ZipFile(io.BytesIO(dumped(saved, "/", archive="zip")))

    assert archive.testzip() is None
    found = {info.filename: info for info in archive.infolist()}
    large = (source / "directory/large").read_bytes()
    assert archive.read("directory/large") == large
    assert archive.read("link") == b"plain"
    assert found["directory/"].is_dir()
    assert found["plain"].external_attr >> 16 == stat.S_IFREG | 0o4755
    assert found["link"].external_attr >> 16 == stat.S_IFLNK | 0o777
    assert found["plain"].extra.endswith((1_234_567_890).to_bytes(4, "little"))
    assert archive.read("\\xff\\xfe no text") == b"3"
    assert not found.keys() & {"fifo", "null", "loop"}


def test_another_archive(saved):
    """It is refused, before anything is written."""
    pipe = Pipe()

    with pytest.raises(InvalidSpecError, match="tar or zip, not 'rar'"):
        dump(*saved, "/", pipe, archive="rar")
    assert pipe.getvalue() == b""


@pytest.mark.parametrize("path", ["link", "fifo"])
def test_what_has_no_content(saved, path):
    """It is named; a link is not followed."""
    with pytest.raises(InvalidSpecError, match=f"/{path} is a "):
        dumped(saved, path)


def test_a_path_that_is_not_there(saved):
    """It is named."""
    with pytest.raises(
        PathNotFoundError, match=r"^/directory/no: no such path in the snapshot$"
    ):
        dumped(saved, "directory/no")


def test_a_reader_that_goes_away(saved):
    """That is the caller's."""

    class Closed(Pipe):
        def write(self, _):
            raise BrokenPipeError

    for path in ("/", "plain"):
        with pytest.raises(BrokenPipeError):
            dump(*saved, path, Closed())


@pytest.mark.parametrize("archive", ["tar", "zip"])
@pytest.mark.parametrize("path", ["/", "plain"])
def test_a_size_that_is_another(saved, monkeypatch, path, archive):
    """A header that promises too much would make all behind it unreadable."""
    monkeypatch.setattr(
        "kbackup.repository._dump.read_contents",
        lambda _, files: ((entry, iter([b"x"] * 3)) for entry, _ in files),
    )
    monkeypatch.setattr(
        "kbackup.repository._dump.read_content", lambda *_: iter([b"x"] * 3)
    )

    with pytest.raises(IntegrityError, match="its blobs have 3 bytes instead of"):
        dumped(saved, path, archive=archive)
