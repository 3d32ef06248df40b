"""Deleting a backup deletes what is on record of its restores, and of no other's."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import catalog_samples as samples
import pytest
from test_repair import LATER, claim_of, repair, steps
from test_restores import files_of, restore_of

from kbackup._kits.workers import CancelToken
from kbackup.catalog import BackupStore, DeletionPlan, DeletionReport
from kbackup.errors import BackupNotFoundError, RunCancelledError
from kbackup.models import RestoreSpec, dump_json
from kbackup.testing import FrozenClock


def put_restore(store, name, backup="shop"):
    """Put a restore of a backup on record, with its files."""
    record = attrs.evolve(restore_of(name), spec=RestoreSpec(backup_name=backup))
    store.put_restore(record, files_of(name))


@pytest.fixture(name="scene")
def fixture_scene(store):
    """Two backups; two restores of one, one of the other."""
    for name in ("shop", "other"):
        samples.make(store, name)
    put_restore(store, "try-1")
    put_restore(store, "try-2")
    put_restore(store, "kept", backup="other")
    return store


def names_in(store):
    """The names of the restores on record."""
    return sorted(each.name for each in store.list_restores())


@pytest.mark.parametrize("files_only", [False, True])
def test_restores_go_with_their_backup(scene, objects, files_only):
    """Records and files of its restores are gone, those of another backup's are not."""
    plan = scene.plan_deletion("shop", files_only=files_only)
    report = scene.delete("shop", files_only=files_only)

    assert plan.restores == report.restores == ("try-1", "try-2")
    assert names_in(scene) == ["kept"]
    assert {info.key.split("/")[1] for info in objects.list("restores/")} == {"kept"}


def test_the_plan_touches_nothing_and_says_so_in_one_line(scene):
    """Whoever is asked sees which restores go, before anything has gone."""
    plan = scene.plan_deletion("shop")

    assert str(plan) == (
        "shop: delete its files, delete what is on record of restore try-1, try-2"
    )
    assert plan.to_json()["restores"] == ["try-1", "try-2"]
    assert names_in(scene) == ["kept", "try-1", "try-2"]


def test_the_backup_goes_before_its_restores(scene, objects):
    """A restore without its backup is a note; the other way round it would be a loss."""
    gone = []
    watched = samples.Watched(
        objects, lambda verb, key: gone.append(key) if verb == "delete" else None
    )

    BackupStore(watched).delete("shop")

    below = [key for key in gone if key.startswith(("backups/", "restores/"))]
    assert below == sorted(below, key=lambda key: key.startswith("restores/"))
    assert below[0] == "backups/shop/velero-backup.json"


@pytest.mark.parametrize("on_record", [False, True])
def test_a_restore_that_runs_is_left_and_told(scene, on_record):
    """While a restore of the backup has not ended nothing of it is touched."""
    name = "try-1" if on_record else "running"
    with scene.claim_restore(name, run_uid="run-9", from_backup="shop"):
        plan = scene.plan_deletion("shop")
        report = scene.delete("shop")

    assert set(plan.unended) == set(report.unended) == {name}
    assert "begun and not ended by run run-9" in report.unended[name]
    assert f"leave restore {name}, which has not ended" in str(plan)
    assert name not in report.restores
    assert names_in(scene) == (["kept", "try-1"] if on_record else ["kept"])


def test_a_restore_that_began_after_the_look_is_left(scene, objects):
    """Also one that is run once more while the backup is being deleted."""
    claims = []

    def begin(verb, key):
        """Begin when the record of the backup goes."""
        if verb == "delete" and key.startswith("backups/") and not claims:
            claims.append(scene.claim_restore("try-1", run_uid="run-9"))

    report = BackupStore(samples.Watched(objects, begin)).delete("shop")

    assert report.restores == ("try-2",)
    assert "run run-9" in report.unended["try-1"]
    claims[0].release()


def test_a_name_that_is_another_restore_by_now(scene, objects):
    """A restore that took the name of one of these in the meantime stays on record."""
    done = []

    def replace(verb, key):
        """Delete a restore and put another one there, of another backup."""
        if verb == "delete" and key.startswith("backups/") and not done:
            done.append(key)
            scene.delete_restore("try-1")
            record = attrs.evolve(
                restore_of("try-1", "run-2"), spec=RestoreSpec(backup_name="other")
            )
            scene.put_restore(record, files_of("try-1"))

    report = BackupStore(samples.Watched(objects, replace)).delete("shop")

    assert report.restores == ("try-2",)
    assert scene.get_restore("try-1").metadata.uid == "run-2"


def test_what_else_lies_beside_a_restore(scene, objects):
    """A file that is none of the restore's stays and is named."""
    objects.put("restores/try-1/notes.txt", b"mine")

    report = scene.delete("shop")

    assert report.left == ("restores/try-1/notes.txt",)
    assert objects.stat("restores/try-1/notes.txt")


