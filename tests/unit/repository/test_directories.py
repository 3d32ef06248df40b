"""Directories as a source and as a target, where something is not as it should be."""

import errno
import io
import os
import socket
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from kbackup.errors import (
    InvalidSpecError,
    SourceNotFoundError,
    StoreUnavailableError,
)
from kbackup.repository import (
    Complete,
    DirectorySource,
    DirectoryTarget,
    Item,
    MemoryBackend,
    RawSource,
    Repository,
    ScryptParameters,
    Unreadable,
)
from kbackup.repository._backend import FileType
from kbackup.repository._directory_source import node_of
from kbackup.repository._nodes import ExtendedAttribute, Node

NOW = "2024-05-01T02:00:00Z"
CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture
def repository():
    """A new one in memory."""
    return Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)


@pytest.fixture
def source(tmp_path):
    """A directory of its own."""
    path = tmp_path / "source"
    path.mkdir()
    return path


def paths(found, kind=Item):
    """The paths of what a source yields."""
    return [each.path for each in found if isinstance(each, kind)]


def test_nothing_to_back_up():
    """No path at all is a mistake, not an empty backup."""
    with pytest.raises(InvalidSpecError, match="no path is given"):
        DirectorySource()


def test_a_path_outside_of_the_base(tmp_path):
    """It would have a name that climbs out."""
    with pytest.raises(InvalidSpecError, match="does not lie in"):
        DirectorySource(tmp_path, base=tmp_path / "below")


def test_a_path_below_another_comes_once(source):
    """Whatever order they are given in."""
    (source / "a").mkdir()
    (source / "a" / "file").write_text("x")

    found = list(DirectorySource(source / "a", source, base=source).walk())

    assert paths(found) == [b"a", b"a/file"]
    assert paths(found, Complete) == [b"a", b""]


@pytest.mark.parametrize("kind", [DirectorySource, RawSource])
def test_nothing_is_there(tmp_path, repository, kind):
    """A snapshot of nothing would in time take the place of all that have something."""
    with pytest.raises(SourceNotFoundError, match=f"^{tmp_path}/gone: none of what"):
        repository.back_up(kind(tmp_path / "gone"))

    assert repository.list() == []


@pytest.mark.parametrize("base", [None, "other/.."])
def test_a_path_with_dots(tmp_path, repository, source, monkeypatch, base):
    """It is saved under the names that it stands for: no tree has one of ``..``."""
    (source / "file").write_text("x")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)

    result = repository.back_up(DirectorySource("other/../source", base=base))
    restored = repository.restore("latest", tmp_path / "target")

    above = "" if base else str(tmp_path)
    assert restored.problems == []
    assert (tmp_path / f"target/{above}/source/file").read_text() == "x"
    assert result.snapshot.paths == (str(source),)


def test_an_attribute_whose_name_is_no_text(source, repository, monkeypatch):
    """It is saved under the name that restic gives it, and nothing else suffers."""
    (source / "file").write_text("x")
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["user.\udcff"])
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: b"value")

    repository.back_up(DirectorySource(source, base=source))

    ((_, node),) = repository.ls("latest")
    assert [each.name for each in node.extended_attributes] == ["user.\ufffd"]


def test_what_is_selected(source):
    """What is not is passed over, with all below it."""
    for name in ("keep", "drop"):
        (source / name).mkdir()
        (source / name / "file").write_text("x")
    asked = []

    def select(path, node):
        asked.append(path)
        return node.name != b"drop"

    found = list(DirectorySource(source, base=source, select=select).walk())

    assert paths(found) == [b"keep", b"keep/file"]
    assert os.fsencode(source / "drop/file") not in asked


def test_other_file_systems(source, monkeypatch):
    """What is mounted below is there, and empty, where that is asked for."""
    (source / "mounted").mkdir()
    (source / "mounted" / "file").write_text("x")
    real = node_of

    def elsewhere(path, name, status):
        node = real(path, name, status)
        if name == b"mounted":
            return replace(node, device_id=node.device_id + 1)
        return node

    monkeypatch.setattr("kbackup.repository._directory_source.node_of", elsewhere)
    one = DirectorySource(source, base=source, one_file_system=True)
    every = DirectorySource(source, base=source)

    assert paths(one.walk()) == [b"mounted"]
    assert paths(every.walk()) == [b"mounted", b"mounted/file"]


def refuse(monkeypatch, name, wanted, error):
    """Make a call of the system fail for one path."""
    real = getattr(os, name)

    def fails(path, *given, **named):
        if path == wanted:
            raise error
        return real(path, *given, **named)

    monkeypatch.setattr(f"kbackup.repository._directory_source.os.{name}", fails)


def test_a_directory_that_cannot_be_listed(source, monkeypatch, repository):
    """It is named, and is there empty; the rest is saved."""
    (source / "closed").mkdir()
    (source / "file").write_text("x")
    closed = os.fsencode(source / "closed")
    refuse(monkeypatch, "scandir", closed, PermissionError(13, "Permission denied"))

    result = repository.back_up(DirectorySource(source, base=source))

    assert result.unreadable == (Unreadable(closed, "Permission denied"),)
    assert result.snapshot.summary.dirs_new == 1


