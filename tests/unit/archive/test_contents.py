"""Items of an archive are found by type, namespace and name."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from kbackup.archive import ArchiveReader
from kbackup.errors import ArchiveCorruptError, ArchiveError
from kbackup.models import GroupResource, ResourceIdentifier

PODS = GroupResource.parse("pods")
DEPLOYMENTS = GroupResource.parse("deployments.apps")
NAMESPACES = GroupResource.parse("namespaces")


@pytest.fixture
def contents(write, tmp_path):
    """An index over a few items in a wild order."""
    content = write(
        [
            ("pods", "shop", "b"),
            ("namespaces", "", "shop"),
            ("pods", "bar", "z"),
            ("deployments.apps", "shop", "web"),
            ("pods", "shop", "a"),
            ("pods", "shop-2", "a"),
        ]
    )
    with ArchiveReader(io.BytesIO(content)).index(tmp_path) as found:
        yield found


def test_what_there_is(contents):
    """Types and namespaces are sorted; the length is the number of items."""
    assert contents.resources() == (NAMESPACES, PODS, DEPLOYMENTS)
    assert contents.namespaces() == ("bar", "shop", "shop-2")
    assert contents.versions(PODS) == ("v1",)
    assert contents.versions(GroupResource.parse("jobs.batch")) == ()
    assert len(contents) == 6


def test_items_by_key(contents):
    """Items come by namespace and name, all or of one namespace."""
    everywhere = [i.identifier.qualified_name for i in contents.items(PODS)]
    shop = [i.identifier.name for i in contents.items(PODS, "shop")]

    assert everywhere == ["bar/z", "shop/a", "shop/b", "shop-2/a"]
    assert shop == ["a", "b"]
    assert list(contents.items(PODS, "")) == []
    assert [i.identifier.name for i in contents.items(NAMESPACES, "")] == ["shop"]
    assert [i.qualified_name for i in contents.identifiers(PODS, "shop")] == [
        "shop/a",
        "shop/b",
    ]


def test_get(contents, body):
    """One item is found by its identity; one that is not there is None."""
    there = ResourceIdentifier(DEPLOYMENTS, "shop", "web")

    assert contents.get(there).raw == body("web", "shop")
    assert there in contents
    assert contents.get(ResourceIdentifier(DEPLOYMENTS, "shop", "no")) is None
    assert ResourceIdentifier(PODS, "shop", "web") not in contents


def test_sizes(contents, body):
    """Sizes are the bytes of the bodies."""
    assert contents.sizes[NAMESPACES] == len(body("shop"))


def test_later_entry_wins(build, body):
    """Of two entries under one path the later one counts."""
    archive = build().item("pods", "a", "x").item("pods", "a", "y")
    archive.item("pods", "a", "x", body("x", "a", later=True))

    with archive.reader().index() as contents:
        item = contents.get(ResourceIdentifier(PODS, "a", "x"))

        assert item.content["later"] is True
        assert len(contents) == 2


def test_spool_has_no_name_and_no_readers(write, tmp_path, monkeypatch):
    """The bodies lie in a file without a name that only its owner could read."""
    opened = []
    real = os.open

    def watch(path, flags, mode=0o777, **more):
        """Note the mode of every file that is made."""
        opened.append(mode)
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", watch)

    with ArchiveReader(io.BytesIO(write([("pods", "a", "x")]))).index(tmp_path):
        assert list(tmp_path.iterdir()) == []
    assert opened
    assert set(opened) == {0o600}


def test_many_readers_at_once(write):
    """Threads that read single items each get their own."""
    items = [("pods", "a", f"p{n:03}") for n in range(300)]

    with (
        ArchiveReader(io.BytesIO(write(items))).index() as contents,
        ThreadPoolExecutor(8) as pool,
    ):
        refs = list(contents.identifiers(PODS)) * 5
        found = list(pool.map(contents.get, refs))

    assert [item.content["metadata"]["name"] for item in found] == [
        ref.name for ref in refs
    ]


def test_large_items_among_small(write, body):
    """Items larger than a block are read whole in between."""
    big = body("big", "a", data="x" * (3 << 20))
    content = write([("pods", "a", "a"), ("pods", "a", "big", big), ("pods", "a", "c")])

    with ArchiveReader(io.BytesIO(content)).index() as contents:
        sizes = [len(item.raw) for item in contents.items(PODS)]

    assert sizes == [len(body("a", "a")), len(big), len(body("c", "a"))]


def test_closed_index_says_so(write):
    """Reading after the end is our error."""
    contents = ArchiveReader(io.BytesIO(write([("pods", "a", "x")]))).index()
    contents.close()

    with pytest.raises(ArchiveError, match="cannot be read"):
        contents.get(ResourceIdentifier(PODS, "a", "x"))


def test_closed_file_is_no_other_file(write, tmp_path):
    """After the end nothing is read from whatever got the file's number since."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(write([("pods", "a", "x")]))
    reader = ArchiveReader(path)
    contents = reader.index()
    reader.close()
    contents.close()

    with path.open("rb"), path.open("rb"):
        with pytest.raises(ArchiveError, match="closed"):
            list(reader)
        with pytest.raises(ArchiveError, match="closed"):
            list(contents.items(PODS))


def test_damage_leaves_no_index(write):
    """A damaged archive gives no index at all."""
    content = write([("pods", "a", "x")])

    with pytest.raises(ArchiveCorruptError):
        ArchiveReader(io.BytesIO(content[:-9])).index()