def test_a_restore_of_velero_goes_too(scene, objects):
    """Velero keeps no record of a restore in the store: its log names the backup."""
    log = (
        b'time="2026-05-01T02:00:00Z" level=info msg="starting restore"\n'
        b'time="2026-05-01T02:00:00Z" level=info '
        b'msg="Starting restore of backup velero/shop"\n'
    )
    files = {**files_of("v"), "restore-v-logs.gz": samples.compress(log)}
    for name, content in files.items():
        objects.put(f"restores/v/{name}", content)

    report = scene.delete("shop")

    assert report.restores == ("try-1", "try-2", "v")
    assert not list(objects.list("restores/v/"))


def test_a_deletion_that_was_cancelled_between_restores(scene, objects):
    """What is left of a deletion that was stopped the next one removes."""
    token = CancelToken()

    def stop(verb, key):
        """Stop when the first restore goes."""
        if verb == "delete" and key.startswith("restores/try-1/"):
            token.cancel("enough")

    stopping = BackupStore(samples.Watched(objects, stop))
    with pytest.raises(RunCancelledError, match="enough"):
        stopping.delete("shop", cancel=token)
    assert names_in(scene) == ["kept", "try-2"]

    assert scene.plan_deletion("shop") == DeletionPlan(name="shop", restores=("try-2",))
    assert scene.delete("shop") == DeletionReport(name="shop", restores=("try-2",))
    with pytest.raises(BackupNotFoundError):
        scene.delete("shop")
    assert names_in(scene) == ["kept"]


KILLED = """
import os, sys
sys.path.insert(0, {place!r})
import catalog_samples as samples
from kbackup.catalog import BackupStore
from kbackup_plugins_local import open_local_store

seen = []

def kill(verb, key):
    seen.append(key)
    if verb == "delete" and key.startswith(("backups/", "restores/")):
        if len([k for k in seen if k.startswith(("backups/", "restores/"))]) == {n}:
            os._exit(9)

objects = open_local_store({{"path": {root!r}}})
BackupStore(samples.Watched(objects, kill)).delete("shop")
"""


@pytest.mark.parametrize("n", range(1, 12))
def test_a_deletion_that_was_killed_is_completed(scene, objects, root, n):
    """Wherever it was killed, deleting again and a repair leave nothing of it."""
    place = str(Path(samples.__file__).parent)
    program = KILLED.format(place=place, root=str(root), n=n)
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == 9

    scene.delete("shop")
    late = BackupStore(objects, clock=FrozenClock(LATER))
    assert late.repair(late.plan_repair()).ok

    keys = [info.key for info in objects.list("")]
    assert not [key for key in keys if "shop" in key or "try" in key]
    assert names_in(scene) == ["kept"]
    assert [entry.name for entry in scene.list()] == ["other"]


def put_half(objects):
    """Leave what a killed deletion leaves of a restore: files, and its claim."""
    objects.put("restores/try/restore-try-logs.gz", b"x")
    key = "plugins/kbackup.io/restore-claims/try.json"
    objects.put(key, claim_of("try", heartbeat=LATER - timedelta(hours=25)))


def test_repair_sweeps_a_half_deleted_restore(objects):
    """Nobody lists files without a record: a day later a repair removes them."""
    put_half(objects)
    late = BackupStore(objects, clock=FrozenClock(LATER))

    assert steps(late.plan_repair()) == [("sweep", "restores/try/")]
    assert repair(late) == [("sweep", "restores/try/")]
    assert not [info.key for info in objects.list("") if "try" in info.key]


@pytest.mark.parametrize("what", ["record", "journal", "young"])
def test_repair_leaves_what_is_no_half_deleted_restore(objects, store, what):
    """A restore on record, one that can be completed and a young claim are left."""
    put_half(objects)
    hours = 25
    if what == "record":
        objects.put("restores/try/kbackup-restore.json", dump_json(restore_of("try")))
    elif what == "journal":
        store.journal("run-1").append({"uploadRestore": "try"})
    else:
        hours = 20
    late = BackupStore(objects, clock=FrozenClock(LATER + timedelta(hours=hours - 25)))

    late.repair(late.plan_repair())

    assert objects.stat("restores/try/restore-try-logs.gz")


def test_repair_looks_again_before_it_sweeps_a_restore(objects):
    """A restore that was completed since the plan was made is not swept."""
    put_half(objects)
    late = BackupStore(objects, clock=FrozenClock(LATER))
    plan = late.plan_repair()
    objects.put("restores/try/kbackup-restore.json", dump_json(restore_of("try")))

    report = late.repair(plan)

    assert [str(each.result) for each in report.outcomes] == ["skipped"]
    assert objects.stat("restores/try/restore-try-logs.gz")
