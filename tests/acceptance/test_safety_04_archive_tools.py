"""Safety check 4: other people's tools read our archive, odd names and all."""

import os
import shutil
import subprocess

import pytest

from definitions import definition
from kbackup import BackupEngine, BackupSpec, RestoreEngine, RestoreSpec

LONG = "n" * 253
RBAC = "team:web:reader"
GROUP = ".".join(["g" * 60] * 3) + ".example.com"
BIG = "x" * 1_400_000


def named(kind, name, *, version="v1", **more):
    """Return an object of the namespace ``odd``."""
    metadata = {"name": name, "namespace": "odd"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "odd"}},
    definition(GROUP, "things", "Thing"),  # its paths are longer than 255 bytes
    named("ConfigMap", LONG, data={"a": "1"}),
    named("ConfigMap", "big", data={"text": BIG}),
    named("Role", RBAC, version="rbac.authorization.k8s.io/v1", rules=[]),
    named("Thing", LONG, version=f"{GROUP}/v1", spec={"ü": "é"}),
]
PATHS = {
    f"resources/configmaps/namespaces/odd/{LONG}.json",
    "resources/configmaps/namespaces/odd/big.json",
    f"resources/roles.rbac.authorization.k8s.io/namespaces/odd/{RBAC}.json",
    f"resources/things.{GROUP}/namespaces/odd/{LONG}.json",
}


@pytest.fixture(name="archive")
def fixture_archive(simulated, directory, store):
    """The path of the archive of a namespace with odd names."""
    simulated.load(OBJECTS)
    with simulated.connect() as cluster:
        spec = BackupSpec(included_namespaces=["odd"])
        result = BackupEngine(cluster, store).run("odd", spec)
    assert result.results.errors == ()
    return directory / "backups" / "odd" / "odd.tar.gz"


def output(*command):
    """Run a tool; return what it prints."""
    if shutil.which(command[0]) is None:
        reason = f"{command[0]} is not installed"
        if os.environ.get("KBACKUP_REQUIRE_REAL"):
            pytest.fail(reason)
        pytest.skip(reason)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command, check=True, capture_output=True, env=environment
    ).stdout


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_archivers_list_every_item(archive, tool):
    """Every item is listed under its name, whatever its length."""
    listed = output(tool, "-tzf", archive).decode().splitlines()

    assert set(listed) >= PATHS
    assert len(listed) == len(set(listed))
    assert listed[0] == "metadata/version"


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_archivers_give_the_bytes_back(archive, tool):
    """A large object comes out whole."""
    path = "resources/configmaps/namespaces/odd/big.json"

    assert BIG.encode() in output(tool, "-xzOf", archive, path)


def test_gzip_finds_nothing_wrong(archive):
    """The stream is one that gzip itself checks and finds right."""
    output("gzip", "-t", archive)


def test_odd_names_come_back(archive, simulated, store):
    """A restore of it brings every object back under its name."""
    simulated.load([])
    with simulated.connect() as cluster:
        namespaces = cluster.discover().resolve("namespaces")
        cluster.delete(namespaces, "odd")
        result = RestoreEngine(cluster, store).run(
            "back", RestoreSpec(backup_name="odd")
        )

    assert result.results.errors == ()
    maps = {x["metadata"]["name"]: x for x in simulated.objects("configmaps", "odd")}
    assert maps["big"]["data"]["text"] == BIG
    assert LONG in maps
    (thing,) = simulated.objects(f"things.{GROUP}", "odd")
    assert thing["spec"] == {"ü": "é"}
    roles = simulated.objects("roles.rbac.authorization.k8s.io", "odd")
    assert [role["metadata"]["name"] for role in roles] == [RBAC]
