"""What ``describe`` and ``get`` tell of backups in unusual states."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.times import format_time
from kbackup.cli._output import ago


@pytest.fixture(name="velero")
def fixture_velero(backed_up, directory):
    """The backup without what only kbackup writes, as Velero would have left it."""
    place = directory / "backups/shop-1"
    (place / "kbackup-manifest.json").unlink()
    record = json.loads((place / "velero-backup.json").read_text())
    del record["metadata"]["annotations"]["kbackup.io/manifest"]
    (place / "velero-backup.json").write_text(json.dumps(record))
    return backed_up


def test_backup_of_another_writer(velero):
    """A backup without a manifest is listed, described, read and verified."""
    described = velero("backup", "describe", "shop-1")
    listed = velero("backup", "ls", "shop-1")
    verified = velero("backup", "verify", "shop-1")
    planned = velero("restore", "plan", "--from-backup", "shop-1")

    assert "Manifest:     none (not written by kbackup)" in described.out
    assert "deployments.apps" in listed.out
    assert verified.code == 0, verified.out
    assert "a cluster that it does not name" in planned.out


def test_backup_in_the_middle_of_another_writer(velero, directory):
    """A record in a phase that is not final is called incomplete."""
    path = directory / "backups/shop-1/velero-backup.json"
    record = json.loads(path.read_text())
    record["status"]["phase"] = "InProgress"
    path.write_text(json.dumps(record))

    listed = velero("backup", "get")
    described = velero("backup", "describe", "shop-1")
    planned = velero("restore", "plan", "--from-backup", "latest")

    assert "incomplete: phase InProgress" in listed.out
    assert "State:        incomplete" in described.out
    assert planned.code == 1


def _side_file(directory, side, content):
    """Put a side file beside the archive, as Velero does."""
    path = directory / f"backups/shop-1/shop-1-{side}.json.gz"
    path.write_bytes(gzip.compress(content))


def test_volume_data_of_another_writer(velero, directory):
    """A Velero backup with files of volumes was described as if it had none."""
    volumes = [
        {
            "pvcNamespace": "shop",
            "pvcName": name,
            "backupMethod": method,
            "skipped": not method,
        }
        for name, method in (("a", "CSISnapshot"), ("b", "NativeSnapshot"), ("c", ""))
    ]
    _side_file(directory, "volumeinfo", json.dumps(volumes).encode())

    described = velero("backup", "describe", "shop-1")
    shown = json.loads(velero("backup", "describe", "shop-1", "-o", "json").out)

    words = "1 volume has data in this backup ({}), not restored by this version:"
    assert words.format("csi") in described.out
    assert words.format("native") in described.out
    assert "1 volume has no data in this backup:" in described.out
    assert [each["data"] for each in shown["volumes"]] == ["csi", "native", "none"]


PLAN_COPY = (
    "restore",
    "plan",
    "--from-backup",
    "shop-1",
    "--namespace-mappings",
    "shop:copy",
)


def test_plan_of_another_writers_volume_data(velero, directory):
    """A plan of a Velero backup with data of a claim said that there was none."""
    backup = {
        "metadata": {"annotations": {"velero.io/pvc-name": "orders"}},
        "spec": {"pod": {"namespace": "shop"}},
        "status": {"phase": "Completed", "snapshotID": "1a2b"},
    }
    _side_file(directory, "podvolumebackups", json.dumps([backup]).encode())
    (directory / "backups/shop-1/shop-1-volumeinfo.json.gz").unlink(missing_ok=True)

    planned = velero(*PLAN_COPY)

    assert "data: fs in this backup, not restored by this version" in planned.out
    assert "comes back empty where its source had data" in planned.out


def test_volume_data_that_cannot_be_told(velero, directory):
    """A damaged side file is named, by describe and by every claim of a plan."""
    _side_file(directory, "volumeinfo", b"{}")

    described = velero("backup", "describe", "shop-1")
    planned = velero(*PLAN_COPY)

    assert "Damaged:" in described.out
    assert "is no list" in described.out
    assert planned.code == 0
    assert "data: what this backup has cannot be read" in planned.out


def test_expiring_backup(kbackup):
    """When a backup expires is told where backups are listed and described."""
    kbackup("backup", "create", "a", "--include-namespaces", "shop", "--ttl", "720h")

    assert "in 29d" in kbackup("backup", "get").out
    assert "Expires:      never" not in kbackup("backup", "describe", "a").out


def test_expired_backup(velero, directory):
    """A backup past its time is still there, and says since when it should not be."""
    path = directory / "backups/shop-1/velero-backup.json"
    record = json.loads(path.read_text())
    record["status"]["expiration"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(record))

    done = velero("backup", "get")

    assert "d ago" in done.out
    assert "in -" not in done.out


def test_backup_of_a_clock_that_is_ahead(velero, directory):
    """What another machine began after now, as this one has it, is no time ago."""
    path = directory / "backups/shop-1/velero-backup.json"
    record = json.loads(path.read_text())
    begun = datetime.now(UTC) + timedelta(minutes=60, seconds=30)
    record["status"]["startTimestamp"] = format_time(begun)
    record["status"]["completionTimestamp"] = format_time(begun)
    path.write_text(json.dumps(record))

    listed, planned = velero("backup", "get"), velero(*PLAN_COPY)

    assert "1h ahead of this clock" in listed.out
    assert " ago" not in listed.out
    assert "finished 1h0m" in planned.out
    assert "ahead of this clock" in planned.out


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "unknown"),
        (0, "0s ago"),
        (59, "59s ago"),
        (7200, "2h ago"),
        (-3600, "1h ahead of this clock"),
        (-5, "5s ahead of this clock"),
    ],
)
def test_ages(seconds, told):
    """An age has its largest unit; without a time, or before it, there is none."""
    now = datetime(2026, 5, 1, tzinfo=UTC)

    assert (
        ago(None if seconds is None else now - timedelta(seconds=seconds), now) == told
    )


def test_selection_is_described(kbackup):
    """What was included, left out and selected is told."""
    kbackup(
        *("backup", "create", "a", "--include-namespaces", "shop"),
        *("--exclude-resources", "pods", "--selector", "app=web"),
    )

    done = kbackup("backup", "describe", "a")

    assert "Namespaces:   shop" in done.out
    assert "* (without pods)" in done.out
    assert "Selector:     app=web" in done.out


def test_hooks_are_described(kbackup, simulated, hooked_pod):
    """How many commands were run in Pods, and how many failed; each failure by Pod."""
    simulated.load([hooked_pod])
    simulated.on_exec(lambda call: int(call.command[0] == "freeze"))

    planned = kbackup("backup", "create", "a", "--dry-run")
    made = kbackup("backup", "create", "a")
    done = kbackup("backup", "describe", "a")

    assert "hooks would run in 1 Pod" in planned.out
    assert made.code == 3
    assert "Hooks:        2 run, 1 failed" in done.out
    assert (
        "pre hook <from-annotation> in container main of Pod shop/db failed" in done.out
    )


def test_selection_by_scope_is_described(kbackup):
    """What was included and left out by scope is told as well, and nothing else."""
    kbackup(
        *("backup", "create", "a", "--include-namespaces", "shop"),
        *("--include-namespace-scoped-resources", "secrets,configmaps"),
        *("--exclude-cluster-scoped-resources", "*"),
    )

    done = kbackup("backup", "describe", "a")

    assert "Resources:    secrets, configmaps (without *)\n" in done.out


def test_damaged_manifest_is_told(backed_up, directory):
    """A manifest that is not the record's own is named as the damage."""
    path = directory / "backups/shop-1/kbackup-manifest.json"
    path.write_bytes(path.read_bytes() + b" ")

    done = backed_up("backup", "describe", "shop-1")

    assert done.code == 1
    assert "Damaged:" in done.out
    assert "kbackup-manifest.json" in done.out
    assert "not written by kbackup" not in done.out
    assert done.next == "Next: kbackup backup verify shop-1"


