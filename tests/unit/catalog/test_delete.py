"""Deleting removes the record first, and forgets nothing that lies elsewhere."""

import json
import subprocess
import sys
import uuid
from datetime import timedelta

import catalog_samples as samples
import pytest

from kbackup._kits.clock import SystemClock
from kbackup._kits.streams import compress
from kbackup.catalog import BackupStore, VolumeRecord
from kbackup.catalog._claim import BackupClaim
from kbackup.catalog._claim_to_delete import delete_claimed, look
from kbackup.errors import (
    BackupInProgressError,
    BackupNotFoundError,
    BackupOwnsDataError,
    InvalidSpecError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.models import dump_json

RECORD = "backups/shop/velero-backup.json"


def test_nothing_is_left(store, root):
    """All objects of the backup are gone, its neighbours are not."""
    samples.make(store, "shop")
    samples.make(store, "shop-2")
    store.journal(store.get("shop").metadata.uid).append({"n": 1})

    store.delete("shop")

    assert [entry.name for entry in store.list()] == ["shop-2"]
    assert store.verify("shop-2").problems == ()
    assert not [
        path for path in (root / "plugins").rglob("*.json") if "journal" in str(path)
    ]
    samples.make(store, "shop")


def left_by_a_kill(store, root, *, files=False):
    """Leave what a run leaves that is killed while it uploads; return the part."""
    store.claim("shop", run_uid="dead")
    part = root / "backups/shop/.kbackup-tmp-1a2b"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half an archive, with Secrets")
    if files:
        (part.parent / "shop.tar.gz").write_bytes(b"an archive")
    return part


@pytest.mark.parametrize("files", [False, True])
def test_what_a_killed_run_left_goes(store, root, clock, files):
    """Of a run that died before it had a record its claim and its files go, whole or not."""
    left_by_a_kill(store, root, files=files)
    clock.advance(timedelta(minutes=6))

    assert store.delete("shop").left == ()

    left = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    assert left == ["plugins/kbackup.io/location.json"]
    assert not (root / "backups").exists()
    with pytest.raises(BackupNotFoundError, match=r"not found$"):
        store.delete("shop")


def test_what_a_dead_process_left_goes_at_once(store, root, clock):
    """Where it can be seen that the process is gone nobody waits five minutes."""
    part = left_by_a_kill(store, root)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    claim = root / "plugins/kbackup.io/claims/shop.json"
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "pid": child.pid}))

    store.delete("shop")

    assert not part.exists()
    assert not claim.exists()


def test_what_a_living_run_writes_stays(store, root):
    """A run that has no whole file yet is not deleted under its feet."""
    part = left_by_a_kill(store, root)

    with pytest.raises(BackupInProgressError):
        store.delete("shop")

    assert part.exists()
    assert (root / "plugins/kbackup.io/claims/shop.json").exists()


def test_parts_that_cannot_be_seen_keep_nothing_back(objects, root, clock, monkeypatch):
    """Who may not list unfinished uploads can delete all the same."""

    def refuse(_store, _prefix):
        raise StoreUnavailableError("")

    store = BackupStore(objects, clock=clock)
    part = left_by_a_kill(store, root, files=True)
    clock.advance(timedelta(minutes=6))
    monkeypatch.setattr(type(objects), "unfinished", refuse)

    store.delete("shop")

    assert [path.name for path in (root / "backups/shop").iterdir()] == [part.name]


@pytest.mark.parametrize("name", ["", "..", "Shop", "a/b"])
def test_a_name_that_no_backup_can_have(store, root, name):
    """Without a name, or with one that would climb, nothing at all is deleted."""
    samples.make(store, "shop")
    before = sorted(root.rglob("*"))

    with pytest.raises(InvalidSpecError):
        store.delete(name)

    assert sorted(root.rglob("*")) == before


