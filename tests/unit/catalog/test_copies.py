"""A backup in mirrored directories is verified and read copy by copy."""

import os
from datetime import UTC, datetime, timedelta

import attrs
import catalog_samples as samples
import pytest

from kbackup.catalog import BackupStore, ClaimRecord
from kbackup.errors import BackupDamagedError, DigestMismatchError
from kbackup.models import dump_json
from kbackup_plugins_local import open_local_store

ARCHIVE = "backups/shop/shop.tar.gz"
RECORD = "backups/shop/velero-backup.json"
MANIFEST = "backups/shop/kbackup-manifest.json"


@pytest.fixture
def roots(tmp_path):
    """The two directories."""
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture
def objects(roots):
    """The object store of both."""
    store = open_local_store({"path": "#".join(map(str, roots))})
    store.initialise()
    return store


@pytest.fixture(name="shop")
def fixture_shop(store):
    """A whole backup in both directories."""
    samples.make(store, "shop")
    return store


@pytest.fixture(name="velero")
def fixture_velero(objects):
    """Write a backup as Velero does."""

    def write(name):
        record = dump_json(samples.record_of(name, f"uid-{name}"))
        objects.put(f"backups/{name}/velero-backup.json", record)
        objects.put(f"backups/{name}/{name}.tar.gz", samples.archive_bytes())

    return write


def keys(root):
    """The objects of the backup in one directory."""
    return [path.relative_to(root).as_posix() for path in root.glob("backups/shop/*")]


def test_whole_copies_are_whole(shop, roots):
    """With every copy as it was written nothing is said; what there is counts once."""
    report = shop.verify("shop")

    assert report.problems == ()
    assert report.away == ()
    assert report.objects == len(keys(roots[0]))


@pytest.mark.parametrize("side", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize(
    "key", [*samples.files_of("shop"), "velero-backup.json", "kbackup-manifest.json"]
)
def test_one_damaged_copy_is_named(shop, roots, key, side):
    """A damaged copy of any object is named with its directory, though one is right."""
    path = roots[side] / "backups/shop" / key
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"XX")

    problems = shop.verify("shop").problems

    assert problems == (
        f"{roots[side]}: backups/shop/{key} is not what its manifest says",
    )


@pytest.mark.parametrize("side", [0, 1], ids=["first", "second"])
def test_the_right_copy_of_an_archive_is_read(shop, roots, side):
    """One damaged copy keeps nobody from reading, and least of all who takes damage."""
    path = roots[side] / ARCHIVE
    path.write_bytes(path.read_bytes()[:-2] + b"XX")

    for salvage in (False, True):
        with shop.open_archive("shop", salvage=salvage) as reader:
            assert len(list(reader)) == 2
            assert reader.damage == ()


def test_copies_that_are_damaged_differently(shop, roots):
    """Where no copy is right, and they differ, each is named and none is chosen."""
    for root in roots:
        (root / ARCHIVE).write_bytes(f"rubbish of {root.name}".encode())

    with pytest.raises(BackupDamagedError) as refused:
        shop.open_archive("shop", salvage=True)

    assert all(f"{root} has sha256:" in str(refused.value) for root in roots)


def test_missing_copies_are_named(shop, roots):
    """Every copy that a directory lacks is named, and the others are still read."""
    a, b = roots
    (a / ARCHIVE).unlink()
    (b / RECORD).unlink()

    assert set(shop.verify("shop").problems) == {
        f"{a}: {ARCHIVE} is missing",
        f"{b}: {RECORD} is missing",
    }


def test_object_damaged_in_all_directories(shop, roots):
    """Where no copy is right each is named."""
    for root in roots:
        (root / ARCHIVE).write_bytes(b"rubbish")

    problems = shop.verify("shop").problems

    for root in roots:
        assert f"{root}: {ARCHIVE} is not what its manifest says" in problems


def test_velero_backup_whose_copies_differ(store, roots, velero):
    """Without a manifest nobody chooses: both directories are named."""
    velero("old")
    archive = "backups/old/old.tar.gz"
    content = (roots[0] / archive).read_bytes()
    (roots[1] / archive).write_bytes(content + b"more")

    problems = [p for p in store.verify("old").problems if archive in p]

    assert any(p.startswith(f"{roots[0]}: {archive} is sha256:") for p in problems)
    assert any(p.startswith(f"{roots[1]}: {archive} is sha256:") for p in problems)


