"""A simulated cluster with the sample shop in it, and a store beside it."""

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore
from kbackup.testing import SimulatedCluster, load_sample_shop


@pytest.fixture(name="simulated")
def fixture_simulated():
    """An empty simulated cluster."""
    with SimulatedCluster() as simulated:
        yield simulated


@pytest.fixture(name="cluster")
def fixture_cluster(simulated):
    """A connection to the simulated cluster, in which the shop runs."""
    with simulated.connect() as cluster:
        load_sample_shop(cluster)
        yield cluster


@pytest.fixture(name="directory")
def fixture_directory(tmp_path):
    """The directory of the store."""
    return tmp_path / "store"


@pytest.fixture(name="store")
def fixture_store(directory):
    """An open store in a directory."""
    with BackupStore.open(directory) as store:
        yield store


@pytest.fixture(name="backup")
def fixture_backup(cluster, store):
    """The backup ``shop-1`` of the namespace ``shop``."""
    result = BackupEngine(cluster, store).run(
        "shop-1", BackupSpec(included_namespaces=["shop"])
    )
    return result.backup


@pytest.fixture(name="killed")
def fixture_killed(simulated, directory, tmp_path, killed_runs):
    """A function that does a run in a process which dies before its n-th write."""
    with killed_runs(simulated.kubeconfig(tmp_path / "kubeconfig"), directory) as run:
        specs = {
            "backup": {"included_namespaces": ["shop"]},
            "restore": {"backup_name": "shop-1"},
        }
        yield lambda verb, name, where="store", number=0, **more: run(
            verb, name, specs[verb] | more, where=where, number=number
        )
