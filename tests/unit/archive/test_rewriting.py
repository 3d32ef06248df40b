"""An archive is made anew with items replaced in their place, and others at its end."""

import io
import tarfile

import pytest

from kbackup.archive import ArchiveReader, ArchiveWriter, NewItem, rewrite
from kbackup.errors import ArchiveCorruptError

MTIME = 1_700_000_000


def rewritten(content, *items):
    """Return an archive with these items in it."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=MTIME) as writer:
        rewrite(io.BytesIO(content), writer, items)
    return out.getvalue(), writer


def names(content):
    """Return the paths of the entries."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getnames()


def new(name, body, *, resource="configmaps", namespace="shop", **more):
    """Return an item at version v1."""
    return NewItem(
        resource=resource,
        version="v1",
        namespace=namespace,
        name=name,
        body=body,
        **more,
    )


@pytest.fixture
def archive(write, body):
    """Three items, the last one large."""
    large = body("large", "shop", data={"x": "ab" * (1 << 17)})
    items = [
        ("namespaces", "", "shop"),
        ("configmaps", "shop", "a"),
        ("configmaps", "shop", "large", large),
    ]
    return write(items)


def test_nothing_new_changes_nothing(archive):
    """Without new items the copy is the same, byte for byte."""
    copy, writer = rewritten(archive)

    assert copy == archive
    assert (writer.items, writer.entries) == (3, 7)


def test_replaced_and_added(archive, body):
    """Both copies of an item are replaced where they were; others come last."""
    changed = body("a", "shop", data={"x": "2"})
    added = body("result", "shop")

    copy, writer = rewritten(archive, new("result", added), new("a", changed))

    assert names(copy)[: len(names(archive))] == names(archive)
    assert names(copy)[len(names(archive)) :] == [
        "resources/configmaps/namespaces/shop/result.json",
        "resources/configmaps/v1-preferredversion/namespaces/shop/result.json",
    ]
    assert (writer.items, writer.entries) == (4, 9)
    with ArchiveReader(io.BytesIO(copy)) as reader:
        stored = {item.identifier.name: item.raw for item in reader}
    assert stored["a"] == changed
    assert stored["result"] == added
    assert len(stored["large"]) > 1 << 17


def test_other_versions_of_a_replaced_item_go(body):
    """No version of an item is older than another in the final archive."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=MTIME) as writer:
        for version, preferred in (("v1", True), ("v1beta1", False)):
            for name in ("a", "b"):
                writer.add(
                    resource="things.example.com",
                    version=version,
                    namespace="shop",
                    name=name,
                    body=body(name, "shop"),
                    preferred=preferred,
                )
    item = new("a", body("a", "shop", x=2), resource="things.example.com")

    copy, _ = rewritten(out.getvalue(), item)

    assert [name for name in names(copy) if "v1beta1" in name] == [
        "resources/things.example.com/v1beta1/namespaces/shop/b.json"
    ]


def test_a_damaged_archive_is_not_copied(archive):
    """What cannot be read to its end is an error, and no shorter archive."""
    with pytest.raises(ArchiveCorruptError):
        rewritten(archive[:-20])
