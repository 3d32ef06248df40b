"""What Velero itself wrote is read: its backups, its side files, its restores."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbackup import BackupStore
from kbackup._kits.streams import compress
from kbackup.catalog import RestoreFile
from kbackup.cli._app import run
from kbackup.errors import RestoreExistsError, RestoreNotFoundError
from kbackup.models import ObjectMeta, Restore, RestorePhase, RestoreSpec

FILES = Path(__file__).parent / "formats/velero-1.18.1"


@pytest.fixture
def location(tmp_path):
    """A copy of the location that Velero filled, as a URL."""
    return f"file://{shutil.copytree(FILES, tmp_path / 'velero')}"


@pytest.fixture
def store(location):
    """That location, open."""
    with BackupStore.open(location) as store:
        yield store


def test_backups_are_complete(store):
    """Backups of Velero are listed as complete, with what their records say."""
    entries = {entry.name: entry for entry in store.list()}

    assert {name: str(entry.state) for name, entry in entries.items()} == {
        "till-1": "complete",
        "till-g": "complete",
    }
    status = entries["till-1"].backup.status
    assert (str(status.phase), status.progress.items_backed_up) == ("Completed", 9)


@pytest.mark.parametrize("name", ["till-1", "till-g"])
def test_backups_are_whole(store, name):
    """A backup is whole, also where Velero kept every API version of each item."""
    assert store.verify(name).problems == ()


@pytest.mark.parametrize("name", ["till-1", "till-g"])
def test_items(store, name):
    """Items come with odd names and large numbers, each once, at the preferred version."""
    with store.open_archive(name) as reader:
        items = {str(item.identifier): item.content for item in reader}

    role = items["roles.rbac.authorization.k8s.io/till/till:clerk"]
    assert role["apiVersion"] == "rbac.authorization.k8s.io/v1"
    assert items["configmaps/till/prices"]["data"]["tea"] == "2 < 3 & 4 > 3"
    scale = items["widgets.example.com/till/scale"]
    assert scale["apiVersion"] == "example.com/v1"
    assert scale["spec"] == {
        "grams": 0.1,
        "whole": 1,
        "big": 9007199254740993,
        "none": None,
    }


def test_restore_is_told_by_its_files(store):
    """A restore of Velero has backup, start, phase, counts, log and outcomes."""
    (restore,) = store.list_restores()

    assert restore == store.get_restore("till-r")
    assert restore.metadata == ObjectMeta(name="till-r")
    assert restore.spec == RestoreSpec(backup_name="till-1")
    status = restore.status
    assert (status.phase, status.errors, status.warnings) == (
        RestorePhase.COMPLETED,
        0,
        3,
    )
    assert status.start_timestamp == datetime(2026, 11, 25, 20, 4, 11, tzinfo=UTC)
    assert len(list(store.restore_logs("till-r"))) == 109
    outcomes = store.restore_file("till-r", RestoreFile.RESOURCE_LIST)
    assert outcomes["v1/Secret"] == ["till-copy/drawer(created)"]


def test_restore_without_results(store, location):
    """A restore whose results were not uploaded has no phase, not a good one."""
    (Path(location[7:]) / "restores/till-r/restore-till-r-results.gz").unlink()

    status = store.get_restore("till-r").status

    assert (status.phase, status.errors, status.start_timestamp is None) == (
        None,
        0,
        False,
    )


def test_restore_with_a_log_in_json(store, location):
    """A server with --log-format json is understood as well."""
    lines = (
        {"level": "info", "msg": text, "time": "2026-11-25T21:00:00Z"}
        for text in ("starting restore", "Starting restore of backup velero/till-g")
    )
    log = Path(location[7:]) / "restores/till-r/restore-till-r-logs.gz"
    log.write_bytes(compress("\n".join(map(_compact, lines)).encode()))

    restore = store.get_restore("till-r")

    assert restore.spec.backup_name == "till-g"
    assert restore.status.start_timestamp == datetime(2026, 11, 25, 21, tzinfo=UTC)


def _compact(line):
    return json.dumps(line, separators=(",", ":"))


@pytest.mark.parametrize("damage", [b"", b"no gzip", b"\x1f\x8b\x08\x00half"])
def test_restore_without_log(store, location, damage):
    """Files without a log of Velero's are no restore of Velero: a dead run may be theirs."""
    log = Path(location[7:]) / "restores/till-r/restore-till-r-logs.gz"
    log.write_bytes(damage)

    assert store.list_restores() == []
    with pytest.raises(RestoreNotFoundError):
        store.get_restore("till-r")


def test_name_of_veleros_restore_is_taken(store):
    """No restore of ours is written over one of Velero's, which has no uid."""
    ours = Restore(metadata=ObjectMeta(name="till-r", uid="run-1"), spec=RestoreSpec())

    with pytest.raises(RestoreExistsError):
        store.put_restore(ours, {})


def test_describe(location, capsys):
    """People see Velero's restore with its warnings, and nothing that is not known."""
    assert run(["restore", "describe", "till-r", "--location", location]) == 0

    told = capsys.readouterr().out
    assert "Backup:       till-1" in told
    assert "Record:       none (made by Velero" in told
    assert "PersistentVolume:till-disk already exists" in told
    assert "Namespaces:" not in told
    assert run(["restore", "get", "--location", location]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:5] == ["till-r", "till-1", "Completed", "0", "3"]


def test_volumes_without_data(location, capsys):
    """People see which volumes Velero passed over."""
    assert run(["backup", "describe", "till-1", "--location", location]) == 0

    told = capsys.readouterr().out
    assert "Manifest:     none" in told
    assert "1 volume has no data in this backup:\n  till/ledger" in told
