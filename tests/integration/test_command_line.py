"""The command line beside a real API server, each call a process of its own."""

import os
import subprocess
import sys

import pytest
import yaml

pytestmark = pytest.mark.integration


@pytest.fixture(name="kbackup")
def fixture_kbackup(real_cluster, tmp_path):
    """The command line with a kubeconfig that does not verify the server."""
    config = yaml.safe_load(real_cluster.kubeconfig.read_text())
    for each in config["clusters"]:
        each["cluster"].pop("certificate-authority", None)
        each["cluster"].pop("certificate-authority-data", None)
        each["cluster"]["insecure-skip-tls-verify"] = True
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(kubeconfig),
        "KBACKUP_LOCATION": str(tmp_path / "store"),
    }

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", "kbackup", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def test_a_server_that_is_not_verified(kbackup):
    """That nobody verifies the server is said in one line, whatever the requests."""
    done = kbackup("backup", "create", "b", "--include-namespaces", "default")

    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "verif" in line.lower()]
    assert len(told) == 1
    assert told[0].startswith("warning: the TLS certificate of 127.0.0.1 is not")
    assert "InsecureRequestWarning" not in done.stderr


def test_what_changed_since_a_backup(kbackup):
    """Beside a real server two backups in a row, and the cluster, differ in nothing."""
    for name in ("a", "b"):
        kbackup("backup", "create", name, "--include-namespaces", "default")

    between = kbackup("backup", "diff", "a", "b", "--detailed-exitcode")
    live = kbackup("backup", "diff", "a", "--live", "--detailed-exitcode")

    assert between.returncode == 0, between.stdout + between.stderr
    assert live.returncode == 0, live.stdout + live.stderr
    assert "0 removed, 0 added, 0 changed, 0 unknown" in between.stdout


def test_a_backup_whose_run_was_killed(kbackup, real_cluster, tmp_path, killed_runs):
    """Who asks for what a dead run began beside a real server hears of it, and can end it."""
    spec = {"included_namespaces": ["default"]}
    with killed_runs(real_cluster.kubeconfig, tmp_path / "store") as run:
        assert run("backup", "whole", spec).through
        writes = run("backup", "other", spec).writes
        assert not run("backup", "killed", spec, number=writes // 2).through
        claim = tmp_path / "store/plugins/kbackup.io/claims/early.json"
        number = 0
        while not claim.exists():  # killed as soon as it has the name, and nothing else
            number += 1
            assert not run("backup", "early", spec, number=number).through

    logs = kbackup("backup", "logs", "killed")
    plan = kbackup("restore", "plan", "--from-backup", "killed")
    verified = kbackup("backup", "verify", "nope", "whole")
    listed = kbackup("backup", "get")
    deleted = kbackup("backup", "delete", "killed", "early", "--yes")

    assert (logs.returncode, plan.returncode, verified.returncode) == (1, 1, 1)
    for done in (logs, plan):
        assert "backup killed: not found: begun and not ended by run " in done.stderr
        assert "the same backup under the same name begins anew" in done.stderr
    assert "Backup whole is whole" in verified.stdout
    assert "Error: backup nope: not found" in verified.stderr
    assert "killed   incomplete: no velero-backup.json" in listed.stdout
    assert "early    incomplete: begun and not ended by run " in listed.stdout
    assert deleted.returncode == 0, deleted.stderr
    left = {path.parent.name for path in (tmp_path / "store").rglob("*.json")}
    assert left == {"whole", "other", "kbackup.io"}


def test_a_dry_run_that_finds_nothing(kbackup):
    """What a real server has nothing of ends a dry run as it would end the backup."""
    words = ("--include-namespaces", "default", "--selector", "no=such")

    assert kbackup("backup", "create", "a", *words, "--dry-run").returncode == 3
    assert kbackup("backup", "create", "a", *words).returncode == 3