def test_directory_that_is_away_is_told(shop, roots, objects):
    """A directory that is not mounted is no fault of the backup, and is named."""
    roots[1].rename(roots[1].with_suffix(".disk"))
    roots[1].mkdir()

    report = BackupStore(objects).verify("shop")

    assert report.problems == ()
    assert [text.partition(" is away")[0] for text in report.away] == [str(roots[1])]


def test_deleted_copies_that_came_back_are_not_read(shop, roots, objects):
    """What was deleted while a directory was away is not verified as a copy."""
    away = roots[1].with_suffix(".disk")
    roots[1].rename(away)
    shop.delete("shop")
    samples.make(shop, "shop", started=samples.START.replace(hour=1))
    away.rename(roots[1])

    problems = BackupStore(objects).verify("shop").problems

    assert problems
    assert all(p.startswith(f"{roots[1]}: ") for p in problems)
    assert all(p.endswith("is missing") for p in problems)


def test_record_is_decided_by_the_manifest(shop, roots):
    """A damaged copy of the record hides no backup: the one that is bound is read."""
    (roots[0] / RECORD).write_bytes(
        (roots[0] / RECORD).read_bytes().replace(b"shop", b"shap")
    )

    (entry,) = shop.list()

    assert entry.state == "complete"
    assert shop.get("shop").metadata.name == "shop"
    with shop.open_archive("shop") as reader:
        assert len(list(reader)) == 2


def test_record_that_nothing_decides(store, roots, velero):
    """Of two records that differ none is chosen where no manifest is there."""
    velero("old")
    path = roots[0] / "backups/old/velero-backup.json"
    path.write_bytes(path.read_bytes() + b"\n")

    assert [entry.state for entry in store.list()] == ["damaged"]
    with pytest.raises(DigestMismatchError):
        store.get("old")


def test_copies_are_counted_from_one_list_of_each_directory(shop, roots, objects):
    """The list counts the copies that are there, also while a directory is away."""
    (roots[1] / RECORD).unlink()
    assert [entry.copies for entry in shop.list()] == [(1, 2)]

    roots[1].rename(roots[1].with_suffix(".disk"))
    assert [entry.copies for entry in shop.list()] == [(1, 2)]
    roots[1].with_suffix(".disk").rename(roots[1])
    (roots[1] / RECORD).write_bytes((roots[0] / RECORD).read_bytes())
    assert [entry.copies for entry in shop.list()] == [(2, 2)]


def test_claim_whose_heartbeat_was_broken_off(shop, roots, objects):
    """A run killed between two directories breaks no list, and its name is free again."""
    now = datetime.now(UTC)
    for root, minutes in zip(roots, (10, 11), strict=True):
        heartbeat = now - timedelta(minutes=minutes)
        record = ClaimRecord(
            name="new",
            run="dead",
            started=heartbeat,
            heartbeat=heartbeat,
            machine="o",
        )
        path = root / "plugins/kbackup.io/claims/new.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(record.encode())
        os.utime(path, (heartbeat.timestamp(), heartbeat.timestamp()))
    store = BackupStore(objects)

    assert [str(e.state) for e in store.list()] == ["incomplete", "complete"]
    samples.make(store, "new")
    assert store.verify("new").problems == ()


def test_claim_that_is_being_renewed(shop, roots, objects):
    """While a heartbeat reaches one directory after the other the run counts as alive."""
    with shop.claim("new", run_uid="alive") as claim:
        key = "plugins/kbackup.io/claims/new.json"
        late = claim._record.heartbeat + timedelta(seconds=30)
        (roots[0] / key).write_bytes(
            attrs.evolve(claim._record, heartbeat=late).encode()
        )

        assert claim.is_ours()
        assert [e.state for e in shop.list() if e.name == "new"] == ["in_progress"]


def test_claim_that_is_being_taken_over(shop, roots):
    """Whoever has written the first copy of a claim has it; the second follows."""
    with shop.claim("new", run_uid="alive") as claim:
        key = "plugins/kbackup.io/claims/new.json"
        dead = attrs.evolve(
            claim._record,
            run="dead",
            heartbeat=claim._record.heartbeat - timedelta(hours=1),
        )
        (roots[1] / key).write_bytes(dead.encode())

        assert claim.is_ours()
