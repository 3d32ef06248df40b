"""Items of an archive with several versions of a type, in the one that is asked for."""

import pytest

from kbackup.errors import ArchiveCorruptError, ArchiveError
from kbackup.models import GroupResource, ResourceIdentifier

WIDGETS = GroupResource.parse("widgets.example.com")
PODS = GroupResource.parse("pods")


@pytest.fixture(params=[0, 200, 1 << 26], ids=["in a file", "in both", "in memory"])
def kept(request, monkeypatch):
    """How many bytes of bodies stay in memory."""
    monkeypatch.setattr("kbackup.archive._index._KEPT", request.param)


@pytest.fixture
def archive(build, body):
    """Two widgets in v1, one of them in v1beta1 as well, and a Pod."""

    def widget(name, version):
        return body(name, "shop", api_version=f"example.com/{version}", kind="Widget")

    made = build()
    for name in ("a", "b"):
        for version in ("", "v1-preferredversion"):
            content = widget(name, "v1")
            made.item(str(WIDGETS), "shop", name, content, version=version)
    content = widget("a", "v1beta1")
    made.item(str(WIDGETS), "shop", "a", content, version="v1beta1")
    return made.item("pods", "shop", "web")


def versions(contents):
    """Return by name in which version each widget comes, as it and its body say."""
    found = {item.identifier.name: item for item in contents.items(WIDGETS)}
    for item in found.values():
        assert item.content["apiVersion"] == item.api_version
    return {name: item.api_version for name, item in found.items()}


def test_items_come_in_the_version_that_is_asked_for(archive, kept):
    """An item without a copy in it comes as it is, and other types as they are."""
    with archive.reader().index(every_version=True) as contents:
        chosen = contents.in_versions({WIDGETS: "v1beta1"})

        assert versions(chosen) == {"a": "example.com/v1beta1", "b": "example.com/v1"}
        assert chosen.get(ResourceIdentifier(PODS, "shop", "web")) is not None
        assert len(chosen) == len(contents) == 3
        assert chosen.versions(WIDGETS) == ("v1", "v1beta1")
        assert chosen.other_versions(WIDGETS) == ("v1beta1",)
        assert chosen.other_versions(PODS) == ()
        assert versions(contents) == {"a": "example.com/v1", "b": "example.com/v1"}


@pytest.mark.parametrize("wanted", [{WIDGETS: "v2"}, {PODS: "v1"}, {}])
def test_versions_that_the_archive_does_not_have(archive, wanted):
    """What is not there changes nothing."""
    with archive.reader().index(every_version=True) as contents:
        chosen = contents.in_versions(wanted)

        assert versions(chosen) == {"a": "example.com/v1", "b": "example.com/v1"}


def test_other_versions_are_kept_only_where_they_are_asked_for(archive):
    """Without that an index holds one body an item, and in_versions changes nothing."""
    with archive.reader().index() as contents:
        chosen = contents.in_versions({WIDGETS: "v1beta1"})

        assert versions(chosen) == {"a": "example.com/v1", "b": "example.com/v1"}


def test_copies_end_with_their_archive(archive, monkeypatch):
    """What lies in the file of an index that was closed is not read any more."""
    monkeypatch.setattr("kbackup.archive._index._KEPT", 0)
    contents = archive.reader().index(every_version=True)
    chosen = contents.in_versions({WIDGETS: "v1beta1"})
    contents.close()

    with pytest.raises(ArchiveError):
        chosen.get(ResourceIdentifier(WIDGETS, "shop", "a"))


def test_a_copy_that_is_another_object(archive, body):
    """It is damage; where that is passed over, the item comes as it is."""
    wrong = body("other", "shop", api_version="example.com/v1beta1", kind="Widget")
    archive.item(str(WIDGETS), "shop", "b", wrong, version="v1beta1")

    with pytest.raises(ArchiveCorruptError, match="the object in it is 'shop/other'"):
        archive.reader().index(every_version=True)
    salvaging = archive.reader(salvage=True)
    with salvaging as reader, reader.index(every_version=True) as contents:
        chosen = contents.in_versions({WIDGETS: "v1beta1"})

        assert versions(chosen) == {"a": "example.com/v1beta1", "b": "example.com/v1"}
        assert len(contents.damage) == 1
