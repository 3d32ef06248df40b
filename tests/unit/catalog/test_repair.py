"""What dead runs left is removed, what lacks is copied, and nothing that is somebody's."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import catalog_samples as samples
import pytest

from kbackup.catalog import (
    BackupStore,
    ClaimRecord,
    RepairKind,
    RepairPlan,
    RepairResult,
)
from kbackup.errors import ReadOnlyLocationError
from kbackup.models import (
    AccessMode,
    BackupPhase,
    BackupStorageLocation,
    BackupStorageLocationSpec,
    dump_json,
)
from kbackup.testing import FrozenClock, MemoryStore

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=25)
PROGRAM = Path(samples.__file__)
STRIDE = int(os.environ.get("KBACKUP_KILL_STRIDE", "5"))


@pytest.fixture
def late(objects):
    """The store, a day and an hour from now."""
    return BackupStore(objects, clock=FrozenClock(LATER))


def steps(plan):
    """The steps of a plan as kind and key."""
    return [(str(step.kind), step.key) for step in plan.steps]


def repair(store):
    """Repair all that is found; return the steps that were done."""
    report = store.repair(store.plan_repair())
    assert report.ok, report
    return [(str(each.step.kind), each.step.key) for each in report.outcomes]


def objects_in(store):
    """The keys of a store, but for its identity."""
    found = [info.key for info in store.list("")]
    return [key for key in found if not key.endswith("/location.json")]


def age(root):
    """Make every file an hour old: copies that differ are not waited for."""
    then = (NOW - timedelta(hours=1)).timestamp()
    for path in root.rglob("*"):
        os.utime(path, (then, then))


def claim_of(name, *, heartbeat, run="dead"):
    """The document of a claim that another machine holds."""
    record = ClaimRecord(
        name=name, run=run, started=heartbeat, heartbeat=heartbeat, machine="other"
    )
    return record.encode()


# --- what dead runs left --------------------------------------------------------------


def test_nothing_to_repair(store, late):
    """In a location where all is well nothing is planned, and the plan says so."""
    samples.make(store, "shop")

    plan = late.plan_repair()

    assert plan == RepairPlan()
    assert str(plan) == "nothing to repair"


def test_leftovers_of_a_dead_run_are_swept(objects, store, late):
    """A day after a run died its files and its claim are removed, and nothing else."""
    samples.make(store, "shop")
    kept = objects_in(objects)
    objects.put("backups/dead/dead.tar.gz", b"half")
    objects.put("backups/dead/dead-results.gz", b"half")
    objects.put("plugins/kbackup.io/claims/dead.json", claim_of("dead", heartbeat=NOW))

    plan = late.plan_repair()

    assert steps(plan) == [("sweep", "backups/dead/")]
    assert "2 objects without velero-backup.json" in str(plan)
    assert objects_in(objects) != kept  # planning changes nothing
    assert repair(late) == [("sweep", "backups/dead/")]
    assert objects_in(objects) == kept
    assert steps(late.plan_repair()) == []


def test_young_leftovers_are_left(objects):
    """What was written within a day may still be written by somebody."""
    objects.put("backups/dead/dead.tar.gz", b"half")
    soon = BackupStore(objects, clock=FrozenClock(NOW + timedelta(hours=23)))

    plan = soon.plan_repair()

    assert plan.steps == ()
    assert plan.left == ("backups/dead/: it may still be written: less than a day old",)


def test_what_a_live_run_writes_is_left(objects, late):
    """A run whose claim lives keeps its files, however old they are."""
    objects.put("backups/slow/slow.tar.gz", b"half")
    claim = claim_of("slow", heartbeat=LATER)
    objects.put("plugins/kbackup.io/claims/slow.json", claim)

    plan = late.plan_repair()

    assert plan.steps == ()
    assert "backups/slow/: it is being written" in plan.left


@pytest.mark.parametrize(
    "key",
    [
        "backups/failed/failed-logs.gz",  # Velero keeps it for `velero backup logs`
        "backups/notes/README.txt",
        "backups/Not_A_Name/x.tar.gz",
        "restic/shop/config",
        "kopia/shop/x",
        "restores/r/restore-r-logs.gz",
    ],
)
def test_what_is_not_ours_is_left(objects, late, key):
    """What Velero or other programs left is never removed."""
    objects.put(key, b"x")

    assert late.plan_repair().steps == ()
    repair(late)
    assert objects_in(objects) == [key]


def test_leftovers_beside_a_strange_file_are_left(objects, late):
    """A directory in which somebody keeps something else is left, and that is said."""
    keys = ["backups/dead/dead.tar.gz", "backups/dead/holiday.jpg"]
    for key in keys:
        objects.put(key, b"x")

    plan = late.plan_repair()

    assert plan.steps == ()
    assert plan.left == ("backups/dead/: no file of a backup: holiday.jpg",)


@pytest.mark.parametrize(
    ("phase", "archive"),
    [
        (BackupPhase.COMPLETED, True),
        (BackupPhase.COMPLETED, False),
        (BackupPhase.IN_PROGRESS, False),
        (BackupPhase.FAILED, False),
    ],
)
def test_whatever_has_a_record_is_left(objects, late, phase, archive):
    """What a list shows as a backup is never removed, in whatever state it is."""
    record = dump_json(samples.record_of("old", "uid", phase=phase))
    objects.put("backups/old/velero-backup.json", record)
    objects.put("backups/bad/velero-backup.json", b"rubbish")
    if archive:
        objects.put("backups/old/old.tar.gz", samples.archive_bytes())
    before = objects_in(objects)

    assert repair(late) == []

    assert objects_in(objects) == before


def test_stale_claims_are_freed(objects, store, late):
    """Claims and markers of take-overs of dead runs go; the backup stays."""
    samples.make(store, "shop")
    kept = objects_in(objects)
    claim = claim_of("shop", heartbeat=NOW)
    objects.put("plugins/kbackup.io/claims/shop.json", claim)
    marker = claim_of("shop", heartbeat=NOW, run="dead-too")
    objects.put("plugins/kbackup.io/claims/shop/dead.json", marker)

    while plan := late.plan_repair().steps:
        assert steps(late.plan_repair()) == [("free", "plugins/kbackup.io/claims/shop")]
        late.repair(RepairPlan(steps=plan))

    assert objects_in(objects) == kept
    assert late.verify("shop").problems == ()


def test_marker_of_a_broken_take_over_is_removed(objects, late):
    """A marker whose claim is long gone is no claim, and goes as well."""
    marker = claim_of("shop", heartbeat=NOW, run="dead-too")
    objects.put("plugins/kbackup.io/claims/shop/dead.json", marker)

    assert repair(late) == [("free", "plugins/kbackup.io/claims/shop")]

    assert objects_in(objects) == []


def test_journals_and_probes_of_dead_runs_are_removed(objects, late):
    """A day later journals of dead runs and objects of trials are removed."""
    objects.put("plugins/kbackup.io/probe/abc", b"")
    late.journal("run-1").append({"a": 1})
    late.journal("run-2").append({"a": 1})
    objects.put(
        "plugins/kbackup.io/claims/shop.json",
        claim_of("shop", heartbeat=LATER, run="run-2"),
    )

    done = repair(late)

    assert done == [
        ("remove", "plugins/kbackup.io/journal/run-1/"),
        ("remove", "plugins/kbackup.io/probe/abc"),
    ]
    assert late.journal("run-2").entries() == [{"a": 1}]


def test_journal_of_a_restore_that_can_be_completed_is_left(objects, late):
    """A restore killed in its upload can still be run again: its journal stays."""
    late.journal("run").append({"uploadRestore": "r"})
    objects.put("restores/r/restore-r-logs.gz", b"x")

    plan = late.plan_repair()
    assert plan.steps == ()
    assert any("can still be completed" in text for text in plan.left)

    objects.put("restores/r/kbackup-restore.json", b"{}")
    assert steps(late.plan_repair()) == [("remove", "plugins/kbackup.io/journal/run/")]


def test_temporary_files_of_dead_writers_are_removed(root, store, late):
    """Half-written files in a directory go after a day, young ones stay."""
    samples.make(store, "shop")
    old = root / "backups/shop/.kbackup-tmp-1"
    old.write_bytes(b"half")
    young = root / "plugins/kbackup.io/.kbackup-tmp-2"
    young.write_bytes(b"half")
    os.utime(young, (LATER.timestamp(), LATER.timestamp()))

    assert repair(late) == [("discard", "backups/shop/.kbackup-tmp-1")]

    assert not old.exists()
    assert young.exists()


def test_a_linked_backup_keeps_no_other_from_its_repair(
    root, store, objects, late, tmp_path
):
    """It is told as what cannot be repaired, and what dead runs left goes all the same."""
    samples.make(store, "moved")
    (root / "backups/moved").rename(tmp_path / "moved")
    (root / "backups/moved").symlink_to(tmp_path / "moved")
    (root / "backups/away").symlink_to(tmp_path / "not mounted")
    objects.put("backups/dead/dead.tar.gz", b"half")

    plan = late.plan_repair()
    report = late.repair(plan)

    assert steps(plan) == [("sweep", "backups/dead/")]
    assert [text.partition(":")[0] for text in plan.damage] == [
        "backups/away/",
        "backups/moved/",
    ]
    assert "is a symbolic link, and none is followed" in plan.damage[0]
    assert [each.result for each in report.outcomes] == [RepairResult.DONE]
    assert not report.ok
    assert (tmp_path / "moved/velero-backup.json").exists()


def test_what_is_being_written_is_told_once(root, objects, late):
    """However many files a run is writing, that it lives is told in one line."""
    for directory, claims in {
        "backups": "claims",
        "restores": "restore-claims",
    }.items():
        place = root / directory / "slow"
        place.mkdir(parents=True)
        for name in ("slow.tar.gz", ".kbackup-tmp-1", ".kbackup-tmp-2"):
            (place / name).write_bytes(b"half")
        claim = claim_of("slow", heartbeat=LATER)
        objects.put(f"plugins/kbackup.io/{claims}/slow.json", claim)

    plan = late.plan_repair()

    assert plan.steps == ()
    assert sorted(plan.left) == [
        "backups/slow/: it is being written",
        "restores/slow/: it is running",
    ]


def test_a_store_that_does_not_tell_times_loses_nothing(late):
    """Where the store does not say when something was written it is left."""
    timeless = MemoryStore()
    timeless.put("backups/dead/dead.tar.gz", b"half")
    timeless._modified.clear()

    plan = BackupStore(timeless, clock=FrozenClock(LATER)).plan_repair()

    assert plan.steps == ()


def test_a_store_that_tells_some_times_loses_nothing(late):
    """One file of unknown age is enough: it may have been written just now."""
    objects = MemoryStore()
    objects.put("backups/dead/dead.tar.gz", b"half")
    objects.put("backups/dead/dead-logs.gz", b"half")
    del objects._modified["backups/dead/dead-logs.gz"]

    plan = BackupStore(objects, clock=FrozenClock(LATER)).plan_repair()

    assert plan.steps == ()


# --- between plan and act -------------------------------------------------------------


def test_a_run_that_began_meanwhile_is_not_disturbed(objects, late):
    """Leftovers that a new run has claimed since the plan are not removed."""
    objects.put("backups/dead/dead.tar.gz", b"half")
    plan = late.plan_repair()
    claim = claim_of("dead", heartbeat=LATER, run="new")
    objects.put("plugins/kbackup.io/claims/dead.json", claim)

    report = late.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.SKIPPED]
    assert "backups/dead/dead.tar.gz" in objects_in(objects)


def test_a_backup_that_was_made_meanwhile_stays(objects, store, late):
    """A name that has become a backup since the plan is not swept."""
    objects.put("backups/shop/shop.tar.gz", b"half")
    plan = late.plan_repair()
    samples.make(store, "shop")

    report = late.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.SKIPPED]
    assert store.verify("shop").problems == ()


def test_one_failing_step_keeps_no_other_from_being_done(objects, late):
    """A step that fails is told, and the others are done."""
    for name in ("a", "b"):
        objects.put(f"plugins/kbackup.io/probe/{name}", b"")

    class Stuck(samples.Watched):
        """Fails to delete one object."""

        def delete(self, key):
            """Fail, or delete."""
            if key.endswith("/a"):
                raise ReadOnlyLocationError(key)
            super().delete(key)

    stuck = BackupStore(
        Stuck(objects, lambda verb, key: None), clock=FrozenClock(LATER)
    )
    report = stuck.repair(stuck.plan_repair())

    assert [each.result for each in report.outcomes] == ["failed", "done"]
    assert not report.ok
    assert objects_in(objects) == ["plugins/kbackup.io/probe/a"]


def test_a_read_only_location_is_planned_and_not_repaired(objects, late):
    """What would be repaired can be seen without the right to write."""
    objects.put("backups/dead/dead.tar.gz", b"half")
    spec = BackupStorageLocationSpec(
        provider="kbackup.io/local", access_mode=AccessMode.READ_ONLY
    )
    store = BackupStore(
        objects,
        location=BackupStorageLocation(spec=spec),
        clock=FrozenClock(LATER),
    )

    plan = store.plan_repair()

    assert steps(plan) == [("sweep", "backups/dead/")]
    with pytest.raises(ReadOnlyLocationError):
        store.repair(plan)


# --- killed in the middle -------------------------------------------------------------


def test_a_repair_killed_at_any_write_is_completed_by_the_next(tmp_path):
    """Killed at its n-th write a repair leaves the backup whole; the next one ends it."""
    number = 1 - STRIDE
    while True:
        number += STRIDE
        root = tmp_path / str(number)
        done = subprocess.run(
            [sys.executable, PROGRAM, "repair", root, str(number)], check=False
        )
        age(root)
        objects = samples.open_mirrored(root)
        late = BackupStore(objects, clock=FrozenClock(LATER + timedelta(days=2)))
        assert [entry.name for entry in late.list() if entry.backup] == ["shop"]

        for _ in range(2):  # a take-over that was broken off takes another one
            late.repair(late.plan_repair())

        assert late.plan_repair() == RepairPlan()
        assert late.verify("shop").problems == ()
        assert [entry.copies for entry in late.list()] == [(2, 2)]
        assert all(
            key.startswith(("backups/shop/", "plugins/kbackup.io/location"))
            for key in (info.key for info in objects.list(""))
        )
        if done.returncode == 0:
            break
        assert done.returncode == 9
    assert number > 20  # it was killed in the middle


# --- copies ---------------------------------------------------------------------------


@pytest.fixture
def mirrored(tmp_path):
    """A location of two directories with one backup."""
    objects = samples.open_mirrored(tmp_path / "both")
    samples.make(BackupStore(objects), "shop")
    return objects


@pytest.fixture
def roots(tmp_path):
    """The directories."""
    return tmp_path / "both/a", tmp_path / "both/b"


@pytest.fixture
def shop(mirrored):
    """The backups of both."""
    return BackupStore(mirrored, clock=FrozenClock(NOW))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    "key",
    [
        "backups/shop/shop.tar.gz",
        "backups/shop/kbackup-manifest.json",
        "backups/shop/velero-backup.json",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_copy_is_made_again(shop, roots, side, key, damage):
    """A missing or damaged copy is made again from the one that the manifest names."""
    path = roots[side] / key
    right = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(right[:-2] + b"XX")

    plan = shop.plan_repair()
    (step,) = plan.steps
    report = shop.repair(plan)

    assert (step.kind, step.key, step.path) == ("copy", key, str(roots[side]))
    assert report.ok
    assert path.read_bytes() == right
    assert shop.plan_repair() == RepairPlan()


def test_a_whole_backup_is_copied_its_record_last(shop, mirrored, roots):
    """A directory that missed a backup shows it only when all of it is there."""
    for path in (roots[1] / "backups/shop").iterdir():
        path.unlink()

    plan = shop.plan_repair()

    assert plan.steps[-1].key == "backups/shop/velero-backup.json"
    assert len(plan.steps) == len(list((roots[0] / "backups/shop").iterdir()))
    assert shop.repair(plan).ok
    assert shop.verify("shop").problems == ()


def test_copies_are_made_past_a_link(shop, mirrored, roots, tmp_path):
    """A linked directory in one place hides nothing that is there alone behind it."""
    for key in ("backups/shop/shop.tar.gz", "restores/r/restore-r-logs.gz"):
        if key.startswith("restores"):
            mirrored.put(key, b"log")
        (roots[1] / key).unlink()
    (roots[0] / "backups/linked").symlink_to(tmp_path / "not mounted")
    (roots[0] / "backups/zoo").mkdir()
    alone = dump_json(samples.record_of("zoo", "uid"))
    (roots[0] / "backups/zoo/velero-backup.json").write_bytes(alone)

    plan = shop.plan_repair()

    assert [(step.key, step.path) for step in plan.steps] == [
        ("backups/shop/shop.tar.gz", str(roots[1])),
        ("backups/zoo/velero-backup.json", str(roots[1])),
        ("restores/r/restore-r-logs.gz", str(roots[1])),
    ]
    assert shop.repair(plan).ok


def test_damaged_in_all_directories_is_told(shop, roots):
    """Where no copy is right nothing is written, and the damage is told."""
    for root in roots:
        (root / "backups/shop/shop.tar.gz").write_bytes(b"rubbish")

    plan = shop.plan_repair()
    report = shop.repair(plan)

    assert plan.steps == ()
    assert len(plan.damage) == 2
    assert not report.ok


def test_velero_backups_and_restores_are_copied_where_they_lack(shop, mirrored, roots):
    """What has no manifest is copied where it lacks, and left where copies differ."""
    record = dump_json(samples.record_of("old", "uid"))
    mirrored.put("backups/old/velero-backup.json", record)
    mirrored.put("backups/old/old.tar.gz", b"archive")
    mirrored.put("restores/r/restore-r-logs.gz", b"log")
    mirrored.put("restic/shop/config", b"config")
    (roots[1] / "backups/old/old.tar.gz").unlink()
    (roots[0] / "restores/r/restore-r-logs.gz").unlink()
    (roots[0] / "restic/shop/config").write_bytes(b"other")

    plan = shop.plan_repair()
    report = shop.repair(plan)

    assert [(step.key, step.path) for step in plan.steps] == [
        ("backups/old/old.tar.gz", str(roots[1])),
        ("restores/r/restore-r-logs.gz", str(roots[0])),
    ]
    assert len([text for text in report.damage if "restic/shop/config" in text]) == 2
    assert (roots[0] / "restic/shop/config").read_bytes() == b"other"
    assert (roots[1] / "backups/old/old.tar.gz").read_bytes() == b"archive"


def test_deletions_are_applied_before_anything_is_copied(
    shop, mirrored, roots, tmp_path
):
    """What was deleted while a directory was away is removed there, and not copied."""
    disk = tmp_path / "disk"
    roots[1].rename(disk)
    shop.delete("shop")
    samples.make(shop, "other")
    disk.rename(roots[1])

    plan = shop.plan_repair()
    report = shop.repair(plan)

    kinds = [step.kind for step in plan.steps]
    assert kinds == sorted(kinds, key=list(RepairKind).index)
    assert {RepairKind.APPLY_DELETION, RepairKind.COPY} == set(kinds)
    assert report.ok
    assert [entry.name for entry in shop.list()] == ["other"]
    assert not (roots[0] / "backups/shop").exists()
    assert not (roots[1] / "backups/shop").exists()
    assert shop.verify("other").problems == ()


def test_a_directory_that_is_away_is_not_touched(shop, roots):
    """A mount point without its disk stays empty, and is told."""
    roots[1].rename(roots[1].with_suffix(".disk"))
    roots[1].mkdir()

    plan = shop.plan_repair()

    assert plan.steps == ()
    assert any(str(roots[1]) in text and "away" in text for text in plan.left)
    assert shop.repair(plan).ok
    assert list(roots[1].iterdir()) == []


def test_a_directory_that_goes_away_before_the_act_is_not_touched(shop, roots):
    """A disk that was pulled between plan and act gets nothing in its mount point."""
    (roots[1] / "backups/shop/shop.tar.gz").unlink()
    plan = shop.plan_repair()
    roots[1].rename(roots[1].with_suffix(".disk"))
    roots[1].mkdir()

    report = shop.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.FAILED]
    assert list(roots[1].iterdir()) == []


def test_a_backup_that_is_deleted_before_the_act_does_not_come_back(shop, roots):
    """What was deleted between plan and act is not copied."""
    (roots[1] / "backups/shop/shop.tar.gz").unlink()
    plan = shop.plan_repair()
    shop.delete("shop")

    report = shop.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.SKIPPED]
    assert shop.list() == []
    assert not (roots[1] / "backups/shop").exists()


def test_nothing_is_copied_under_somebody_elses_claim(shop, mirrored, roots):
    """A backup that somebody claimed since the plan, as to delete it, is left to him."""
    (roots[1] / "backups/shop/shop.tar.gz").unlink()
    plan = shop.plan_repair()
    claim = claim_of("shop", heartbeat=NOW, run="deleting")
    mirrored.put("plugins/kbackup.io/claims/shop.json", claim)

    report = shop.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.SKIPPED]
    assert not (roots[1] / "backups/shop/shop.tar.gz").exists()


def test_a_backup_that_was_made_anew_keeps_its_copies(shop, roots):
    """A plan for a backup does nothing to another one that has its name by now."""
    archive = roots[1] / "backups/shop/shop.tar.gz"
    archive.write_bytes(b"rubbish")
    plan = shop.plan_repair()
    shop.delete("shop")
    files = samples.files_of("shop", **{".tar.gz": samples.archive_bytes(mtime=9)})
    samples.make(shop, "shop", files=files)

    report = shop.repair(plan)

    assert [each.result for each in report.outcomes] == [RepairResult.SKIPPED]
    assert shop.verify("shop").problems == ()


def test_what_velero_is_writing_is_not_copied(shop, mirrored, roots):
    """A backup whose run has not ended may still change, and is left."""
    record = samples.record_of("new", "uid", phase=BackupPhase.IN_PROGRESS)
    mirrored.put("backups/new/velero-backup.json", dump_json(record))
    (roots[1] / "backups/new/velero-backup.json").unlink()

    plan = shop.plan_repair()

    assert plan.steps == ()
    assert "backups/new/: phase InProgress" in plan.left


def test_what_is_being_written_is_not_copied(shop, mirrored, roots):
    """The half of a backup that a live run has written is left to it."""
    claim = claim_of("new", heartbeat=NOW)
    mirrored.put("plugins/kbackup.io/claims/new.json", claim)
    mirrored.put("backups/new/new.tar.gz", b"half")
    (roots[1] / "backups/new/new.tar.gz").unlink()

    plan = shop.plan_repair()

    assert plan.steps == ()
    assert "backups/new/: it is being written" in plan.left