def test_what_cannot_be_looked_at(source, monkeypatch):
    """It is named; what is gone since it was listed is not."""
    for name in ("bad", "gone", "good"):
        (source / name).write_text("x")
    bad, gone = (os.fsencode(source / name) for name in ("bad", "gone"))
    real = node_of

    def look(path, name, status):
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        if path == gone:
            raise FileNotFoundError
        return real(path, name, status)

    monkeypatch.setattr("kbackup.repository._directory_source.node_of", look)
    found = list(DirectorySource(source, base=source).walk())

    assert paths(found) == [b"good"]
    assert [each for each in found if isinstance(each, Unreadable)] == [
        Unreadable(bad, "Input/output error")
    ]


def test_what_lies_above_and_cannot_be_looked_at(
    source, tmp_path, monkeypatch, repository
):
    """What is below has no place then, and is named; what lies elsewhere is saved."""
    (source / "file").write_text("x")
    (tmp_path / "other").write_text("y")
    above = os.fsencode(source)
    refuse(monkeypatch, "stat", above, PermissionError(13, "Permission denied"))

    result = repository.back_up(
        DirectorySource(source / "file", tmp_path / "other", base=tmp_path)
    )

    below = os.fsencode(source / "file")
    assert result.unreadable == (Unreadable(below, "Permission denied"),)
    assert result.snapshot.summary.files_new == 1


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EPERM])
def test_a_file_system_without_attributes(source, monkeypatch, number):
    """Then there are none."""
    (source / "file").write_text("x")
    path = os.fsencode(source / "file")
    refuse(monkeypatch, "listxattr", path, OSError(number, "no attributes"))

    (item, _) = DirectorySource(source, base=source).walk()

    assert item.node.extended_attributes == ()


def test_attributes_that_cannot_be_read(source, monkeypatch):
    """A disk that fails is not taken for one without."""
    (source / "file").write_text("x")
    path = os.fsencode(source / "file")
    refuse(monkeypatch, "listxattr", path, OSError(errno.EIO, "Input/output error"))

    found = list(DirectorySource(source, base=source).walk())

    assert paths(found, Unreadable) == [path]


def test_another_ones_file_is_read_all_the_same(source, monkeypatch, repository):
    """Only one's own may be read without a trace in their access time."""
    (source / "file").write_text("x")
    real = os.open

    def only_own(path, flags, *mode):
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags, *mode)

    monkeypatch.setattr("kbackup.repository._directory_source.os.open", only_own)

    assert repository.back_up(source).unreadable == ()


class Slow:
    """A content that comes in small parts, as through a network."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readinto(self, buffer):
        """A few bytes at a time."""
        return self._content.readinto(buffer[:70_000])

    def close(self):
        """Nothing is held."""


class Things:
    """A source of somebody else's: a directory is never said to be complete."""

    paths = ("things",)
    excludes = ()

    def __init__(self, contents):
        self._contents = contents

    def walk(self):
        """Everything, in no order of names."""
        times = {"mtime": NOW, "atime": NOW, "ctime": NOW, "uid": 0, "gid": 0}
        made = Node(quoted_name="d", type="dir", mode=0o700, content=None, **times)
        yield Item(b"d", made)
        for name, content in self._contents.items():
            node = Node(
                quoted_name=name, type="file", mode=0o600, size=7, content=[], **times
            )
            yield Item(f"d/{name}".encode(), node, partial(Slow, content))


def test_any_source_is_backed_up(tmp_path, repository):
    """Whatever it says of sizes, what comes out of it is what is saved."""
    contents = {
        "z": b"1",
        "b": b"",
        "c": b"exactly",
        "a": os.urandom(200_000),
        "large": os.urandom(1 << 20),
    }

    result = repository.back_up(Things(contents))
    restored = repository.restore("latest", tmp_path / "target")

    assert restored.problems == []
    found = {p.name: p.read_bytes() for p in (tmp_path / "target/d").iterdir()}
    assert found == contents
    assert result.snapshot.paths == ("things",)
    assert result.snapshot.summary.files_new == 5


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b"])
def test_a_source_with_a_path_that_is_none(repository, name):
    """It gives no snapshot, as nobody could restore that."""
    with pytest.raises(InvalidSpecError, match="no path that can be saved"):
        repository.back_up(Things({name: b"x"}))

    assert repository.list() == []


# --- targets ----------------------------------------------------------------------------


