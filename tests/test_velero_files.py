"""What Velero itself wrote is read: its backups, its side files, its restores."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from definitions import definition, served_version
from kbackup import BackupStore, RestoreEngine
from kbackup._kits.streams import compress
from kbackup.catalog import RestoreFile
from kbackup.cli._app import run
from kbackup.errors import (
    BackupOwnsDataError,
    RestoreExistsError,
    RestoreNotFoundError,
)
from kbackup.models import (
    ObjectMeta,
    Restore,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.restore import PlanAction
from kbackup.testing import SimulatedCluster

FILES = Path(__file__).parent / "formats"


@attrs.frozen(kw_only=True)
class Written:
    """What one version of Velero wrote where others wrote something else.

    Attributes:
        version: Of Velero.
        backups: By name, how many items their records count.
        restore_start: When the restore began.
        restore_warnings: How many the restore had, and a piece of one of them.
        log_lines: Of the restore.
        outcomes: Of the Secret in the restore's list of resources; None: it has none.
    """

    version: str
    backups: dict[str, int]
    restore_start: datetime
    restore_warnings: tuple[int, str]
    log_lines: int
    outcomes: list[str] | None


VERSIONS = (
    Written(
        version="1.8.1",
        backups={"till-1": 9, "till-g": 11, "till-s": 11},
        restore_start=datetime(2026, 11, 25, 23, 36, 53, tzinfo=UTC),
        restore_warnings=(2, 'PersistentVolume "till-disk" already exists'),
        log_lines=77,
        outcomes=None,
    ),
    Written(
        version="1.18.1",
        backups={"till-1": 9, "till-g": 12},
        restore_start=datetime(2026, 11, 25, 20, 4, 11, tzinfo=UTC),
        restore_warnings=(3, "PersistentVolume:till-disk already exists"),
        log_lines=109,
        outcomes=["till-copy/drawer(created)"],
    ),
)


@pytest.fixture(params=VERSIONS, ids=lambda written: written.version)
def written(request):
    """Which Velero filled the location."""
    return request.param


@pytest.fixture
def location(tmp_path, written):
    """A copy of the location that Velero filled, as a URL."""
    files = FILES / f"velero-{written.version}"
    return f"file://{shutil.copytree(files, tmp_path / 'velero')}"


old = pytest.mark.parametrize("written", VERSIONS[:1], indirect=True, ids=["1.8.1"])


@pytest.fixture
def store(location):
    """That location, open."""
    with BackupStore.open(location) as store:
        yield store


def test_backups_are_complete(store, written):
    """Backups of Velero are listed as complete, with what their records say."""
    entries = {entry.name: entry for entry in store.list()}

    assert {str(entry.state) for entry in entries.values()} == {"complete"}
    assert {str(entry.backup.status.phase) for entry in entries.values()} == {
        "Completed"
    }
    counts = {
        name: entry.backup.status.progress.items_backed_up
        for name, entry in entries.items()
    }
    assert counts == written.backups


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


def test_versions(store):
    """A restore may take another version of what Velero kept every one of."""
    widgets = served_version("v1beta1")
    options = RestoreOptions(enable_api_group_versions=True)
    restore = RestoreSpec(backup_name="till-g", included_resources=["widgets"])
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        simulated.load([definition("example.com", "widgets", "Widget", widgets)])
        engine = RestoreEngine(cluster, store)
        plain, plan = engine.plan("p", restore), engine.plan("r", restore, options)
        result = engine.apply(plan)
        (widget,) = simulated.objects("widgets.example.com", "till")

    assert [x.action for x in plain.entries if x.kind == "Widget"] == ["conflict"]
    (line,) = [x for x in plan.entries if x.kind == "Widget"]
    assert line.api_version == "example.com/v1beta1"
    assert result.results.errors == ()
    assert widget["spec"]["big"] == 9007199254740993


def test_restore_is_told_by_its_files(store, written):
    """A restore of Velero has backup, start, phase, counts, log and outcomes."""
    (restore,) = store.list_restores()

    assert restore == store.get_restore("till-r")
    assert restore.metadata == ObjectMeta(name="till-r")
    assert restore.spec == RestoreSpec(backup_name="till-1")
    status = restore.status
    assert (status.phase, status.errors, status.warnings) == (
        RestorePhase.COMPLETED,
        0,
        written.restore_warnings[0],
    )
    assert status.start_timestamp == written.restore_start
    assert len(list(store.restore_logs("till-r"))) == written.log_lines
    outcomes = store.restore_file("till-r", RestoreFile.RESOURCE_LIST) or {}
    assert outcomes.get("v1/Secret") == written.outcomes


def test_restore_is_described(capsys, location, written):
    """The objects of a restore of Velero are named with what was done to each."""
    code = run(["restore", "describe", "till-r", "--details", "--location", location])

    told = capsys.readouterr().out
    assert code == 0
    if written.outcomes is None:
        assert "Resource list: none" in told
    for outcome in written.outcomes or ():
        assert f"\n    {outcome}\n" in f"{told}\n"


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


def test_describe(location, written, capsys):
    """People see Velero's restore with its warnings, and nothing that is not known."""
    assert run(["restore", "describe", "till-r", "--location", location]) == 0

    told = capsys.readouterr().out
    assert "Backup:       till-1" in told
    assert "Record:       none (made by Velero" in told
    count, warning = written.restore_warnings
    assert warning in told
    assert "Namespaces:" not in told
    assert run(["restore", "get", "--location", location]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:5] == ["till-r", "till-1", "Completed", "0", str(count)]


