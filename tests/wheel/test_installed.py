"""The built wheel does its work where nothing but what it asks for is installed.

``make test-wheel`` builds it and makes the environment; by itself pytest does not come
here.
"""

from functools import partial
from pathlib import Path

import pytest

from kbackup.testing import SimulatedCluster, load_sample_shop, sample_shop

HERE = Path(__file__).parent


@pytest.fixture
def run(run_in):
    """A function that runs a program where only the wheel is."""
    return partial(run_in, "venv")


def test_it_is_the_wheel(run):
    """What is tested here is what was installed, and not these sources."""
    where = run("python", "-c", "import kbackup; print(kbackup.__file__)")

    assert "site-packages" in where


def test_everything_can_be_imported(run):
    """No module and no public name needs an extra to be there."""
    run("python", HERE / "import_all.py")


def test_plugins_say_what_they_lack(run):
    """A plugin whose extra is not installed is listed, with what installs it."""
    lines = run("kbackup", "plugin", "get").splitlines()

    lacking = {
        tuple(line.split()[:2]): line.partition(" unavailable: ")[2]
        for line in lines
        if " unavailable" in line
    }
    expected = {
        ("velero.io/aws", "ObjectStore"): ("s3fs", "aws"),
        ("velero.io/aws", "VolumeSnapshotter"): ("botocore", "aws"),
        ("velero.io/azure", "ObjectStore"): (
            "azure.storage.blob and azure.identity",
            "azure",
        ),
        ("velero.io/azure", "VolumeSnapshotter"): (
            "azure.mgmt.compute and azure.identity",
            "azure",
        ),
        ("velero.io/gcp", "VolumeSnapshotter"): ("google.cloud.compute_v1", "gcp"),
        ("velero.io/gcp", "ObjectStore"): (
            "google.auth and google.cloud.storage",
            "gcp",
        ),
    }
    assert lacking == {
        name: f"needs {needs}: pip install 'kbackup[{extra}]'"
        for name, (needs, extra) in expected.items()
    }
    assert {"velero.io/pod", "kbackup.io/local"} <= {line.split()[0] for line in lines}


def test_from_backup_to_restore(run, tmp_path):
    """A shop is backed up, verified and restored under another name."""
    with SimulatedCluster() as cluster:
        with cluster.connect() as connection:
            load_sample_shop(connection)
        kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")

        def kbackup(*arguments):
            return run(
                *("kbackup", *arguments),
                KUBECONFIG=str(kubeconfig),
                KBACKUP_LOCATION=str(tmp_path / "store"),
            )

        made = kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
        verified = kbackup("backup", "verify", "shop-1")
        kbackup(
            *("restore", "create", "--from-backup", "shop-1", "--yes"),
            *("--namespace-mappings", "shop:copy"),
        )

        assert "Backup shop-1: Completed" in made
        assert "Backup shop-1 is whole" in verified
        assert cluster.objects("deployments.apps", "copy")


def test_the_sample_comes_with_it(run):
    """The objects of the demonstration are in the wheel."""
    asked = "from kbackup.testing import sample_shop; print(len(sample_shop()))"

    assert int(run("python", "-c", asked)) == len(sample_shop())
