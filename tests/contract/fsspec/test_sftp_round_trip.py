"""A namespace and a directory there and back through an SFTP server."""

import os
from urllib.parse import urlencode

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, RestoreEngine, RestoreSpec
from kbackup.cli._app import run
from kbackup.plugins import Capability
from kbackup.repository import (
    DirectorySource,
    ObjectStoreBackend,
    Repository,
    ScryptParameters,
)
from kbackup.stores import validate_object_store
from kbackup.testing import SimulatedCluster, load_sample_shop

COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})


@pytest.fixture
def simulated():
    """A cluster with the sample shop."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture
def location(sftp_config):
    """The address of a directory on the server, with its options as the query."""
    config = dict(sftp_config)
    return f"{config.pop('url')}?{urlencode(config)}"


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


def test_by_the_command_line(simulated, kbackup, sftp_config, tmp_path):
    """Every verb does its work over SFTP; deleting leaves no file of the backup."""
    shop = names(simulated, "shop")
    assert len(shop) > 3

    assert sftp_config["url"] in kbackup("location", "validate")
    kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    assert "Completed" in kbackup("backup", "describe", "shop-1")
    kbackup("backup", "verify", "shop-1")
    mapped = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
    kbackup("restore", "create", "copy-1", *mapped, "--yes")
    assert names(simulated, "copy") == shop
    kbackup("location", "repair", "--yes")
    kbackup("backup", "delete", "shop-1", "--yes")

    root = tmp_path / "there/store"
    assert not (root / "backups").exists()
    assert not (root / "restores").exists()


def test_by_the_engines(simulated, location):
    """A host backs up over SFTP and restores from there; again changes nothing."""
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
    """Files kept in a repository on the server come back, and its check finds nothing."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "large").write_bytes(os.urandom(8 << 20))
    for number in range(20):
        (source / "below" / f"{number}").write_bytes(os.urandom(10 * number))
    cheap = ScryptParameters(n=2, r=1, p=1)

    with (
        ObjectStoreBackend(store, prefix="files", location="sftp") as backend,
        Repository.init(backend, "geheim", key_parameters=cheap) as repository,
    ):
        repository.back_up(DirectorySource(source, base=source))
        restored = repository.restore("latest", tmp_path / "target")
        assert restored.problems == []
        assert repository.check(read_data=True).errors == []

    for path in source.rglob("*"):
        if path.is_file():
            copy = tmp_path / "target" / path.relative_to(source)
            assert copy.read_bytes() == path.read_bytes()


def test_what_it_can_do(store):
    """Trying the store out finds it fit, and nothing that it only seems to be able to."""
    check = validate_object_store(store)

    assert check.ok
    assert check.writable
    assert check.capabilities == {Capability.RANGE}
