"""A snapshot's entries are walked in order, and found by their paths."""

import pytest

from kbackup._kits.workers import Cancelled
from kbackup.errors import IntegrityError, PathNotFoundError
from kbackup.repository import (
    DirectorySource,
    Entry,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._backend import File, FileType
from kbackup.repository._entries import find_directory, find_node, walk_tree
from kbackup.repository._ids import BlobType

CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture
def saved(tmp_path):
    """An opened repository with one snapshot, and the tree of it."""
    source = tmp_path / "source"
    (source / "a/deep/er").mkdir(parents=True)
    (source / "a/deep/file").write_text("x")
    (source / "a.txt").write_text("y")
    (source / "b\udcff").write_text("z")
    (source / "link").symlink_to("a")
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    snapshot = repository.back_up(DirectorySource(source, base=source)).snapshot
    repository._opened.refresh_index()
    return repository._opened, snapshot.tree


def test_all_of_a_tree_is_walked(saved):
    """By name, each directory before what lies in it."""
    found = list(walk_tree(*saved))

    assert [entry.path for entry in found] == [
        b"a",
        b"a/deep",
        b"a/deep/er",
        b"a/deep/file",
        b"a.txt",
        b"b\xff",
        b"link",
    ]
    assert isinstance(found[0], Entry)
    assert [entry.node.name for entry in found[2:4]] == [b"er", b"file"]


def test_a_part_of_a_tree_has_its_whole_paths(saved):
    """Where the caller says where it lies."""
    tree = find_directory(*saved, "a/deep")

    paths = [entry.path for entry in walk_tree(saved[0], tree, b"a/deep")]

    assert paths == [b"a/deep/er", b"a/deep/file"]


def test_a_walk_is_stopped(saved):
    """Between two trees."""
    opened, tree = saved
    walk = walk_tree(opened, tree)
    next(walk)
    opened.cancel.cancel("enough")

    with pytest.raises(Cancelled, match="enough"):
        next(walk)


def test_a_walk_tells_of_a_lost_tree(saved):
    """It does not pass over what it cannot read."""
    opened, tree = saved
    lost = find_node(opened, tree, "a/deep").tree
    pack = opened.index.find(BlobType.TREE, lost).pack
    opened.backend.files[File(FileType.PACK, pack)] = b"\0" * 10_000

    with pytest.raises(IntegrityError):
        list(walk_tree(opened, tree))


@pytest.mark.parametrize("path", ["", "/", ".", "//", "a/..", b"/"])
def test_the_root(saved, path):
    """It has no node; its tree is all there is of it."""
    assert find_node(*saved, path) == saved[1]
    assert find_directory(*saved, path) == saved[1]


@pytest.mark.parametrize(
    "path", ["a/deep/file", "/a/deep/file", b"a//deep/./file", "//a/deep/er/../file/"]
)
def test_a_path_is_found(saved, path):
    """However it is written."""
    node = find_node(*saved, path)

    assert (node.name, node.size) == (b"file", 1)


def test_a_path_that_is_no_text_is_found(saved):
    """As bytes, and as Python writes those in a text."""
    assert find_node(*saved, b"b\xff") == find_node(*saved, "b\udcff")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no", "^/no: no such path in the snapshot$"),
        ("a/no/file", "/a/no/file: .*: there is no /a/no"),
        ("a.txt/file", "/a.txt/file: .*: /a.txt is no directory but a file"),
        ("link/deep", "/link/deep: .*: /link is no directory but a symlink"),
    ],
)
def test_a_path_that_is_not_there(saved, path, message):
    """The first name that is missing is told; a symlink is not followed."""
    with pytest.raises(PathNotFoundError, match=message):
        find_node(*saved, path)


def test_a_file_is_no_directory(saved):
    """Where one is asked for."""
    with pytest.raises(PathNotFoundError, match="is no directory but a file"):
        find_directory(*saved, "a.txt")
