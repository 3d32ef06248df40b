"""What is done on every provider's store: backups there and back, and a repository.

Shared by the contract tests: a provider subclasses `RoundTrip` and says where its
location is.
"""

from __future__ import annotations

import os

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, RestoreEngine, RestoreSpec
from kbackup.cli._app import run
from kbackup.plugins import PluginManager
from kbackup.repository import (
    DirectorySource,
    ObjectStoreBackend,
    Repository,
    ScryptParameters,
)
from kbackup.stores import location_from, open_object_store
from kbackup.testing import SimulatedCluster, load_sample_shop
from odd_tree import seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
SHOP = BackupSpec(included_namespaces=("shop",))
_LARGE = 20 << 20  # in several parts, wherever there are parts


class EngineRoundTrip:
    """A namespace and a volume's files go to a location and come back.

    Subclasses give the fixture ``location``, the address of an empty place; where its
    server can be looked at from outside, ``keys`` as well.
    """

    @pytest.fixture
    def store(self, location):
        """The store of the location, below its prefix."""
        plugins = PluginManager()
        store = open_object_store(location_from(location, plugins), plugins)
        yield store
        store.close()

    @pytest.fixture
    def keys(self, store):
        """A function that tells the keys below the location's prefix."""
        return lambda: [info.key for info in store.list("")]

    @pytest.fixture
    def simulated(self):
        """A cluster with the sample shop."""
        with SimulatedCluster() as simulated:
            with simulated.connect() as cluster:
                load_sample_shop(cluster)
            yield simulated

    def test_by_the_engines(self, simulated, location):
        """A host backs up and restores; the same again changes nothing."""
        with simulated.connect() as cluster, BackupStore.open(location) as store:
            backup = BackupEngine(cluster, store).run("shop-1", SHOP)
            engine = RestoreEngine(cluster, store)
            restored = engine.run("copy-1", COPY)
            again = engine.plan("copy-1", COPY)

            assert (backup.exit_code, restored.exit_code) == (0, 0)
            assert store.verify("shop-1").problems == ()
            assert names(simulated, "copy") == names(simulated, "shop")
            assert [x for x in again.entries if x.action.writes] == []

    def test_without_the_right_to_write(self, simulated, location, keys):
        """Who may only read can plan and restore; nothing is added to the location."""
        with simulated.connect() as cluster:
            with BackupStore.open(location) as store:
                BackupEngine(cluster, store).run("shop-1", SHOP)

            before = keys()
            with BackupStore.open(location, read_only=True) as store:
                result = RestoreEngine(cluster, store).run("copy-1", COPY)

        assert result.exit_code == 0
        assert names(simulated, "copy") == names(simulated, "shop")
        assert before
        assert keys() == before

    def test_a_repository(self, store, tmp_path):
        """A volume's files go into a repository and come back; a check finds no fault."""
        source, target = tmp_path / "source", tmp_path / "target"
        (source / "below").mkdir(parents=True)
        (source / "large").write_bytes(os.urandom(_LARGE))
        for number in range(20):
            (source / "below" / f"{number}").write_bytes(os.urandom(10 * number))

        with ObjectStoreBackend(store, prefix="repo/shop", location="there") as at:
            with Repository.init(at, "geheim", key_parameters=CHEAP) as repository:
                repository.back_up(DirectorySource(source, base=source))
            with Repository.open(at, "geheim") as repository:
                restored = repository.restore("latest", target)
                checked = repository.check(read_data=True)

        assert (checked.errors, checked.snapshots) == ([], 1)
        assert restored.problems == []
        assert seen(target) == seen(source)


class RoundTrip(EngineRoundTrip):
    """As well by the command line, which refuses what ends with the process."""

    @pytest.fixture
    def kbackup(self, simulated, location, tmp_path, capsys):
        """A function that runs a command and returns what it printed."""
        kubeconfig = str(simulated.kubeconfig(tmp_path / "kubeconfig"))

        def call(*words):
            code = run([*words, "--location", location, "--kubeconfig", kubeconfig])
            out, err = capsys.readouterr()
            assert code == 0, err
            return out

        return call

    def test_by_the_command_line(self, simulated, kbackup, keys):
        """Every verb does its work; deleting leaves nothing, nor of its restores."""
        shop = names(simulated, "shop")
        assert len(shop) > 3

        kbackup("location", "validate")
        kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
        assert "shop-1" in kbackup("backup", "get")
        assert "Completed" in kbackup("backup", "describe", "shop-1")
        assert "deployments.apps" in kbackup("backup", "ls", "shop-1")
        assert "level=info" in kbackup("backup", "logs", "shop-1")
        kbackup("backup", "verify", "shop-1")
        mapped = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
        kbackup("restore", "plan", *mapped)
        assert names(simulated, "copy") == set()
        kbackup("restore", "create", "copy-1", *mapped, "--yes")
        assert names(simulated, "copy") == shop
        assert "copy-1" in kbackup("restore", "get")
        assert "Completed" in kbackup("restore", "describe", "copy-1")
        assert "level=info" in kbackup("restore", "logs", "copy-1")
        assert any(key.startswith("backups/shop-1/") for key in keys())
        kbackup("location", "repair", "--yes")
        kbackup("backup", "delete", "shop-1", "--yes")

        assert [k for k in keys() if k.startswith(("backups/", "restores/"))] == []


def names(simulated, namespace):
    """The names of what a restore writes itself."""
    return {
        (resource, item["metadata"]["name"])
        for resource in ("deployments.apps", "services", "configmaps", "secrets")
        for item in simulated.objects(resource, namespace)
    }