def test_record_goes_first(objects):
    """A deletion that breaks off leaves no backup that is offered."""
    samples.make(BackupStore(objects), "shop")
    deleted = []

    def fail(verb, key):
        """Fail after the record."""
        if verb == "delete" and key.startswith("backups/"):
            deleted.append(key)
            if len(deleted) > 1:
                raise StoreUnavailableError(key)

    with pytest.raises(StoreUnavailableError):
        BackupStore(samples.Watched(objects, fail)).delete("shop")

    store = BackupStore(objects)
    assert deleted[0] == RECORD
    assert [entry.state for entry in store.list()] == ["incomplete"]
    store.delete("shop")
    assert store.list() == []


@pytest.mark.parametrize(
    ("suffix", "held", "words"),
    [
        (
            "-volumesnapshots.json.gz",
            [{"spec": {}, "status": {"providerSnapshotID": "snap-1"}}],
            "1 native snapshot",
        ),
        (
            "-podvolumebackups.json.gz",
            [{"status": {"snapshotID": "1a2b"}}, {"status": {"phase": "Failed"}}],
            "1 snapshot in repositories",
        ),
        ("-csi-volumesnapshotcontents.json.gz", [{"metadata": {}}], "1 CSI snapshot"),
        ("-itemoperations.json.gz", [{"spec": {}}], "1 operation"),
        (
            "-volumeinfo.json.gz",
            [{"backupMethod": "CSISnapshot", "skipped": False}, {"skipped": True}],
            "1 volume with data elsewhere",
        ),
    ],
)
def test_owner_of_other_data(store, suffix, held, words):
    """What owns something outside its directory stays, unless only files are meant."""
    content = compress(json.dumps(held).encode())
    samples.make(store, "shop", files=samples.files_of("shop", **{suffix: content}))

    with pytest.raises(BackupOwnsDataError, match=rf"{words}\b"):
        store.delete("shop")

    store.delete("shop", files_only=True)
    assert store.list() == []


def test_volumes_with_data_in_the_manifest(store):
    """Data that only the manifest tells of counts as well."""
    volumes = [VolumeRecord(claim="shop/data", volume="pv", data="fs")]
    samples.make(store, "shop", manifest=samples.manifest_of(volumes=volumes))

    with pytest.raises(BackupOwnsDataError, match=r"data of 1 volume\b"):
        store.delete("shop")


def test_damaged_backup_may_own_anything(store, root):
    """A backup whose files cannot be read goes only with its files alone meant."""
    samples.make(store, "shop")
    (root / "backups/shop/kbackup-manifest.json").unlink()

    with pytest.raises(BackupOwnsDataError, match="cannot be told"):
        store.delete("shop")

    store.delete("shop", files_only=True)


def test_side_file_of_another_shape(store):
    """A list of operations that is no list may mean anything: only files go."""
    files = samples.files_of("shop", **{"-itemoperations.json.gz": compress(b"{}")})
    samples.make(store, "shop", files=files)

    with pytest.raises(BackupOwnsDataError, match="is no list"):
        store.delete("shop")

    store.delete("shop", files_only=True)


@pytest.mark.parametrize("uid", ["", "../../backups/other", "a/b"])
def test_a_uid_that_names_no_journal(objects, store, uid):
    """A record of others may have any uid: nothing beside its backup is deleted."""
    samples.make(store, "other")
    record = dump_json(samples.record_of("shop", uid))
    objects.put("backups/shop/velero-backup.json", record)
    objects.put("backups/shop/shop.tar.gz", samples.archive_bytes())

    store.delete("shop")

    assert [entry.name for entry in store.list()] == ["other"]
    assert store.verify("other").problems == ()


def test_running_backup(store):
    """A backup that is being written is not deleted."""
    claim = store.claim("shop", run_uid="u")
    store._store.put("backups/shop/shop.tar.gz", b"half")

    with pytest.raises(BackupInProgressError):
        store.delete("shop")

    claim.release()


def test_a_directory_that_is_no_backup(store, objects):
    """What somebody else keeps below ``backups/`` is refused by name, and stays."""
    objects.put("backups/photos/holiday.jpg", b"hi")

    with pytest.raises(BackupNotFoundError, match=r"no file of a backup: holiday\.jpg"):
        store.delete("photos", files_only=True)

    assert [info.key for info in objects.list("")] == ["backups/photos/holiday.jpg"]


