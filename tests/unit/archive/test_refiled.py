"""The items of an archive under other types, changed when they are read."""

import io
import json

import pytest
from msgspec.structs import replace

from kbackup.archive import ArchiveReader, ArchiveWriter
from kbackup.errors import ArchiveError
from kbackup.models import GroupResource, ResourceIdentifier

OLD, NEW = map(GroupResource.parse, ("things.old", "things.new.example.com"))
OTHER = GroupResource.parse("configmaps")
ITEMS = [(OLD, "a"), (OLD, "b"), (NEW, "b"), (NEW, "c"), (OTHER, "d")]


@pytest.fixture(name="contents")
def fixture_contents():
    """Two things of the old type, two of the new one, a name that both have, one other."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for resource, name in ITEMS:
            body = {
                "apiVersion": f"{resource.group or 'core'}/v1",
                "kind": "Thing",
                "metadata": {"name": name, "namespace": "shop"},
            }
            archive.add(
                resource=str(resource),
                version="v1",
                namespace="shop",
                name=name,
                body=json.dumps(body).encode(),
            )
    out.seek(0)
    with ArchiveReader(out) as reader, reader.index() as contents:
        yield contents


def marked(item):
    """Change an item so that it is seen."""
    return replace(item, kind=f"New{item.kind}")


def refs(contents):
    """The items by type and name."""
    return [
        (resource, ref.name)
        for resource in contents.resources()
        for ref in contents.identifiers(resource)
    ]


def test_items_under_the_new_type(contents):
    """All are there once; one whose place is taken stays where it is."""
    view = contents.refiled({OLD: NEW}, marked, [NEW])

    assert sorted(refs(view)) == sorted(
        [(OTHER, "d"), (NEW, "a"), (NEW, "b"), (NEW, "c"), (OLD, "b")]
    )
    assert len(view) == len(contents)
    assert view.namespaces() == contents.namespaces()
    assert sorted(refs(contents)) == sorted(ITEMS)


def test_items_are_changed_when_they_are_read(contents):
    """Only those of the types that are to be changed, by whatever way they are read."""
    view = contents.refiled({OLD: NEW}, marked, [NEW])

    moved = view.get(ResourceIdentifier(NEW, "shop", "a"))
    assert (moved.kind, moved.api_version) == ("NewThing", "old/v1")
    assert str(moved.identifier) == "things.new.example.com/shop/a"
    assert {item.kind for item in view.items(NEW)} == {"NewThing"}
    assert view.get(ResourceIdentifier(OTHER, "shop", "d")).kind == "Thing"
    assert view.get(ResourceIdentifier(OLD, "shop", "b")).kind == "Thing"
    assert contents.get(ResourceIdentifier(OLD, "shop", "a")).kind == "Thing"


def test_a_type_that_stays_is_changed_as_well(contents):
    """Where only the version is another one, nothing is filed anew."""
    view = contents.refiled({}, marked, [OLD])

    assert refs(view) == refs(contents)
    assert {item.kind for item in view.items(OLD)} == {"NewThing"}


def test_versions_and_sizes_stay(contents):
    """What the index tells of an item it tells under the new type."""
    view = contents.refiled({OLD: NEW}, marked, [NEW])

    assert view.versions(OTHER) == contents.versions(OTHER)
    old, new = (ResourceIdentifier(kind, "shop", "a") for kind in (OLD, NEW))
    assert view.size(new) == contents.size(old) > 0
    assert sum(view.sizes.values()) == sum(contents.sizes.values())


def test_both_are_closed_together(contents):
    """No item is given any more once the archive is closed."""
    view = contents.refiled({OLD: NEW}, marked, [NEW])
    contents.close()

    assert view.closed
    with pytest.raises(ArchiveError):
        view.get(ResourceIdentifier(NEW, "shop", "a"))
