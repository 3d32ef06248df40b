"""A mirrored location between a real API server and one of its directories that is bad."""

import uuid

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine
from kbackup_plugins_local import open_local_store

pytestmark = pytest.mark.integration


def test_restore_from_the_copy_that_a_repair_made(real_cluster, namespace, tmp_path):
    """What a repair copied to the second disk is restored when the first one is gone."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    settings = {"metadata": {"name": "settings"}, "data": {"mode": uuid.uuid4().hex}}
    api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", settings)
    a, b = tmp_path / "a", tmp_path / "b"
    open_local_store({"path": f"{a}#{b}"}).initialise()
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open([a, b]) as store,
    ):
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(cluster, store).run("one", spec)
        (b / "backups/one/one.tar.gz").write_bytes(b"rubbish")
        (b / "backups/one/velero-backup.json").unlink()
        found = store.verify("one").problems

        report = store.repair(store.plan_repair())
        a.rename(a.with_suffix(".disk"))
        copy = f"{namespace}-copy"
        RestoreEngine(cluster, store).run(
            "two", RestoreSpec(backup_name="one", namespace_mapping={namespace: copy})
        )

    assert len(found) == 2
    assert all(problem.startswith(f"{b}: ") for problem in found)
    assert report.ok
    status, restored = api.request(
        "GET", f"/api/v1/namespaces/{copy}/configmaps/settings"
    )
    assert (status, restored["data"]) == (200, settings["data"])


def test_a_backup_while_one_directory_is_away(real_cluster, namespace, tmp_path):
    """It is Completed with a warning by name, each time, until the disk is back."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    a, b = tmp_path / "a", tmp_path / "b"
    open_local_store({"path": f"{a}#{b}"}).initialise()
    spec = BackupSpec(included_namespaces=[namespace])
    b.rename(b.with_suffix(".disk"))
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open([a, b]) as store,
    ):
        engine = BackupEngine(cluster, store)
        away = [engine.run(name, spec).results.warnings for name in ("one", "two")]
        b.with_suffix(".disk").rename(b)
        whole = engine.run("three", spec).results.warnings

    assert [str(each).partition(":")[0] for (each,) in away] == [f"{b} is away"] * 2
    assert not whole