def test_a_record_of_something_else(store, objects):
    """A document that only has the name of a record is not deleted."""
    keys = ["backups/shop/shop.tar.gz", "backups/shop/velero-backup.json"]
    objects.put(keys[0], b"x")
    objects.put(keys[1], b'{"kind": "Album"}')

    with pytest.raises(BackupNotFoundError, match="that of something else"):
        store.delete("shop", files_only=True)

    assert [info.key for info in objects.list("")] == keys


def test_a_strange_file_beside_a_backup(store, objects):
    """Of a backup's directory only the backup goes; what else lies there is named."""
    named = {**samples.files_of("shop"), "shop-more.json": b"{}"}  # in the manifest
    samples.make(store, "shop", files=named)
    objects.put("backups/shop/holiday.jpg", b"hi")
    objects.put("backups/shop/album/shop.tar.gz", b"hi")

    left = store.delete("shop").left

    assert left == ("backups/shop/album/shop.tar.gz", "backups/shop/holiday.jpg")
    assert [info.key for info in objects.list("backups/")] == list(left)


def test_leftovers_beside_a_strange_file(store, objects):
    """What a dead run left can be deleted, whatever lies beside it."""
    objects.put("backups/shop/shop.tar.gz", b"half")
    objects.put("backups/shop/holiday.jpg", b"hi")

    assert store.delete("shop").left == ("backups/shop/holiday.jpg",)
    assert [info.key for info in objects.list("backups/")] == [
        "backups/shop/holiday.jpg"
    ]


@pytest.mark.parametrize("room", [0, 1, 3])
def test_deleting_needs_no_room(store, objects, room):
    """In a store that is full a backup is deleted all the same, whatever that frees."""
    samples.make(store, "shop")
    done = []

    def refuse(verb, key):
        """Take something only once so many objects were removed."""
        if verb == "put" and (not room or len(done) < room):
            raise StoreFullError(key)
        done.extend([key] if verb == "delete" else [])

    BackupStore(samples.Watched(objects, refuse)).delete("shop")

    assert done[0] == RECORD
    assert store.list() == []
    assert not [info.key for info in objects.list("") if "shop" in info.key]
    samples.make(store, "shop")


def test_a_full_store_does_not_delete_what_is_written(store, objects):
    """A backup that somebody is writing is in the way, however full the store is."""

    def refuse(verb, key):
        """Take nothing."""
        if verb == "put":
            raise StoreFullError(key)

    with store.claim("shop", run_uid=str(uuid.uuid4())):
        objects.put("backups/shop/shop.tar.gz", samples.archive_bytes())
        with pytest.raises(BackupInProgressError):
            BackupStore(samples.Watched(objects, refuse)).delete("shop")
        assert objects.stat("backups/shop/shop.tar.gz")


def hold(store, name):
    """Begin a backup of that name; return the key of what it has written."""
    store.claim(name, run_uid=str(uuid.uuid4()))
    key = f"backups/{name}/{name}-logs.gz"
    store._store.put(key, b"new")
    return key


def end(store, name):
    """Make a whole backup of that name; return the key of its record."""
    samples.make(store, name)
    return RECORD


@pytest.mark.parametrize("other_run", [hold, end])
def test_a_full_store_that_is_full_no_more(store, objects, other_run):
    """As soon as what was deleted makes room, another run may have the name, and keep it."""
    samples.make(store, "shop")
    files = [info for info in objects.list("backups/shop/") if info.key != RECORD]
    largest = max(files, key=lambda info: info.size).key
    done, written = [], []

    def until_there_is_room(verb, key):
        """Take nothing before the largest file is gone; then another run comes first."""
        if largest in done and not written:
            written.append(other_run(store, "shop"))
        if verb == "put" and not written:
            raise StoreFullError(key)
        done.extend([key] if verb == "delete" else [])

    full = BackupStore(samples.Watched(objects, until_there_is_room))
    with pytest.raises(BackupInProgressError):
        full.delete("shop")

    assert [key for key in done if key.startswith("backups/")] == [RECORD, largest]
    assert objects.stat(written[0])


