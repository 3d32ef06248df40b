"""Items of an archive are found by type, namespace and name."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from kbackup.archive import ArchiveReader
from kbackup.errors import ArchiveCorruptError, ArchiveError, SpoolError
from kbackup.models import GroupResource, ResourceIdentifier

PODS = GroupResource.parse("pods")
DEPLOYMENTS = GroupResource.parse("deployments.apps")
NAMESPACES = GroupResource.parse("namespaces")


@pytest.fixture(params=[0, 500, 1 << 26], ids=["in a file", "in both", "in memory"])
def kept(request, monkeypatch):
    """How many bytes of bodies stay in memory."""
    monkeypatch.setattr("kbackup.archive._index._KEPT", request.param)


@pytest.fixture
def in_a_file(monkeypatch):
    """No body stays in memory."""
    monkeypatch.setattr("kbackup.archive._index._KEPT", 0)


@pytest.fixture
def contents(write, tmp_path, kept):
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
    """Sizes are the bytes of the bodies, of a type and of each item."""
    assert contents.sizes[NAMESPACES] == len(body("shop"))
    assert contents.size(ResourceIdentifier(PODS, "shop", "a")) == len(
        body("a", "shop")
    )
    assert contents.size(ResourceIdentifier(PODS, "shop", "no")) == 0


def test_counts(contents):
    """How many items of a type a namespace has; what is cluster-scoped is in none."""
    assert contents.counts(PODS) == {"bar": 1, "shop": 2, "shop-2": 1}
    assert [*contents.counts(PODS)] == ["bar", "shop", "shop-2"]
    assert contents.counts(NAMESPACES) == {"": 1}
    assert contents.counts(GroupResource.parse("jobs.batch")) == {}


def test_later_entry_wins(build, body, kept):
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


def test_many_readers_at_once(write, kept):
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


def test_large_items_among_small(write, body, kept):
    """Items larger than a block are read whole in between."""
    big = body("big", "a", data="x" * (3 << 20))
    content = write([("pods", "a", "a"), ("pods", "a", "big", big), ("pods", "a", "c")])

    with ArchiveReader(io.BytesIO(content)).index() as contents:
        sizes = [len(item.raw) for item in contents.items(PODS)]

    assert sizes == [len(body("a", "a")), len(big), len(body("c", "a"))]


@pytest.mark.parametrize("step", [1, -1, 7])
def test_any_order_gives_the_same_items(write, step, kept):
    """Read in whatever order, each item is its own, and what is not there is None."""
    names = [f"p{n * step % 400:03}" for n in range(400)]
    items = [("pods", "a", name) for name in names] + [("configmaps", "a", "p001")]

    with ArchiveReader(io.BytesIO(write(items))).index() as contents:
        bodies = contents.in_order()
        refs = [ResourceIdentifier(PODS, "a", f"p{n:03}") for n in range(400)]
        found = [bodies.get(ref) for ref in refs]
        other = bodies.get(ResourceIdentifier(GroupResource("", "configmaps"), "a", ""))

    assert [item.content["metadata"]["name"] for item in found] == [
        ref.name for ref in refs
    ]
    assert [item.identifier for item in found] == refs
    assert other is None


def test_version_and_kind_are_the_bodys(build, body, kept):
    """Items of one type that differ in version or kind keep their own."""
    archive = build().item("jobs", "a", "x", body("x", "a", api_version="batch/v1"))
    archive.item("jobs", "a", "y", body("y", "a", api_version="batch/v2", kind="Job"))
    archive.item("jobs", "a", "z", body("z", "a", api_version="batch/v2"))
    archive.item("jobs", "a", "z", body("z", "a", api_version="batch/v1"))
    jobs = GroupResource.parse("jobs")

    with archive.reader().index() as contents:
        found = {i.identifier.name: i for i in contents.items(jobs)}
        versions = contents.versions(jobs)

    assert (found["x"].api_version, found["x"].kind) == ("batch/v1", "ConfigMap")
    assert (found["y"].api_version, found["y"].kind) == ("batch/v2", "Job")
    assert (found["z"].api_version, found["z"].kind) == ("batch/v1", "ConfigMap")
    assert versions == ("v2", "v1")


def test_shortened_spool_is_told(write, in_a_file, monkeypatch):
    """A temporary file that lost its end gives an error, not half a body."""
    with ArchiveReader(io.BytesIO(write([("pods", "a", "x")]))).index() as contents:
        monkeypatch.setattr(contents, "read", lambda offset, size: b"{")

        with pytest.raises(ArchiveError, match="shorter"):
            contents.get(ResourceIdentifier(PODS, "a", "x"))


def test_closed_index_says_so(write, kept):
    """Reading after the end is our error."""
    contents = ArchiveReader(io.BytesIO(write([("pods", "a", "x")]))).index()
    contents.close()

    with pytest.raises(ArchiveError, match="cannot be read"):
        contents.get(ResourceIdentifier(PODS, "a", "x"))


def test_closed_file_is_no_other_file(write, tmp_path, kept):
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


def test_spool_directory_that_is_not_there(write, tmp_path):
    """A directory for temporary files that is missing is our error, and says so."""
    reader = ArchiveReader(io.BytesIO(write([("pods", "a", "x")])))

    with pytest.raises(SpoolError, match=r"files in .*nothing: ") as caught:
        reader.index(tmp_path / "nothing")

    assert "spool_directory" in caught.value.hint


@pytest.mark.parametrize("size", [10, 2 << 20], ids=["at the end", "while it reads"])
def test_spool_on_a_full_disk(write, body, in_a_file, monkeypatch, size):
    """Where the temporary file does not fit, there is an error and no index."""
    content = write([("pods", "a", "x", body("x", "a", data="x" * size))])
    full = open("/dev/full", "w+b")  # noqa: PTH123, SIM115 - the index closes it
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)

    with pytest.raises(SpoolError, match="No space left"):
        ArchiveReader(io.BytesIO(content)).index()