def test_many_gaps_are_cut_and_counted(kbackup, simulated):
    """Without --details a long list is cut, and the rest is counted."""
    simulated.load(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": f"data-{number}", "namespace": "shop"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        for number in range(12)
    )
    kbackup("backup", "create", "a", "--include-namespaces", "shop")

    short = kbackup("backup", "describe", "a").out
    long = kbackup("backup", "describe", "a", "--details").out

    assert "1 volume has no data in this backup:\n  shop/orders\n" in short
    assert "12 claims had no volume:\n  shop/data-0\n" in short
    assert "... and 2 more: --details" in short
    assert "shop/data-11" in long


LISTED = "\nResource list, in Velero's words (skipped: unchanged as well):\n"


def test_objects_of_a_restore(restored):
    """With --details each object is named, by type, with what was done to it."""
    described = restored("restore", "describe", "copy-1", "--details")
    short = restored("restore", "describe", "copy-1")
    shown = json.loads(restored("restore", "describe", "copy-1", "-o", "json").out)

    assert LISTED in described.out
    assert "\n  apps/v1/Deployment:\n    shop-copy/web(created)\n" in described.out
    assert LISTED not in short.out
    assert shown["resourceList"]["apps/v1/Deployment"] == ["shop-copy/web(created)"]


def test_unchanged_objects_are_skipped_in_veleros_words(restored):
    """Where outcomes tell unchanged from skipped, the list says that it does not."""
    again = ("--namespace-mappings", "shop:shop-copy", "--yes")
    other = ("--namespace-mappings", "shop:shop-2", "--yes")
    restored("restore", "create", "b", "--from-backup", "shop-1", *again)
    restored(
        *("restore", "create", "c", "--from-backup", "shop-1", *other),
        *("--include-resources", "configmaps"),
    )

    unchanged = restored("restore", "describe", "b", "--details").out
    created = restored("restore", "describe", "c", "--details").out

    assert " unchanged\n" in unchanged
    assert "shop-copy/web(skipped)" in unchanged
    assert LISTED in unchanged
    assert "\nResource list:\n" in created


