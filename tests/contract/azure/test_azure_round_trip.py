"""A namespace there and back through Azure, and a repository in a container."""

from urllib.parse import urlencode

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, RestoreEngine, RestoreSpec
from kbackup.cli._app import run
from kbackup.repository import (
    DirectorySource,
    ObjectStoreBackend,
    Repository,
    ScryptParameters,
)
from kbackup.testing import SimulatedCluster, load_sample_shop
from odd_tree import seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})


@pytest.fixture
def simulated():
    """A cluster with the sample shop."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture
def location(azurite, container):
    """The address of a place in a container."""
    config = azurite.config(container)
    return f"az://{config.pop('bucket')}/prod?{urlencode(config)}"


@pytest.fixture
def kbackup(simulated, location, tmp_path, capsys):
    """A function that runs a command and returns what it printed."""
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")

    def call(*words):
        code = run([*words, "--location", location, "--kubeconfig", str(kubeconfig)])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


def names(simulated, namespace):
    """The names of what a restore writes itself."""
    return {
        (resource, item["metadata"]["name"])
        for resource in ("deployments.apps", "services", "configmaps", "secrets")
        for item in simulated.objects(resource, namespace)
    }


def test_by_the_command_line(simulated, kbackup, blob_service, container):
    """Every verb does its work on a container; deleting leaves nothing of a backup."""
    shop = names(simulated, "shop")
    assert len(shop) > 3

    kbackup("location", "validate")
    kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    assert "shop-1" in kbackup("backup", "get")
    assert "Completed" in kbackup("backup", "describe", "shop-1")
    kbackup("backup", "verify", "shop-1")
    mapped = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
    kbackup("restore", "create", "copy-1", *mapped, "--yes")
    assert names(simulated, "copy") == shop
    kbackup("location", "repair", "--yes")
    kbackup("backup", "delete", "shop-1", "--yes")

    found = blob_service.get_container_client(container).list_blob_names()
    left = [name.removeprefix("prod/") for name in found]
    assert [key for key in left if key.startswith(("backups/", "restores/"))] == []


def test_by_the_engines(simulated, location):
    """A host backs up to a container and restores from it; the same again is nothing."""
    with simulated.connect() as cluster, BackupStore.open(location) as store:
        spec = BackupSpec(included_namespaces=("shop",))
        backup = BackupEngine(cluster, store).run("shop-1", spec)
        engine = RestoreEngine(cluster, store)
        restored = engine.run("copy-1", COPY)
        again = engine.plan("copy-1", COPY)

        assert (backup.exit_code, restored.exit_code) == (0, 0)
        assert store.verify("shop-1").problems == ()
        assert names(simulated, "copy") == names(simulated, "shop")
        assert [x for x in again.entries if x.action.writes] == []


def test_a_repository(store, tmp_path):
    """A repository lives in a container: what was saved is checked and comes back."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_bytes(b"content" * 100_000)

    with ObjectStoreBackend(store, prefix="backups/shop", location="a container") as at:
        with Repository.init(at, "geheim", key_parameters=CHEAP) as repository:
            repository.back_up(DirectorySource(source, base=source))
        with Repository.open(at, "geheim") as repository:
            checked = repository.check()
            restored = repository.restore("latest", target)

    assert (checked.errors, restored.problems) == ([], [])
    assert seen(target) == seen(source)
