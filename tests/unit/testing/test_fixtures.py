"""The opt-in pytest fixtures, and what importing the room costs."""

import subprocess
import sys

TEST = """\
import pytest

from kbackup import BackupEngine, BackupSpec
from kbackup.models import GroupResource


def test_a_backup(kbackup_shop_cluster, kbackup_backup_store, kbackup_memory_store):
    spec = BackupSpec(included_namespaces=["shop"])
    engine = BackupEngine(kbackup_shop_cluster, kbackup_backup_store)

    assert engine.run("shop-1", spec).backup.status.phase == "Completed"
    assert "backups/shop-1/velero-backup.json" in kbackup_memory_store.objects


def test_a_store_that_fails(kbackup_failing_store, kbackup_memory_store):
    store = kbackup_failing_store(lambda verb, key: verb == "put" and OSError("full"))

    with pytest.raises(OSError, match="full"):
        store.put("backups/x", b"1")
    assert kbackup_memory_store.objects == {}


def test_values(kbackup_sample_shop, kbackup_clock):
    assert "Deployment" in {item["kind"] for item in kbackup_sample_shop}
    assert kbackup_clock.now() == kbackup_clock.now()


def test_fixtures(kbackup_cluster, kbackup_simulated_cluster, kbackup_kubeconfig):
    namespaces = kbackup_cluster.discover().get(GroupResource.parse("namespaces"))
    names = [item.name for item in kbackup_cluster.list(namespaces)]

    assert "default" in names
    assert kbackup_simulated_cluster.url in kbackup_kubeconfig.read_text()
"""


def test_the_fixtures_work_in_a_session_that_asks_for_them(tmp_path):
    """A foreign test session that names the plugin gets a connected cluster."""
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["kbackup.testing.fixtures"]\n'
    )
    (tmp_path / "test_it.py").write_text(TEST)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout


def test_the_door_loads_nothing_before_it_is_used():
    """Importing the room needs neither aiohttp nor pytest."""
    code = (
        "import sys, kbackup.testing; print({'aiohttp', 'pytest'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"
