"""Names in an archive that would lead a request to the API server elsewhere."""

import pytest

from kbackup.errors import ArchiveCorruptError


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("shop", "."),
        ("", ".."),
        (".", "a"),
    ],
)
def test_names_that_no_object_can_have(build, namespace, name):
    """What the API server refuses as a part of a path is no item, in either reading."""
    archive = build().item("secrets", namespace, name)

    with pytest.raises(ArchiveCorruptError, match="no object can have this name"):
        list(archive.reader())
    with pytest.raises(ArchiveCorruptError, match="no object can have this name"):
        archive.reader().index()


@pytest.mark.parametrize("resource", ["secrets.", ".secrets", "."])
def test_types_that_cannot_be(build, resource):
    """Of two types that read alike, ``secrets`` and ``secrets.``, the index lost one."""
    archive = build().item("secrets", "a", "x").item(resource, "a", "y")

    with pytest.raises(ArchiveCorruptError, match=r"no type can have this name"):
        archive.reader().index()
    with archive.reader(salvage=True).index() as contents:
        assert len(contents) == 1
        assert "no type" in contents.damage[0]


def test_names_that_look_alike_are_kept(build):
    """Dots, colons and percent signs within a name are an item's own."""
    archive = build()
    for name in ("..a", "a:b..", "..%2fb"):
        archive.item("roles", "shop", name)

    with archive.reader().index() as contents:
        assert len(contents) == 3