def test_objects_of_a_restore_without_a_list(restored, directory):
    """A restore of a Velero before 1.13 has no list, and that is said."""
    (directory / "restores/copy-1/restore-copy-1-resource-list.json.gz").unlink()

    described = restored("restore", "describe", "copy-1", "--details")
    shown = json.loads(restored("restore", "describe", "copy-1", "-o", "json").out)

    assert "\nResource list: none" in described.out
    assert shown["resourceList"] is None


@pytest.mark.parametrize(
    "content",
    [b"no gzip", *map(gzip.compress, (b"[1]", b'{"v1/Pod": 1}', b"{"))],
    ids=["file", "list", "number", "json"],
)
def test_objects_of_a_restore_in_a_damaged_list(restored, directory, content):
    """A list that cannot be read hides nothing else of the restore."""
    name = "restore-copy-1-resource-list.json.gz"
    (directory / "restores/copy-1" / name).write_bytes(content)

    described = restored("restore", "describe", "copy-1", "--details")

    assert described.code == 0
    assert "Phase:        Completed" in described.out
    assert "Damaged:      " in described.out
    assert name in described.out


def test_consistency(backed_up):
    """Whoever looks at a backup sees whether all of it is of one moment."""
    done = backed_up("backup", "describe", "shop-1")
    as_json = json.loads(backed_up("backup", "describe", "shop-1", "-o", "json").out)

    told = as_json["manifest"]["consistency"]
    line = (
        f"Consistency:  all {len(told['resources'])} types at resourceVersion "
        f"{told['resourceVersion']}\n"
    )
    assert line in done.out
    assert told["drifts"] == []
