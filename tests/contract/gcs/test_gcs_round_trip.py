"""A namespace there and back through Cloud Storage, by the command line and by the engines."""

import os
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

COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})


@pytest.fixture
def simulated():
    """A cluster with the sample shop."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture
def location(gcs_server, gcs_bucket):
    """The address of a place in a bucket."""
    config = gcs_server.config(gcs_bucket)
    return f"gs://{config.pop('bucket')}/prod?{urlencode(config)}"


@pytest.fixture
def kbackup(simulated, location, tmp_path, capsys):
    """A function that runs a command and returns what it printed."""
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")

    def call(*words, expected=0):
        code = run([*words, "--location", location, "--kubeconfig", str(kubeconfig)])
        out, err = capsys.readouterr()
        assert code == expected, err
        return out

    return call


def names(simulated, namespace):
    """The names of what a restore writes itself."""
    return {
        (resource, item["metadata"]["name"])
        for resource in ("deployments.apps", "services", "configmaps", "secrets")
        for item in simulated.objects(resource, namespace)
    }


def test_by_the_command_line(simulated, kbackup, gcs_server, gcs_bucket):
    """Every verb does its work on a bucket; deleting leaves nothing, nor of its restores."""
    shop = names(simulated, "shop")
    assert len(shop) > 3

    kbackup("location", "validate")
    kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    assert "shop-1" in kbackup("backup", "get")
    assert "Completed" in kbackup("backup", "describe", "shop-1")
    assert "deployments.apps" in kbackup("backup", "ls", "shop-1")
    assert "level=info" in kbackup("backup", "logs", "shop-1")
    kbackup("backup", "verify", "shop-1")
    simulated_before = names(simulated, "copy")
    mapped = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
    kbackup("restore", "plan", *mapped)
    assert names(simulated, "copy") == simulated_before == set()
    kbackup("restore", "create", "copy-1", *mapped, "--yes")
    assert names(simulated, "copy") == shop
    assert "copy-1" in kbackup("restore", "get")
    assert "Completed" in kbackup("restore", "describe", "copy-1")
    assert "level=info" in kbackup("restore", "logs", "copy-1")
    kbackup("location", "repair", "--yes")
    kbackup("backup", "delete", "shop-1", "--yes")

    left = [key.removeprefix("prod/") for key in gcs_server.keys(gcs_bucket)]
    assert [key for key in left if key.startswith(("backups/", "restores/"))] == []


def test_by_the_engines(simulated, location):
    """A host backs up to a bucket and restores from it; the same again changes nothing."""
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


def test_without_the_right_to_write(simulated, location, gcs_server, gcs_bucket):
    """Who may only read a bucket can plan and restore from it; nothing is added to it."""
    with simulated.connect() as cluster:
        with BackupStore.open(location) as store:
            spec = BackupSpec(included_namespaces=("shop",))
            BackupEngine(cluster, store).run("shop-1", spec)

        before = gcs_server.keys(gcs_bucket)
        with BackupStore.open(location, read_only=True) as store:
            result = RestoreEngine(cluster, store).run("copy-1", COPY)

    assert result.exit_code == 0
    assert names(simulated, "copy") == names(simulated, "shop")
    assert gcs_server.keys(gcs_bucket) == before


def test_a_repository(store, tmp_path):
    """Files go into a repository in the bucket and come back; a check finds no fault."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "small").write_bytes(b"small")
    (files / "large").write_bytes(os.urandom(20 << 20))

    cheap = ScryptParameters(n=2, r=1, p=1)

    with (
        ObjectStoreBackend(store, prefix="repo", location="the bucket") as backend,
        Repository.init(backend, "geheim", key_parameters=cheap) as repository,
    ):
        repository.back_up(DirectorySource(files, base=files))
        restored = repository.restore("latest", tmp_path / "target")
        checked = repository.check(read_data=True)

    assert restored.problems == []
    assert seen(tmp_path / "target") == seen(files)
    assert (checked.errors, checked.snapshots) == ([], 1)
