"""Backups that Velero made are restored into a real, empty cluster."""

import shutil
from pathlib import Path

import pytest

from kbackup import BackupStore, RestoreEngine
from kbackup.cluster import Cluster
from kbackup.models import RestoreSpec

pytestmark = pytest.mark.integration

FILES = Path(__file__).parents[1] / "formats"


@pytest.fixture(name="restore")
def fixture_restore(third_cluster, tmp_path):
    """A function that restores a backup of one version of Velero.

    The custom types of the backups are cluster-wide.
    """

    def restore(version, backup, namespace):
        """Restore it under another namespace; return the result."""
        files = shutil.copytree(FILES / f"velero-{version}", tmp_path / version)
        spec = RestoreSpec(backup_name=backup, namespace_mapping={"till": namespace})
        with (
            BackupStore.open(files) as store,
            Cluster.connect(third_cluster.kubeconfig) as cluster,
        ):
            return RestoreEngine(cluster, store).run("again", spec)

    return restore


def test_old_and_new_velero(third_cluster, restore):
    """A real server takes what both ends of Velero's versions stored."""
    for version, backup in (("1.8.1", "till-s"), ("1.18.1", "till-1")):
        namespace = f"till-{version.replace('.', '-')}"

        result = restore(version, backup, namespace)

        assert result.exit_code == 0, str(result)
        status, scale = third_cluster.request(
            "GET", f"/apis/example.com/v1/namespaces/{namespace}/widgets/scale"
        )
        assert (status, scale["spec"]["big"]) == (200, 9007199254740993)
        _, prices = third_cluster.request(
            "GET", f"/api/v1/namespaces/{namespace}/configmaps/prices"
        )
        assert prices["data"]["coffee"] == "Kännchen"
    # 1.8 stores a CRD of the old form as v1beta1, which this server still takes.
    coin = "/apis/example.com/v1/namespaces/till-1-8-1/coins/penny"
    assert third_cluster.request("GET", coin)[1]["spec"] == {"worth": 1}
