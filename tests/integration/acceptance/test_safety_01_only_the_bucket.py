"""Safety check 1: nothing but the bucket is needed to restore.

The source cluster is gone, the process is a new one with an empty home directory, the
location cannot be written, and the target has never seen the backup's cluster.
"""

import os
import subprocess
import sys

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore
from kbackup.testing import SimulatedCluster

PROGRAM = """
import sys
from kbackup import BackupStore, Cluster, RestoreEngine, RestoreSpec
from kbackup.errors import StoreAccessError
from kbackup.testing import FailingStore
from kbackup_plugins_local import open_local_store
kubeconfig, directory, way = sys.argv[1:]
def refuse(operation, key):
    return StoreAccessError(key) if operation in {"put", "delete"} else None
def opened():
    if way == "read-only location":
        return BackupStore.open(directory, read_only=True)
    return BackupStore(FailingStore(open_local_store({"path": directory}), refuse))
with Cluster.connect(kubeconfig) as cluster, opened() as store:
    result = RestoreEngine(cluster, store).run("r", RestoreSpec(backup_name="only"))
    print([str(error) for error in result.results.errors])
    print(*sorted(f"{o.action} {o.identifier}" for o in result.outcomes), sep="\\n")
sys.exit(result.exit_code)
"""


@pytest.mark.parametrize("way", ["read-only location", "credentials that only read"])
def test_restore_needs_only_the_bucket(
    target, target_cluster, tmp_path, namespace, way
):
    """Source stopped, HOME empty, nothing to be written: the objects come back."""
    directory = tmp_path / "store"
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": namespace},
            "data": {"mode": "fast"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "key", "namespace": namespace},
            "type": "Opaque",
            "data": {"key": "czNjcmV0"},
        },
    ]
    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore.open(directory) as store,
    ):
        simulated.load(objects)
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("only", spec).exit_code == 0
    before = files_below(directory)
    home = tmp_path / "home"
    home.mkdir()

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, target_cluster.kubeconfig, directory, way],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for item in objects[1:]:
        assert target.get(item)["data"] == item["data"]
    assert files_below(directory) == before
    assert list(home.iterdir()) == []
    target.remove_namespace(namespace, wait=False)


def files_below(directory):
    """Return all files with their contents."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