def test_a_full_store_where_another_run_comes_while_actions_act(store, objects):
    """What was decided about is not there any more: the other run's backup stays."""
    samples.make(store, "shop")

    def refuse(verb, key):
        """Take nothing."""
        if verb == "put":
            raise StoreFullError(key)

    def act():
        """Take long: meanwhile another run makes a backup of that name."""
        objects.put(RECORD, b"the other run's")

    with pytest.raises(BackupInProgressError):
        delete_claimed(
            BackupClaim,
            samples.Watched(objects, refuse),
            "shop",
            record=RECORD,
            seen=look(objects, RECORD),
            files=lambda: objects.list("backups/shop/"),
            clock=SystemClock(),
            first=act,
        )

    assert look(objects, RECORD) == b"the other run's"


def half(store):
    """Leave what a dead run leaves: files without a record."""
    samples.make(store, "shop")
    store._store.delete(RECORD)


def whole(store):
    """Make a whole backup."""
    samples.make(store, "shop")


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("before", [half, whole])
def test_a_backup_that_came_while_another_was_looked_at(
    store, objects, before, is_full
):
    """Of a name that was written anew since it was looked at, the new backup stays."""
    before(store)
    came = []

    def come_first(verb, key):
        """Let another run have the name just before the deletion claims it."""
        if verb != "put" or not key.startswith("plugins/kbackup.io/claims/"):
            return
        if not came:
            store.delete("shop")
            came.append(samples.make(store, "shop").metadata.uid)
        if is_full:
            raise StoreFullError(key)

    with pytest.raises(BackupInProgressError, match="another run has written it"):
        BackupStore(samples.Watched(objects, come_first)).delete("shop")

    assert store.get("shop").metadata.uid == came[0]
    assert store.verify("shop").problems == ()


def test_a_deletion_that_is_stopped_for_long(store, objects, clock):
    """Who slept while it deleted, and lost the name meanwhile, deletes nothing more."""
    samples.make(store, "shop")
    done, written = [], []

    def sleep(verb, key):
        """Let six minutes pass after the record is gone, in which another run begins."""
        if RECORD in done and not written:
            clock.advance(timedelta(minutes=6))
            written.append(hold(store, "shop"))
        done.extend([key] if verb == "delete" else [])

    with pytest.raises(BackupInProgressError, match="lost its claim"):
        BackupStore(samples.Watched(objects, sleep), clock=clock).delete("shop")

    assert [key for key in done if key.startswith("backups/")] == done[:2]
    assert objects.stat(written[0])


def test_a_full_store_is_claimed_as_soon_as_it_can_be(store, objects):
    """Once there is room for a claim no other run gets the name before the end."""
    samples.make(store, "shop")
    done, refused = [], []

    def until_there_is_room(verb, key):
        """Take nothing before three objects are gone."""
        if verb == "put" and len(done) < 3:
            raise StoreFullError(key)
        if verb == "delete" and len(done) > 3 and key.startswith("backups/"):
            with pytest.raises(BackupInProgressError):
                store.claim("shop", run_uid="other")
            refused.append(key)
        done.extend([key] if verb == "delete" else [])

    BackupStore(samples.Watched(objects, until_there_is_room)).delete("shop")

    assert len(refused) > 1
    assert store.list() == []


@pytest.mark.parametrize("full", [0, 1])
def test_mirrored_directories_that_take_nothing(tmp_path, monkeypatch, full):
    """A backup is deleted where one directory is full and another takes nothing either."""
    mirrored = samples.open_mirrored(tmp_path)
    store = BackupStore(mirrored)
    samples.make(store, "shop")

    def fails_with(error):
        def fail(key, *_, **__):
            raise error(key)

        return fail

    for number, mirror in enumerate(mirrored._mirrors):
        error = StoreFullError if number == full else StoreUnavailableError
        monkeypatch.setattr(mirror.store, "put", fails_with(error))

    store.delete("shop")

    assert store.list() == []
    assert [info.key for info in mirrored.list("backups/")] == []
