"""A new project, built and installed beside kbackup's wheel, is found, used and conforms."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kbackup.testing import SimulatedCluster, load_sample_shop

AUTHORS = Path(__file__).parents[2] / "build/wheel/authors"


@pytest.fixture
def run(run_in):
    """A function that runs a program where authors of plugins work."""
    return partial(run_in, "authors")


@pytest.fixture
def install(run, tmp_path):
    """A function that writes a new project, builds its wheel and installs that."""
    installed = []

    def make(name, kind):
        run("kbackup", "plugin", "new", name, "--kind", kind)
        distribution = f"kbackup-{name}"
        build = ("hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist")
        subprocess.run(
            [sys.executable, "-m", *build], cwd=tmp_path / distribution, check=True
        )
        (wheel,) = (tmp_path / "dist").glob(f"kbackup_{name.replace('-', '_')}-*.whl")
        _uv("install", "--no-deps", "--no-index", str(wheel))
        installed.append(distribution)

    yield make
    _uv("uninstall", *installed)


def _uv(verb, *arguments):
    python = ("--python", AUTHORS)
    command = [sys.executable, "-m", "uv", "pip", verb, "--quiet", *python, *arguments]
    subprocess.run(command, check=True)


def offered(run, name):
    """Return how `kbackup plugin get` lists a name."""
    listed = json.loads(run("kbackup", "plugin", "get", "-o", "json"))
    (info,) = (each for each in listed["items"] if each["name"] == name)
    return info


def test_a_new_provider(run, install, tmp_path):
    """It is listed, holds a backup that is verified and restored, and conforms."""
    install("vault", "object-store")
    database = tmp_path / "backups.db"

    found = offered(run, "example.com/vault")
    assert (found["distribution"], found["version"]) == ("kbackup-vault", "1.0")
    assert found["available"]

    with SimulatedCluster() as cluster:
        with cluster.connect() as connection:
            load_sample_shop(connection)
        kbackup = partial(
            *(run, "kbackup"),
            KUBECONFIG=str(cluster.kubeconfig(tmp_path / "kubeconfig")),
            KBACKUP_LOCATION=f"vault://{database}",
        )
        kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
        verified = kbackup("backup", "verify", "shop-1")
        kbackup(
            *("restore", "create", "--from-backup", "shop-1", "--yes"),
            *("--namespace-mappings", "shop:copy"),
        )
        assert cluster.objects("deployments.apps", "copy")

    assert database.is_file()
    assert "Backup shop-1 is whole" in verified
    report = run(
        *("kbackup", "plugin", "check", "example.com/vault"),
        *("--config", f"path={tmp_path / 'check.db'}"),
    )
    assert "kbackup-vault 1.0, by ObjectStoreContract" in report
    assert "BROKEN" not in report


def test_a_new_snapshotter(run, install, tmp_path):
    """It is listed and conforms on the volume that its project names."""
    install("vault", "volume-snapshotter")
    (tmp_path / "disks" / "trial").mkdir(parents=True)

    assert offered(run, "example.com/vault")["kind"] == "VolumeSnapshotter"
    report = run(
        *("kbackup", "plugin", "check", "example.com/vault", "--yes"),
        *("--items", str(tmp_path / "kbackup-vault" / "volume.yaml")),
        *("--config", f"directory={tmp_path}"),
    )
    assert "kbackup-vault 1.0, by VolumeSnapshotterContract" in report
    assert "BROKEN" not in report
    assert list((tmp_path / "snapshots").iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [
        *("backup-item-action", "restore-item-action"),
        *("delete-item-action", "item-block-action"),
    ],
)
def test_a_new_action(run, install, kind):
    """It is listed and conforms."""
    install("mine", kind)

    assert offered(run, "example.com/mine")["available"]
    report = run("kbackup", "plugin", "check", "example.com/mine")
    assert "example.com/mine of kbackup-mine 1.0" in report