def test_a_target_that_is_a_file(tmp_path, source, repository):
    """It stays, and is named."""
    repository.back_up(DirectorySource(source, base=source))
    (tmp_path / "target").write_text("mine")

    with pytest.raises(FileExistsError):
        repository.restore("latest", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "mine"


def test_a_socket_of_others_is_passed_over(tmp_path):
    """Some programs record them; nothing can be made of one."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    path = os.fsencode(tmp_path / "socket")
    node = node_of(path, b"socket", os.lstat(path))
    target = DirectoryTarget(tmp_path / "target")
    target.open_root()

    target.make(b"socket", node)

    assert list((tmp_path / "target").iterdir()) == []


def test_a_second_name_that_is_another_file(tmp_path, source, repository):
    """It becomes the second name; one that is it already stays."""
    (source / "a").write_text("x")
    os.link(source / "a", source / "b")
    repository.back_up(DirectorySource(source, base=source))
    target = tmp_path / "target"
    target.mkdir()
    (target / "b").write_text("another")

    for _ in range(2):
        assert repository.restore("latest", target).problems == []
        assert (target / "a").samefile(target / "b")
        assert (target / "b").read_text() == "x"


def test_attributes_that_a_target_does_not_take(
    tmp_path, source, repository, monkeypatch
):
    """The content matters more; a disk that fails is a problem."""
    (source / "file").write_text("x")
    os.setxattr(source / "file", "user.colour", b"red")
    repository.back_up(DirectorySource(source, base=source))

    def refuse_all(number):
        def fails(*_, **__):
            raise OSError(number, "refused")

        monkeypatch.setattr("kbackup.repository._directory_target.os.setxattr", fails)

    refuse_all(errno.ENOTSUP)
    assert repository.restore("latest", tmp_path / "one").problems == []
    refuse_all(errno.EIO)
    (problem,) = repository.restore("latest", tmp_path / "two").problems
    assert (problem.path, problem.reason) == (b"file", "refused")


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_full_disk(tmp_path, source, repository, monkeypatch, size):
    """Each file that does not fit is named, and no half one is left."""
    (source / "file").write_bytes(os.urandom(size))
    repository.back_up(DirectorySource(source, base=source))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kbackup.repository._directory_target.os.pwrite", full)
    restored = repository.restore("latest", tmp_path / "target")

    (problem,) = restored.problems
    assert (problem.path, problem.reason) == (b"file", "No space left on device")
    assert list((tmp_path / "target").iterdir()) == []
    assert restored.files == 0


def test_owners_are_left_where_that_is_asked_for(tmp_path, source, repository):
    """As they are for who is not root."""
    (source / "file").write_text("x")
    os.chown(source / "file", 1234, 4321)
    repository.back_up(DirectorySource(source, base=source))
    target = DirectoryTarget(tmp_path / "target", owners=False)
    target.open_root()

    assert repository.restore("latest", target).problems == []
    assert (tmp_path / "target/file").stat().st_uid == os.geteuid()


def test_many_files_at_the_same_time(tmp_path, source, repository, monkeypatch):
    """No more are open than so many, whatever number a pack has."""
    monkeypatch.setattr("kbackup.repository._directory_target._MOST_OPEN", 2)
    for number in range(5):
        (source / f"{number}").write_bytes(os.urandom(3 << 20))
    repository.back_up(DirectorySource(source, base=source))

    restored = repository.restore("latest", tmp_path / "target")

    assert (restored.files, restored.problems) == (5, [])
    for number in range(5):
        expected = (source / f"{number}").read_bytes()
        assert (tmp_path / "target" / f"{number}").read_bytes() == expected


def test_a_store_that_is_away(tmp_path, source, repository, monkeypatch):
    """That is not a problem of one file: the restore ends, and goes on later."""
    (source / "file").write_bytes(os.urandom(1000))
    repository.back_up(DirectorySource(source, base=source))
    backend = repository._opened.backend
    load = backend.load

    def away(file, offset=0, length=None):
        is_data = file.type is FileType.PACK and length is not None and length > 900
        if is_data:
            raise StoreUnavailableError(file.key, "no network")
        return load(file, offset, length)

    monkeypatch.setattr(backend, "load", away)
    with pytest.raises(StoreUnavailableError):
        repository.restore("latest", tmp_path / "target")
    monkeypatch.undo()

    assert repository.restore("latest", tmp_path / "target").problems == []


@pytest.mark.parametrize(
    "impossible",
    [
        {"uid": 2**40},
        {"mtime": "0000-01-01T00:00:00Z", "linktarget": "a\0b"},
        {"extended_attributes": (ExtendedAttribute("user.a\0b", b""),)},
    ],
    ids=["owner", "target", "attribute"],
)
def test_what_no_system_has(tmp_path, impossible):
    """It is an error of that one name, as any other that the system raises."""
    link = os.fsencode(tmp_path / "link")
    (tmp_path / "link").symlink_to("somewhere")
    node = replace(node_of(link, b"link", os.lstat(link)), **impossible)

    with pytest.raises(OSError, match="no system has that"):
        DirectoryTarget(tmp_path, owners=True).make(b"other", node)


def test_a_path_that_nobody_may_look_at_is_told():
    """It may be there: that it is not is only said where that is known."""
    path = Path("/") / ("x" * 300)

    (found,) = DirectorySource(path).walk()

    assert found.path == bytes(path)
    assert "too long" in found.reason
