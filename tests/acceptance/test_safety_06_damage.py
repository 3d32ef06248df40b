"""Safety check 6: what is not what it was is refused, and nothing reaches the cluster.

Every byte of a stored backup is flipped in the catalog's own tests; here each damage goes
through a whole restore, and the cluster is asked what was written to it: nothing.
``KBACKUP_FLIP_STRIDE=1`` flips every byte of every file here too.
"""

import json
import os
import shutil

import pytest

from kbackup import (
    BackupEngine,
    BackupSpec,
    RestoreEngine,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.errors import BackupDamagedError, KBackupError, PlanOutdatedError
from kbackup.models import RestorePhase

STRIDE = int(os.environ.get("KBACKUP_FLIP_STRIDE", "97"))
SPEC = RestoreSpec(backup_name="shop-1")
READS = frozenset({"get", "list", "watch"})


@pytest.fixture(name="files")
def fixture_files(backup, directory):
    """The directory of the backup ``shop-1``."""
    return directory / "backups" / "shop-1"


@pytest.fixture(name="writes")
def fixture_writes(backup, simulated):
    """A function that counts what was written to the cluster since the backup."""
    before = count(simulated)
    return lambda: count(simulated) - before


def count(simulated):
    """Count the requests that were no reading and no asking for rights."""
    return sum(
        number
        for call, number in simulated.calls.items()
        if call.split()[0] not in READS and "review" not in call
    )


def refused(cluster, store):
    """Tell whether a restore of the backup raises one of our errors."""
    try:
        RestoreEngine(cluster, store).run("r", SPEC)
    except KBackupError:
        return True
    return False


def test_flipped_bytes_reach_no_cluster(files, cluster, store, writes):
    """A flipped byte is found by verify; a restore is refused or never looks at it."""
    needed = {"shop-1.tar.gz", "velero-backup.json", "kbackup-manifest.json"}
    for path in sorted(files.iterdir()):
        whole = path.read_bytes()
        for position in range(0, len(whole), STRIDE):
            flipped = bytearray(whole)
            flipped[position] ^= 1
            path.write_bytes(flipped)

            assert store.verify("shop-1").problems, (path.name, position)
            if path.name in needed:
                assert refused(cluster, store), (path.name, position)
        path.write_bytes(whole)

    assert store.verify("shop-1").problems == ()
    assert writes() == 0


def test_manifest_removed(files, cluster, store, writes):
    """A record that names a manifest is not believed without it."""
    (files / "kbackup-manifest.json").unlink()

    with pytest.raises(BackupDamagedError, match="manifest"):
        RestoreEngine(cluster, store).run("r", SPEC)
    assert store.verify("shop-1").problems
    assert writes() == 0


def test_manifest_of_another_backup(files, cluster, store, writes):
    """A manifest that belongs to another backup is refused."""
    BackupEngine(cluster, store).run("shop-2", BackupSpec(included_namespaces=["shop"]))
    other = files.parent / "shop-2" / "kbackup-manifest.json"
    shutil.copyfile(other, files / "kbackup-manifest.json")

    with pytest.raises(BackupDamagedError):
        RestoreEngine(cluster, store).run("r", SPEC)
    assert writes() == 0


def test_whole_backup_under_another_name(files, cluster, store, writes):
    """A directory that was copied under another name is not that backup."""
    copy = files.parent / "shop-9"
    shutil.copytree(files, copy)
    for path in list(copy.iterdir()):
        path.rename(copy / path.name.replace("shop-1", "shop-9"))

    with pytest.raises(KBackupError):
        RestoreEngine(cluster, store).run("r", RestoreSpec(backup_name="shop-9"))
    assert writes() == 0


def test_extra_side_file(files, store):
    """A file of an older run that the manifest does not name is reported, not read."""
    extra = files / "shop-1-volumesnapshots.json.gz"
    if extra.exists():
        extra = files / "shop-1-csi-volumesnapshots.json.gz"
    extra.write_bytes(b"garbage of an older run")

    (problem,) = store.verify("shop-1").problems
    assert extra.name in problem


def test_archive_replaced_between_plan_and_apply(files, cluster, store, writes):
    """A plan is of one archive; another one, whole as it is, is refused."""
    plan = RestoreEngine(cluster, store).plan("r", SPEC)
    store.delete("shop-1")
    BackupEngine(cluster, store).run("shop-1", BackupSpec(included_namespaces=["shop"]))

    with pytest.raises(PlanOutdatedError):
        RestoreEngine(cluster, store).apply(plan)
    assert writes() == 0


def test_archive_damaged_between_plan_and_apply(files, cluster, store, writes):
    """What is damaged after the plan was made is noticed before the first write."""
    plan = RestoreEngine(cluster, store).plan("r", SPEC)
    archive = files / "shop-1.tar.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-10])

    with pytest.raises(KBackupError):
        RestoreEngine(cluster, store).apply(plan)
    assert writes() == 0


def test_archive_without_manifest_is_read_to_its_end_first(
    files, simulated, cluster, store, writes
):
    """Of a backup without manifest (Velero's) a cut archive is noticed before writing."""
    (files / "kbackup-manifest.json").unlink()
    record = json.loads((files / "velero-backup.json").read_bytes())
    del record["metadata"]["annotations"]["kbackup.io/manifest"]
    (files / "velero-backup.json").write_text(json.dumps(record))
    archive = files / "shop-1.tar.gz"
    whole = archive.read_bytes()

    for cut in (1, 8, 9, len(whole) // 2, len(whole) - 20):
        archive.write_bytes(whole[:-cut])
        with pytest.raises(KBackupError):
            RestoreEngine(cluster, store).run("r", SPEC)
    assert writes() == 0


@pytest.mark.parametrize("damaged", ["kbackup-manifest.json", "shop-1.tar.gz"])
def test_what_is_salvaged_never_ends_completed(files, cluster, store, damaged):
    """A restore of a damaged backup brings what is readable and ends with errors."""
    path = files / damaged
    path.write_bytes(path.read_bytes()[:-10])
    other = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})

    result = RestoreEngine(cluster, store).run("r", other, RestoreOptions(salvage=True))

    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert "the backup was read as far as it goes, damaged or not" in [
        error.message for error in result.results.errors
    ]
    secrets = cluster.discover().resolve("secrets")
    assert [item.name for item in cluster.list(secrets, namespace="copy")]