def test_volumes_without_data(location, capsys):
    """People see which volumes Velero passed over."""
    assert run(["backup", "describe", "till-1", "--location", location]) == 0

    told = capsys.readouterr().out
    assert "Manifest:     none" in told
    assert "1 volume has no data in this backup:\n  till/ledger" in told


@pytest.mark.parametrize("name", ["till-1", "till-g"])
def test_restore(store, name):
    """What Velero stored comes back in an empty cluster, numbers and odd names too."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        result = RestoreEngine(cluster, store).run(
            "again",
            RestoreSpec(backup_name=name, namespace_mapping={"till": "till-new"}),
        )

        assert result.exit_code == 0, str(result)
        discovery = cluster.discover()
        widgets = discovery.by_kind("example.com/v1", "Widget")
        scale = cluster.get(widgets, "scale", namespace="till-new")
        assert scale.content["spec"]["big"] == 9007199254740993
        roles = discovery.by_kind("rbac.authorization.k8s.io/v1", "Role")
        assert cluster.get(roles, "till:clerk", namespace="till-new").content["rules"]


@old
def test_snapshot_of_a_provider(store, location, capsys):
    """A provider's snapshot is found by its volume, whose name 1.8 spells otherwise."""
    assert run(["backup", "describe", "till-s", "--location", location]) == 0

    told = capsys.readouterr().out
    assert "1 volume has data in this backup (native)" in told
    assert "  till-disk\n" in told
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        plan = RestoreEngine(cluster, store).plan(
            "again", RestoreSpec(backup_name="till-s")
        )
    (line,) = plan.claims
    assert line.text.startswith("data: native in this backup")


@old
def test_backup_that_owns_a_snapshot(store):
    """A backup is not deleted while a provider still keeps its snapshot."""
    with pytest.raises(BackupOwnsDataError, match="1 native snapshot"):
        store.delete("till-s")


@old
def test_body_of_another_version_than_its_directory(store):
    """A CRD that 1.8 filed as v1 and stored as v1beta1 is read, and converted to v1."""
    crd = "customresourcedefinitions.apiextensions.k8s.io/coins.example.com"
    with store.open_archive("till-s") as reader:
        items = {str(item.identifier): item.content for item in reader}
    assert items[crd]["apiVersion"] == "apiextensions.k8s.io/v1beta1"
    assert store.verify("till-s").problems == ()

    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        engine, spec = RestoreEngine(cluster, store), RestoreSpec(backup_name="till-s")
        plain = engine.plan("again", spec, RestoreOptions(convert=False))
        plan = engine.plan("again", spec)
        result = engine.apply(plan)
        (coin,) = simulated.objects("coins.example.com")
    conflicts = {
        str(entry.identifier): entry.reason
        for entry in plain.entries
        if entry.action is PlanAction.CONFLICT
    }
    assert "the backup has apiextensions.k8s.io/v1beta1" in conflicts[crd]
    assert set(conflicts) == {crd, "coins.example.com/till/penny"}
    assert not plan.counts[PlanAction.CONFLICT]
    (line,) = [each for each in plan.entries if str(each.identifier) == crd]
    assert line.converted_from == "apiextensions.k8s.io/v1beta1"
    assert result.results.errors == ()
    assert coin["spec"] == items["coins.example.com/till/penny"]["spec"]
