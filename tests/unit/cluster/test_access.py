"""The cluster as item actions are given it: to read, and to write until revoked."""

import pytest

from definitions import definition, served_version
from kbackup.errors import ClusterError, UnsupportedByServerError
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.testing import SimulatedCluster

MAPS = GroupResource.parse("configmaps")
WISHES = GroupResource.parse("wishes.example.com")
A = ResourceIdentifier(MAPS, "x", "a")
WISH = ResourceIdentifier(WISHES, "x", "w")


def made(kind, name, *, api_version="v1", **more):
    """Return an object of namespace x."""
    metadata = {"name": name, "namespace": "x", **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


DEFINITION = definition("example.com", "wishes", "Wish")


@pytest.fixture(name="simulated")
def fixture_simulated():
    """A simulated cluster with two ConfigMaps in a namespace."""
    with SimulatedCluster() as simulated:
        simulated.load(
            [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}},
                made("ConfigMap", "a", metadata={"labels": {"app": "web"}}),
                made("ConfigMap", "b"),
            ]
        )
        yield simulated


@pytest.fixture(name="cluster")
def fixture_cluster(simulated):
    """A connection to it."""
    with simulated.connect() as cluster:
        yield cluster


def test_an_object_or_none(cluster):
    """An object comes whole; what is not there, or of no known type, is None."""
    reader = cluster.reader()

    found = reader.get(A)

    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    assert found["metadata"]["labels"] == {"app": "web"}
    assert reader.get(ResourceIdentifier(MAPS, "x", "no")) is None
    assert reader.get(WISH) is None


@pytest.mark.parametrize("of", ["reader", "writer"])
def test_an_object_in_another_version(cluster, simulated, of):
    """It is read in the version that is named, or is None where that is not served."""
    both = [served_version("v2", storage=False), served_version("v1")]
    simulated.load(
        [
            definition("example.com", "wishes", "Wish", *both),
            made("Wish", "w", api_version="example.com/v1"),
        ]
    )
    reader = getattr(cluster, of)()

    assert reader.get(WISH)["apiVersion"] == "example.com/v2"
    assert reader.get(WISH, version="v1")["apiVersion"] == "example.com/v1"
    assert reader.get(WISH, version="v3") is None


def test_objects_of_a_type(cluster):
    """Objects come whole, by label where asked; of no known type there are none."""
    reader = cluster.reader()

    chosen = list(reader.list(MAPS, namespace="x", label_selector="app=web"))

    assert [each["metadata"]["name"] for each in chosen] == ["a"]
    assert chosen[0]["kind"] == "ConfigMap"
    assert {each["metadata"]["name"] for each in reader.list(MAPS)} >= {"a", "b"}
    assert list(reader.list(WISHES)) == []


def test_types_and_version(cluster):
    """Short names are understood, and the server says what it is."""
    reader = cluster.reader()

    assert reader.resolve("cm").group_resource == MAPS
    assert reader.resolve("wishes") is None
    assert reader.server_version().git_version.startswith("v1.")


def test_written_by_an_action(cluster):
    """What an action creates, changes and deletes is created, changed and deleted."""
    writer = cluster.writer()

    created = writer.create(made("ConfigMap", "c", data={"n": "1"}))
    patched = writer.patch(A, {"metadata": {"labels": {"app": None, "tier": "1"}}})
    writer.delete(ResourceIdentifier(MAPS, "x", "b"))
    writer.delete(ResourceIdentifier(MAPS, "x", "b"))  # what is gone is fine

    assert created["metadata"]["uid"]
    assert patched["metadata"]["labels"] == {"tier": "1"}
    names = {e["metadata"]["name"] for e in writer.list(MAPS, namespace="x")}
    assert {"a", "c"} <= names
    assert "b" not in names


def test_a_type_that_came_after_the_first_look(cluster):
    """An object of a CRD that is younger than the discovery is created."""
    writer = cluster.writer()
    cluster.discover()

    writer.create(DEFINITION)
    created = writer.create(made("Wish", "w", api_version="example.com/v1"))

    assert created["metadata"]["name"] == "w"
    assert writer.get(WISH)["kind"] == "Wish"


@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.create(made("Wish", "w", api_version="example.com/v1")),
        lambda writer: writer.patch(WISH, {"spec": {}}),
        lambda writer: writer.delete(WISH),
    ],
    ids=["create", "patch", "delete"],
)
def test_a_type_that_the_server_lacks(cluster, write):
    """A write of a type that the server does not know is told with its name."""
    with pytest.raises(UnsupportedByServerError, match="w"):
        write(cluster.writer())


@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.create(made("ConfigMap", "c")),
        lambda writer: writer.patch(A, {"data": {"n": "1"}}),
        lambda writer: writer.delete(A),
    ],
    ids=["create", "patch", "delete"],
)
def test_a_writer_that_was_revoked(cluster, write):
    """An action that was given up on writes nothing any more."""
    writer, reader = cluster.writer(), cluster.reader()
    before = list(reader.list(MAPS, namespace="x"))
    writer.revoke()

    with pytest.raises(ClusterError, match="revoked"):
        write(writer)

    assert list(reader.list(MAPS, namespace="x")) == before
